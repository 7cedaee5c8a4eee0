"""Addresses that nothing is sent to: `ops.address_suppressions`, beside the customers of `ops.suppressions`.

An opt-out, a complaint or a bounce is of a mailbox or a number as much as of a customer: whoever else
registers it gets nothing there either. `carry` brings a warehouse of before to that, `follow` what has come
since.
"""

import logging
from datetime import datetime

from include import policy, warehouse
from include.errors import BadInput
from include.persons import addresses, pseudonym
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Addresses held at a time.
AT_ONCE = 20_000


def carry(conn: Connection) -> None:
    """Give every contact point its address's one form and hash, and carry suppressions to addresses.

    Both is done where it is not done yet: in a warehouse of before, or by another version since.
    """
    secret, region = pseudonym.key(), policy.load().shop.phone_region
    filled = 0
    while found := warehouse.rows(
        conn,
        f"""
        SELECT DISTINCT channel, address FROM (
            SELECT channel, address FROM core.contact_points
            WHERE address IS NOT NULL AND address_hash IS NULL LIMIT {AT_ONCE}
        ) AS p
        """,
    ):
        given = [(c, a, addresses.normal(c, a, region) or a) for c, a in found]
        warehouse.execute(
            conn,
            "CREATE TEMPORARY TABLE hashed (channel text, given text, address text, address_hash uuid) "
            "ON COMMIT DROP",
        )
        warehouse.copy_rows(
            conn,
            ((c, a, one, addresses.hashed(c, one, secret)) for c, a, one in given),
            "pg_temp.hashed",
            ["channel", "given", "address", "address_hash"],
        )
        warehouse.execute(
            conn,
            """
            UPDATE core.contact_points AS p SET address = h.address, address_hash = h.address_hash
            FROM hashed AS h
            WHERE p.channel = h.channel AND p.address = h.given AND p.address_hash IS NULL
            """,
        )
        warehouse.execute(conn, "DROP TABLE hashed")
        filled += len(found)
    if filled:
        log.info("Gave %s addresses of before their one form.", f"{filled:,}")
    follow(conn)


def follow(conn: Connection) -> int:
    """Carry suppressions of customers to the addresses that they came from; the addresses listed.

    That is the address that the message was claimed for; where none is known, the one that was valid then.
    """
    listed = warehouse.execute(
        conn,
        """
        WITH fresh AS (
            UPDATE ops.suppressions SET followed_at = clock_timestamp()
            WHERE followed_at IS NULL
            RETURNING customer_id, channel, reason, recorded_at
        ),
        of_messages AS (
            SELECT f.customer_id, f.reason, f.recorded_at, m.channel, m.address_hash
            FROM fresh AS f
            JOIN marketing.messages AS m ON m.customer_id = f.customer_id AND m.feedback = f.reason
            WHERE m.address_hash IS NOT NULL AND f.channel IN ('all', m.channel)
        ),
        of_contacts AS (
            SELECT f.customer_id, f.reason, f.recorded_at, p.channel, p.address_hash
            FROM fresh AS f
            JOIN core.contact_points AS p ON p.customer_id = f.customer_id
            WHERE f.reason <> 'erased' AND f.channel IN ('all', p.channel) AND p.address_hash IS NOT NULL
                AND p.valid_from <= f.recorded_at
                AND (p.valid_to IS NULL OR p.valid_to > f.recorded_at)
                AND NOT EXISTS (
                    SELECT 1 FROM of_messages AS m
                    WHERE m.customer_id = f.customer_id AND m.reason = f.reason AND m.channel = p.channel
                )
        ),
        newest AS (
            SELECT DISTINCT ON (address_hash, channel, reason) *
            FROM (SELECT * FROM of_messages UNION ALL SELECT * FROM of_contacts) AS f
            ORDER BY address_hash, channel, reason, recorded_at DESC
        )
        INSERT INTO ops.address_suppressions AS a
            (address_hash, channel, reason, customer_id, recorded_at, "by")
        SELECT address_hash, channel, reason, customer_id, recorded_at, 'delivery' FROM newest
        ON CONFLICT (address_hash, channel, reason) DO UPDATE
        SET customer_id = excluded.customer_id, recorded_at = excluded.recorded_at, until = NULL
        WHERE excluded.recorded_at > a.recorded_at
        """,
    )
    if listed:
        log.info("Listed %s addresses that nothing is sent to.", f"{listed:,}")
    return listed


def add(
    conn: Connection, text: str, reason: str, by: str, at: datetime, why: str | None = None
) -> str:
    """Put an address on the list by hand; its channel.

    Raises
    ------
    BadInput
        When it is neither an e-mail address nor a telephone number.
    """
    channel, mark = _found(text)
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.address_suppressions (address_hash, channel, reason, recorded_at, "by", why)
        VALUES (%(mark)s, %(channel)s, %(reason)s, %(at)s, %(by)s, %(why)s)
        ON CONFLICT (address_hash, channel, reason) DO UPDATE
        SET customer_id = NULL, recorded_at = excluded.recorded_at, until = NULL, "by" = excluded."by",
            why = excluded.why
        """,
        {"mark": mark, "channel": channel, "reason": reason, "at": at, "by": by, "why": why},
    )
    return channel


def lift(
    conn: Connection, text: str, reason: str | None, by: str, at: datetime, why: str | None = None
) -> int:
    """End what holds of an address, of one reason or of all; how many.

    What a customer said stays said: `ops.suppressions` and `core.consents` are not touched.

    Raises
    ------
    BadInput
        When it is neither an e-mail address nor a telephone number.
    """
    channel, mark = _found(text)
    return warehouse.execute(
        conn,
        """
        UPDATE ops.address_suppressions
        SET until = %(at)s, "by" = %(by)s, why = coalesce(%(why)s, why)
        WHERE address_hash = %(mark)s AND channel = %(channel)s AND until IS NULL
            AND (%(reason)s::text IS NULL OR reason = %(reason)s)
        """,
        {"mark": mark, "channel": channel, "reason": reason, "at": at, "by": by, "why": why},
    )


def show(
    conn: Connection, text: str
) -> list[tuple[str, str, datetime, datetime | None, str, str | None]]:
    """Everything that is listed of an address: channel, reason, since, until, by, why.

    Raises
    ------
    BadInput
        When it is neither an e-mail address nor a telephone number.
    """
    channel, mark = _found(text)
    return warehouse.rows(
        conn,
        'SELECT channel, reason, recorded_at, until, "by", why FROM ops.address_suppressions '
        "WHERE address_hash = %(mark)s AND channel = %(channel)s ORDER BY recorded_at, reason",
        {"mark": mark, "channel": channel},
    )


def _found(text: str) -> tuple[str, str]:
    """The channel and the hash of an address that a person typed."""
    channel = "email" if "@" in text else "sms"
    address = addresses.normal(channel, text, policy.load().shop.phone_region)
    if address is None:
        raise BadInput(
            "Expected an e-mail address, or a telephone number with its country (+44 20 7946 0018), found "
            f"'{text}': write it out, or set shop.phone_region in the policy."
        )
    return channel, str(addresses.hashed(channel, address, pseudonym.key()))

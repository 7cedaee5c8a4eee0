"""What is noticed of the shop beside a window's rows: what it has deleted, and refusals that no window holds.

A window is what was recorded in some days. A row that was deleted is in none, nor is a refusal dated last
year or next; one that breaks a rule is set aside. Each of them takes back what the shop's rows allowed.
"""

import logging
from datetime import datetime

from include import quality, warehouse
from include.contracts import load, words
from include.errors import BadInput
from include.persons import refusals
from include.persons.refusals import Refusal
from include.policy import Policy
from include.publication import Batch
from include.sources import offered
from include.sources.shop import Source
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: What is read of every row of a table, whatever its day.
WHOLE = {
    "customers": ("customer_number",),
    "contact_points": ("contact_id", "customer_number", "channel", "updated_at"),
    "consents": (
        "consent_id", "customer_number", "channel", "purpose", "granted", "recorded_at",
    ),
}  # fmt: skip

#: Rows of core that allow something, of each account and channel the newest: table and condition.
LIVE = {
    "contact_points": "address IS NOT NULL",
    "consents": "coalesce(answer, granted)",
}

#: What identifies a row of the shop, and when it last changed.
STAMPED = {
    "contact_points": ("contact_id", "updated_at"),
    "consents": ("consent_id", "recorded_at"),
}


def look(
    conn: Connection, batch: Batch, source: Source, rules: Policy, start: datetime, end: datetime
) -> list[quality.Result]:
    """Compare the shop's keys with core's, and note refusals dated outside the window; what is told of those.

    A run of an older day than the newest published says nothing of what the shop holds by now.

    Raises
    ------
    BadInput
        When more of what core knows is gone than `ingest.lost_share` allows.
    """
    newest = warehouse.value(
        conn, "SELECT max(partition)::text FROM ops.publications WHERE table_name = 'core.orders'"
    )
    if newest and batch.as_of < newest:
        return []
    tables = [name for name in WHOLE if offered.is_on(rules, name)]
    for name in tables:
        columns = load("raw", name).columns
        types = ", ".join(f'"{c.name}" {c.type}' for c in columns if c.name in WHOLE[name])
        table = f"{batch.schema}.whole_{name}"
        warehouse.execute(conn, f"CREATE UNLOGGED TABLE {table} ({types})")
        if not source.whole(load("raw", name), WHOLE[name], table):
            warehouse.execute(conn, f"DROP TABLE {table}")
            return []
        warehouse.execute(conn, f"ANALYZE {table}")
    if newest:
        _compare(conn, batch, rules, tables, start, end)
    told = _dated_elsewhere(conn, batch, source, start, end) if "consents" in tables else []
    for name in tables:
        warehouse.execute(conn, f"DROP TABLE {batch.schema}.whole_{name}")
    return told


def _compare(
    conn: Connection,
    batch: Batch,
    rules: Policy,
    tables: list[str],
    start: datetime,
    noticed_at: datetime,
) -> None:
    """Write `ops.deleted_in_shop` anew."""
    schema = batch.schema
    warehouse.execute(
        conn,
        f"""
        CREATE UNLOGGED TABLE {schema}.whose AS
        SELECT external_id AS number, customer_id AS account_id, true AS is_customer FROM core.identities
        WHERE NOT EXISTS (SELECT 1 FROM core.accounts AS a WHERE a.account_id = customer_id)
        UNION ALL SELECT account_number, account_id, false FROM core.accounts
        """,
    )
    reached = [name for name in tables if name in LIVE]
    for name in reached:
        _find_gone(conn, schema, name, start)
    if reached and "customers" in tables:
        _find_gone_customers(conn, schema, reached)
        reached.append("customers")
    for name in reached:
        live, gone = warehouse.rows(
            conn, f"SELECT count(*), count(*) FILTER (WHERE is_gone) FROM {schema}.live_{name}"
        )[0]
        if gone > rules.ingest.lost_share * live:
            raise BadInput(
                f"Expected the shop's table {name} to hold the {live:,} keys that allow something, found "
                f"{gone:,} of them gone, more than a share of {rules.ingest.lost_share:g} "
                "(ingest.lost_share): nothing was extracted. Restore the table, or, where they were deleted "
                "on purpose, raise that share for this run."
            )
        if gone:
            log.info("The shop has deleted %s of %s rows of %s.", f"{gone:,}", f"{live:,}", name)
    warehouse.execute(
        conn,
        """
        CREATE TEMPORARY TABLE gone_before ON COMMIT DROP AS TABLE ops.deleted_in_shop;
        DELETE FROM ops.deleted_in_shop;
        """,
    )
    of_customers = (
        f"OR l.account_id IN (SELECT account_id FROM {schema}.live_customers WHERE is_gone)"
    )
    for name in set(reached) & set(LIVE):
        warehouse.execute(
            conn,
            f"""
            INSERT INTO ops.deleted_in_shop (table_name, account_id, channel, valid_from, noticed_at)
            SELECT %(table)s, l.account_id, l.channel, l.valid_from, coalesce(b.noticed_at, %(noticed_at)s)
            FROM {schema}.live_{name} AS l
            LEFT JOIN gone_before AS b ON b.table_name = %(table)s AND b.account_id = l.account_id
                AND b.channel = l.channel AND b.valid_from = l.valid_from
            WHERE l.is_gone OR l.is_replaced {of_customers if "customers" in reached else ""}
            """,
            {"table": f"core.{name}", "noticed_at": noticed_at},
        )
    for name in reached:
        warehouse.execute(conn, f"DROP TABLE {schema}.live_{name}")
    warehouse.execute(conn, f"DROP TABLE {schema}.whose")


def _find_gone(conn: Connection, schema: str, name: str, start: datetime) -> None:
    """`live_<table>`: what allows something, and whether the shop holds its row no longer.

    One that a later row took the place of, which core has not got, was replaced by what was set aside.
    A row is found by its number, or by account, channel and stamp; one that core knows no number of, by
    account and channel.
    """
    key, stamp = STAMPED[name]
    marketing = "purpose = 'marketing' AND" if name == "consents" else ""
    said = warehouse.rows(conn, f"SELECT DISTINCT channel FROM {schema}.whole_{name}")
    meant = ", ".join("(%s::text, %s::text)" for _ in said) or "(NULL::text, NULL::text)"
    values = [text for (given,) in said for text in (given, words.channel(given) or "all")]
    with conn.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE UNLOGGED TABLE {schema}.held_{name} AS
            SELECT r.{key} AS row_number, w.account_id, m.channel, r.{stamp} AS stamp
            FROM {schema}.whole_{name} AS r
            JOIN (VALUES {meant}) AS m (given, channel) ON r.channel IS NOT DISTINCT FROM m.given
            JOIN {schema}.whose AS w ON r.customer_number = w.number
            """,
            values,
        )
    warehouse.execute(
        conn,
        f"""
        ANALYZE {schema}.held_{name};
        CREATE UNLOGGED TABLE {schema}.live_{name} AS
        WITH newest AS (
            SELECT DISTINCT ON (account_id, channel)
                account_id, channel, valid_from, {key} AS row_number, {LIVE[name]} AS allows
            FROM core.{name}
            WHERE {marketing} true
            ORDER BY account_id, channel, valid_from DESC, known_at DESC
        )
        SELECT n.account_id, n.channel, n.valid_from,
            NOT EXISTS (
                SELECT 1 FROM {schema}.held_{name} AS h WHERE h.row_number = n.row_number
            )
            AND NOT EXISTS (
                SELECT 1 FROM {schema}.held_{name} AS h
                WHERE h.account_id = n.account_id AND h.channel = n.channel
                    AND (n.row_number IS NULL OR h.stamp = n.valid_from)
            ) AS is_gone,
            '{name}' = 'contact_points' AND EXISTS (
                SELECT 1 FROM {schema}.held_{name} AS h
                WHERE h.account_id = n.account_id AND h.channel = n.channel AND h.stamp > n.valid_from
                    AND h.stamp < '{start}'
            ) AS is_replaced
        FROM newest AS n WHERE n.allows;
        DROP TABLE {schema}.held_{name};
        """,
    )


def _find_gone_customers(conn: Connection, schema: str, reached: list[str]) -> None:
    """`live_customers`: who may be written to, and whether the shop has deleted them."""
    allowed = " UNION ".join(f"SELECT account_id FROM {schema}.live_{name}" for name in reached)
    warehouse.execute(
        conn,
        f"""
        CREATE UNLOGGED TABLE {schema}.live_customers AS
        SELECT w.account_id, NOT EXISTS (
            SELECT 1 FROM {schema}.whole_customers AS c WHERE c.customer_number = w.number
        ) AS is_gone
        FROM {schema}.whose AS w WHERE w.is_customer AND w.account_id IN ({allowed})
        """,
    )


def _dated_elsewhere(
    conn: Connection, batch: Batch, source: Source, start: datetime, end: datetime
) -> list[quality.Result]:
    """Refusals dated before the window that core does not know, or later than the shop has got."""
    covered = source.covered()
    params = {"start": start, "end": end, "reached": covered[1] if covered else batch.as_of}
    results = []
    for how, when in (
        (
            "late",
            """
            r.recorded_at < %(start)s AND EXISTS (SELECT 1 FROM core.consents)
            AND NOT EXISTS (
                SELECT 1 FROM core.consents AS c
                WHERE c.account_id = w.account_id AND c.valid_from = r.recorded_at
            )
            AND NOT EXISTS (
                SELECT 1 FROM core.consents AS c
                WHERE c.consent_id = r.consent_id AND c.valid_from = r.recorded_at
            )
            """,
        ),
        ("future", "r.recorded_at >= greatest(%(end)s, (%(reached)s::date + 1)::timestamptz)"),
    ):
        found = _refusals(
            conn,
            f"""
            SELECT r.consent_id, r.customer_number, r.channel, r.purpose, r.recorded_at
            FROM {batch.schema}.whole_consents AS r
            LEFT JOIN (
                SELECT external_id AS number, customer_id AS account_id FROM core.identities
                UNION ALL SELECT account_number, account_id FROM core.accounts
            ) AS w ON r.customer_number = w.number
            WHERE r.granted IS NOT TRUE AND {when}
            """,
            params,
        )
        if found and (new := refusals.record(conn, found, how)):
            results.append(_told("raw.consents", how, new))
    return results


def set_aside(conn: Connection, batch: Batch, end: datetime) -> None:
    """Note the refusals of a batch that are not among its staged consents, and tell of them as critical."""
    found = _refusals(
        conn,
        f"""
        SELECT r.consent_id, r.customer_number, r.channel, r.purpose, r.recorded_at
        FROM raw.consents AS r
        LEFT JOIN {batch.schema}.numbers AS n ON r.customer_number = n.number
        WHERE r._partition BETWEEN %(since)s AND %(as_of)s AND r.granted IS NOT TRUE
            AND NOT EXISTS (
                SELECT 1 FROM {batch.schema}.consents AS s
                WHERE s.account_id = n.account_id AND s.valid_from = r.recorded_at AND NOT s.granted
            )
        """,
        batch.params | {"end": end},
    )
    if found:
        refusals.record(conn, found, "set_aside")
        result = _told("core.consents", "set_aside", len(found))
        quality.store(conn, batch, batch.token, [result])


def replaced(conn: Connection, batch: Batch, end: datetime) -> None:
    """Note the addresses whose place was taken by one of the batch that was set aside: nobody has either."""
    warehouse.execute(
        conn,
        f"""
        INSERT INTO ops.deleted_in_shop (table_name, account_id, channel, valid_from, noticed_at)
        SELECT DISTINCT 'core.contact_points', k.account_id, k.channel, k.valid_from, %(end)s
        FROM raw.contact_points AS r
        JOIN {batch.schema}.numbers AS n ON r.customer_number = n.number
        JOIN {batch.schema}.words AS w ON w.kind = 'channel' AND w.given = r.channel
        JOIN LATERAL (
            SELECT c.account_id, c.channel, c.valid_from FROM core.contact_points AS c
            WHERE c.account_id = n.account_id AND c.channel = w.meaning
            ORDER BY c.valid_from DESC LIMIT 1
        ) AS k ON k.valid_from < r.updated_at
        WHERE r._partition BETWEEN %(since)s AND %(as_of)s
            AND NOT EXISTS (
                SELECT 1 FROM {batch.schema}.contact_points AS s
                WHERE s.account_id = n.account_id AND s.channel = w.meaning AND s.valid_from = r.updated_at
            )
        ON CONFLICT (table_name, account_id, channel, valid_from) DO NOTHING
        """,
        batch.params | {"end": end},
    )


def _refusals(conn: Connection, select: str, params: dict[str, object]) -> list[Refusal]:
    """Rows of consents as refusals of marketing; an impossible stamp counts as the window's end."""
    rows = warehouse.rows(
        conn,
        f"""
        SELECT q.consent_id, q.customer_number, q.channel, q.purpose, q.recorded_at::text,
            CASE WHEN q.recorded_at BETWEEN '1900-01-01' AND %(end)s THEN q.recorded_at ELSE %(end)s END
        FROM ({select}) AS q
        WHERE q.customer_number IS NOT NULL
        """,
        params,
    )
    return [
        Refusal(number, None, channel, at, str(row or f"{number}|{channel}|{purpose}|{stamp}"))
        for row, number, channel, purpose, stamp, at in rows
        if (words.purpose(purpose) or "marketing") == "marketing"
    ]


#: How a refusal came to be noted -> what is said of it.
_WORDS = {
    "set_aside": "in rows that were set aside",
    "late": "dated before the days that are read",
    "future": "dated in the future",
}


def _told(table: str, how: str, count: int) -> quality.Result:
    return quality.Result(
        table, f"refusals_{how}", "critical", False, str(count), count, None,
        f"Expected every refusal among the rows of {table}, found {count} {_WORDS[how]}: whoever they name "
        "is not written to until a later yes (ops.refusals). Mend the rows in the shop.",
    )  # fmt: skip

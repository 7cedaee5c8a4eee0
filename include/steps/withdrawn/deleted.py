"""What core knows and the shop's tables hold no longer: `ops.deleted_in_shop`. It allows nothing any more.

A deleted row is in no window of days, so the keys of all rows are compared: of customers, contact points and
answers, those that allow something.
"""

import logging
from datetime import datetime

from include import warehouse
from include.contracts import words
from include.errors import BadInput
from include.policy import Policy
from include.publication import Batch
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Of a small shop so few may always go at a time.
FEW = 2

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


def compare(
    conn: Connection,
    batch: Batch,
    rules: Policy,
    tables: list[str],
    start: datetime,
    noticed_at: datetime,
) -> None:
    """Write `ops.deleted_in_shop` anew, from the staged `whole_<table>` of each table.

    Raises
    ------
    BadInput
        When more of what core knows is gone than `ingest.lost_share` allows.
    """
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
        # What was missed before is no loss of this read; core keeps the rows of whoever was deleted.
        known = (
            ""
            if name == "customers"
            else f"AND d.table_name = 'core.{name}' AND d.channel = l.channel AND d.valid_from = l.valid_from"
        )
        live, gone = warehouse.rows(
            conn,
            f"""
            SELECT count(*) FILTER (WHERE NOT is_gone OR is_new), count(*) FILTER (WHERE is_new)
            FROM (
                SELECT l.is_gone, l.is_gone AND NOT EXISTS (
                    SELECT 1 FROM ops.deleted_in_shop AS d WHERE d.account_id = l.account_id {known}
                ) AS is_new
                FROM {schema}.live_{name} AS l
            ) AS counted
            """,
        )[0]
        if gone > max(FEW, rules.ingest.lost_share * live):
            raise BadInput(
                f"Expected the shop's table {name} to hold the {live:,} keys that allow something, found "
                f"{gone:,} of them gone since the last run, more than a share of {rules.ingest.lost_share:g} "
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

"""Days of `core` that are built again because accounts began, or ceased, to lead to a person.

A row whose account leads to nobody is set aside, and its day is not looked at again by itself. So when the
links change, by a customer who comes with a backfill or an address that goes to another, the days that hold
rows of such accounts say what is no longer so. They are noted in the transaction that publishes the links,
and built again right after it. So are days with lines of a product whose record comes only later. Only days
that `raw` still holds can be. See docs/decisions/0009.
"""

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any

from include import contracts, warehouse
from include.publication import Batch
from include.publication.locks import lock_opening
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Whom each account leads to: a person, or nobody, which is its own number.
WHOSE = """(
    SELECT account_id, customer_id, true AS leads FROM core.identity_links
    UNION ALL
    SELECT account_id, customer_id, false FROM core.identity_doubts WHERE account_id = customer_id
)"""


def note(
    conn: Connection,
    batch: Batch | None,
    numbers: dict[Any, str],
    come: Sequence[Any],
    gone: Sequence[Any],
) -> None:
    """Note the days to build again, and strike those that the batch has built.

    The caller's transaction holds the lock of the publication of core and has written the links.

    Parameters
    ----------
    numbers
        The number of every account.
    come, gone
        Accounts that lead to a person, or are known, only now; and those that do so no longer.
    """
    window = {"since": batch and batch.since, "as_of": batch and batch.as_of}
    days: set[date] = set()
    if batch is not None:
        warehouse.execute(
            conn,
            "DELETE FROM ops.stale_days "
            "WHERE business_day BETWEEN %(since)s AND %(as_of)s AND token < %(token)s",
            batch.params,
        )
        # The batch was built with what was known before it.
        staged = warehouse.value(
            conn, "SELECT to_regclass(%(table)s)", {"table": f"{batch.schema}.numbers"}
        )
        otherwise = staged and warehouse.rows(
            conn,
            f"""
            SELECT w.account_id FROM {WHOSE} AS w
            LEFT JOIN {batch.schema}.numbers AS n USING (account_id)
            WHERE w.leads IS DISTINCT FROM
                CASE WHEN n.account_id IS NOT NULL THEN n.customer_id IS NOT NULL END
            """,
        )
        found = [numbers[account] for (account,) in otherwise or () if account in numbers]
        days |= _days(conn, found, "_partition BETWEEN %(since)s AND %(as_of)s", window)
    outside = "(%(since)s::date IS NULL OR {} NOT BETWEEN %(since)s AND %(as_of)s)"
    days |= _days(conn, [numbers[one] for one in gone], outside.format("_partition"), window)
    if come:
        waiting: dict[str, list[date]] = {}
        for table, day in warehouse.rows(
            conn,
            "SELECT DISTINCT table_name, business_day FROM quarantine.rejected_rows "
            f"WHERE 'orphan_customer' = ANY(reasons) AND {outside.format('business_day')}",
            window,
        ):
            waiting.setdefault(table, []).append(day)
        found = [numbers[one] for one in come]
        for table, some in waiting.items():
            only = "_partition = ANY(%(days)s)"
            days |= _days(conn, found, only, {"days": some}, {table})
    if batch is not None:
        days |= _of_unknown_products(conn, batch)
    if not days:
        return
    # Batches that have looked already have lower tokens, and whoever looks next sees this.
    lock_opening(conn, "core")
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.stale_days (business_day, token, noticed_at)
        SELECT day, (SELECT nextval('ops.tokens')), now() FROM unnest(%(days)s) AS day
        ON CONFLICT (business_day) DO UPDATE SET token = excluded.token, noticed_at = excluded.noticed_at
        """,
        {"days": sorted(days)},
    )


def _of_unknown_products(conn: Connection, batch: Batch) -> set[date]:
    """Days outside the batch's window, and still in raw, with lines of products that came with it."""
    staged = f"{batch.schema}.products"
    if not warehouse.value(conn, "SELECT to_regclass(%(table)s)", {"table": staged}):
        return set()
    rows = warehouse.rows(
        conn,
        f"""
        SELECT DISTINCT l.business_day FROM core.order_lines AS l
        WHERE EXISTS (SELECT 1 FROM {staged})
            AND l.business_day >= (SELECT min(_partition) FROM raw.order_lines)
            AND l.business_day NOT BETWEEN %(since)s AND %(as_of)s
            AND 'unknown_product' = ANY(l.flags)
            AND l.product_id IN (SELECT product_id FROM {staged})
        """,
        batch.params,
    )
    return {day for (day,) in rows}


def _days(
    conn: Connection,
    numbers: Sequence[str],
    where: str,
    params: dict[str, Any],
    tables: set[str] | None = None,
) -> set[date]:
    """The days for which raw holds rows of some numbers; `where` is SQL of our own."""
    if not numbers:
        return set()
    found: set[date] = set()
    for contract in contracts.of_dataset("core"):
        if contract.source is None or "account_id" not in contract.column_names:
            continue
        # Rows that are not of a day stand for whom they are: an account that leads to nobody keeps them.
        concerned = contract.name in tables if tables else contract.partition
        source = contracts.load(*contract.source.split("."))
        if concerned and "customer_number" in source.column_names:
            rows = warehouse.rows(
                conn,
                f"SELECT DISTINCT _partition FROM {source.name} "
                f"WHERE customer_number = ANY(%(numbers)s) AND {where}",
                params | {"numbers": list(numbers)},
            )
            found |= {day for (day,) in rows}
    return found


def spans(conn: Connection) -> list[tuple[str, str]]:
    """The days that wait to be built again: the first and the last of each row of days on end."""
    return warehouse.rows(
        conn,
        """
        SELECT min(business_day)::text, max(business_day)::text
        FROM (
            SELECT business_day, business_day - row_number() OVER (ORDER BY business_day)::integer AS span
            FROM ops.stale_days
        ) AS s
        GROUP BY span ORDER BY 1
        """,
    )

"""Days of `core` that are built again because they say of some rows what holds no longer.

A web account makes an order on 2 March and leads to nobody, so the order is set aside. On 4 March customer
`c8` gives that account's address: from then on the order is `c8`'s, but nobody looks at 2 March again by
itself. Such days are noted in the transaction that publishes the links, and built again right after it. So
are days with rows of an account that leads to nobody any more, as when its address goes to another, and days
with lines of a product whose record comes only later, or with refunds at another rate than their order has,
which came later too. Only days that `raw` still holds can be. See docs/decisions/0009.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from include import contracts, warehouse
from include.persons.links import WHOSE, Changes
from include.publication import Batch
from include.publication.locks import lock_opening
from include.warehouse import Connection


def note(conn: Connection, batch: Batch | None, numbers: dict[UUID, str], changes: Changes) -> None:
    """Note the days to build again, and strike those that the batch has built.

    The caller's transaction holds the lock of the publication of core and has written the links.

    Parameters
    ----------
    batch
        The one that was just published; None where links changed by hand.
    numbers
        The number of every account.
    changes
        What is new about whose the accounts are.
    """
    days = _with_rows_of_nobody(conn, batch, [numbers[one] for one in changes.gone])
    days |= _with_rows_set_aside(conn, batch, [numbers[one] for one in changes.come])
    if batch is not None:
        _strike(conn, batch)
        days |= _built_by_older_links(conn, batch, numbers)
        days |= _of_unknown_products(conn, batch)
        days |= _of_refunds(conn, batch)
    if days:
        _remember(conn, days)


def _strike(conn: Connection, batch: Batch) -> None:
    """The batch's days are built, and what was noted of them before it looked is settled."""
    warehouse.execute(
        conn,
        "DELETE FROM ops.stale_days "
        "WHERE business_day BETWEEN %(since)s AND %(as_of)s AND token < %(token)s",
        batch.params,
    )


def _remember(conn: Connection, days: set[date]) -> None:
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


# --- why a day is stale --------------------------------------------------------------------------------


def _built_by_older_links(conn: Connection, batch: Batch, numbers: dict[UUID, str]) -> set[date]:
    """The batch's own days with rows of accounts that lead elsewhere than it took for granted.

    It was built with what was known before it: an account that its own rows give to somebody was nobody's.
    """
    if not _is_staged(conn, batch, "numbers"):
        return set()
    elsewhere = warehouse.rows(
        conn,
        f"""
        SELECT w.account_id FROM {WHOSE} AS w
        LEFT JOIN {batch.schema}.numbers AS n USING (account_id)
        WHERE w.leads IS DISTINCT FROM
            CASE WHEN n.account_id IS NOT NULL THEN n.customer_id IS NOT NULL END
        """,
    )
    found = [numbers[account] for (account,) in elsewhere if account in numbers]
    return _days(conn, found, "_partition BETWEEN %(since)s AND %(as_of)s", batch.params)


def _with_rows_of_nobody(conn: Connection, batch: Batch | None, numbers: list[str]) -> set[date]:
    """Other days with rows of accounts that lead to nobody any more: they are to be set aside."""
    return _days(conn, numbers, _OTHER_DAYS.format("_partition"), _window(batch))


def _with_rows_set_aside(conn: Connection, batch: Batch | None, numbers: list[str]) -> set[date]:
    """Other days whose rows were set aside as nobody's, of accounts that lead to somebody now."""
    if not numbers:
        return set()
    waiting: dict[str, list[date]] = {}
    for table, day in warehouse.rows(
        conn,
        "SELECT DISTINCT table_name, business_day FROM quarantine.rejected_rows "
        f"WHERE 'orphan_customer' = ANY(reasons) AND {_OTHER_DAYS.format('business_day')}",
        _window(batch),
    ):
        waiting.setdefault(table, []).append(day)
    found: set[date] = set()
    for table, days in waiting.items():
        found |= _days(conn, numbers, "_partition = ANY(%(days)s)", {"days": days}, {table})
    return found


def _of_unknown_products(conn: Connection, batch: Batch) -> set[date]:
    """Days outside the batch's window, and still in raw, with lines of products that came with it."""
    staged = f"{batch.schema}.products"
    if not _is_staged(conn, batch, "products"):
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


def _of_refunds(conn: Connection, batch: Batch) -> set[date]:
    """Other days with refunds of the batch's orders at another rate than theirs, or set aside without."""
    if not _is_staged(conn, batch, "orders"):
        return set()
    rows = warehouse.rows(
        conn,
        f"""
        WITH waiting AS (
            SELECT t.business_day
            FROM core.returns AS t
            JOIN {batch.schema}.orders AS o ON t.order_id = o.order_id
            WHERE coalesce(t.currency, o.currency) = o.currency
                AND t.exchange_rate IS DISTINCT FROM o.exchange_rate
            UNION
            -- A refund without a customer's number is of whoever its order is of.
            SELECT t.business_day
            FROM core.returns AS t
            JOIN {batch.schema}.orders AS o ON t.order_id = o.order_id
            WHERE t.guest AND t.account_id IS DISTINCT FROM o.account_id
            UNION
            SELECT t.business_day
            FROM core.returns AS t
            JOIN {batch.schema}.rejected_rows AS q
                ON q.table_name = 'core.orders' AND q.row_key = t.order_id AND 'missing_rate' = ANY(q.reasons)
            WHERE t.currency IS NULL
            UNION
            SELECT q.business_day
            FROM quarantine.rejected_rows AS q
            JOIN {batch.schema}.orders AS o ON q.payload ->> 'order_id' = o.order_id
            WHERE q.table_name = 'core.returns' AND 'missing_rate' = ANY(q.reasons)
                AND (o.exchange_rate IS NOT NULL OR q.payload ->> 'currency' IS NULL)
        )
        SELECT business_day FROM waiting
        WHERE {_OTHER_DAYS.format("business_day")}
            AND business_day >= (SELECT min(_partition) FROM raw.returns)
        """,
        batch.params,
    )
    return {day for (day,) in rows}


#: Days that are none of the batch's, whose own rows were just built; without a batch, all.
_OTHER_DAYS = "(%(since)s::date IS NULL OR {} NOT BETWEEN %(since)s AND %(as_of)s)"


def _window(batch: Batch | None) -> dict[str, Any]:
    return {"since": batch and batch.since, "as_of": batch and batch.as_of}


def _is_staged(conn: Connection, batch: Batch, table: str) -> bool:
    name = {"table": f"{batch.schema}.{table}"}
    return warehouse.value(conn, "SELECT to_regclass(%(table)s)", name) is not None


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

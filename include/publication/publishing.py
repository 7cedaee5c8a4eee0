"""All tables of a batch in one transaction, under the lock of their dataset, and what is remembered of it."""

from collections.abc import Sequence
from typing import Any

from psycopg2 import sql as pgsql

from include import warehouse
from include.contracts import Contract
from include.errors import BadInput, Superseded
from include.publication import undated
from include.publication.batches import Batch, staged_contracts
from include.publication.locks import lock_publishing
from include.publication.statements import execute, names_of
from include.publication.writing import staged_table, write
from include.warehouse import Connection


def publish(conn: Connection, batch: Batch, fence: int) -> dict[str, int]:
    """Publish every staged table of the batch; the staged rows of each table.

    All of it happens in the caller's transaction, under a lock of the dataset. The batch stays staged,
    so that its gate can be run again; older published batches of the dataset are dropped.

    Raises
    ------
    Superseded
        When a newer attempt for the same dataset and day has claimed the right to publish.
    """
    lock_publishing(conn, batch.dataset)
    newest = warehouse.value(
        conn,
        "SELECT token FROM ops.fences WHERE dataset = %(dataset)s AND as_of = %(as_of)s",
        batch.params,
    )
    if newest != fence:
        raise Superseded(
            f"Expected attempt {fence} to be the newest for {batch.dataset} of {batch.as_of}, found "
            f"attempt {newest}: nothing was published; look at the newer run instead."
        )
    tables = staged_contracts(conn, batch)
    counts: dict[str, int] = {}
    standing = is_published_for_good(conn, batch, tables)
    for contract in tables:
        if not standing:
            write(conn, batch, contract)
            _record(conn, batch, contract)
            undated.settle(conn, batch, contract)
        counts[contract.name] = warehouse.value(
            conn,
            pgsql.SQL("SELECT count(*) FROM {}")
            .format(staged_table(batch, contract))
            .as_string(conn),
        )
        if not standing:
            _let_planner_know(conn, contract, counts[contract.name])
    warehouse.execute(
        conn, "UPDATE ops.batches SET published_at = now() WHERE token = %(token)s", batch.params
    )
    _drop_older(conn, batch)
    return counts


#: A batch of so many rows, and of this share of the rows that the planner knows of, changes its picture.
MUCH_ROWS, MUCH_SHARE = 10_000, 0.1


def _let_planner_know(conn: Connection, contract: Contract, rows: int) -> None:
    """ANALYZE a table that a batch has filled: by its own the server notices a minute later, or never.

    Until then the next day's statements would be planned for an empty table.
    """
    if rows < MUCH_ROWS:
        return
    known = warehouse.value(
        conn,
        "SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = %(table)s::regclass",
        {"table": contract.name},
    )
    if rows > MUCH_SHARE * known:
        execute(conn, "ANALYZE {}", warehouse.qualified(contract.name))


def is_published_for_good(conn: Connection, batch: Batch, tables: Sequence[Contract]) -> bool:
    """Whether the batch's day was published before and is of those that are published once."""
    return any(item.write == "once" and _published(conn, batch, item) for item in tables)


def _published(conn: Connection, batch: Batch, contract: Contract) -> bool:
    found = warehouse.value(
        conn,
        "SELECT 1 FROM ops.publications WHERE table_name = %(table)s AND partition = %(as_of)s",
        {"table": contract.name, "as_of": batch.as_of},
    )
    return found is not None


def _record(conn: Connection, batch: Batch, contract: Contract) -> None:
    """Note what stands now for each of the batch's days, and which batch it came from."""
    if contract.partition and contract.write != "upsert":
        per_day = pgsql.SQL(
            "SELECT {day} AS day, count(*) AS n FROM {table} WHERE {day} BETWEEN {lo} AND {hi} GROUP BY 1"
        ).format(
            day=pgsql.Identifier(contract.partition),
            table=warehouse.qualified(contract.name),
            lo=pgsql.Literal(batch.since),
            hi=pgsql.Literal(batch.as_of),
        )
    else:
        per_day = pgsql.SQL("SELECT {day}::date AS day, count(*) AS n FROM {table}").format(
            day=pgsql.Literal(batch.as_of), table=staged_table(batch, contract)
        )
    first = batch.since if contract.partition and contract.write != "upsert" else batch.as_of
    with conn.cursor() as cursor:
        cursor.execute(
            pgsql.SQL("WITH counted AS ({})").format(per_day)
            + pgsql.SQL(
                """
                INSERT INTO ops.publications AS p
                    (table_name, partition, dataset, token, run_id, row_count, published_at)
                SELECT %(table)s, d::date, %(dataset)s, %(token)s, %(run_id)s, coalesce(n, 0), now()
                FROM generate_series(%(first)s::date, %(as_of)s::date, interval '1 day') AS d
                LEFT JOIN counted ON counted.day = d::date
                ON CONFLICT (table_name, partition) DO UPDATE SET
                    dataset = excluded.dataset, token = excluded.token, run_id = excluded.run_id,
                    row_count = excluded.row_count, published_at = excluded.published_at
                WHERE excluded.token >= p.token
                """
            ),
            batch.params | {"table": contract.name, "first": first},
        )


def _drop_older(conn: Connection, batch: Batch) -> None:
    """Published batches of the dataset are kept one deep, unfinished ones until their day is published.

    A gate builds again what is gone.
    """
    for (token,) in warehouse.rows(
        conn,
        """
        SELECT token FROM ops.batches
        WHERE dataset = %(dataset)s AND staged AND token <> %(token)s
            AND (published_at IS NOT NULL OR (as_of = %(as_of)s AND token < %(token)s))
        """,
        batch.params,
    ):
        execute(conn, "DROP SCHEMA IF EXISTS {} CASCADE", pgsql.Identifier(f"stage_{token}"))
        warehouse.execute(
            conn, "UPDATE ops.batches SET staged = false WHERE token = %(token)s", {"token": token}
        )


def content_hash(
    conn: Connection, contract: Contract, where: str = "true", params: Any = None
) -> str:
    """A hash of a table's content that depends neither on the order of rows nor on the runs."""
    if not contract.content:
        raise BadInput(f"Expected content columns in {contract.name}, found only run columns.")
    with conn.cursor() as cursor:
        cursor.execute(
            pgsql.SQL(
                "SELECT count(*) || ':' || coalesce(sum(hashtextextended(ROW({})::text, 0)::numeric), 0) "
                "FROM {} WHERE "
            ).format(names_of(contract.content), warehouse.qualified(contract.name))
            + pgsql.SQL(where),
            params,
        )
        (found,) = cursor.fetchone() or ("",)
    return str(found)

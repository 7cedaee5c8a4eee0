"""Rows of the shop that bear no date stand once in `raw`, on its newest day.

An order whose `ordered_at` is empty belongs to no business day, so the extraction of 3 March meets it, and
that of 4 March again. It stands on 4 March alone, and moves on to 5 March with the next run. When 2 March is
run late, it does not go back there: which such rows there are is said by the batch that looked at the shop
last, and where they stand by the newest day that was published, so the order of runs decides nothing.
"""

from include import warehouse
from include.contracts import Contract
from include.publication.batches import Batch
from include.warehouse import Connection

#: The column of raw that marks such a row.
MARK = "_undated"


def mark(conn: Connection, batch: Batch, table: str) -> int:
    """Put the staged rows that came without a day on the batch's last one; their number."""
    target = warehouse.qualified(table).as_string(conn)
    return warehouse.execute(
        conn,
        f"UPDATE {target} SET _partition = %(as_of)s, {MARK} = true WHERE _partition IS NULL",
        batch.params,
    )


def settle(conn: Connection, batch: Batch, contract: Contract) -> None:
    """Bring the published rows without a day to where they belong.

    The caller's transaction holds the dataset's lock and has just published the batch.
    """
    if MARK not in contract.column_names:
        return
    params = batch.params | {"table": contract.name}
    newest, before, token, own = warehouse.rows(
        conn,
        """
        SELECT max(partition)::text, max(partition) FILTER (WHERE token <> %(token)s)::text, max(token),
            max(token) FILTER (WHERE partition = %(as_of)s)
        FROM ops.publications WHERE table_name = %(table)s
        """,
        params,
    )[0]
    if own != batch.token:
        return  # a newer batch stands for this one's last day
    table = warehouse.qualified(contract.name).as_string(conn)
    remove = f"DELETE FROM {table} WHERE {MARK} AND _partition = %(day)s"
    move = f"UPDATE {table} SET _partition = %(newest)s WHERE {MARK} AND _partition = %(day)s"
    if token > batch.token:
        # A newer batch has said which rows there are; what this one brought is older.
        steps = [(remove, batch.as_of)]
        if newest == batch.as_of and before:
            steps.append((move, before))
    elif newest != batch.as_of:
        steps = [(remove, newest), (move, batch.as_of)]
    else:
        steps = [(remove, before)] if before else []
    touched = sum(
        warehouse.execute(conn, step, {"day": day, "newest": newest}) for step, day in steps
    )
    if not touched:
        return
    # A day that is empty by it held nothing: it must not look like one that expired.
    warehouse.execute(
        conn,
        f"""
        UPDATE ops.publications AS p
        SET row_count = (SELECT count(*) FROM {table} AS r WHERE r._partition = p.partition)
        WHERE p.table_name = %(table)s AND p.partition = ANY(%(days)s::date[])
        """,
        params | {"days": sorted({batch.as_of, newest, before or newest})},
    )

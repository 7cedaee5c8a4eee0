"""What was sold without a customer: counted in demand, popularity and totals, and in nobody's history."""

from collections.abc import Sequence

from include import warehouse
from include.contracts import Contract
from include.publication import Batch
from include.quality.results import Result
from include.warehouse import Connection


def told(conn: Connection, batch: Batch, tables: Sequence[Contract]) -> list[Result]:
    """How many of the batch's order lines, and what of their money, are nobody's; a warning where any is."""
    lines = [contract for contract in tables if contract.name == "core.order_lines"]
    if not lines:
        return []
    table = warehouse.qualified(batch.table(lines[0])).as_string(conn)
    rows, nobodys, money, sales = warehouse.rows(
        conn,
        "SELECT count(*), count(*) FILTER (WHERE customer_id IS NULL), "
        "coalesce(sum(sales) FILTER (WHERE customer_id IS NULL), 0), coalesce(sum(sales), 0) "
        f"FROM {table}",
    )[0]
    of_lines = nobodys / rows if rows else 0
    of_money = float(money / sales) if sales else 0.0
    return [
        Result(
            "core.order_lines", "with_customer", "warning", nobodys == 0, f"{of_money:.4f}", nobodys, rows,
            f"Of the {rows:,} lines sold from {batch.since} to {batch.as_of}, {nobodys:,} ({of_lines:.1%}, "
            f"{of_money:.1%} of the money) are without a customer: they count in demand, popularity and "
            "totals, and in no features, segments and lists.",
        )
    ]  # fmt: skip

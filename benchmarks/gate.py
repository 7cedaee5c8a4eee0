"""How long the checks of a gate take, beside hand-written SQL that computes the same.

A batch of `--rows` order lines is staged. Two settings:

* scan: the required columns, the window and ten expectations, as a gate checks them; the peer is one SELECT
  that computes all of it in a single scan. Ours is to be at most 4 times the peer's;
* gate: all that a gate does before it publishes, the key's uniqueness and the profile for trends included;
  the peer is the same SELECT and the fastest statement we know for the key.

Time for imports is apart.

    bin/regulars bench gate [--rows 1000000] [--rounds 3]
"""

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

from benchmarks._lines import show
from include import (
    contracts,
    publication,
    quality,
    warehouse,
)
from include.contracts import Check, Contract
from include.publication import Batch
from include.quality import profiles, trends
from include.warehouse import Connection

FIRST_DAY, LAST_DAY = "2017-01-01", "2017-12-31"

CHECKS = [
    {"expect": "table_row_count_to_be_between", "min_value": 1},
    {"expect": "column_values_to_be_between", "column": "sales", "min_value": 0.1, "max_value": 100,
     "mostly": 0.9},
    {"expect": "column_values_to_be_between", "column": "quantity", "min_value": 0, "mostly": 0.9},
    {"expect": "column_values_to_be_between", "column": "retail_discount", "min_value": 0},
    {"expect": "column_values_to_be_between", "column": "coupon_discount", "min_value": 0},
    {"expect": "column_values_to_be_between", "column": "coupon_match_discount", "min_value": 0},
    {"expect": "column_values_to_be_in_set", "column": "is_unit", "value_set": [True], "mostly": 0.5},
    {"expect": "column_values_to_not_be_null", "column": "store_id", "mostly": 0.9},
    {"expect": "column_mean_to_be_between", "column": "sales", "min_value": 0.5, "max_value": 50},
    {"expect": "column_max_to_be_between", "column": "sales", "max_value": 2500},
]  # fmt: skip

BY_HAND = """
SELECT
    count(*),
    {required},
    count(*) FILTER (WHERE business_day NOT BETWEEN '2017-01-01' AND '2017-12-31'),
    count(*) FILTER (WHERE sales NOT BETWEEN 0.1 AND 100),
    count(*) FILTER (WHERE quantity < 0),
    count(*) FILTER (WHERE retail_discount < 0),
    count(*) FILTER (WHERE coupon_discount < 0),
    count(*) FILTER (WHERE coupon_match_discount < 0),
    count(*) FILTER (WHERE NOT is_unit),
    count(*) FILTER (WHERE store_id IS NULL),
    avg(sales),
    max(sales)
FROM {table}
"""


KEY_BY_HAND = """
SELECT coalesce(sum(n - 1), 0)
FROM (SELECT count(*) AS n FROM {table} GROUP BY order_id, line_number HAVING count(*) > 1) AS d
"""


def contract() -> Contract:
    """The contract of order lines with the ten checks."""
    made = [Check.model_validate(check | {"severity": "critical"}) for check in CHECKS]
    return contracts.load("core", "order_lines").model_copy(update={"checks": made})


def stage(conn: Connection, lines: Contract, rows: int) -> Batch:
    """A batch with so many lines of the warehouse, as often as needed."""
    batch = publication.open_batch(conn, "core", LAST_DAY, FIRST_DAY, "bench gate")
    table = publication.stage(conn, batch, lines)
    names = ", ".join(lines.content)
    shown = names.replace("order_id", "order_id || '-' || n", 1)
    held = warehouse.value(conn, "SELECT count(*) FROM core.order_lines")
    if not held:
        raise SystemExit("Expected order lines in the warehouse, found none: run the demo first.")
    warehouse.execute(
        conn,
        f"INSERT INTO {table} ({names}) SELECT {shown} FROM generate_series(1, %(times)s) AS n, "
        f"core.order_lines AS l LIMIT %(rows)s",
        {"times": -(-rows // held), "rows": rows},
    )
    warehouse.execute(conn, f"ANALYZE {table}")
    return batch


def scan(batch: Batch, lines: Contract) -> None:
    """The checks that one scan could answer."""
    audit(batch, lines.model_copy(update={"keys": []}))


def gate(batch: Batch, lines: Contract) -> None:
    """All that a gate does before it publishes."""
    audit(batch, lines)
    with warehouse.connect() as conn:
        days = profiles.of_batch(conn, batch, [lines])
        trends.judge(days[-1], days[-1 - trends.PAST_DAYS : -1])


def audit(batch: Batch, lines: Contract) -> None:
    """The checks of a batch; the bench ends where one does not hold."""
    with warehouse.connect() as conn:
        results = quality.audit(conn, batch, [lines])
    failed = [one.message for one in results if not one.passed and one.severity == "critical"]
    if failed:
        raise SystemExit(f"Expected every check to hold, found: {failed[0]}")


def scan_by_hand(batch: Batch, lines: Contract) -> None:
    """One statement, one scan."""
    required = ", ".join(
        f'count(*) FILTER (WHERE "{column.name}" IS NULL)'
        for column in lines.columns
        if not column.nullable
    )
    with warehouse.connect() as conn:
        warehouse.rows(conn, BY_HAND.format(required=required, table=batch.table(lines)))


def gate_by_hand(batch: Batch, lines: Contract) -> None:
    """The scan, and the key."""
    scan_by_hand(batch, lines)
    with warehouse.connect() as conn:
        warehouse.rows(conn, KEY_BY_HAND.format(table=batch.table(lines)))


def seconds(work: Callable[[Batch, Contract], None], batch: Batch, lines: Contract) -> float:
    """How long a piece of work takes."""
    started = time.perf_counter()
    work(batch, lines)
    return time.perf_counter() - started


def main(argv: list[str]) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    lines = contract()
    with warehouse.connect() as conn:
        contracts.migrate(conn)  # a warehouse that no demo has filled will do
        batch = stage(conn, lines, options.rows)
    try:
        gate(batch, lines)  # imports, and a warm cache for both
        for name, mine, theirs in (("scan", scan, scan_by_hand), ("gate", gate, gate_by_hand)):
            rounds = [
                (seconds(mine, batch, lines), seconds(theirs, batch, lines))
                for _ in range(options.rounds)
            ]
            show(
                "gate",
                "seconds",
                f"{name},rows={options.rows},checks={len(CHECKS)}",
                median(one for one, _ in rounds),
                median(other for _, other in rounds),
                "hand-written SQL",
                unit="s",
                n=options.rows,
            )
    finally:
        with warehouse.connect() as conn:
            warehouse.execute(conn, f"DROP SCHEMA {batch.schema} CASCADE")
            warehouse.execute(conn, "DELETE FROM ops.batches WHERE token = %(token)s", batch.params)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

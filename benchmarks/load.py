"""How fast order lines move: by our COPY, and by psycopg2's execute_values, in the same run.

Two moves of the same 1.47 million lines, each by both ways in turn, a fresh process each time, so that its
peak memory is its own:

* extract: from the shop's database to a staged table of raw, by the extraction's own SELECT; ours is
  `warehouse.copy_between`, the peer reads through a server-side cursor and writes with
  `execute_values(page_size=1000)`;
* load: from the package's file into the shop, as the demo shop is filled; the peer writes the same batches
  with `execute_values(page_size=1000)`.

Rates are medians over the rounds, from the first row read to the commit; memory is the largest of the rounds
and includes the interpreter.

    bin/regulars bench load [--rounds 2] [--moves extract load]
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from psycopg2 import sql
from psycopg2.extras import execute_values

from benchmarks._lines import show
from include import as_of, contracts, warehouse
from include.warehouse import Connection

WAYS = ("ours", "peer")
MOVES = ("extract", "load")
PEER_NAME = "psycopg2.extras.execute_values(page_size=1000)"
PAGE_SIZE = 1000
SCHEMA = "bench_load"
ZONE = "America/New_York"
FIRST_DAY, LAST_DAY = "2017-01-01", "2017-12-31"


def extract(way: str) -> int:
    """Move the lines of the whole year from the shop to a staged table of raw; their number."""
    contract = contracts.load("raw", "order_lines")
    start, end = as_of.window(FIRST_DAY, LAST_DAY, ZONE)
    params = {"start": start, "end": end, "timezone": ZONE}
    select = warehouse.sql("extract/complete_journey/order_lines")
    columns = contract.content
    with warehouse.connect("shop") as shop, warehouse.connect("warehouse") as conn:
        _make_table(conn, contracts.column_list(contract, strict=False))
        if way == "ours":
            return warehouse.copy_between(
                shop, conn, select, params, f"{SCHEMA}.order_lines", columns
            )
        with shop.cursor("lines") as source:
            source.itersize = 10 * PAGE_SIZE
            source.execute(select, params)
            _insert(conn, columns, source)
        return _count(conn)


def load(way: str) -> int:
    """Move the lines from the package's file into a table of the shop; their number."""
    from include.demo_shop import load as demo

    with warehouse.connect("shop_owner") as conn:
        _make_table(conn, sql.SQL("LIKE public.order_lines"))
        history = demo.History(demo.read_source("products"))
        batches = history.stream(demo.open_source("transactions"), lambda text: None)
        if way == "ours":
            with conn.cursor() as cursor:
                cursor.execute(f"SET LOCAL search_path = {SCHEMA}")
                return demo.copy(cursor, "order_lines", demo.LINE_COLUMNS, batches)
        records = (
            record
            for batch in batches
            for record in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        )
        _insert(conn, list(demo.LINE_COLUMNS), records)
        return _count(conn)


def _make_table(conn: Connection, columns: sql.Composable) -> None:
    """The target, unlogged as staged tables are."""
    warehouse.execute(conn, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    warehouse.execute(conn, f"CREATE SCHEMA {SCHEMA}")
    with conn.cursor() as cursor:
        statement = sql.SQL("CREATE UNLOGGED TABLE {}.order_lines ({})")
        cursor.execute(statement.format(sql.Identifier(SCHEMA), columns))


def _insert(conn: Connection, columns: list[str], records: Iterator[tuple[Any, ...]]) -> None:
    names = ", ".join(columns)
    with conn.cursor() as cursor:
        execute_values(
            cursor,
            f"INSERT INTO {SCHEMA}.order_lines ({names}) VALUES %s",
            records,
            page_size=PAGE_SIZE,
        )


def _count(conn: Connection) -> int:
    return int(warehouse.value(conn, f"SELECT count(*) FROM {SCHEMA}.order_lines"))


MOVERS: dict[str, Callable[[str], int]] = {"extract": extract, "load": load}


def measure(move: str, way: str) -> dict[str, float]:
    """One move in this process: rows, seconds and peak memory in MiB."""
    started = time.perf_counter()
    rows = MOVERS[move](way)
    seconds = time.perf_counter() - started
    peak = _peak_mib()
    name = "warehouse" if move == "extract" else "shop_owner"
    with warehouse.connect(name) as conn:
        warehouse.execute(conn, f"DROP SCHEMA {SCHEMA} CASCADE")
    return {"rows": rows, "seconds": seconds, "peak_rss_mib": peak}


def _peak_mib() -> float:
    """The largest resident memory since this program started; getrusage would count its parent's."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
    assert found, "expected VmHWM in /proc/self/status"
    return int(found[1]) / 1024


def compare(move: str, rounds: int) -> None:
    """Both ways in turn, each in a process of its own, and the two lines of the move."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            answer = subprocess.run(
                [sys.executable, __file__, "--measure", move, way],
                check=True,
                stdout=subprocess.PIPE,
            )
            found[way].append(json.loads(answer.stdout))
    counts = {int(one["rows"]) for way in WAYS for one in found[way]}
    if len(counts) != 1:
        raise SystemExit(f"Expected both ways to move the same rows, found {sorted(counts)}.")
    n = counts.pop()
    setting = f"{move},rows={n}"
    speeds = {way: median(one["rows"] / one["seconds"] for one in found[way]) for way in WAYS}
    peaks = {way: max(one["peak_rss_mib"] for one in found[way]) for way in WAYS}
    for metric, unit, figures in (
        ("rows_per_second", "rows/s", speeds),
        ("peak_rss_mib", "MiB", peaks),
    ):
        show("load", metric, setting, figures["ours"], figures["peer"], PEER_NAME, unit=unit, n=n)


def main(argv: list[str]) -> int:
    """Print the figures of each move."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2, help="times each way runs")
    parser.add_argument("--moves", nargs="+", default=MOVES, choices=MOVES)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return 0
    from include.demo_shop.load import load as load_shop

    load_shop(warehouse.url("shop_owner"))
    for move in options.moves:
        compare(move, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

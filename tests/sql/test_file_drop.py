"""A shop that delivers files: a cash-and-carry's list of invoices, by configuration alone."""

import csv
import datetime as dt
import io
import os
import re
import shutil
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from include import contracts, policy, warehouse
from include.errors import BadInput
from include.sources import file_mapping, file_reading
from include.sources.files import days
from include.sources.files.folder import Delivery
from include.steps import gate, ingest
from include.warehouse import ROOT
from tests.unit import workbooks

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
DAY = "2011-12-07"

LIST = [
    # two articles of one invoice, a cancellation of one of them, a row without a customer
    '536365,85123A,"WHITE HANGING HEART, T-LIGHT",6,12/5/2011 8:26,2.55,17850,United Kingdom',
    '536365,71053,"SAYS ""HELLO""",6,12/5/2011 8:26,3.39,17850,United Kingdom',
    "C536379,85123A,WHITE HANGING HEART,-2,12/6/2011 9:41,2.55,17850,United Kingdom",
    "536380,71053,WHITE METAL LANTERN,1,12/6/2011 9:45,3.39,,United Kingdom",
    # a spreadsheet's number, a small letter, an accent, a formula, backslashes and tabs
    "536390,22632a,CAFÉ ÉCLAIR TIN,2,12/6/2011 10:00,2.10,13047.0,France",
    '536390,22633,"=HYPERLINK(""x"")",1,12/6/2011 10:00,1.85,13047,France',
    '536390,22634,"\\N\t\\.",1,12/6/2011 10:00,1.85,13047,France',
    # postage is not sold by the piece; a price that cannot be read; a date that cannot
    "536391,POST,POSTAGE,1,12/7/2011 11:00,18.00,13047,France",
    "536391,22632A,CAFE ECLAIR TIN,2,12/7/2011 11:00,n/a,13047,France",
    "536392,22632A,CAFE ECLAIR TIN,2,sometime,2.10,13047,France",
    # after the day
    "536400,22632A,CAFE ECLAIR TIN,2,12/8/2011 11:00,2.10,13048,France",
]
#: Enough that is sound for the faults above to be few.
SOUND = [
    f"5370{n:02d},85123A,WHITE HANGING HEART,1,12/{1 + n % 7}/2011 9:00,2.55,{12000 + n},Norway"
    for n in range(40)
]


def deliver(folder: Path, name: str, text: str, encoding: str = "utf-8") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text.encode(encoding))


def needed() -> dict[str, bool]:
    """What docs/own-shop.md says is to be switched on for such a list."""
    mapped = file_mapping.load("file_drop").tables
    return {
        name: name in mapped
        for name in yaml.safe_load((ROOT / "config" / "policy.yml").read_text())["ingest"][
            "sources"
        ]
    }


@pytest.fixture
def drop(warehouse, home, module_env, tmp_path) -> Path:
    """An empty folder of deliveries, a policy that names it, an empty warehouse."""
    rules = yaml.safe_load((ROOT / "config" / "policy.yml").read_text())
    rules["shop"] |= {
        "source": "file_drop", "timezone": "Europe/London", "currency": "GBP",
        "opened_on": dt.date(2011, 12, 1), "clock": None,
    }  # fmt: skip
    rules["models"]["anchor_start"] = dt.date(2011, 12, 1)
    rules["ingest"]["sources"] = needed()
    path = home / "policy.yml"
    path.write_text(yaml.safe_dump(rules, sort_keys=False))
    module_env.setenv("REGULARS_POLICY", str(path))
    folder = tmp_path / "drop"
    module_env.setenv("REGULARS_FILE_DROP", str(folder))
    with query_connection() as conn:
        names = [
            name
            for (name,) in rows_of(
                conn,
                "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN "
                "('raw', 'core', 'quarantine') UNION SELECT 'ops.publications'",
            )
        ]
        execute(conn, f"TRUNCATE {', '.join(names)}")
    assert policy.load().shop.source == "file_drop"
    return folder


query_connection, execute, rows_of = warehouse.connect, warehouse.execute, warehouse.rows


def set_opening(day: dt.date) -> None:
    """The shop's first day, in the policy."""
    path = Path(os.environ["REGULARS_POLICY"])
    rules = yaml.safe_load(path.read_text())
    rules["shop"]["opened_on"] = rules["models"]["anchor_start"] = day
    path.write_text(yaml.safe_dump(rules, sort_keys=False))


def load_day(day: str = DAY, since: str | None = "2011-12-01") -> dict[str, int]:
    run = ingest.plan({"as_of": day, "since": since, "run_id": "files"})
    gate.gate(ingest.extract(run), rebuild=ingest.extract)
    return gate.gate(ingest.build_core(run), rebuild=ingest.build_core)


def found(statement: str) -> list[tuple[object, ...]]:
    with query_connection() as conn:
        return rows_of(conn, statement)


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", ""), ("utf-8", "\ufeff"), ("latin-1", ""), ("utf-16", "")],
    ids=["utf-8", "utf-8 with a mark", "latin-1", "utf-16"],
)
def test_a_list_of_invoices_reaches_core_by_configuration_alone(drop, encoding, mark):
    deliver(drop, "list.csv", mark + "\r\n".join([HEADER, *SOUND, *LIST]) + "\r\n", encoding)
    counts = load_day()
    assert counts["core.orders"] == 44  # not the cancellation, the undated, the next day's
    assert counts["core.customers"] == 42
    assert found(
        "SELECT product_id, name, is_unit FROM core.products WHERE name LIKE 'CAF%' OR NOT is_unit "
        "ORDER BY 1"
    ) == [("22632A", "CAFÉ ÉCLAIR TIN", True), ("POST", "POSTAGE", False)]
    assert found(
        "SELECT order_id, line_number, product_id, quantity::int, sales::float FROM core.order_lines "
        "WHERE order_id = '536365' ORDER BY 2"
    ) == [("536365", 1, "85123A", 6, 15.3), ("536365", 2, "71053", 6, 20.34)]
    assert found(
        "SELECT return_id, product_id, quantity::int, refund::float, external_id "
        "FROM core.returns JOIN core.identities USING (customer_id)"
    ) == [("C536379-1", "85123A", 2, 5.1, "17850")]
    # Without a customer it is a sale all the same.
    assert found(
        "SELECT order_id, l.customer_id, o.guest, l.flags FROM core.order_lines AS l "
        "JOIN core.orders AS o USING (order_id) WHERE l.customer_id IS NULL"
    ) == [("536380", None, True, ["no_customer"])]
    assert found("SELECT name FROM core.products WHERE product_id IN ('22633', '22634')") == [
        ('=HYPERLINK("x")',), ("\\N \\.",)
    ]  # fmt: skip
    assert found(
        "SELECT table_name, row_key, reasons FROM quarantine.rejected_rows ORDER BY 1, 2"
    ) == [
        ("core.order_lines", "536391 / 2", ["missing_sales"]),
        ("core.order_lines", "536392 / 1", ["orphan_order", "missing_ordered_at"]),
        ("core.orders", "536392", ["missing_ordered_at", "missing_known_at"]),
    ]  # fmt: skip


def test_a_delivery_of_the_same_invoice_replaces_the_first(drop):
    deliver(drop, "2011-12-a.csv", "\n".join([HEADER, *LIST[:2]]))
    load_day("2011-12-05")
    deliver(drop, "2011-12-b.csv", "\n".join([HEADER, LIST[0].replace(",6,", ",5,")]))
    load_day("2011-12-05")
    assert found("SELECT order_id, quantity::int FROM core.order_lines") == [("536365", 5)]


def test_a_day_at_a_time_gives_what_one_load_gives(drop):
    deliver(drop, "list.csv", "\n".join([HEADER, *SOUND, *LIST[:8]]))
    load_day(DAY)
    tables = ("customers", "orders", "order_lines", "products", "returns", "stores")
    whole = {t: found(f"SELECT * FROM core.{t} ORDER BY 1, 2, 3") for t in tables}
    with query_connection() as conn:
        execute(conn, f"TRUNCATE {', '.join(f'core.{t}, raw.{t}' for t in tables)}")
    for day, since in (("05", "01"), ("06", "06"), ("07", "07")):
        load_day(f"2011-12-{day}", since=f"2011-12-{since}")
    assert {t: found(f"SELECT * FROM core.{t} ORDER BY 1, 2, 3") for t in tables} == whole


def test_parquet_does_as_well(drop):
    rows = list(csv.DictReader(io.StringIO("\n".join([HEADER, *LIST[:3]]))))
    drop.mkdir()
    table = pa.table(
        {
            "InvoiceNo": pa.array([r["InvoiceNo"] for r in rows]).dictionary_encode(),
            "StockCode": [r["StockCode"] for r in rows],
            "Description": [r["Description"] for r in rows],
            "Quantity": [int(r["Quantity"]) for r in rows],
            "InvoiceDate": pd.to_datetime([r["InvoiceDate"] for r in rows]),
            "UnitPrice": [float(r["UnitPrice"]) for r in rows],
            "CustomerID": [float(r["CustomerID"]) for r in rows],
            "Country": [r["Country"] for r in rows],
        }
    )
    pq.write_table(table, drop / "list.parquet")
    load_day("2011-12-06")
    assert found("SELECT sum(sales)::float FROM core.order_lines") == [(35.64,)]
    assert found("SELECT external_id FROM core.identities") == [("17850",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("Quantity", "Pieces") + "\n" + LIST[0], r"Quantity in list\.csv, found Inv"),
        (LIST[0] + "\n" + LIST[2], r"line of headers first in list\.csv, found none"),
        (HEADER + "\n" + LIST[0] + "\n1,2,3\n", r"list\.csv, found: line 3: expected 8 columns, got 3"),
        ("", r"readable file list\.csv"),
    ],
    ids=["missing column", "no header", "short line", "empty file"],
)  # fmt: skip
def test_what_cannot_be_read_is_said_without_quoting_it(drop, text, message):
    deliver(drop, "list.csv", text)
    with pytest.raises(BadInput, match=message) as caught:
        load_day()
    assert "17850" not in str(caught.value)


def test_an_empty_folder_and_a_missing_one_are_said(drop):
    with pytest.raises(BadInput, match="folder of delivered files"):
        load_day()
    drop.mkdir()
    with pytest.raises(BadInput, match=r"\*\.csv or \*\.parquet"):
        load_day()


def test_a_source_that_is_not_mapped_must_be_switched_off(drop):
    deliver(drop, "list.csv", "\n".join([HEADER, *LIST[:3]]))
    path = Path(os.environ["REGULARS_POLICY"])
    rules = yaml.safe_load(path.read_text())
    rules["ingest"]["sources"]["reviews"] = True
    path.write_text(yaml.safe_dump(rules))
    with pytest.raises(BadInput, match=r"ingest\.sources\.reviews: false"):
        load_day("2011-12-06")


def another_mapping(root: Path) -> Path:
    """A copy of the SQL folder, for SQL_ROOT, with a mapping of its own; the mapping."""
    root.mkdir()
    for folder in warehouse.SQL_ROOT.iterdir():
        if folder.name != "extract":
            (root / folder.name).symlink_to(folder)
    shutil.copytree(warehouse.SQL_ROOT / "extract", root / "extract")
    return root / "extract" / "file_drop" / "files.yml"


def test_a_second_kind_of_file_is_mapped_as_the_page_shows_it(drop, tmp_path):
    page = (ROOT / "docs" / "own-shop.md").read_text()
    (shown,) = re.findall(r"```yaml\n(files:\n  warehouses:.*?)```", page, flags=re.DOTALL)
    mapping = another_mapping(tmp_path / "sql")
    rules = yaml.safe_load(mapping.read_text())
    rules["files"]["invoices"]["patterns"] = ["invoices*.csv"]
    for part, entries in yaml.safe_load(shown).items():
        rules[part] |= entries
    mapping.write_text(yaml.safe_dump(rules, sort_keys=False))
    path = Path(os.environ["REGULARS_POLICY"])
    settings = yaml.safe_load(path.read_text())
    settings["ingest"]["sources"]["warehouses"] = True
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    deliver(drop, "invoices.csv", "\n".join([HEADER, *SOUND]))
    rows = [
        "w1,Main,Norway,yes,2009-01-17",
        "w1,Main,France,yes,2009-01-17",  # a region without a store
        "w2,,Norway,no,2011-12-03",
        ",Nameless,Norway,yes,2011-12-03",
        "w3,When?,Norway,yes,sometime",
        "w1,Main,Norway,yes,2009-01-17",
    ]
    deliver(drop, "warehouses-1.csv", "\n".join(["Number,Name,Region,Serves,Changed", *rows]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warehouse, "SQL_ROOT", tmp_path / "sql")
        load_day(since=None)
    assert found(
        "SELECT warehouse_id, name, region, serves, known_at::date::text FROM core.warehouses ORDER BY 1"
    ) == [
        ("w1", "Main", "norway", True, "2009-01-17"),
        ("w2", None, "norway", False, "2011-12-03"),
    ]
    assert found(
        "SELECT reasons FROM quarantine.rejected_rows WHERE table_name = 'core.warehouses' ORDER BY 1"
    ) == [
        (["missing_valid_from", "missing_known_at"],), (["missing_warehouse_id"],), (["unknown_region"],)
    ]  # fmt: skip
    assert found(
        "SELECT extracted, published, quarantined, duplicates FROM ops.row_counts "
        "WHERE table_name = 'core.warehouses' ORDER BY token DESC LIMIT 1"
    ) == [(6, 2, 3, 1)]


def test_who_was_a_customer_before_the_shop_opened_is_one(drop, tmp_path, caplog):
    mapping = another_mapping(tmp_path / "sql")
    rules = yaml.safe_load(mapping.read_text())
    rules["files"]["invoices"]["patterns"] = ["list.csv"]
    rules["files"]["people"] = {
        "patterns": ["people.csv"], "stamp": "since",
        "columns": {"number": {"headers": ["Number"]}, "since": {"headers": ["Since"], "type": "stamp"}},
    }  # fmt: skip
    rules["tables"]["customers"] = {
        "from": "people",
        "columns": {"customer_number": "number", "registered_at": "since", "updated_at": "since"},
    }
    mapping.write_text(yaml.safe_dump(rules, sort_keys=False))
    people = [f"{12000 + n},2009-01-17" for n in range(40)]
    deliver(drop, "people.csv", "\n".join(["Number,Since", *people]))
    deliver(drop, "list.csv", "\n".join([HEADER, *SOUND]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warehouse, "SQL_ROOT", tmp_path / "sql")
        load_day(since=None)
    assert "unreadable" not in caplog.text
    assert found("SELECT count(*) FROM quarantine.rejected_rows") == [(0,)]
    assert found("SELECT DISTINCT registered_at::date::text FROM core.customers") == [
        ("2009-01-17",)
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("store_number: country", "store_number: land", r"tables\.orders: .*\"land\""),
        (
            "store_number: country", "store_number: country::integer",
            r"tables\.orders: .*found: invalid input syntax for type integer: \.\.\.",
        ),
    ],
)  # fmt: skip
def test_a_wrong_expression_names_its_table_and_no_value(drop, tmp_path, right, wrong, message):
    mapping = another_mapping(tmp_path / "sql")
    orders, _, lines = mapping.read_text().partition("  order_lines:")
    start, _, orders = orders.rpartition("  orders:")
    mapping.write_text(f"{start}  orders:{orders.replace(right, wrong)}  order_lines:{lines}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warehouse, "SQL_ROOT", tmp_path / "sql")
        deliver(drop, "list.csv", "\n".join([HEADER, *LIST[:3]]))
        with pytest.raises(BadInput, match=r"files\.yml: " + message) as caught:
            load_day("2011-12-06")
    assert "United Kingdom" not in str(caught.value)


def test_files_stream_in_constant_memory(tmp_path):
    form = file_mapping.load("file_drop").files["invoices"]

    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        line = LIST[0] + "\n"
        with path.open("w") as file:
            file.write(HEADER + "\n")
            for _ in range(rows // 1000):
                file.write(line * 1000)
        pool = pa.default_memory_pool()
        before, highest, read = pool.bytes_allocated(), 0, 0
        tracemalloc.start()
        for batch in file_reading.read(Delivery(path), form, "Europe/London"):
            read += batch.num_rows
            highest = max(highest, pool.bytes_allocated() - before)
        traced = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert read == rows
        return highest + traced

    # Eight times the rows; how far the reader reads ahead varies by some batches.
    small, large = peak(200_000), peak(1_600_000)
    assert large < 3 * small + 16 * 2**20
    assert large < 100 * 2**20


def test_stamps_in_a_gap_or_an_overlap_of_the_clock_are_read(drop):
    rows = [
        LIST[0].replace("12/5/2011 8:26", "3/27/2011 1:30"),
        LIST[0].replace("12/5/2011 8:26", "10/30/2011 1:30").replace("536365", "536366"),
    ]
    deliver(drop, "list.csv", "\n".join([HEADER, *rows]))
    set_opening(dt.date(2011, 1, 1))
    load_day("2011-10-30", since="2011-01-01")
    assert found("SELECT business_day::text FROM core.orders ORDER BY 1") == [
        ("2011-03-27",), ("2011-10-30",)
    ]  # fmt: skip


#: A year of two digits, a clock without a battery, the wrong year, and the end of nanoseconds.
FAR = ["12/6/11 9:00", "1/1/1900 9:00", "12/6/2012 9:00", "4/11/2262 23:47"]


@pytest.mark.parametrize(
    ("stamp", "kind", "loads"),
    [(stamp, "csv", [DAY]) for stamp in FAR]
    + [("1900-01-01", "parquet", [DAY]), ("9999-12-31", "parquet", [DAY])]
    + [(FAR[0], "csv", ["2011-12-05", "2011-12-06", DAY])],
)
def test_a_date_that_cannot_be_true_is_told_and_moves_nothing(drop, stamp, kind, loads, caplog):
    # 12001 also ordered on 12/2, as SOUND says, and again.
    line = f"539999,85123A,WHITE HANGING HEART,1,{stamp},2.55,12001,Norway"
    sound = line.replace("539999", "539998").replace(stamp, "12/7/2011 9:00")
    deliver(drop, "list.csv", "\n".join([HEADER, *SOUND, line, sound]))
    if kind == "parquet":
        lines = pd.read_csv(drop / "list.csv", dtype=str)
        stamps = [
            np.datetime64(pd.to_datetime(t) if "/" in t else t, "us") for t in lines["InvoiceDate"]
        ]
        pq.write_table(
            pa.Table.from_pandas(lines.assign(InvoiceDate=stamps)), drop / "list.parquet"
        )
        (drop / "list.csv").unlink()
    for day in loads:
        load_day(day, since=None)
    assert found("SELECT count(*) FROM core.orders") == [(41,)]
    assert found("SELECT order_id FROM core.orders WHERE order_id LIKE '5399%'") == [("539998",)]
    assert found("SELECT table_name, row_key FROM quarantine.rejected_rows ORDER BY 1, 2") == [
        ("core.order_lines", "539999 / 1"), ("core.orders", "539999")
    ]  # fmt: skip
    assert found(
        "SELECT reasons, business_day::text FROM quarantine.rejected_rows "
        "WHERE table_name = 'core.orders'"
    ) == [(["missing_ordered_at", "missing_known_at"], DAY)]
    assert f"list.{kind}: 1 dates count as unreadable" in caplog.text
    assert found(
        "SELECT registered_at::date::text FROM core.customers JOIN core.identities USING (customer_id) "
        "WHERE external_id = '12001'"
    ) == [("2011-12-02",)]
    with pytest.raises(ingest.BeyondSource, match="ends on 2011-12-07"):
        ingest.plan({"as_of": "2011-12-08", "since": None, "run_id": "x"})
    with pytest.raises(BadInput, match="from 2011-12-01 on"):
        ingest.plan({"as_of": "2011-11-30", "since": None, "run_id": "x"})


def test_a_day_beyond_the_newest_files_own_time_has_not_been(drop):
    lines = [line.replace("12/7/2011", "12/9/2011") for line in SOUND]
    deliver(drop, "list.csv", "\n".join([HEADER, *lines]))
    noon = dt.datetime(2011, 12, 7, 12, tzinfo=dt.UTC).timestamp()
    os.utime(drop / "list.csv", (noon, noon))
    with pytest.raises(ingest.BeyondSource, match="ends on 2011-12-06"):
        ingest.plan({"as_of": "2011-12-09", "since": None, "run_id": "x"})
    # The day after is one that clocks and zones can make of it.
    os.utime(drop / "list.csv", (noon + 86_400, noon + 86_400))
    assert (
        ingest.plan({"as_of": "2011-12-09", "since": None, "run_id": "x"})["as_of"] == "2011-12-09"
    )


def test_files_that_bear_a_time_before_all_they_tell_are_refused_in_one_sentence(drop):
    deliver(drop, "list.csv", "\n".join([HEADER, *SOUND]))
    os.utime(drop / "list.csv", (0, 0))
    with pytest.raises(BadInput, match="found all 40 outside: .* the time that the newest file"):
        load_day()


def test_what_is_older_than_the_window_is_left_out_without_noise(drop, caplog):
    deliver(drop, "list.csv", "\n".join([HEADER, *SOUND]))
    load_day("2011-12-06")
    load_day(DAY, since=DAY)
    assert "unreadable" not in caplog.text
    assert found("SELECT count(*) FROM quarantine.rejected_rows") == [(0,)]
    assert found("SELECT count(*) FROM core.orders") == [(40,)]


@pytest.mark.parametrize(
    ("counts", "newest"),
    [
        ({0: 5, 1: 6, 2: 5}, 2),
        ({0: 5, 1: 6, 33: 4}, 1),  # fewer than usual after a gap
        ({0: 5, 1: 6, 32: 4}, 32),  # the gap is not so long
        ({0: 5, 1: 6, 90: 5}, 90),  # the shop has opened again
        ({0: 5, 1: 6, 40: 1, 400: 1}, 1),
        ({0: 5, 1: 6, 40: 5, 400: 1}, 40),
        ({0: 1, 400: 1}, 400),  # a shop of one line a day
    ],
)
def test_how_far_files_reach(counts, newest):
    first = dt.date(2011, 12, 1)
    found = Counter({first + dt.timedelta(days=place): count for place, count in counts.items()})
    assert days.reached(found) == first + dt.timedelta(days=newest)


def test_a_nul_is_left_out_and_told_without_the_value(drop, caplog):
    lines = [*SOUND[1:], SOUND[0].replace("HANGING", "HANG\x00ING").replace("Norway", "Nor\x00way")]
    deliver(drop, "list.csv", "\n".join([HEADER, *lines]))
    load_day()
    assert found("SELECT name FROM core.products") == [("WHITE HANGING HEART",)]
    told = "list.csv, line 41, column {}: NUL characters, left out (1 value)."
    assert {told.format("Description"), told.format("Country")} <= {
        record.getMessage() for record in caplog.records
    }


def test_a_new_header_is_noted_and_told_once(drop, caplog):
    deliver(drop, "a.csv", "\n".join([HEADER, *SOUND]))
    load_day()
    noted = "SELECT column_name, type FROM ops.source_columns WHERE is_new AND source = 'file_drop'"
    assert found(noted) == []
    more = [f"{HEADER},Gift", LIST[0] + ",yes"]
    deliver(drop, "b.csv", "\n".join(more))
    load_day()
    assert "The shop has changed: invoices has a new column gift." in caplog.text
    assert found(noted) == [("gift", "text")]
    caplog.clear()
    load_day()
    assert "has changed" not in caplog.text
    (drop / "b.csv").unlink()
    load_day()
    assert "invoices has lost its column gift" in caplog.text


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        ("1e131000", "1e131000", "missing_sales"),
        ("-1e131000", "1e131000", "missing_sales"),
        ("2", "1e29", "too_large_sales"),
        ("NaN", "2.55", "missing_sales"),
        ("2", "Infinity", "missing_sales"),
    ],
)
def test_a_number_that_is_none_sets_its_line_aside_alone(drop, quantity, price, reason):
    line = f"539999,85123A,WHITE HANGING HEART,{quantity},12/6/2011 9:00,{price},12001,Norway"
    deliver(drop, "list.csv", "\n".join([HEADER, *SOUND, line]))
    load_day()
    assert found("SELECT count(*) FROM core.order_lines") == [(40,)]
    ((reasons,),) = found(
        "SELECT reasons::text FROM quarantine.rejected_rows WHERE table_name = 'core.order_lines'"
    )
    assert reason in str(reasons)


def test_what_is_not_taken_as_it_stands_is_told_and_kept_by_its_line(drop, caplog):
    odd = [
        SOUND[0].replace("537000", "539990").replace("2.55", '"12,5.0"'),
        SOUND[1].replace("537001", "539991").replace("WHITE", '"WHITE'),
        SOUND[2].replace("537002", "539992").replace("12/3/2011", "2/30/2011"),
        SOUND[3].replace("537003", "539993").replace("12/4/2011", "12/4/2041"),
        SOUND[4].replace("537004", "539994").replace(",12004,", ",NaN,"),
    ]
    deliver(drop, "A.CSV", "\n".join([HEADER, *odd]))
    deliver(drop, "b.csv", "\n".join([HEADER, *SOUND]))
    deliver(drop, "notes.txt", "hello")
    load_day()
    assert found("SELECT count(*), sum(sales)::float FROM core.order_lines") == [(42, 42 * 2.55)]
    assert found("SELECT order_id FROM core.orders WHERE order_id LIKE '5399%' ORDER BY 1") == [
        ("539990",), ("539991",), ("539994",)
    ]  # fmt: skip
    assert found("SELECT count(*) FROM core.identities WHERE external_id ILIKE 'nan'") == [(0,)]
    assert found(
        "SELECT file_name, line, column_name, reason FROM ops.file_faults ORDER BY 2, 3"
    ) == [
        ("A.CSV", 2, "UnitPrice", "not_a_number"),
        ("A.CSV", 3, "Description", "open_quote"),
        ("A.CSV", 4, "InvoiceDate", "not_a_date"),
        ("A.CSV", 5, "InvoiceDate", "outside"),
    ]
    for sentence in (
        "A.CSV, line 2, column UnitPrice: no number as the mapping writes them, taken for empty (1 value).",
        "A.CSV: 1 dates count as unreadable",
        "extract/file_drop/files.yml matches: notes.txt (1).",
    ):
        assert sentence in caplog.text
        assert found(
            f"SELECT count(*) > 0 FROM ops.quality_results WHERE message LIKE '%%{sentence}%%' AND NOT passed"
        ) == [(True,)]
    assert found(
        "SELECT DISTINCT extracted = published + quarantined + duplicates FROM ops.row_counts"
    ) == [(True,)]
    # The newest reading alone is kept.
    (drop / "A.CSV").unlink()
    load_day()
    assert found("SELECT count(*) FROM ops.file_faults") == [(0,)]


def test_an_archive_and_a_workbook_reach_core_as_a_text_does(drop):
    lines = [line.split(",") for line in SOUND]
    drop.mkdir()
    with zipfile.ZipFile(drop / "first.zip", "w") as archive:
        archive.writestr("list.csv", "\n".join([HEADER, *SOUND[:20]]))
    rows: list[list[workbooks.Cell]] = [
        [float(number), code, name, float(pieces), pd.to_datetime(at).to_pydatetime(),
         float(price), float(customer), country]
        for number, code, name, pieces, at, price, customer, country in lines[20:]
    ]  # fmt: skip
    # Sheets overlap: an invoice of a later one replaces that of an earlier one.
    headers: list[workbooks.Cell] = [*HEADER.split(",")]
    workbooks.write(drop / "second.XLSX", {"A": [headers, *rows[:15]], "B": [headers, *rows[5:]]})
    load_day()
    as_files = found(
        "SELECT order_id, product_id, sales, ordered_at FROM core.order_lines ORDER BY 1"
    )
    with query_connection() as conn:
        execute(conn, "TRUNCATE core.order_lines, core.orders")
    for path in drop.iterdir():
        path.unlink()
    deliver(drop, "list.csv", "\n".join([HEADER, *SOUND]))
    load_day()
    assert (
        found("SELECT order_id, product_id, sales, ordered_at FROM core.order_lines ORDER BY 1")
        == as_files
    )
    assert len(as_files) == 40


def test_an_offset_in_a_stamp_moves_its_day(drop, tmp_path):
    mapping = another_mapping(tmp_path / "sql")
    rules = yaml.safe_load(mapping.read_text())
    rules["files"]["invoices"]["columns"]["invoiced_at"]["formats"] = [
        "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S",
    ]  # fmt: skip
    mapping.write_text(yaml.safe_dump(rules, sort_keys=False))
    stamps = ["2011-12-05 23:30:00 -0500", "2011-12-06 00:30:00 +0100", "2011-12-05 23:30:00"]
    lines = [
        line.replace(f"12/{1 + n % 7}/2011 9:00", stamps[n]) for n, line in enumerate(SOUND[:3])
    ]
    deliver(drop, "list.csv", "\n".join([HEADER, *lines]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warehouse, "SQL_ROOT", tmp_path / "sql")
        load_day("2011-12-06")
    assert found("SELECT business_day::text FROM core.orders ORDER BY order_id") == [
        ("2011-12-06",), ("2011-12-05",), ("2011-12-05",)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        (pa.timestamp("ns"), 1_323_162_000_123_456_789),
        (pa.timestamp("ns", "UTC"), 1_323_162_000_123_456_789),
        (pa.timestamp("us"), 1_323_162_000_123_456),
        (pa.timestamp("ms"), 1_323_162_000_123),
        (pa.date32(), 15_314),
        (pa.date64(), 15_314 * 86_400_000),
    ],
    ids=str,
)
def test_a_stamp_of_parquet_is_read_in_any_unit(tmp_path, kind, moment):
    """Far ones do not stop the file: they overflow microseconds, and are empty."""
    far = [] if "ns" in str(kind) else [2**30 if kind == pa.date32() else 2**62]
    columns = {name: ["1"] * (1 + len(far)) for name in HEADER.split(",")}
    columns["InvoiceDate"] = pa.array([moment, *far], kind)
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    form = file_mapping.load("file_drop").files["invoices"]
    (batch,) = file_reading.read(Delivery(tmp_path / "list.parquet"), form, "Europe/London")
    stamp, *rest = batch["invoiced_at"].to_pylist()
    assert stamp.date() == dt.date(2011, 12, 6)
    assert rest == [None] * len(far)


def a_years_list(path: Path, customers: int = 160, days: int = 420) -> str:
    """Invoices of customers who come at their own rate, with cancellations; the last day."""
    rng = np.random.default_rng(7)
    first = dt.date(2010, 12, 1)
    rate = rng.gamma(1.2, 0.06, customers)
    taste = rng.integers(0, 80, (customers, 12))
    rows, invoice = [], 536_000
    for day in range(days):
        stamp = first + dt.timedelta(days=day)
        for who in np.flatnonzero(rng.random(customers) < rate):
            invoice += 1
            for code in rng.choice(taste[who], rng.integers(2, 7), replace=False):
                number = f"C{invoice}" if rng.random() < 0.02 else str(invoice)
                pieces = int(rng.integers(1, 12)) * (-1 if number[0] == "C" else 1)
                rows.append(
                    f"{number},{20000 + code},ARTICLE {code},{pieces},{stamp:%m/%d/%Y} "
                    f"{9 + who % 8}:{who % 60:02d},{0.5 + code % 9:.2f},"
                    f"{12000 + who if who % 20 else ''},{'France' if who % 3 else 'Norway'}"
                )
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return (first + dt.timedelta(days=days - 1)).isoformat()


#: What every shop has; the rest of the sources may be off.
REQUIRED = {"customers", "stores", "products", "orders", "order_lines"}


@pytest.mark.slow
def test_the_whole_chain_runs_on_a_list_of_invoices_with_every_source_off_that_may_be(drop, caplog):
    from include.steps import (
        activate,
        features,
        lists,
        measure,
        score,
        stock,
    )
    from include.steps.delivery import deliver
    from include.steps.training import recommender, tasks

    caplog.set_level("INFO")
    day = a_years_list(drop / "list.csv")
    with query_connection() as conn:
        execute(conn, "TRUNCATE ops.publications")
    set_opening(dt.date(2010, 12, 1))
    path = Path(os.environ["REGULARS_POLICY"])
    rules = yaml.safe_load(path.read_text())
    rules["ingest"]["sources"] = {name: name in REQUIRED for name in rules["ingest"]["sources"]}
    path.write_text(yaml.safe_dump(rules, sort_keys=False))
    off = {name for name, on in rules["ingest"]["sources"].items() if not on}
    counts = load_day(day, since=None)
    run = {"as_of": day, "since": None, "run_id": "files"}
    gate.gate(features.build(run), rebuild=features.build)
    batch = tasks.plan(run)
    tasks.train_value(batch)
    recommender.train(batch)
    tasks.gate(batch)
    batch = score.score(run)
    lists.recommend(batch)
    published = gate.gate(batch, rebuild=score.build)
    published |= gate.gate(stock.build(run), rebuild=stock.build)
    published |= gate.gate(activate.build(run), rebuild=activate.build, in_turn=True)
    published |= gate.gate(measure.build(run), rebuild=measure.build)
    sent = deliver.send(dt.datetime.fromisoformat(f"{day}T18:00:00+00:00"))
    assert set(counts) == {
        "quarantine.rejected_rows", "core.customers", "core.identities", "core.order_lines", "core.orders",
        "core.products", "core.stores",
    }  # fmt: skip
    customers = counts["core.customers"]
    assert published["marketing.customer_segments"] == customers == 152
    assert published["marketing.product_recommendations"] > 10 * customers
    assert found(
        "SELECT count(DISTINCT segment) > 2, min(predicted_value) >= 0, count(DISTINCT external_id)::int "
        "FROM marketing.customer_segments"
    ) == [(True, True, 152)]
    assert published["ml.demand_forecasts"]
    assert published["marketing.stock_priorities"]
    # What needs an absent source is absent, and the log or the reason says so.
    assert all(f"Source {name} is switched off in the policy." in caplog.text for name in off)
    for table in ("customer_features", "product_features"):
        needing = [c for c in contracts.load("features", table).columns if c.needs in off]
        assert needing
        assert all(f"{c.name} ({c.needs})" in caplog.text for c in needing)
        filled = ", ".join(f"count({column.name})" for column in needing)
        assert set(found(f"SELECT {filled} FROM features.{table}")[0]) == {0}
    assert found("SELECT DISTINCT decision, decision_reason, channel FROM marketing.decisions") == [
        ("suppress", "no_consent", None)
    ]
    assert published["marketing.messages"] == published["marketing.coupon_triggers"] == 0
    assert sent == {}
    assert published["marketing.campaign_results"] == 0
    assert f"Nothing to measure for {day}" in caplog.text
    assert found("SELECT count(on_hand) FROM marketing.stock_priorities") == [(0,)]

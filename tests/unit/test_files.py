"""Files as the world writes them end as published right, as told by line, or refused in one sentence."""

import csv
import datetime as dt
import gzip
import io
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from include import warehouse
from include.errors import BadInput
from include.launcher.commands import policy as check
from include.sources import file_mapping, file_reading
from include.sources.file_mapping import Files
from include.sources.files import delimited, dialect, findings, folder
from include.sources.files.folder import Delivery
from include.sources.files.noticed import Noticed
from tests.unit import workbooks

HEADERS = (
    "InvoiceNo StockCode Description Quantity InvoiceDate UnitPrice CustomerID Country".split()
)
HEADER = ",".join(HEADERS)
LIST = file_mapping.load("file_drop").files["invoices"]


def line(
    description: str = "HEART",
    price: str = "2.55",
    customer: str = "12000",
    at: str = "12/5/2011 9:00",
) -> str:
    return f"537000,85123A,{description},1,{at},{price},{customer},Norway"


def text(*lines: str) -> str:
    return "\n".join([HEADER, *lines]) + "\n"


def taken(
    path: Path, form: Files = LIST, timezone: str = "Europe/London"
) -> tuple[pa.Table, Noticed]:
    noticed = Noticed()
    batches = [
        pa.table({name: batch[name].cast(pa.string()) for name in batch.schema.names})
        for batch in file_reading.read(Delivery(path), form, timezone, noticed)
    ]
    empty = pa.table({name: pa.array([], pa.string()) for name in ("line", *form.columns)})
    return pa.concat_tables(batches) if batches else empty, noticed


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def one(content: str | bytes, name: str = "list.csv", form: Files = LIST, **more: Any) -> Any:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return taken(path, form, **more)

    return one


def with_column(name: str, **changes: Any) -> Files:
    part = LIST.columns[name].model_copy(update=changes)
    return LIST.model_copy(update={"columns": LIST.columns | {name: part}})


# Quotes


@pytest.mark.parametrize("block", [100, 2**20])
@pytest.mark.parametrize("places", [[5], [39], [5, 25], [5, 6], [0, 39], [3, 4, 5]])
def test_quotes_that_do_not_close_swallow_nothing(read, monkeypatch, block, places):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    lines = [line(f'"{n} PLATE' if n in places else f"PLATE {n}") for n in range(40)]
    table, noticed = read(text(*lines))
    assert table["line"].to_pylist() == [str(n) for n in range(2, 42)]
    assert [n for n, d in enumerate(table["description"].to_pylist()) if d[0] == '"'] == places
    assert noticed.places == {("Description", "open_quote"): [n + 2 for n in places]}


def test_a_quote_before_a_field_of_several_lines_swallows_nothing(read):
    lines = [line('"5 PLATE'), line('"A\nB"'), line('"7 PLATE'), line('"SAYS ""HI"", AND"')]
    table, noticed = read(text(*lines))
    assert table["description"].to_pylist() == ['"5 PLATE', "A\nB", '"7 PLATE', 'SAYS "HI", AND']
    assert noticed.places == {("Description", "open_quote"): [2, 5]}


def test_a_quote_before_the_last_field_of_a_line_swallows_nothing(read):
    lines = [
        line(),
        line().replace("Norway", '"Norway'),
        line(),
        line().replace("Norway", '"Norway"'),
    ]
    table, noticed = read(text(*lines))
    assert table["country"].to_pylist() == ["Norway", '"Norway', "Norway", "Norway"]
    assert noticed.places == {("Country", "open_quote"): [3]}


def test_lines_within_quotes_are_one_value_and_lines_go_on_being_counted(read):
    lines = [line('"A\nB"'), line('"A\r\n\r\nB, ""C"""'), line(), line(price="x")]
    table, noticed = read(text(*lines))
    assert table["description"].to_pylist() == ["A\nB", 'A\r\n\r\nB, "C"', "HEART", "HEART"]
    assert table["line"].to_pylist() == ["2", "4", "7", "8"]
    assert noticed.places == {("UnitPrice", "not_a_number"): [8]}


_TEXTS = st.lists(st.sampled_from([*"ab \"',;|\t\n\\é€日", '""', "\r\n"]), max_size=8).map("".join)


@given(
    rows=st.lists(st.tuples(_TEXTS, st.decimals(0, 9999, places=2)), max_size=25),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    quote=st.sampled_from(['"', "'"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ending=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    block=st.sampled_from([64, 300, 2**20]),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example([("a\n,b", Decimal("1.00"))], ",", '"', csv.QUOTE_ALL, "\r\n", "utf-16", 64)
def test_whatever_a_writer_of_csv_writes_is_read_back(
    tmp_path, monkeypatch, rows, separator, quote, quoting, ending, encoding, block
):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    out = io.StringIO(newline="")
    writer = csv.writer(
        out, delimiter=separator, quotechar=quote, quoting=quoting, lineterminator=ending
    )
    writer.writerow(HEADERS)
    for words, price in rows:
        writer.writerow(["1", "2", words, 1, "12/5/2011 9:00", price, 3, "Norway"])
    path = tmp_path / "list.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    table, noticed = taken(path, LIST.model_copy(update={"separator": separator, "quote": quote}))
    assert table["description"].to_pylist() == [words.strip() or None for words, _ in rows]
    assert sum(map(Decimal, table["unit_price"].to_pylist())) == sum(price for _, price in rows)
    assert not noticed.counts


@given(
    names=st.lists(
        st.sampled_from(
            [
                '"5 PLATE',
                '5" PLATE',
                '"5" PLATE"',
                '"',
                '"PLATE 5""',
                'a ""b"',
                "HEART",
                "HEART",
                "HEART",
            ]
            + ['"A, B"', '"A\nB"', '"A ""Q"" B"', '"A\n\nB, C"', '"is, so\nwith, two\nand more"']
        ),
        min_size=1,
        max_size=30,
    ),
    block=st.sampled_from([200, 2**20]),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_stray_quotes_among_good_ones_lose_no_row_and_no_money(tmp_path, monkeypatch, names, block):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    path = tmp_path / "list.csv"
    path.write_text(text(*(line(name, f"{n}.25") for n, name in enumerate(names))))
    table, _ = taken(path)
    assert table["unit_price"].to_pylist() == [f"{n}.25" for n in range(len(names))]


# The form of a file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text(line(), "1,2,3", line()), r"line 3: expected 8 columns, got 3 \(up to Description\)"),
        (text(line(), line("A, B")), r"list\.csv, found: line 3: expected 8 columns, got 9"),
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        (text(line()).replace(",", ";"), "its separator in the mapping"),
        (HEADER + ",quantity\n", "one column quantity in list.csv, found 2"),
        (HEADER.replace("Country", '"Country') + "\n" + line(), "headers whose quotes close"),
        (b"PK\x03\x04", "a zip or a workbook under the name of a text"),
        (HEADER + "\n" + "x" * 2**25, "a line of more than 16,777,216 bytes"),
    ],
)
def test_what_is_no_such_file_is_refused_with_its_line(read, content, message):
    with pytest.raises(BadInput, match=message):
        read(content)


def test_what_holds_nothing_is_no_row(read):
    table, noticed = read("\n" + text(line(), ",,,,,,,", "", "  ", line() + ",,,", line()))
    assert table["line"].to_pylist() == ["3", "7", "8"]
    assert not noticed.counts
    assert read(HEADER)[0].num_rows == read(HEADER + "\n")[0].num_rows == 0


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_ends_of_lines_and_a_spreadsheets_first_line(read, ending):
    whole = "sep=;\n" + text(line(), line()).replace(",", ";")
    assert read(whole.replace("\n", ending))[0]["line"].to_pylist() == ["3", "4"]


# Encodings


@pytest.mark.parametrize(
    ("content", "encoding", "description", "told"),
    [
        ("“CAFÉ” … €5", "cp1252", "“CAFÉ” … €5", ["not_utf8"]),
        ("É€", "utf-16-le", "É€", []),
        ("É€", "utf-32", "É€", []),
        ("B\x81D", "latin-1", "B\ufffdD", ["not_utf8", "lost_character"]),
    ],
)
def test_an_encoding_is_found_out(read, content, encoding, description, told):
    table, noticed = read(text(line(content)).encode(encoding))
    assert table["description"].to_pylist() == [description]
    assert [reason for _, reason in noticed.counts] == told


@pytest.mark.parametrize("encoding", ["cp1250", "shift_jis", "iso8859-1"])
def test_an_encoding_that_is_declared_is_obeyed_in_silence(read, encoding):
    words = {"cp1250": "Łódź", "shift_jis": "表示", "iso8859-1": "Größe"}[encoding]
    form = LIST.model_copy(update={"encoding": encoding})
    table, noticed = read(text(line(words)).encode(encoding), form=form)
    assert table["description"].to_pylist() == [words]
    assert not noticed.counts


def test_a_bad_byte_in_utf_8_costs_its_own_value(read):
    lines = [line(f"CAFÉ {n}") for n in range(20)]
    bad = line("CAFÉ 5").encode().replace(b" 5", b"\x92s")
    whole = text(*lines).encode() + bad + b"\n"
    table, noticed = read(whole)
    assert table["description"].to_pylist() == [f"CAFÉ {n}" for n in range(20)] + ["CAFÉ’s"]
    assert noticed.places == {("Description", "not_utf8"): [22]}


# Keys, and words for nothing

WORDS = [
    "nan",
    "NaN",
    "NULL",
    "Null",
    "None",
    "N/A",
    "n/a",
    "<NA>",
    "#N/A",
    "\\N",
    "(null)",
    "nAn",
    " ",
]


def test_words_for_nothing_are_nothing_in_keys_numbers_and_dates_and_a_name_stays(read):
    table, noticed = read(
        text(*(line(word, word, word, word) for word in WORDS), line("NA", "NA", "NA"))
    )
    for name in ("unit_price", "customer"):
        assert table[name].to_pylist() == [None] * (len(WORDS) + 1)
    assert table["invoiced_at"].null_count == len(WORDS)
    assert table["description"].to_pylist() == [word.strip() or None for word in WORDS] + ["NA"]
    assert not noticed.counts


def test_the_code_of_namibia_is_a_country(read):
    table, _ = read(text(line().replace("Norway", "NA"), line().replace("Norway", "None")))
    assert table["country"].to_pylist() == ["NA", None]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("17850.0", "17850"),
        ("00123", "00123"),
        ("5E3", "5E3"),
        ("12.5", "12.5"),
        ("9" * 40, "9" * 40),
    ],
)
def test_a_key_stays_what_it_is(read, written, key):
    assert read(text(line(customer=written)))[0]["customer"].to_pylist() == [key]


@pytest.mark.parametrize("written", ["1.23457E+11", "1E+11", "1e+16", '"1,2E+11"'])
def test_a_key_in_scientific_form_is_refused_with_line_and_column(read, written):
    with pytest.raises(BadInput, match=r"list\.csv, line 3, column CustomerID: .* scientific form"):
        read(text(line(), line(customer=written)))


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (pa.array([12000.0, float("nan"), None, 4006381333931.0, 2.0**53 - 1]),
         ["12000", None, None, "4006381333931", str(2**53 - 1)]),
        (pa.array([16777215.0], pa.float32()), ["16777215"]),
        (pa.array([2**63 - 1, 10**15]), [str(2**63 - 1), str(10**15)]),
        (pa.array([Decimal(10**30), Decimal(5)], pa.decimal128(38, 2)), [str(10**30), "5"]),
        (pa.array([float("nan")] * 2), [None, None]),
    ],
)  # fmt: skip
def test_numbers_are_keys_of_any_length_in_parquet(tmp_path, values, keys):
    columns = {name: pa.array(["1"] * len(values)) for name in HEADERS} | {"CustomerID": values}
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    assert taken(tmp_path / "list.parquet")[0]["customer"].to_pylist() == keys


@pytest.mark.parametrize(
    "value", [pa.array([1.0, 2.0**53]), pa.array([1.0, 2.0**24], pa.float32())]
)
def test_a_key_beyond_what_a_fraction_holds_is_refused(tmp_path, value):
    columns = {name: pa.array(["1"] * 2) for name in HEADERS} | {"CustomerID": value}
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    with pytest.raises(
        BadInput, match=r"list\.parquet, line 2, column CustomerID: .*digits are lost"
    ):
        taken(tmp_path / "list.parquet")


def test_a_column_of_no_simple_values_is_refused(tmp_path):
    columns = {name: pa.array(["1"]) for name in HEADERS}
    pq.write_table(pa.table(columns | {"UnitPrice": pa.array([[1.0]])}), tmp_path / "list.parquet")
    with pytest.raises(
        BadInput, match=r"list\.parquet, found: column UnitPrice holds what is no number"
    ):
        taken(tmp_path / "list.parquet")


def test_a_column_that_holds_nothing_is_empty(tmp_path):
    columns = {name: pa.array(["1"]) for name in HEADERS}
    columns |= {
        name: pa.nulls(1) for name in ("CustomerID", "UnitPrice", "InvoiceDate", "Description")
    }
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    table, noticed = taken(tmp_path / "list.parquet")
    assert table.num_rows == 1
    assert table["customer"].null_count == table["unit_price"].null_count == 1
    assert not noticed.counts


# Numbers

POINT = {
    "12.50": "12.50", "-3": "-3", "+4": "4", ".5": "0.5", "1e5": "1e5", "1,234.56": "1234.56",
    "1,234,567": "1234567", "1 234.5": "1234.5", "1\u00a0234": "1234", "1'234": "1234",
    "\u22123.5": "-3.5", "3.5-": "-3.5", "(3.5)": "-3.5",
    "12,50": None, "1,234": None, "0x10": None, "1_000": None, "--5": None, "(-5)": None, "1.2.3": None,
    "1e400": None, "1e-20000": None, "0." + "1" * 20_000: None,
    "inf": None, "£5": None, "1,23.4": None, "١": None, "12,5.0": None, "5 %": None,
}  # fmt: skip
COMMA = {
    "12,50": "12.50", "1.234,56": "1234.56", "1.234.567": "1234567", "1 234,5": "1234.5", "-3,0": "-3.0",
    "12.50": None, "1,234.56": None, "1.234": None, "12,5.0": None, "1.2.3": None,
}  # fmt: skip


@pytest.mark.parametrize(("comma", "numbers"), [(False, POINT), (True, COMMA)])
def test_a_number_is_read_as_mapped_or_not_at_all(read, comma, numbers):
    form = LIST.model_copy(update={"decimal_comma": comma})
    table, noticed = read(text(*(line(price=f'"{word}"') for word in numbers)), form=form)
    assert dict(zip(numbers, table["unit_price"].to_pylist(), strict=True)) == numbers
    lost = [place for place, value in enumerate(numbers.values(), 2) if value is None]
    assert noticed.places == {("UnitPrice", "not_a_number"): lost}


@pytest.mark.parametrize(
    ("changes", "written", "number"),
    [
        ({"thousands": ","}, "1,234", "1234"),
        ({"thousands": ","}, "12,34,567.5", "1234567.5"),
        ({"thousands": ","}, "1 234", None),
        ({"decimal_comma": True, "thousands": "."}, "1.234", "1234"),
        ({"decimal_comma": True, "thousands": "."}, "12.50", None),
        ({"currency": ["£", "GBP"]}, "-£1,234.50", "-1234.50"),
        ({"currency": ["£", "GBP"]}, "3 GBP", "3"),
        ({"currency": ["£", "GBP"]}, "€3", None),
    ],
)
def test_thousands_and_currency_as_mapped(read, changes, written, number):
    form = LIST.model_copy(update=changes)
    assert read(text(line(price=f'"{written}"')), form=form)[0]["unit_price"].to_pylist() == [
        number
    ]


def test_typed_numbers_know_no_decimal_comma(tmp_path):
    columns = {name: pa.array(["1"] * 4) for name in HEADERS}
    columns["UnitPrice"] = pa.array([2.5, float("nan"), float("inf"), 1e-5])
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    form = LIST.model_copy(update={"decimal_comma": True})
    table, noticed = taken(tmp_path / "list.parquet", form)
    assert [v and float(v) for v in table["unit_price"].to_pylist()] == [2.5, None, None, 1e-5]
    assert noticed.places["UnitPrice", "too_large"] == [3]


# Stamps


def test_an_offset_counts_and_a_fraction_too(read):
    form = with_column("invoiced_at", formats=file_mapping.FileColumn(headers=["x"]).formats)
    written = {
        "2011-12-05 23:30:00 -0500": "2011-12-06 04:30:00.000000Z",
        "2011-12-05T23:30:00+01:00": "2011-12-05 22:30:00.000000Z",
        "2011-12-05T23:30:00Z": "2011-12-05 23:30:00.000000Z",
        "2011-12-05T23:30:00.125+05:30": "2011-12-05 18:00:00.125000Z",
        "2011-12-05 23:30:00.5": "2011-12-05 23:30:00.500000",
        "2011-12-05": "2011-12-05 00:00:00.000000",
        "2011-02-30": None,
        "2011-02-30T10:00:00Z": None,
        "2011-04-31 10:00": None,
        "2012-02-29": "2012-02-29 00:00:00.000000",
        "2011-12-05 25:00": None,
    }
    table, noticed = read(
        text(*(line(at=at) for at in written)), form=form, timezone="America/New_York"
    )
    assert dict(zip(written, table["invoiced_at"].to_pylist(), strict=True)) == written
    assert noticed.days[dt.date(2011, 12, 5)] == 6
    assert noticed.places == {("InvoiceDate", "not_a_date"): [8, 9, 10, 12]}


# Workbooks

ROW: list[workbooks.Cell] = [
    537000.0, "85123A", "HEART", 1.0, dt.datetime.fromisoformat("2011-12-05T09:30"), 2.55, 12345.0, "Norway",
]  # fmt: skip


def test_sheets_that_have_the_headers_are_read_and_the_others_named(tmp_path):
    no_customer: list[workbooks.Cell] = [*ROW[:4], "12/6/2011 9:00", 0.1 + 0.2, None, "Norway"]
    path = tmp_path / "list.xlsx"
    workbooks.write(
        path,
        {
            "2010": [[*HEADERS], ROW],
            "Notes": [["made by"], ["me"]],
            "2011": [[], [*HEADERS], no_customer],
        },
    )
    table, noticed = taken(path)
    assert [table[name].to_pylist() for name in ("invoice", "quantity", "unit_price", "customer")] == [
        ["537000", "537000"], ["1", "1"], ["2.55", "0.3"], ["12345", None]
    ]  # fmt: skip
    assert table["invoiced_at"].to_pylist() == [
        "2011-12-05 09:30:00.000000",
        "2011-12-06 09:00:00.000000",
    ]
    assert table["line"].to_pylist() == ["2", "3"]
    parts = list(file_reading.parts(Delivery(path), LIST, []))
    assert [part.name for part in parts] == ["list.xlsx (sheet 2010)", "list.xlsx (sheet 2011)"]
    assert noticed.left_out == ["list.xlsx (sheet Notes)"]
    assert taken(path, LIST.model_copy(update={"sheets": ["2011"]}))[0].num_rows == 1
    with pytest.raises(BadInput, match=r"sheet 'May' in list\.xlsx, found 2010, Notes, 2011"):
        taken(path, LIST.model_copy(update={"sheets": ["May"]}))


@pytest.mark.parametrize("key", [1.0e15, 1.23e19, "1.23E+11"])
def test_a_key_that_a_spreadsheet_has_cut_is_refused(tmp_path, key):
    path = tmp_path / "list.xlsx"
    workbooks.write(path, {"A": [[*HEADERS], ROW, [*ROW[:6], key, "Norway"]]})
    with pytest.raises(BadInput, match=r"list\.xlsx \(sheet A\), line 3, column CustomerID"):
        taken(path)


def test_what_is_no_workbook_is_refused(read):
    with pytest.raises(BadInput, match=r"readable file list\.xlsx"):
        read("no", "list.xlsx")


# The folder


def delivered(place: Path, **changes: Any) -> tuple[list[str], list[str]]:
    mapping = file_mapping.load("file_drop")
    form = mapping.files["invoices"].model_copy(update=changes)
    found, left_out = folder.delivered(
        place, mapping.model_copy(update={"files": {"invoices": form}})
    )
    return [file.name for file in found["invoices"]], left_out


def test_files_of_any_case_in_natural_order_and_the_rest_by_name(tmp_path):
    for name in (
        "invoices10.csv",
        "invoices2.CSV",
        "Invoices1.Csv",
        "b.Parquet",
        "old.CSV.GZ",
        "a.txt",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.csv").write_text("")
    assert delivered(tmp_path) == (
        ["b.Parquet", "Invoices1.Csv", "invoices2.CSV", "invoices10.csv", "old.CSV.GZ"],
        ["a.txt", "deep/c.csv"],
    )
    assert "deep/c.csv" in delivered(tmp_path, patterns=["**/*.csv"])[0]


def test_files_in_the_order_of_their_own_time(tmp_path):
    import os

    for place, name in enumerate(["z.csv", "a.csv", "m.csv"]):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (place, place))
    assert delivered(tmp_path, order="time")[0] == ["z.csv", "a.csv", "m.csv"]
    assert delivered(tmp_path)[0] == ["a.csv", "m.csv", "z.csv"]


def test_members_of_a_zip_are_taken_by_the_same_patterns(tmp_path):
    table = io.BytesIO()
    pq.write_table(pa.table({name: ["1"] for name in HEADERS}), table)
    with zipfile.ZipFile(tmp_path / "All.ZIP", "w") as archive:
        archive.writestr("list10.csv", text(line()))
        archive.writestr("list2.csv.gz", gzip.compress(text(line(), line()).encode()))
        archive.writestr("c.parquet", table.getvalue())
        archive.writestr("readme.txt", "hello")
    names, left_out = delivered(tmp_path)
    assert names == ["All.ZIP: c.parquet", "All.ZIP: list2.csv.gz", "All.ZIP: list10.csv"]
    assert left_out == ["All.ZIP: readme.txt"]
    rows = []
    for name in names:
        file = Delivery(tmp_path / "All.ZIP", name.partition(": ")[2])
        rows.append(sum(b.num_rows for b in file_reading.read(file, LIST, "UTC")))
    assert rows == [1, 2, 1]


@pytest.mark.parametrize("cut", [gzip.compress(text(*[line()] * 99).encode())[:-9], b"no gzip"])
def test_a_broken_gzip_is_refused(read, cut):
    with pytest.raises(BadInput, match=r"readable file list\.csv\.gz"):
        read(cut, "list.csv.gz")


# The mapping


def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> list[str]:
    rules = yaml.safe_load((warehouse.SQL_ROOT / "extract/file_drop/files.yml").read_text())
    for keys, value in change.items():
        *path, last = keys.split("/")
        part = rules
        for key in path:
            part = part[key]
        part[last] = value
    (tmp_path / "files.yml").write_text(yaml.safe_dump(rules))
    with file_mapping.standing_at("file_drop", tmp_path / "files.yml"):
        return list(dialect.faults("file_drop"))


FORM = "files/invoices"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (f"{FORM}/columns/invoiced_at/formats", ["%d.%m.%Y %Q"], r"formats: expected patterns .* found %Q"),
        (f"{FORM}/columns/invoiced_at/formats", ["%d.%m. %H:%M"], "expected a year, a month and a day"),
        (f"{FORM}/columns/invoiced_at/formats", ["%Y-%m-%d %f"], "expected %f after %S"),
        (f"{FORM}/encoding", "utf-9", "expected auto or the name of an encoding, found 'utf-9'"),
        (f"{FORM}/thousands", ".", "expected thousands to differ from the decimal mark"),
        (f"{FORM}/stamp", "invoice", "expected stamp to name a column of type stamp"),
        ("tables/orders/where", "customer IS NOT", r"tables\.orders\.where: expected an SQL expression"),
        ("tables/orders/columns/order_number", "lower(invoice", r"columns\.order_number: expected an SQL"),
        ("tables/orders/columns/order_number", "invoice) AS x, (1", "expected one SQL expression"),
        ("tables/orders/columns/order_number", "land", r"columns of files\.invoices \(.*\), found land"),
        ("tables/orders/one_per", "invoce", r"tables\.orders\.one_per: .*found invoce"),
        ("tables/orders/columns/colour", "'red'", r"raw/orders\.yml, found colour"),
        ("tables/sales", {"from": "invoices", "columns": {}}, "one of the source tables .* found 'sales'"),
    ],
)  # fmt: skip
def test_what_a_mapping_cannot_mean_is_one_sentence(tmp_path, monkeypatch, key, value, message):
    import re

    (told,) = faults(tmp_path, monkeypatch, {key: value})
    assert "files.yml" in told
    assert re.search(message, told), told


def test_policy_check_reads_the_mapping_of_its_source(tmp_path, capsys):
    rules = yaml.safe_load((warehouse.ROOT / "config" / "policy.yml").read_text())
    rules["shop"]["source"] = "file_drop"
    (tmp_path / "policy.yml").write_text(yaml.safe_dump(rules, sort_keys=False))
    assert check.main(["check", str(tmp_path / "policy.yml")]) == 0
    mapping = (warehouse.SQL_ROOT / "extract/file_drop/files.yml").read_text()
    (tmp_path / "files.yml").write_text(mapping.replace("region: country", "region: county"))
    with file_mapping.standing_at("file_drop", tmp_path / "files.yml"):
        assert check.main(["check", str(tmp_path / "policy.yml")]) == 1
    told = capsys.readouterr().err
    assert told.startswith(
        f"{tmp_path}/files.yml: tables.stores.columns.region: expected columns of "
    )
    assert told.count("\n") == 1


def test_the_mapping_that_is_there_can_be_read(tmp_path, monkeypatch):
    assert list(dialect.faults("file_drop")) == []
    assert (
        faults(tmp_path, monkeypatch, {f"{FORM}/columns/invoiced_at/formats": ["%F %T", "%D %R"]})
        == []
    )


def test_the_page_names_every_key_word_pattern_and_reason():
    page = (warehouse.ROOT / "docs" / "files.md").read_text()
    wanted = [*file_mapping.Files.model_fields, *file_mapping.FileColumn.model_fields]
    wanted += [f"%{letter}" for letter in file_mapping.PATTERNS[:-1]] + [*findings.SAID, "outside"]
    missing = [name for name in wanted if f"`{name}`" not in page and f"`{name}:" not in page]
    assert not missing
    assert [word for word in file_mapping.NOTHING if word not in page.lower()] == []

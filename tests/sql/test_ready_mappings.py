"""The mappings that come with the project, each on an export written for it, as a trial reads it."""

import csv
import gzip
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
import yaml

from include import warehouse as connections
from include.sources.files import dialect
from include.steps.trial import Asked, Trial, trial
from include.warehouse import ROOT

DATA = ROOT / "tests" / "data"
READY = {
    path.parent.name
    for path in (ROOT / "include" / "sql" / "extract").glob("*/files.yml")
    if path.parent.name != "file_drop"  # tests/sql/test_file_drop.py
}

Rows = list[tuple[object, ...]]


@pytest.fixture
def read(warehouse, home, monkeypatch, tmp_path) -> Iterator[Callable[..., Callable[[str], Rows]]]:
    """Try a source with a file, and ask what came of it; `{raw}` and `{core}` are its staged tables."""
    folder = tmp_path / "drop"
    folder.mkdir()
    monkeypatch.setenv("REGULARS_FILE_DROP", str(folder))
    open_trials = []

    def run(source: str, timezone: str = "UTC", name: str | None = None) -> Callable[[str], Rows]:
        content = (DATA / f"{source}.csv").read_bytes()
        if name is None:
            (folder / "orders.csv").write_bytes(content)
        context = trial(Asked(source, whole=True, timezone=timezone, currency="EUR"))
        found: Trial = context.__enter__()
        open_trials.append(context)

        def ask(statement: str) -> Rows:
            with connections.connect() as conn:
                return connections.rows(
                    conn, statement.format(raw=found.raw.schema, core=found.core.schema)
                )

        return ask

    yield run
    for context in open_trials:
        context.__exit__(None, None, None)


def numbers(rows: Rows) -> Rows:
    """Rows as plain numbers."""
    return [
        tuple(float(cell) if isinstance(cell, Decimal) else cell for cell in row) for row in rows
    ]


LINES = (
    "SELECT order_number, product_number, quantity, sales_value FROM {raw}.order_lines "
    "ORDER BY order_number, line_number"
)
RETURNS = (
    "SELECT order_number, product_number, quantity, refund, _partition::text FROM {raw}.returns "
    "ORDER BY order_number, product_number DESC"
)


def test_every_ready_mapping_has_a_file_written_for_it():
    assert {"shopify", "woocommerce_csv", "adobe_commerce"} == READY
    for source in READY:
        assert (DATA / f"{source}.csv").exists()


@pytest.mark.parametrize("source", sorted(READY))
def test_its_expressions_pass_the_check_of_a_policy(source):
    assert list(dialect.faults(source)) == []


def test_shopify(read):
    ask = read("shopify")
    # The lines of an order sum to its Subtotal to the penny, whatever was taken off.
    assert numbers(ask(LINES)) == [
        ("#1001", "TEE-M", 2, 36.00), ("#1001", "MUG", 1, 9.00),
        ("#1002", "A", 1, 6.67), ("#1002", "B", 1, 6.66), ("#1002", "C", 1, 6.67),
        ("#1003", "MUG", 2, 20.00),
        ("#1004", "LAMP", 1, 30.00),
        ("#1005", "MUG", 1, 12.00),
        ("#1006", "MUG", 1, 12.00),
        ("#1007", "MUG", 1, 12.00),
        ("#1008", "MUG", 1, 14.00),
        ("#1009", "Tip", 1, 10.00),
        ("#1010", "TEE-M", 2, 16.00), ("#1010", "LAMP", 1, 20.00),
    ]  # fmt: skip
    # A code took off the first, none the fourth; a code for free shipping takes nothing off the goods.
    assert numbers(
        ask(
            "SELECT order_number, retail_discount, coupon_discount FROM {raw}.order_lines "
            "WHERE order_number IN ('#1001', '#1009', '#1010') ORDER BY order_number, line_number"
        )
    ) == [("#1001", 0, 4), ("#1001", 0, 1), ("#1009", 0, 0), ("#1010", 4, 0), ("#1010", 0, 0)]
    assert numbers(ask(RETURNS)) == [
        ("#1003", "MUG", 2, 20.00, "2024-03-03"),       # refunded with its shipping
        ("#1004", "LAMP", 0.333, 10.00, "2024-03-04"),  # a third of it
        ("#1005", "MUG", 1, 12.00, "2024-03-06"),       # cancelled the day after, never paid
    ]  # fmt: skip
    # Blanks below the first line are those of the order; a guest is an address, in any case.
    assert ask(
        "SELECT order_number, customer_number, currency, store_number, channel, _partition::text "
        "FROM {raw}.orders ORDER BY 1"
    ) == [
        ("#1001", "anna@example.com", "EUR", "DE", "web", "2024-03-02"),  # 23:30 at -0500
        ("#1002", "ben@example.com", "EUR", "FR", "web", "2024-03-02"),
        ("#1003", "anna@example.com", "EUR", "DE", "web", "2024-03-03"),
        ("#1004", "ben@example.com", "EUR", "FR", "web", "2024-03-04"),
        ("#1005", "cleo@example.com", "EUR", "DE", "web", "2024-03-05"),
        ("#1006", "cleo@example.com", "EUR", "DE", "web", "2024-03-05"),
        ("#1007", None, "EUR", "online", "till", "2024-03-06"),
        ("#1008", "+4930123456", "USD", "US", "web", "2024-03-06"),
        ("#1009", "anna@example.com", "EUR", "DE", "web", "2024-03-07"),
        ("#1010", "ben@example.com", "EUR", "FR", "web", "2024-03-07"),
    ]
    assert ask("SELECT product_id, type, is_unit FROM {core}.products ORDER BY 1") == [
        ("A", "A", True), ("B", "B", True), ("C", "C", True), ("LAMP", "LAMP", True),
        ("MUG", "MUG", True), ("TEE-M", "SHIRT", True), ("Tip", "TIP", False),
    ]  # fmt: skip
    assert ask("SELECT external_id, first_name, last_name FROM {core}.identities ORDER BY 1")[1] == (
        "anna@example.com", "Anna", "van der Berg",
    )  # fmt: skip


def test_woocommerce(read):
    ask = read("woocommerce_csv")
    # Not those that are pending, failed or cancelled.
    assert numbers(ask(LINES)) == [
        ("501", "TEE-M", 2, 27.00), ("501", "77", 1, 9.00),
        ("505", "MUG", 2, 20.00),
        ("506", "MUG", 3, 30.00),
        ("507", "TEE-M", 1, 10.00), ("507", "LAMP", 2, 20.00),
        ("508", "MUG", 1, 10.00),
        ("509", "MUG", 1, 10.00),
    ]  # fmt: skip
    assert numbers(ask("SELECT sum(coupon_discount) FROM {raw}.order_lines")) == [(4.0,)]
    assert numbers(ask(RETURNS)) == [
        ("505", "MUG", 2, 20.00, "2024-03-05"),    # all of it, without naming a line
        ("506", "MUG", 1, 10.00, "2024-03-06"),    # one piece
        ("507", "TEE-M", 0.2, 2.00, "2024-03-07"),  # six of thirty
        ("507", "LAMP", 0.4, 4.00, "2024-03-07"),
    ]  # fmt: skip
    assert ask("SELECT order_number, customer_number, currency FROM {raw}.orders ORDER BY 1") == [
        ("501", "anna@example.com", "EUR"),
        ("505", "anna@example.com", "EUR"),
        ("506", "ben@example.com", "EUR"),
        ("507", "ben@example.com", "EUR"),
        ("508", "ben@example.com", "CHF"),
        ("509", "+41443334455", "EUR"),
    ]


def test_adobe_commerce(read):
    ask = read("adobe_commerce", timezone="Europe/Berlin")
    # One line a configurable product; net of discount and of the tax in it; not what was cancelled.
    assert numbers(ask(LINES)) == [
        ("000000001", "TEE-M", 2, 36.00), ("000000001", "MUG", 1, 10.00),
        ("000000004", "LAMP", 1, 90.00),
        ("000000005", "MUG", 2, 20.00),
        ("000000006", "MUG", 2, 18.00),
        ("000000007", "MUG", 1, 10.00), ("000000007", "LAMP", 1, 80.00),
        ("000000008", "MUG", 1, 10.00),  # nobody's
    ]  # fmt: skip
    assert numbers(ask(RETURNS)) == [
        ("000000006", "MUG", 1, 9.00, "2024-03-20"),   # on the day of its credit memo
        ("000000007", "MUG", 1, 10.00, "2024-03-08"),
        ("000000007", "LAMP", 1, 80.00, "2024-03-08"),
    ]  # fmt: skip
    # 23:30 UTC is the next day in Berlin.
    assert ask("SELECT _partition::text, customer_number FROM {raw}.orders ORDER BY order_number")[
        0
    ] == ("2024-03-02", "anna@example.com")


def test_rows_add_up_and_nothing_is_set_aside_but_for_its_reason(read):
    for source in sorted(READY):
        ask = read(source)
        accounts = ask(
            "SELECT table_name, extracted - published - quarantined - duplicates FROM ops.row_counts"
        )
        assert {difference for _, difference in accounts} == {0}


@pytest.mark.parametrize("source", sorted(READY))
@pytest.mark.parametrize("form", ["parquet", "gz"])
def test_parquet_and_compressed_do_as_well(read, source, form, tmp_path):
    plain = read(source)(LINES)
    folder = tmp_path / "drop"
    content = (folder / "orders.csv").read_bytes()
    (folder / "orders.csv").unlink()
    if form == "gz":
        (folder / "orders.csv.gz").write_bytes(gzip.compress(content))
    else:
        with (DATA / f"{source}.csv").open(newline="") as file:
            header = next(csv.reader(file))
        texts = arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()))
        pq.write_table(
            arrow_csv.read_csv(pa.BufferReader(content), convert_options=texts),
            folder / "orders.parquet",
        )
    assert read(source, name="as it lies")(LINES) == plain


@pytest.mark.parametrize("source", sorted(READY))
def test_columns_that_not_every_export_has_may_be_absent(read, source, tmp_path):
    body = yaml.safe_load((ROOT / "include" / "sql" / "extract" / source / "files.yml").read_text())
    (form,) = body["files"].values()
    absent = {
        h for part in form["columns"].values() if part.get("optional") for h in part["headers"]
    }
    with (DATA / f"{source}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    header = [name for name in rows[0] if name not in absent]
    assert len(header) < len(rows[0])
    (tmp_path / "drop").mkdir(exist_ok=True)
    with (tmp_path / "drop" / "orders.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, header, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    found = read(source, name="as it lies")
    # What is said elsewhere is as it was: the first order's lines and its discounts.
    first = {"shopify": 45.0, "woocommerce_csv": 36.0, "adobe_commerce": 46.0}[source]
    assert numbers(
        found(
            "SELECT sum(sales_value) FROM {raw}.order_lines "
            "WHERE order_number IN ('#1001', '501', '000000001')"
        )
    ) == [(first,)]


def test_an_order_that_is_exported_again_replaces_the_first(read, tmp_path):
    read("woocommerce_csv")
    folder: Path = tmp_path / "drop"
    with (folder / "orders.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    again = [row | {"status": "cancelled"} for row in rows if row["order_number"] == "501"]
    with (folder / "orders_2.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(again)
    found = read("woocommerce_csv", name="as it lies")("SELECT order_number FROM {raw}.orders")
    assert ("501",) not in found
    assert ("505",) in found


@pytest.mark.parametrize("source", sorted(READY))
def test_every_column_of_a_mapping_is_used(source):
    body = (ROOT / "include" / "sql" / "extract" / source / "files.yml").read_text()
    (form,) = yaml.safe_load(body)["files"].values()
    expressions = body.split("    fill_down:")[-1] + body.split("    also:")[-1]
    for name in form["columns"]:
        assert name in expressions or name in (form["stamp"], form["key"]), name

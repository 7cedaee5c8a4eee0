"""Every kind of bad input that a shop has sent someone: nothing is lost, and nothing half is published."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import psycopg2
import pytest

from include import (
    as_of,
    contracts,
    policy,
    warehouse,
)
from include.demo_shop.load import create_schema
from include.errors import BadInput, Unreachable
from include.launcher.servers import databases
from include.launcher.servers.postgresql import own_user
from include.sources import shop as sources
from include.sources.shop import PostgresSource
from include.steps import features, ingest
from tests.faults.proxy import cutting
from tests.sql.small_shop import (
    OFF,
    ROWS,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    nothing_changes,
    owner,
    policy_without,
)

LINE = "INSERT INTO order_lines VALUES "
ORDER = "INSERT INTO orders VALUES "
AT = "'2017-03-02 17:00+00'"


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(policy_without(OFF, home / "policy.yml")))


@pytest.fixture(autouse=True)
def _fresh():
    fill_shop()
    empty_warehouse()


def set_aside() -> list[tuple[str, str, list[str]]]:
    return found("SELECT table_name, row_key, reasons FROM quarantine.rejected_rows ORDER BY 1, 2")


# --- texts ---

TEXTS = {
    "byte order mark": "\ufeffCake",
    "right to left": "עוגת שוקולד \u202e123\u202c",
    "null of COPY": "\\N",
    "end of COPY": "\\.",
    "backslashes": "a\\tb\\\\c\\",
    "tab and newlines": "a\tb\nc\r\nd",
    "quotes": '"a" \'b\' ""',
    "formula": '=HYPERLINK("http://x.example","y")',
    "other formulas": "+1-1@SUM(A1)",
    "beyond the basic plane": "🎂 𝒞ake",
    "combining": "Cafe\u0301",
    "control characters": "a\x01b\x7fc",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_arrives_as_it_was_sent(text):
    with warehouse.connect("shop_owner") as conn:
        warehouse.execute(
            conn, "UPDATE products SET name = %(t)s WHERE product_number = 'p1'", {"t": text}
        )
        warehouse.execute(
            conn,
            "UPDATE customers SET first_name = %(t)s WHERE customer_number = 'c1'",
            {"t": text},
        )
    ingest_day()
    assert found("SELECT name FROM raw.products WHERE product_number = 'p1'") == [(text,)]
    assert found("SELECT first_name FROM raw.customers WHERE customer_number = 'c1'") == [(text,)]
    ((name,),) = found("SELECT name FROM core.products WHERE product_id = 'p1'")
    assert name.split() == text.split()  # runs of blanks become one, and nothing else
    assert found("SELECT count(*) FROM core.orders") == [(100,)]


def test_a_nul_is_refused_in_one_sentence(shop):
    with (
        pytest.raises(BadInput, match=r"invalid byte sequence.*0x00") as refused,
        warehouse.connect() as conn,
    ):
        warehouse.copy_rows(conn, [("a\x00b",)], "raw.stores", ["store_number"])
    assert len(str(refused.value).splitlines()) == 1


@pytest.fixture
def another_encoding(server, monkeypatch) -> Iterator[str]:
    """A shop whose database checks no encoding."""
    name = "shop_any_bytes"
    with databases.admin(server.server.admin_url()) as conn:
        databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        with conn.cursor() as cursor:
            cursor.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc "
                "LOCALE 'C'"
            )
    address = server.server.admin_url(name)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", address)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_OWNER", address)
    with psycopg2.connect(address) as conn, conn.cursor() as cursor:
        create_schema(cursor)
        cursor.execute(ROWS)
    yield address
    server.drop(name)


def test_invalid_utf8_stops_with_the_file_and_without_the_value(another_encoding):
    ingest_day(since="2017-03-01")
    owner("UPDATE products SET name = E'Caf\\xe9' WHERE product_number = 'p7'")
    with nothing_changes(), pytest.raises(BadInput) as stopped:
        ingest_day(since="2017-03-01")
    assert "invalid byte sequence" in str(stopped.value)
    assert "products.sql" in str(stopped.value)
    assert "Caf" not in str(stopped.value)
    owner("UPDATE products SET name = 'Cafe' WHERE product_number = 'p7'")
    ingest_day(since="2017-03-01")
    assert found("SELECT name FROM core.products WHERE product_id = 'p7'") == [("Cafe",)]


# --- numbers and keys ---


def test_keys_at_the_edges_of_integers_are_exact():
    edges = [2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
    for number in edges:
        owner(f"INSERT INTO events VALUES ({number}, 'c1', 'p1', 'browse', {AT})")
    ingest_day()
    assert {n for (n,) in found("SELECT event_id FROM core.events")} >= set(edges)


def test_a_key_beyond_bigint_stops_with_one_sentence():
    ingest_day()
    owner(
        "ALTER TABLE events ALTER COLUMN event_id TYPE numeric",
        f"INSERT INTO events VALUES ({2**63}, 'c1', 'p1', 'browse', {AT})",
    )
    try:
        with nothing_changes(), pytest.raises(BadInput, match="event_id as bigint, found numeric"):
            ingest_day()
    finally:
        owner(
            f"DELETE FROM events WHERE event_id = {2**63}",
            "ALTER TABLE events ALTER COLUMN event_id TYPE bigint",
        )


@pytest.mark.parametrize("length", [501, 10_000])
def test_a_key_longer_than_an_index_can_hold_is_set_aside(length):
    number = ("".join(chr(97 + (n * n * 7 + n // 3) % 26) for n in range(length)))[:length]
    owner(ORDER + f"('{number}', 'c1', 's1', 'till', 'USD', {AT}, {AT})")
    ingest_day()
    assert set_aside() == [("core.orders", number, ["too_long_order_id"])]
    assert found("SELECT count(*) FROM core.orders") == [(100,)]


@pytest.mark.parametrize(
    ("amount", "reasons"),
    [
        ("'NaN'", ["not_a_number_sales"]),
        ("'Infinity'", ["too_large_sales"]),
        ("'-Infinity'", ["negative_sales", "too_large_sales"]),
        ("9999999999.996", ["absurd_price", "too_large_sales"]),
        ("1e100", ["too_large_sales"]),
        ("-0.01", ["negative_sales"]),
        ("-1e30", ["negative_sales", "too_large_sales"]),
    ],
)
def test_an_amount_that_is_none_is_set_aside_and_the_rest_published(amount, reasons):
    owner(LINE + f"('o1', 11, 'p1', 1, {amount}, 0, 0, 0, {AT})")
    ingest_day()
    assert set_aside() == [("core.order_lines", "o1 / 11", reasons)]
    assert found("SELECT count(*) FROM core.order_lines") == [(300,)]


@pytest.mark.parametrize("column", [4, 6, 7, 8])
def test_no_number_of_a_line_may_be_none(column):
    cells = ["'o1'", "11", "'p1'", "1", "2", "0", "0", "0", AT]
    cells[column - 1] = "'NaN'"
    owner(LINE + f"({', '.join(cells)})")
    ingest_day()
    ((table, key, reasons),) = set_aside()
    assert (table, key) == ("core.order_lines", "o1 / 11")
    assert any(reason.startswith("not_a_number_") for reason in reasons)


def test_an_amount_keeps_two_decimals_by_rounding():
    owner(LINE + f"('o1', 11, 'p1', 1, 2.345, 0, 0, 0, {AT})")
    ingest_day()
    assert found("SELECT sales::text FROM core.order_lines WHERE line_number = 11") == [("2.35",)]


# --- days ---


@pytest.mark.parametrize("recorded", [AT, "NULL", "'-infinity'"])
@pytest.mark.parametrize(
    "stamp",
    ["infinity", "-infinity", "0044-01-01 00:00+00 BC", "12000-01-01", "2262-04-11", "2100-01-01"],
)
def test_a_stamp_that_is_none_neither_moves_a_day_nor_breaks_the_plan(stamp, recorded):
    owner(ORDER + f"('o900', 'c1', 's1', 'till', 'USD', '{stamp}', {recorded})")
    with sources.opened() as source:
        assert source.covered() == (date(2017, 3, 1), date(2017, 3, 5))
        start, end = as_of.window("2017-03-01", "2017-03-05", policy.load().shop.timezone)
        late = source.late(start, end)
    if recorded == AT:
        ((table, count, first, last),) = late
        assert (table, count, first) == ("orders", 1, last)
    else:
        assert late == []


def test_a_shop_that_never_says_when_it_recorded_an_order_covers_its_days():
    owner("UPDATE orders SET updated_at = NULL")
    with sources.opened() as source:
        assert source.covered() == (date(2017, 3, 1), date(2017, 3, 5))
    ingest_day()
    assert found("SELECT count(*) FROM core.orders") == [(100,)]


def test_days_that_python_cannot_hold_are_one_sentence(monkeypatch):
    # As the SELECT of another shop may answer.
    monkeypatch.setattr(
        PostgresSource,
        "_select",
        lambda self, name: "SELECT date '12000-01-01', date '12000-01-01'",
    )
    with (
        sources.opened() as source,
        pytest.raises(BadInput, match="_covered_days.sql .* years 1 to 9999"),
    ):
        source.covered()


@pytest.mark.parametrize("stamp", ["1900-01-01 12:00+00", "2262-04-11 23:47+00"])
def test_a_stamp_of_another_century_moves_no_day_and_is_told(stamp):
    owner(ORDER + f"('o900', 'c1', 's1', 'till', 'USD', '{stamp}', {AT})")
    ingest_day(since="2017-03-01")
    assert found("SELECT count(*) FROM core.orders") == [(100,)]
    ((message,),) = found(
        "SELECT message FROM ops.quality_results "
        "WHERE check_name = 'recorded_in_time' AND NOT passed AND severity = 'warning'"
    )
    assert f"found 1 rows of orders dated {stamp[:10]}" in message
    with pytest.raises(ingest.BeyondSource, match="ends on 2017-03-05"):
        ingest.plan({"as_of": "2017-03-06", "since": None, "run_id": "x"})


# --- days that are in no shop's calendar ---

FAR = ["infinity", "-infinity", "0044-01-01 BC", "12000-01-01"]


def read_by_later_days() -> None:
    """What fails of a day that nobody can reckon with: features and the cases of campaigns."""
    parameters = features.parameters("2017-03-05")
    of_campaigns = {"opened_on": "2017-01-01", "history_days": 0, "reference": None}
    with warehouse.connect() as conn:
        features.customers(conn, "2017-03-05")
        features.products(conn, "2017-03-05")
        warehouse.frame(
            conn, warehouse.sql("queries/training/campaign_exposures"), parameters | of_campaigns
        )


@pytest.fixture
def with_campaigns(home, monkeypatch) -> None:
    """A shop that also has campaigns, one of them sent, and deliveries."""
    off = tuple(name for name in OFF if name not in ("campaigns", "exposures", "deliveries"))
    monkeypatch.setenv("REGULARS_POLICY", str(policy_without(off, home / "campaigns.yml")))
    owner(
        f"INSERT INTO campaigns VALUES ('1', 'Type A', '2017-03-01', '2017-03-04', {AT})",
        f"INSERT INTO exposures VALUES ('1', 'c50', {AT})",
        f"INSERT INTO deliveries VALUES ('D1', 'o60', 'c1', 'van', 'delivered', {AT}, {AT})",
    )


@pytest.mark.parametrize("day", [*FAR, "1899-12-30", "2262-01-01"])
def test_a_registration_that_is_none_is_unknown_and_flagged(day):
    owner(f"UPDATE customers SET registered_at = '{day}' WHERE customer_number = 'c7'")
    ingest_day(since="2017-03-01")
    assert set_aside() == []
    assert found(
        "SELECT i.external_id, c.registered_at = c.known_at, c.flags FROM core.customers AS c "
        "JOIN core.identities AS i USING (customer_id) WHERE c.flags <> '{}'"
    ) == [("c7", True, ["impossible_registration"])]
    assert found("SELECT count(*) FROM core.orders") == [(100,)]
    read_by_later_days()


@pytest.mark.parametrize("day", ["infinity", "12000-01-01"])
def test_a_customer_whose_record_has_no_possible_stamp_keeps_the_orders(day):
    owner(f"UPDATE customers SET updated_at = '{day}' WHERE customer_number = 'c7'")
    ingest_day(since="2017-03-01")
    assert {reason for _, _, reasons in set_aside() for reason in reasons} == {
        "impossible_valid_from",
        "impossible_known_at",
    }
    assert found("SELECT count(*) FROM core.orders") == [(100,)]
    read_by_later_days()


@pytest.mark.parametrize("day", FAR)
@pytest.mark.parametrize("column", ["starts_on", "ends_on"])
def test_a_campaign_of_another_calendar_is_open_or_set_aside(with_campaigns, day, column):
    values = {"starts_on": "2017-03-01", "ends_on": "2017-04-01"} | {column: day}
    owner(
        f"INSERT INTO campaigns VALUES ('2', 'Type A', '{values['starts_on']}', '{values['ends_on']}', {AT})",
        f"INSERT INTO exposures VALUES ('2', 'c50', {AT})",
    )
    ingest_day(since="2017-03-01")
    read_by_later_days()
    if column == "ends_on" and day in ("infinity", "12000-01-01"):
        assert set_aside() == []
        assert found("SELECT ends_on FROM core.campaigns WHERE campaign_id = '2'") == [(None,)]
    else:
        ((table, key, reasons),) = set_aside()
        assert (table, key) == ("core.campaigns", "2")
        assert f"impossible_{column}" in reasons


@pytest.mark.parametrize("day", ["infinity", "12000-01-01"])
def test_a_promise_for_a_day_that_is_none_sets_the_delivery_aside(with_campaigns, day):
    owner(
        f"INSERT INTO deliveries VALUES ('D2', 'o60', 'c1', 'van', 'delivered', '{day}', {AT})",
    )
    ingest_day(since="2017-03-01")
    assert set_aside() == [("core.deliveries", "D2", ["impossible_promised_at"])]
    read_by_later_days()


# --- days of another length, and days that meet ---


@pytest.mark.parametrize(
    ("day", "stamps"),
    [
        # The hour that New York skips, from both sides, and the day's ends.
        ("2017-03-12", ["05:00", "06:59:59", "07:00", "2017-03-13 03:59:59"]),
        # The hour that it has twice.
        ("2017-11-05", ["04:00", "05:30", "06:30", "2017-11-06 04:59:59"]),
    ],
)
def test_every_moment_of_a_day_of_another_length_is_in_it_once(day, stamps):
    for place, text in enumerate(stamps):
        stamp = text if text.startswith("2017") else f"{day} {text}"
        owner(
            ORDER + f"('d{place}', 'c1', 's1', 'till', 'USD', '{stamp}+00', '{stamp}+00')",
            LINE + f"('d{place}', 1, 'p1', 1, 2, 0, 0, 0, '{stamp}+00')",
        )
    after = "2017-03-13 04:00" if day == "2017-03-12" else "2017-11-06 05:00"
    owner(ORDER + f"('later', 'c1', 's1', 'till', 'USD', '{after}+00', '{after}+00')")
    ingest_day(as_of=day)
    ingest_day(as_of=day, since=day)
    assert [
        n for (n,) in found(
            "SELECT order_id FROM core.orders WHERE business_day = %(day)s ORDER BY 1", {"day": day}
        )
    ] == [f"d{place}" for place in range(len(stamps))]  # fmt: skip


def test_equal_keys_with_different_content_keep_one_and_set_the_other_aside():
    owner(
        ORDER + f"('o900', 'c1', 's1', 'till', 'USD', {AT}, {AT})",
        ORDER + f"('o900', 'c2', 's1', 'till', 'USD', {AT}, {AT})",
    )
    ingest_day()
    assert found("SELECT count(*) FROM core.orders WHERE order_id = 'o900'") == [(1,)]
    assert set_aside() == [("core.orders", "o900", ["superseded"])]
    with nothing_changes():  # and whichever stays, stays
        ingest_day()


def test_an_empty_day_is_published_with_a_warning():
    owner("DELETE FROM order_lines WHERE ordered_at::date = '2017-03-05'")
    owner("DELETE FROM orders WHERE ordered_at::date = '2017-03-05'")
    owner(
        ORDER + "('next', 'c1', 's1', 'till', 'USD', '2017-03-06 17:00+00', '2017-03-06 17:00+00')"
    )
    ingest_day("2017-03-04")
    ingest_day("2017-03-05", since="2017-03-05")
    assert found(
        "SELECT row_count FROM ops.publications "
        "WHERE table_name = 'core.orders' AND partition = '2017-03-05'"
    ) == [(0,)]
    assert found(
        "SELECT DISTINCT severity FROM ops.quality_results WHERE NOT passed "
        "AND table_name = 'core.orders' AND as_of = '2017-03-05' AND check_name LIKE 'table_row_count%'"
    ) == [("warning",)]
    assert found("SELECT count(*) FROM core.orders") == [(80,)]


# --- the source changes, or goes away ---


@contextmanager
def after_copying(name: str, monkeypatch, act) -> Iterator[None]:
    """Something happens in the shop between two tables of one extraction."""
    copy = PostgresSource.copy

    def acting(self, contract, *rest):
        moved = copy(self, contract, *rest)
        if contract.table == name:
            act()
        return moved

    with monkeypatch.context() as patch:
        patch.setattr(PostgresSource, "copy", acting)
        yield


def test_a_table_renamed_during_the_extraction_stops_it(monkeypatch):
    ingest_day()
    owner(LINE + f"('o1', 11, 'p1', 1, 7, 0, 0, 0, {AT})")
    rename = "ALTER TABLE order_lines RENAME TO lines_of_orders"
    try:
        with (
            nothing_changes(),
            after_copying("customers", monkeypatch, lambda: owner(rename)),
            pytest.raises(BadInput, match='relation "order_lines" does not exist'),
        ):
            ingest_day()
    finally:
        owner("ALTER TABLE lines_of_orders RENAME TO order_lines")
    ingest_day()
    assert found("SELECT count(*) FROM core.order_lines") == [(301,)]


def test_rows_that_change_during_the_extraction_are_of_one_moment(monkeypatch):
    def sell() -> None:
        owner(
            ORDER + f"('o900', 'c1', 's1', 'till', 'USD', {AT}, {AT})",
            LINE + f"('o900', 1, 'p1', 1, 7, 0, 0, 0, {AT})",
        )

    # Lines are read before orders: without one snapshot the new order would come without its line.
    with after_copying("order_lines", monkeypatch, sell):
        ingest_day()
    assert found("SELECT count(*) FROM core.orders") == [(100,)]
    ingest_day()
    assert found("SELECT count(*) FROM core.order_lines WHERE order_id = 'o900'") == [(1,)]


MANY_EVENTS = f"""
INSERT INTO events (event_id, customer_number, product_number, event_type, occurred_at)
SELECT 1000 + n, 'c' || (n % 60 + 1), 'p1', 'browse', {AT} FROM generate_series(1, 40000) AS n
"""


@pytest.mark.slow
def test_a_connection_that_is_cut_in_the_middle_of_a_copy_may_be_tried_again(shop, monkeypatch):
    ingest_day()
    owner(MANY_EVENTS)
    with nothing_changes(), cutting(shop["shop"], after=400_000) as address:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", address)
        with pytest.raises(Unreachable, match="'shop' to last") as cut:
            ingest_day()
    assert len(str(cut.value).splitlines()) == 1
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", shop["shop"])
    ingest_day()
    assert found("SELECT count(*) FROM core.events") == [(40_100,)]


@pytest.mark.slow
def test_a_session_of_the_warehouse_that_is_ended_may_be_tried_again(server, monkeypatch):
    ingest_day()
    owner(MANY_EVENTS)

    def end_session() -> None:
        with databases.admin(server.server.admin_url()) as conn, conn.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'regulars warehouse' AND state = 'idle in transaction'"
            )

    with (
        nothing_changes(),
        after_copying("events", monkeypatch, end_session),
        pytest.raises(Unreachable, match="'warehouse' to last"),
    ):
        ingest_day()
    ingest_day()
    assert found("SELECT count(*) FROM core.events") == [(40_100,)]


@pytest.fixture
def small_disk(server, monkeypatch) -> Iterator[None]:
    """A warehouse in a tablespace with little room."""
    user = own_user() if os.geteuid() == 0 else None
    folder = tempfile.mkdtemp(prefix="regulars-small-disk-")
    options = f"size=64m,mode=0700,uid={user.pw_uid},gid={user.pw_gid}" if user else "size=64m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        os.rmdir(folder)
        pytest.skip("a small disk needs the right to mount one")
    name = "warehouse_small_disk"
    try:
        with databases.admin(server.server.admin_url()) as conn:
            with conn.cursor() as cursor:
                cursor.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
                cursor.execute("GRANT CREATE ON TABLESPACE small TO regulars_etl")
            databases.make_database(conn, "warehouse", name, template="warehouse")
            with conn.cursor() as cursor:
                cursor.execute(f"ALTER DATABASE {name} SET TABLESPACE small")
        for connection, url in databases.addresses(
            server.server.admin_url(), server.passwords, {"warehouse": name}
        ).items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{connection.upper()}", url)
        yield
    finally:
        server.drop(name)
        with databases.admin(server.server.admin_url()) as conn, conn.cursor() as cursor:
            cursor.execute("DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_mends_when_there_is_room(small_disk):
    ingest_day()
    owner(MANY_EVENTS.replace("40000", "600000").replace("'p1'", "repeat('p', 200)"))
    with (
        nothing_changes(),
        pytest.raises(Unreachable, match="room on the disk.*'warehouse'") as full,
    ):
        ingest_day()
    assert len(str(full.value).splitlines()) == 1
    owner("DELETE FROM events WHERE event_id > 2000")
    ingest_day()
    assert found("SELECT count(*) FROM core.events") == [(1100,)]


# --- the shop's tables change ---


def test_a_new_column_is_noted_and_told_and_stops_nothing(caplog):
    ingest_day()
    assert found("SELECT count(*) FROM ops.source_columns WHERE is_new") == [(0,)]
    owner("ALTER TABLE orders ADD COLUMN gift_wrap boolean")
    try:
        with caplog.at_level("WARNING"):
            ingest_day()
        assert "public.orders has a new column gift_wrap" in caplog.text
        assert found("SELECT relation, column_name, type FROM ops.source_columns WHERE is_new") == [
            ("public.orders", "gift_wrap", "boolean")
        ]
        caplog.clear()
        ingest_day()
        assert "gift_wrap" not in caplog.text  # told once
    finally:
        owner("ALTER TABLE orders DROP COLUMN gift_wrap")
    ingest_day()
    assert found(
        "SELECT gone_at IS NOT NULL FROM ops.source_columns WHERE column_name = 'gift_wrap'"
    ) == [(True,)]


RETYPED = {
    "a number as text": ("order_lines", "sales_value", "text", "sales_value::numeric"),
    "a stamp without its zone": (
        "orders",
        "ordered_at",
        "timestamp",
        "ordered_at AT TIME ZONE 'UTC'",
    ),
    "a stamp as a number": ("products", "updated_at", "bigint", "to_timestamp(updated_at)"),
    "a flag as text": ("products", "active", "text", "active::boolean"),
    "a number as a fraction": ("events", "event_id", "double precision", "event_id::bigint"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("table", "column", "kind", "back"), RETYPED.values(), ids=RETYPED)
def test_a_column_of_another_type_stops_with_a_clear_sentence(table, column, kind, back):
    ingest_day()
    before = found_types(table)[column]
    to = f"extract(epoch FROM {column})::bigint" if kind == "bigint" else f"{column}::{kind}"
    owner(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind} USING {to}")
    try:
        with nothing_changes(), pytest.raises(BadInput) as stopped:
            ingest_day()
    finally:
        owner(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {before} USING {back}")
    assert f"{table}.sql" in str(stopped.value)
    assert len(str(stopped.value).splitlines()) == 1
    ingest_day()


def found_types(table: str) -> dict[str, str]:
    with warehouse.connect("shop_owner") as conn:
        return dict(
            warehouse.rows(
                conn,
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name = %(table)s",
                {"table": table},
            )
        )


def test_every_select_gives_the_columns_of_its_contract_in_their_order():
    source = policy.load().shop.source
    for contract in contracts.of_dataset("raw"):
        assert (warehouse.SQL_ROOT / "extract" / source / f"{contract.table}.sql").exists()
    with warehouse.connect("shop") as conn:
        source_ = PostgresSource(conn, source, "UTC")
        with warehouse.connect() as target:
            for contract in contracts.of_dataset("raw"):
                query = warehouse.literal_query(
                    conn, source_._select(contract.table), source_._window("-infinity", "infinity")
                )
                from include.sources import schema_drift

                schema_drift.check_types(conn, contract, query, contract.table)
                assert schema_drift.note_columns(conn, target, query, "x") == []

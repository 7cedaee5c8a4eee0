"""What would depend on the order in which days are run: stores, rows without a stamp, orders on two days."""

import pytest

from include import warehouse
from include.errors import BadInput
from include.publication import redated
from include.steps import features
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    hashes,
    ingest_day,
    owner,
    policy_without,
)

#: An order of the first day, once more under the last one, recorded later.
AGAIN = (
    "INSERT INTO orders VALUES ('o5', 'c6', 's9', 'till', 'USD', '2017-03-05 13:00+00', "
    "'2017-03-05 13:00+00')",
    "INSERT INTO order_lines VALUES ('o5', 1, 'p9', 1, 9, 0, 0, 0, '2017-03-05 13:00+00')",
)


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(policy_without(OFF, home / "policy.yml")))
    fill_shop()


@pytest.fixture(autouse=True)
def _fresh():
    fill_shop()
    empty_warehouse()


def order() -> list[tuple[str, str, int]]:
    return found(
        "SELECT o.store_id, o.business_day::text, count(l.*) FROM core.orders AS o "
        "LEFT JOIN core.order_lines AS l USING (order_id) WHERE order_id = 'o5' GROUP BY 1, 2"
    )


@pytest.mark.parametrize("late", [True, False], ids=["backfilled", "in turn"])
def test_a_row_without_a_stamp_stands_once_on_the_newest_day(late):
    ingest_day("2017-03-01", since="2017-03-01")  # who there is
    owner("INSERT INTO orders VALUES ('u', 'c1', 's1', 'till', 'USD', NULL, '2017-03-01 17:00+00')")
    days = [("2017-03-01", None), ("2017-03-05", "2017-03-04")]
    for day, since in reversed(days) if late else days:
        ingest_day(day, since=since or day)
    rows = "SELECT _partition::text FROM raw.orders WHERE order_number = 'u'"
    assert found(rows) == [("2017-03-05",)]
    owner("DELETE FROM orders WHERE order_number = 'u'")
    ingest_day("2017-03-02", since="2017-03-02")  # any day's run sees that it is gone
    assert found(rows) == []


@pytest.mark.parametrize("late", [True, False], ids=["backfilled", "in turn"])
def test_of_an_order_on_two_days_the_newest_state_stands(late):
    ingest_day("2017-03-01", since="2017-03-01")  # who there is
    owner(*AGAIN)
    days = [("2017-03-01", "2017-03-01"), ("2017-03-05", "2017-03-05")]
    for day, since in reversed(days) if late else days:
        ingest_day(day, since=since)
    assert order() == [("s9", "2017-03-05", 1)]
    # The other state is not lost, nor are its lines.
    assert found(
        "SELECT table_name, reasons[1], count(*) FROM quarantine.rejected_rows GROUP BY 1, 2 ORDER BY 1"
    ) == [("core.order_lines", "orphan_order", 3), ("core.orders", "superseded", 1)]


def test_an_order_falls_back_to_its_first_day_when_the_second_is_taken_back():
    owner(*AGAIN)
    ingest_day("2017-03-05", since="2017-03-01")
    owner(
        "DELETE FROM orders WHERE order_number = 'o5' AND store_number = 's9'",
        "DELETE FROM order_lines WHERE order_number = 'o5' AND sales_value = 9",
    )
    ingest_day("2017-03-05", since="2017-03-05")
    assert order() == [("s1", "2017-03-01", 3)]
    assert found("SELECT count(*) FROM quarantine.rejected_rows") == [(0,)]


def test_an_order_that_falls_back_to_a_later_day_is_refused_with_the_days_to_run():
    owner(
        *AGAIN,
        "UPDATE orders SET updated_at = '2017-03-06' WHERE store_number = 's1' AND order_number = 'o5'",
    )
    ingest_day("2017-03-05", since="2017-03-01")
    assert order() == [("s1", "2017-03-01", 3)]
    owner("DELETE FROM orders WHERE order_number = 'o5' AND store_number = 's1'")
    with pytest.raises(BadInput, match="run as_of=2017-03-05 with since=2017-03-01"):
        ingest_day("2017-03-01", since="2017-03-01")
    ingest_day("2017-03-05", since="2017-03-01")
    assert order() == [("s9", "2017-03-05", 1)]


def test_a_region_is_that_of_the_day_whenever_the_store_was_read():
    def region(day: str) -> set[str]:
        with warehouse.connect() as conn:
            return set(features.customers(conn, day)["region"])

    ingest_day("2017-03-03", since="2017-03-01")
    assert region("2017-03-03") == {"north"}
    owner("UPDATE stores SET region = 'south', updated_at = '2017-03-04 06:00+00'")
    ingest_day("2017-03-05", since="2017-03-04")
    ingest_day("2017-03-02", since="2017-03-01", run_id="again")
    assert region("2017-03-03") == {"north"}
    assert region("2017-03-05") == {"south"}
    empty_warehouse()  # the shop changed it in place: what it was before is nowhere
    ingest_day("2017-03-05", since="2017-03-01")
    assert region("2017-03-03") == {"south"}


def test_recent_days_first_and_then_earlier_ones_end_as_one_clean_pass(monkeypatch, home):
    # Whoever loads days this way lets more wait for their customers than is usual.
    path = policy_without(OFF, home / "patient.yml")
    usual = path.read_text()
    path.write_text(usual.replace("stop: 0.05", "stop: 0.5"))
    assert path.read_text() != usual
    monkeypatch.setenv("REGULARS_POLICY", str(path))
    # c1 to c6 are known from the first day on, everybody else from the 4th.
    owner(
        "UPDATE customers SET registered_at = '2017-03-04 06:00+00', updated_at = '2017-03-04 06:00+00' "
        "WHERE customer_number NOT IN ('c1', 'c2', 'c3', 'c4', 'c5', 'c6')",
        "UPDATE products SET updated_at = '2017-03-04 06:00+00'",
        "UPDATE stores SET updated_at = '2017-03-04 06:00+00'",
    )
    ingest_day("2017-03-05", since="2017-03-01")
    clean = hashes()
    empty_warehouse()
    ingest_day("2017-03-05", since="2017-03-04")
    orphans = "SELECT count(*) FROM quarantine.rejected_rows WHERE 'orphan_customer' = ANY(reasons)"
    assert found(orphans) == [(8,)]
    built = "SELECT max(token) FROM ops.publications WHERE table_name = 'core.orders' AND partition = %(day)s"
    before = found(built, {"day": "2017-03-04"})
    ingest_day("2017-03-03", since="2017-03-03")  # brings nobody that they wait for
    assert found(built, {"day": "2017-03-04"}) == before
    ingest_day("2017-03-02", since="2017-03-01")
    assert hashes() == clean
    assert found(orphans) == [(0,)]


def test_a_product_that_comes_with_an_earlier_day_is_known_to_later_ones():
    owner(
        "UPDATE customers SET registered_at = '2017-03-04 06:00+00', updated_at = '2017-03-04 06:00+00'",
        "UPDATE products SET updated_at = '2017-03-04 06:00+00' WHERE product_number <> 'p1'",
        "UPDATE stores SET updated_at = '2017-03-04 06:00+00'",
    )
    ingest_day("2017-03-05", since="2017-03-01")
    clean = hashes()
    empty_warehouse()
    ingest_day("2017-03-05", since="2017-03-04")
    unknown = "SELECT count(*) > 0 FROM core.order_lines WHERE 'unknown_product' = ANY(flags)"
    assert found(unknown) == [(True,)]
    ingest_day("2017-03-03", since="2017-03-01")
    assert found(unknown) == [(False,)]
    assert hashes() == clean


def test_days_that_hold_their_orders_are_built_alone():
    ingest_day()
    assert redated.reach_back("2017-03-04", "2017-03-05") == "2017-03-04"

"""What the shop changes later: in place, with and without a trace, and what a day in the past may know."""

import uuid

import pandas as pd
import pytest

from include import pseudonym, warehouse
from include.steps import features
from tests.sql.small_shop import OFF, fill_shop, found, ingest_day, owner, policy_without

DAY = "2017-03-03"


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(policy_without(OFF, home / "policy.yml")))


@pytest.fixture(autouse=True)
def _fresh():
    from tests.sql.small_shop import empty_warehouse

    fill_shop()
    empty_warehouse()


def person(number: str) -> uuid.UUID:
    return uuid.UUID(str(pseudonym.pseudonym(number, pseudonym.key())))


def known(day: str = DAY) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    with warehouse.connect() as conn:
        return (
            features.customers(conn, day),
            features.products(conn, day),
            warehouse.frame(conn, warehouse.sql("features/interactions"), features.parameters(day)),
        )


def assert_same(before: tuple[pd.DataFrame, ...], after: tuple[pd.DataFrame, ...]) -> None:
    for old, new in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(old, new)


def test_a_customer_changed_in_place_after_the_day_still_owns_his_orders():
    owner("UPDATE customers SET updated_at = '2017-09-01' WHERE customer_number = 'c2'")
    ingest_day()
    assert found("SELECT count(*) FROM quarantine.rejected_rows") == [(0,)]
    assert found("SELECT count(*) FROM core.orders") == [(100,)]


@pytest.mark.parametrize("registered", ["NULL", "'2017-08-01'"])
def test_an_order_before_the_shops_record_begins_is_its_customers(registered):
    owner(
        f"UPDATE customers SET registered_at = {registered}, updated_at = '2017-09-01' "
        "WHERE customer_number = 'c2'"
    )
    ingest_day()
    assert found("SELECT count(*) FROM core.orders") == [(100,)]
    # Once for each day on which he ordered: both of his orders were on one.
    assert found("SELECT count(*) FROM raw.customers WHERE customer_number = 'c2'") == [(1,)]


def test_a_later_correction_changes_nothing_that_an_earlier_day_knew():
    ingest_day(as_of=DAY, run_id="before")
    before = known()
    owner(
        # An order of the day is corrected two days later: another customer, a dearer line, one line
        # less and another more.
        "UPDATE orders SET customer_number = 'c50', updated_at = '2017-03-05 12:00+00' "
        "WHERE order_number = 'o7'",
        "UPDATE order_lines SET sales_value = 99 WHERE order_number = 'o7' AND line_number = 1",
        "DELETE FROM order_lines WHERE order_number = 'o7' AND line_number = 2",
        "INSERT INTO order_lines VALUES ('o7', 4, 'p9', 1, 5, 0, 0, 0, '2017-03-03 17:00+00')",
    )
    ingest_day(as_of="2017-03-05", run_id="after")
    assert found(
        "SELECT line_number, sales::text FROM core.order_lines WHERE order_id = 'o7' ORDER BY 1"
    ) == [(1, "99.00"), (3, "2.50"), (4, "5.00")]
    assert_same(before, known())
    later = known("2017-03-05")[0].set_index("customer_id")
    assert later.loc[str(person("c50")), "sales_total"] == pytest.approx(2.5 * 3 + 106.5)
    assert later.loc[str(person("c8")), "sales_total"] == pytest.approx(2.5 * 3)
    assert (known("2017-03-04")[0]["sales_total"] < 99).all()


def test_an_order_read_only_after_its_correction_is_known_from_its_day():
    owner("UPDATE orders SET updated_at = '2017-03-05 12:00+00' WHERE order_number = 'o7'")
    ingest_day()
    customers = known()[0].set_index("customer_id")
    assert customers.loc[str(person("c8")), "orders_total"] == 2


def test_the_older_of_two_states_that_come_together_is_kept_too():
    owner(
        "INSERT INTO orders SELECT order_number, 'c50', store_number, channel, currency, ordered_at, "
        "'2017-03-05 12:00+00' FROM orders WHERE order_number = 'o7'"
    )
    ingest_day()
    assert found(
        "SELECT customer_id, known_until::date::text FROM core.known_orders WHERE order_id = 'o7' "
        "ORDER BY known_from"
    ) == [(person("c8"), "2017-03-05"), (person("c50"), "infinity")]


def test_a_rule_that_is_repaired_holds_for_the_past_too():
    owner("UPDATE products SET department = 'FUEL' WHERE product_number = 'p1'")
    ingest_day(as_of=DAY)
    owner("UPDATE products SET department = 'GROCERY' WHERE product_number = 'p1'")
    ingest_day(as_of="2017-03-04", since="2017-03-01")
    assert found("SELECT count(*) FROM core.past_states") == [(0,)]
    assert found("SELECT count(*) FROM core.known_order_lines WHERE NOT is_unit") == [(0,)]


def test_a_product_recorded_later_is_described_by_its_oldest_record():
    owner("UPDATE products SET updated_at = '2017-03-05 06:00+00' WHERE product_number <> 'p60'")
    ingest_day()
    customers, products, _ = known()
    assert set(products["product_id"]) == {"p1", "p2", "p3", "p60"}  # what was sold or known
    assert products.set_index("product_id").loc["p1", "department"] == "GROCERY"
    assert (customers["departments_13w"].dropna() <= 1).all()
    assert customers["departments_13w"].max() == 1
    with warehouse.connect() as conn:
        catalogue = warehouse.rows(
            conn, warehouse.sql("ml/recommendations_catalogue"), features.parameters(DAY)
        )
    assert {row[0] for row in catalogue} == {"p1", "p2", "p3", "p60"}


def test_a_newer_record_of_a_product_is_not_known_before_its_time():
    ingest_day(as_of=DAY)
    owner(
        "UPDATE products SET department = 'DELI', updated_at = '2017-03-05 06:00+00' "
        "WHERE product_number = 'p1'"
    )
    ingest_day(as_of="2017-03-05")
    assert known()[1].set_index("product_id").loc["p1", "department"] == "GROCERY"
    assert known("2017-03-05")[1].set_index("product_id").loc["p1", "department"] == "DELI"

"""What comes back within days was never bought: in core, as it was known, in whatever order of days."""

import pytest

from include import contracts, publication, warehouse
from include.steps import features
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
)

#: A large order of c4's, who has small ones beside it.
ORDER = (
    "INSERT INTO orders VALUES "
    "('big', 'c4', 's1', 'web', 'USD', '2017-03-03 09:00+00', '2017-03-03 09:00+00')",
    "INSERT INTO order_lines VALUES ('big', 1, 'p9', 40, 800, 20, 0, 0, '2017-03-03 09:00+00'), "
    "('big', 2, 'p10', 5, 50, 0, 0, 0, '2017-03-03 09:00+00')",
)
#: c4 thinks better of the first line after a quarter of an hour, and brings some of the second back later.
RETURNS = (
    "INSERT INTO returns VALUES ('r1', NULL, 'p9', 'c4', 40, 800, 'x', '2017-03-03 09:16+00'), "
    "('r2', NULL, 'p10', 'c4', 2, 20, 'x', '2017-03-05 10:00+00'), "
    "('r3', NULL, 'p60', 'c4', 1, 3, 'bought elsewhere', '2017-03-05 10:00+00')",
)
REST = "INSERT INTO returns VALUES ('r4', NULL, 'p10', 'c4', 3, 30, 'x', '2017-03-05 11:00+00')"


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    off = tuple(name for name in OFF if name != "returns")
    module_env.setenv("REGULARS_POLICY", str(policy_without(off, home / "policy.yml")))


@pytest.fixture(autouse=True)
def _fresh():
    fill_shop()
    empty_warehouse()
    owner(*ORDER, *RETURNS)


def hashes() -> dict[str, str]:
    names = ("order_lines", "orders", "returns", "cancellations")
    with warehouse.connect() as conn:
        return {n: publication.content_hash(conn, contracts.load("core", n)) for n in names}


def of_c4(day: str) -> tuple[int, float]:
    """Orders and spend that the features of a day count."""
    with warehouse.connect() as conn:
        frame = features.customers(conn, day)
        person = warehouse.value(
            conn, "SELECT customer_id::text FROM core.orders WHERE order_id = 'big'"
        )
    row = frame[frame["customer_id"].astype(str) == person].iloc[0]
    return int(row["orders_total"]), float(row["sales_total"])


def test_core_says_what_was_bought_what_was_cancelled_and_what_is_left():
    ingest_day()
    assert found(
        "SELECT line_number, quantity::int, sales::float, cancelled_quantity::int, cancelled_sales::float, "
        "net_quantity::int, net_sales::float FROM core.order_lines WHERE order_id = 'big' ORDER BY 1"
    ) == [(1, 40, 800.0, 40, 800.0, 0, 0.0), (2, 5, 50.0, 2, 20.0, 3, 30.0)]
    assert found(
        "SELECT cancelled_sales::float, cancelled_by, cancelled_at FROM core.orders WHERE order_id = 'big'"
    ) == [(820.0, ["r1", "r2"], None)]
    assert found("SELECT return_id, cancelled_quantity::int FROM core.returns ORDER BY 1") == [
        ("r1", 40), ("r2", 2), ("r3", None)
    ]  # fmt: skip
    # What was bought elsewhere is a return, the rest never was one.
    assert found("SELECT return_id, quantity::int, refund::float FROM core.known_returns") == [
        ("r3", 1, 3.0)
    ]
    assert found("SELECT count(*) FROM core.order_lines WHERE net_quantity <> quantity") == [(2,)]


def test_an_order_of_which_nothing_is_left_is_none():
    owner(REST)
    ingest_day()
    assert found(
        "SELECT cancelled_at::date::text, cancelled_by FROM core.orders WHERE order_id = 'big'"
    ) == [("2017-03-05", ["r1", "r2", "r4"])]
    assert found(
        "SELECT known_from::date::text, known_until::date::text FROM core.known_orders WHERE order_id = 'big'"
    ) == [("2017-03-03", "2017-03-05")]
    assert found(
        "SELECT count(*) FROM core.known_order_lines WHERE order_id = 'big' AND known_until = 'infinity'"
    ) == [(0,)]


def test_a_day_counts_what_was_known_on_it_whenever_it_is_built():
    owner(REST)
    ingest_day(as_of="2017-03-03", run_id="early")
    before = of_c4("2017-03-03")
    ingest_day(run_id="late")
    assert of_c4("2017-03-03") == before
    orders, sales = before
    later_orders, later_sales = of_c4("2017-03-05")
    # On 3 March the second line still stood, and the first was gone already.
    mine = (
        "SELECT count(*), sum(l.sales)::float FROM core.known_order_lines AS l JOIN core.orders AS o "
        "USING (order_id) WHERE l.known_until = 'infinity' AND o.customer_id = (SELECT customer_id "
        "FROM core.orders WHERE order_id = 'big') AND o.business_day <= '2017-03-03' AND order_id <> 'big'"
    )
    ((lines, small),) = found(mine)
    assert (orders, sales) == (lines // 3 + 1, (small or 0) + 50)
    assert later_sales == found(mine.replace("03-03'", "03-05'"))[0][1]
    assert later_orders == found(mine.replace("03-03'", "03-05'"))[0][0] // 3


def test_it_is_the_same_in_whatever_order_days_are_loaded():
    owner(REST)
    ingest_day()
    at_once = hashes()
    # Customers and products are of the first day: without them no other day has any.
    for order in ((1, 2, 3, 4, 5), (1, 5, 3, 2, 4)):
        empty_warehouse()
        for day in (f"2017-03-0{number}" for number in order):
            ingest_day(as_of=day, since=day, run_id=day)
        assert hashes() == at_once


def test_a_return_that_the_shop_takes_back_cancels_nothing():
    ingest_day(run_id="before")
    owner("DELETE FROM returns WHERE return_number = 'r1'")
    ingest_day(run_id="after")
    assert found(
        "SELECT line_number, cancelled_quantity::int, net_sales::float FROM core.order_lines "
        "WHERE order_id = 'big' ORDER BY 1"
    ) == [(1, None, 800.0), (2, 2, 30.0)]
    assert found("SELECT return_id FROM core.cancellations") == [("r2",)]

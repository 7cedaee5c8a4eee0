"""Orders without a customer: sold, counted in demand and popularity, told, and in nobody's history."""

from datetime import date
from decimal import Decimal

import pytest
import yaml

from include import warehouse
from include.console import data
from include.models.demand.cadence import Cadence
from include.steps import features, gate, product_rows, stock
from tests.sql.small_shop import (
    LAST,
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
)

GUESTS = """
INSERT INTO orders VALUES
    ('g1', NULL, 's1', 'web', 'USD', '2017-03-03 17:00+00', '2017-03-03 17:00+00'),
    ('g2', ' ', 's1', 'web', 'USD', '2017-03-04 17:00+00', '2017-03-04 17:00+00'),
    ('g3', 'ghost', 's1', 'web', 'USD', '2017-03-04 17:00+00', '2017-03-04 17:00+00')
"""
LINES = """
INSERT INTO order_lines VALUES
    ('g1', 1, 'p60', 4, 100.00, 0, 0, 0, '2017-03-03 17:00+00'),
    ('g2', 1, 'p60', 2, 50.00, 0, 0, 0, '2017-03-04 17:00+00'),
    ('g3', 1, 'p60', 1, 25.00, 0, 0, 0, '2017-03-04 17:00+00')
"""
RETURNS = """
INSERT INTO returns VALUES
    ('r1', 'g1', 'p60', NULL, 1, 25.00, NULL, '2017-03-05 17:00+00'),
    ('r2', 'o1', 'p1', '', 1, 2.50, NULL, '2017-03-05 17:00+00'),
    ('r3', 'o1', 'p1', 'ghost', 1, 2.50, NULL, '2017-03-05 17:00+00')
"""


@pytest.fixture(scope="module", autouse=True)
def planted(shop, warehouse, home, module_env):
    path = policy_without(OFF, home / "guests.yml")
    rules = yaml.safe_load(path.read_text())
    rules["ingest"]["sources"]["returns"] = True
    path.write_text(yaml.safe_dump(rules, sort_keys=False))
    module_env.setenv("REGULARS_POLICY", str(path))
    fill_shop()
    empty_warehouse()
    owner(GUESTS, LINES, RETURNS)
    ingest_day()


def test_they_are_published_with_an_empty_customer():
    assert found(
        "SELECT o.order_id, o.customer_id, o.guest, l.customer_id, l.sales, l.flags "
        "FROM core.orders AS o JOIN core.order_lines AS l USING (order_id) WHERE o.guest ORDER BY 1"
    ) == [
        ("g1", None, True, None, Decimal(100), ["no_customer"]),
        ("g2", None, True, None, Decimal(50), ["no_customer"]),
    ]
    assert found("SELECT guest, count(*), count(customer_id) FROM core.orders GROUP BY 1 ORDER BY 1") == [
        (False, 100, 100), (True, 2, 0),
    ]  # fmt: skip
    assert found("SELECT count(*) FROM core.order_lines WHERE NOT flags && '{no_customer}'") == [
        (300,)
    ]


def test_a_number_that_the_shop_does_not_know_is_no_guest():
    assert found(
        "SELECT table_name, row_key, reasons FROM quarantine.rejected_rows ORDER BY 1"
    ) == [
        ("core.order_lines", "g3 / 1", ["orphan_order"]),
        ("core.orders", "g3", ["orphan_customer"]),
        ("core.returns", "r3", ["orphan_customer"]),
    ]


def test_a_refund_without_a_customer_is_that_of_its_order():
    assert found(
        "SELECT return_id, r.guest, r.customer_id = o.customer_id, o.guest "
        "FROM core.returns AS r JOIN core.orders AS o USING (order_id) ORDER BY 1"
    ) == [("r1", True, None, True), ("r2", True, True, False)]


def test_the_share_of_lines_and_of_money_is_told():
    # 2 of 302 lines; 150 of 150 + 300 * 2.50 = 900.
    (told,) = found(
        "SELECT passed, severity, observed, unexpected_count, element_count, message "
        "FROM ops.quality_results WHERE check_name = 'with_customer'"
    )
    assert told[:5] == (False, "warning", "0.1667", 2, 302)
    assert "2 (0.7%, 16.7% of the money) are without a customer" in told[5]
    with warehouse.connect() as conn:
        assert [
            f.message for f in data.findings(conn, date(2017, 3, 5)) if f.check == "with_customer"
        ] == [told[5]]


def test_they_count_in_products_and_in_nobody_s_features():
    gate.gate(features.build({"as_of": LAST, "run_id": "run"}), rebuild=features.build)
    assert found(
        "SELECT units_13w, sales_13w, buyers_13w, orders_13w, repeat_buyer_share_13w "
        "FROM features.product_features WHERE product_id = 'p60'"
    ) == [(6, 150, 0, 2, None)]
    assert found(
        "SELECT count(*), count(customer_id), sum(orders_13w) FROM features.customer_features"
    ) == [(60, 60, 100)]


def test_they_count_in_demand_as_nobody_s():
    with warehouse.connect() as conn:
        asked = {"as_of": LAST, "end": "2017-03-06 05:00+00", "weeks": 4}
        sold = warehouse.frame(conn, warehouse.sql("queries/demand/sales"), asked)
        people = warehouse.frame(conn, warehouse.sql("queries/demand/customers"), asked)
        known, customers = stock.known(conn, LAST)
    assert (sold["units"].sum(), sold["sales"].sum()) == (305, 897.5), (
        "one piece was taken back within days"
    )
    assert sold.loc[sold["customer"] == 60, "units"].sum() == 6
    assert people["customer_id"].isna().tolist() == [False] * 60 + [True]
    assert (known.bought.nobody, known.bought.n_customers, len(customers)) == (60, 61, 61)
    assert known.panel.units.sum() == 305
    assert not stock.high_value(customers)[60]
    # Many people's purchases are nobody's habit.
    habits = Cadence(4).fit(known.bought, [known.panel.weeks])
    assert 60 not in habits.pair_customer_
    assert len(habits.pair_customer_) > 0


def test_they_count_in_what_is_popular_and_get_no_list():
    with warehouse.connect() as conn:
        bought, known = product_rows.load_purchases(conn, LAST)
        signals = warehouse.frame(
            conn,
            warehouse.sql("queries/recommend/signals"),
            product_rows.until(LAST) | {"days": 366},
        )
    item = list(known.item_ids).index("p60")
    assert len(bought.customer_ids) == 60
    assert not (bought.item == item).any()
    assert bought.of_nobody[:, [0, 2]].tolist() == [[item, 1], [item, 1]]
    assert signals["customer_id"].notna().all()
    assert len(bought.until(int(bought.of_nobody[:, 1].min())).of_nobody) == 1

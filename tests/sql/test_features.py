"""Features know what was known at the end of the day and nothing else; labels count what came after."""

import uuid

import pandas as pd
import pytest

from include import warehouse
from include.steps import features

DAY = "2017-06-30"
ANA, BEN, EVE = (uuid.UUID(int=number) for number in (1, 2, 3))

PAST = f"""
INSERT INTO core.stores (store_id, valid_from, known_at, region)
VALUES ('n', '2017-01-01', '2017-01-01', 'north'), ('s', '2017-01-01', '2017-01-01', 'south');
INSERT INTO core.customers (customer_id, account_id, valid_from, known_at, registered_at,
    home_store_id)
VALUES ('{ANA}', '{ANA}', '2017-01-01', '2017-01-01', '2017-01-01', 'n'),
       ('{BEN}', '{BEN}', '2017-01-01', '2017-01-01', '2017-01-01', 'n');
INSERT INTO core.products
    (product_id, valid_from, known_at, name, department, category, type, brand, active, is_unit)
VALUES ('p1', '2017-01-01', '2017-01-01', 'Cake', 'GROCERY', 'CAKE', 'CAKE', 'National', true, true),
       ('p2', '2017-01-01', '2017-01-01', 'Tea', 'GROCERY', 'TEA', 'TEA', 'Private', true, true);
"""

#: Rows that a run for DAY must not see: what happened later, and who and what was known only later.
FUTURE = f"""
INSERT INTO core.stores (store_id, valid_from, known_at, region)
VALUES ('n', '2017-07-02', '2017-07-02', 'west');
INSERT INTO core.customers (customer_id, account_id, valid_from, known_at, registered_at,
    home_store_id)
VALUES ('{EVE}', '{EVE}', '2017-07-01 05:00+00', '2017-07-01 05:00+00', '2017-07-01 05:00+00', 's'),
       ('{ANA}', '{ANA}', '2017-07-02', '2017-07-02', '2017-01-01', 's');
INSERT INTO core.products
    (product_id, valid_from, known_at, name, department, category, type, brand, active, is_unit)
VALUES ('p1', '2017-07-02', '2017-07-02', 'Gas', 'FUEL', 'GAS', 'GAS', 'Private', false, false);
INSERT INTO core.events (event_id, customer_id, product_id, event_type, occurred_at, business_day)
VALUES (1, '{ANA}', 'p1', 'browse', '2017-07-01 06:00+00', '2017-07-01');
INSERT INTO core.reviews (review_id, customer_id, product_id, rating, body, written_at, business_day)
VALUES (1, '{ANA}', 'p1', 1, 'Bad.', '2017-07-01 06:00+00', '2017-07-01');
"""


def order(number: str, customer: uuid.UUID, day: str, *lines: tuple[str, str]) -> None:
    """One order at noon of a day, with (product, sales) lines."""
    stamp = f"{day} 16:00+00"
    with warehouse.connect() as conn:
        warehouse.execute(
            conn,
            "INSERT INTO core.orders (order_id, customer_id, store_id, channel, currency, ordered_at, "
            "business_day, known_at, guest) "
            "VALUES (%(o)s, %(c)s, 's1', 'till', 'USD', %(t)s, %(d)s, %(t)s, false)",
            {"o": number, "c": customer, "t": stamp, "d": day},
        )
        for place, (product, sales) in enumerate(lines, start=1):
            warehouse.execute(
                conn,
                "INSERT INTO core.order_lines (order_id, line_number, customer_id, product_id, store_id, "
                "business_day, ordered_at, quantity, sales, retail_discount, coupon_discount, "
                "coupon_match_discount, is_unit, flags) VALUES (%(o)s, %(n)s, %(c)s, %(p)s, 's1', %(d)s, "
                "%(t)s, 1, %(s)s, 0, 0, 0, true, '{}')",
                {
                    "o": number,
                    "n": place,
                    "c": customer,
                    "p": product,
                    "d": day,
                    "t": stamp,
                    "s": sales,
                },
            )


@pytest.fixture(scope="module")
def past(request) -> None:
    request.getfixturevalue("warehouse")
    with warehouse.connect() as conn:
        warehouse.execute(conn, PAST)
    order("a1", ANA, "2017-06-01", ("p1", "10.00"), ("p2", "5.00"))
    order("a2", ANA, "2017-06-15", ("p1", "10.00"))
    order("a3", ANA, "2017-06-15", ("p1", "10.00"))  # equal to a2: it counts all the same
    order("b1", BEN, "2017-02-01", ("p2", "400.00"))


def known() -> pd.DataFrame:
    with warehouse.connect() as conn:
        return features.customers(conn, DAY).set_index("customer_id")


def test_what_was_bought_is_counted(past):
    ana, ben = known().loc[str(ANA)], known().loc[str(BEN)]
    assert ana["sales_total"] == 35
    assert ana["orders_total"] == 3
    assert ana["order_days_total"] == 2
    assert ana["recency_days"] == 15
    assert ana["sales_13w"] == 35
    assert ben["sales_13w"] == 0
    assert ben["sales_total"] == 400


def test_no_feature_moves_when_the_future_comes(past):
    with warehouse.connect() as conn:
        customers, products = features.customers(conn, DAY), features.products(conn, DAY)
        warehouse.execute(conn, FUTURE)
    order("a4", ANA, "2017-07-01", ("p1", "999.00"))
    order("b2", BEN, "2017-07-20", ("p2", "7.00"))
    order("b3", BEN, "2017-07-20", ("p2", "7.00"))
    with warehouse.connect() as conn:
        pd.testing.assert_frame_equal(features.customers(conn, DAY), customers)
        pd.testing.assert_frame_equal(features.products(conn, DAY), products)
        later = features.customers(conn, "2017-07-01").set_index("customer_id")
    assert later.loc[str(ANA), "sales_total"] == 1034  # the day after sees it


def test_labels_count_what_came_strictly_after_and_equal_orders_twice(past):
    with warehouse.connect() as conn:
        after = features.outcomes(conn, DAY, 91, "2017-09-29").set_index("customer_id")
        nothing = features.outcomes(conn, "2017-07-20", 91, "2017-10-19")
    assert after.loc[str(ANA), "spend"] == 999
    # Four hundred long ago and little since: the label is the little.
    assert after.loc[str(BEN), "spend"] == 14
    assert after.loc[str(BEN), "orders"] == 2
    assert after.loc[str(BEN), "days_to_next_order"] == 20
    assert nothing.empty


def test_spend_of_a_window_is_brought_to_13_weeks_by_the_days_that_the_shop_has_had(past):
    """The first order is of 1 February, 150 days with DAY: a longer window is divided by those."""
    with warehouse.connect() as conn:
        found = {weeks: features.spend(conn, DAY, weeks) for weeks in (13, 21, 22, 52)}
    spent = {
        weeks: dict(zip(rows["customer_id"], rows["spend"], strict=True))
        for weeks, rows in found.items()
    }
    ana, ben = str(ANA), str(BEN)
    assert spent[13] == {ana: 35}
    # 21 weeks begin on 4 February, three days too late for Ben; 22 reach beyond the first order.
    assert spent[21] == {ana: pytest.approx(35 * 91 / 147)}
    assert spent[22] == {ana: pytest.approx(35 * 91 / 150), ben: pytest.approx(400 * 91 / 150)}
    assert spent[52] == spent[22]

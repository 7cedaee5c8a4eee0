"""What yesterday's stock priorities do to today's campaigns, on a real warehouse."""

from types import SimpleNamespace
from typing import Any

import pytest

from include import policy, warehouse
from include.steps import product_rows
from tests.sql import planted
from tests.sql.planted import DAY, fill, person

pytestmark = pytest.mark.usefixtures("warehouse")

YESTERDAY, EARLIER = "2017-09-30", "2017-09-29"
MORE = ("core.events", "core.order_lines", "core.stock_levels", "marketing.stock_priorities")


@pytest.fixture
def conn(warehouse, monkeypatch):
    from include.warehouse import connect, execute

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        execute(opened, f"TRUNCATE {', '.join(MORE)}")
        planted.people(opened, [1, 2], segment="regular")
        planted.people(opened, [3], segment="vip")
        execute(
            opened,
            "INSERT INTO core.stores (store_id, valid_from, known_at, region) VALUES "
            "('n', '2017-01-01', '2017-01-01', 'north') ON CONFLICT DO NOTHING; "
            "UPDATE core.customers SET home_store_id = 'n'",
        )
        execute(
            opened,
            "UPDATE marketing.customer_segments SET value_tier = "
            "CASE WHEN segment = 'vip' THEN 'high' ELSE 'low' END",
        )
        start = "2017-01-01T06:00Z"
        fill(opened, "core.products", [
            {"product_id": n, "name": f"Product {n}", "active": True, "valid_from": start, "known_at": start}
            for n in ("7", "8")
        ])  # fmt: skip
        yield opened


def priority(conn, product, promote_to, day=YESTERDAY, region="north"):
    fill(conn, "marketing.stock_priorities", [
        {"as_of": day, "region": region, "product_id": product, "promote_to": promote_to}
    ])  # fmt: skip


def decided(conn, campaign):
    conn.commit()
    planted.decide()
    return {
        int(external): (decision, reason)
        for external, decision, reason in warehouse.rows(
            conn,
            "SELECT external_id, decision, decision_reason FROM marketing.decisions "
            "WHERE as_of = %(day)s AND campaign = %(campaign)s",
            {"day": DAY, "campaign": campaign},
        )
    }


def put_into_cart(conn, numbers):
    fill(conn, "core.events", [
        {"event_id": n, "customer_id": person(n), "product_id": "7", "event_type": "cart",
         "occurred_at": "2017-09-30T12:00Z", "business_day": "2017-09-30"}
        for n in numbers
    ])  # fmt: skip


def test_what_is_kept_for_high_value_customers_is_offered_to_nobody_else(conn):
    put_into_cart(conn, [1, 3])
    priority(conn, "7", "high_value")
    found = decided(conn, "abandoned_cart")
    assert found[1] == ("suppress", "kept_for_high_value")
    assert found[3][1] != "kept_for_high_value"


def test_lists_keep_to_the_priorities_of_the_day_before(conn):
    priority(conn, "7", "high_value")
    priority(conn, "7", "everybody", region="south")
    priority(conn, "8", "high_value", day=DAY)
    priority(conn, "8", "clear")
    known: Any = SimpleNamespace(item_ids=["7", "8"])
    shelf = product_rows.shelf(conn, DAY, known, ["north", "south"])
    # Regions north, south and unknown, by products 7 and 8.
    assert shelf.kept_back.tolist() == [[True, False], [False, False], [False, False]]


@pytest.mark.parametrize(("hour", "seen"), [(1, True), (3, False)], ids=["before", "after"])
def test_a_day_run_again_sees_the_priorities_that_it_saw_the_first_time(conn, hour, seen):
    priority(conn, "7", "high_value")
    batch = {"since": DAY, "run_id": "r", "opened_at": "2017-10-02T02:00Z", "staged": False}
    scored = batch | {"dataset": "scores", "as_of": DAY}
    fill(conn, "ops.batches", [
        batch | {"token": 901, "dataset": "stock_priorities", "as_of": "2017-09-30",
                 "since": "2017-09-30", "published_at": f"2017-10-02T{hour:02}:00Z"},
        scored | {"token": 902, "published_at": "2017-10-02T02:30Z"},
        scored | {"token": 903, "opened_at": "2017-10-05T02:00Z"},
    ])  # fmt: skip
    known: Any = SimpleNamespace(item_ids=["7"])
    shelf = product_rows.shelf(conn, DAY, known, ["north"])
    conn.rollback()  # the other tests have batches of their own
    assert shelf.kept_back[0].tolist() == [seen]


def test_priorities_of_another_day_or_region_hold_nothing_back(conn):
    put_into_cart(conn, [1])
    priority(conn, "7", "high_value", day=EARLIER)
    priority(conn, "7", "high_value", day=DAY)
    priority(conn, "7", "high_value", region="south")
    assert decided(conn, "abandoned_cart")[1][1] != "kept_for_high_value"


def test_overstock_is_a_candidate_for_who_buys_it(conn):
    fill(conn, "core.order_lines", [
        {"order_id": f"{n}-{day}", "line_number": 1, "customer_id": person(n), "product_id": "8",
         "quantity": 1, "business_day": day, "ordered_at": f"{day}T15:00Z"}
        for n, days in ((1, ("2017-08-01", "2017-09-01")), (2, ("2017-09-01",)))
        for day in days
    ])  # fmt: skip
    priority(conn, "8", "clear")
    found = decided(conn, "overstock")
    assert set(found) == {1}
    subject = warehouse.value(
        conn, "SELECT about FROM marketing.decisions WHERE campaign = 'overstock'"
    )
    assert subject is None or "8" in subject

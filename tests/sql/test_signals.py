"""What a campaign may answer, on a real warehouse: only what was known by the end of the day, and stands."""

import pytest

from include import as_of, policy, warehouse
from include.steps import activate
from tests.sql import planted
from tests.sql.planted import DAY, person

pytestmark = pytest.mark.usefixtures("warehouse")

LATE = "2017-10-02T05:00Z"  # after the end of 1 October in New York


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        planted.people(opened, range(1, 8), segment="regular")
        planted.fill(
            opened,
            "core.products",
            [
                {
                    "product_id": name, "name": f"Product {name}", "active": name != "off",
                    "valid_from": "2017-01-01T05:00Z", "known_at": "2017-01-01T05:00Z",
                }
                for name in ("p1", "p2", "off")
            ],
        )  # fmt: skip
        set_region(
            opened,
            "INSERT INTO core.stores (store_id, valid_from, known_at, region) VALUES "
            "('n', '2017-01-01', '2017-01-01', 'north') ON CONFLICT DO NOTHING; "
            "UPDATE core.customers SET home_store_id = 'n'",
        )
        opened.commit()
        yield opened


def set_region(conn, statement):
    return warehouse.execute(conn, statement)


def event(number, customer, kind, day, product="p1", at="15:00Z"):
    return {
        "event_id": number, "customer_id": person(customer), "product_id": product,
        "event_type": kind, "occurred_at": f"{day}T{at}", "business_day": day,
    }  # fmt: skip


def line(number, customer, day, sales, product="p1", at="16:00Z", quantity=1):
    return {
        "order_id": f"o{number}", "line_number": 1, "customer_id": person(customer),
        "product_id": product, "business_day": day, "ordered_at": f"{day}T{at}",
        "quantity": quantity, "sales": sales, "is_unit": True,
    }  # fmt: skip


def signals(conn):
    """Customer, campaign, key, number, both prices and whether it is in stock, of each signal."""
    conn.commit()
    found = activate.read_inputs(conn, policy.load(), as_of.parse(DAY)).signals
    columns = ["customer_id", "campaign", "key", "number", "price_now", "price_before", "in_stock"]
    told = found.reindex(columns=columns).round(2).astype(object)
    return sorted(told.where(told.notna(), None).itertuples(index=False, name=None))


def test_what_was_bought_since_was_not_left_behind(conn):
    planted.fill(
        conn,
        "core.events",
        [
            event(1, 1, "cart", DAY),
            event(2, 2, "cart", DAY),
            event(3, 3, "browse", "2017-09-29"),
            event(4, 3, "browse", DAY),
            event(5, 4, "cart", "2017-09-28"),
            event(6, 5, "cart", "2017-10-02"),
            event(7, 6, "follow", DAY),
            event(8, 7, "cart", DAY, product="off"),
        ],
    )
    planted.fill(
        conn, "core.order_lines", [line(1, 2, DAY, 3.0), line(2, 1, DAY, 3.0, at="14:00Z")]
    )
    assert signals(conn) == [
        (person(1), "abandoned_cart", "p1", 1.0, None, None, True),
        (person(3), "abandoned_browse", "p1", 2.0, None, None, True),
        (person(7), "abandoned_cart", "off", 1.0, None, None, False),
    ]


def test_nothing_sensitive_is_a_signal(conn, monkeypatch, tmp_path):
    """By the rules of the recommendation lists: of one rule everything must fit, of several any one may."""
    kinds = {
        "s1": {"category": "PHARMACY"},
        "s2": {"type": "T", "manufacturer_id": "7"},
        "s3": {"type": "T", "manufacturer_id": "8"},
        "s4": {},
    }
    planted.fill(
        conn,
        "core.products",
        [
            {"product_id": name, "name": name, "active": True, "category": None, "type": None,
             "manufacturer_id": None, "valid_from": "2017-01-01T05:00Z",
             "known_at": "2017-01-01T05:00Z"} | kind
            for name, kind in kinds.items()
        ],
    )  # fmt: skip
    planted.fill(
        conn,
        "core.events",
        [event(n, n, "cart", DAY, product) for n, product in enumerate(kinds, start=1)]
        + [event(5, 1, "browse", DAY, "p1"), event(6, 6, "wishlist", DAY, "s1")],
    )
    planted.fill(
        conn,
        "core.order_lines",
        [line(n, 7, f"2017-09-{10 + n}", 5.0, "s1") for n in range(3)]
        + [line(9, 7, "2017-09-30", 2.0, "s1")],
    )
    review = {"review_id": 1, "customer_id": person(5), "product_id": "s1", "rating": 1}
    planted.fill(
        conn, "core.reviews", [review | {"written_at": f"{DAY}T12:00Z", "business_day": DAY}]
    )
    shipped = [
        ("abandoned_browse", "p1"), ("abandoned_cart", "s2"), ("abandoned_cart", "s3"),
        ("abandoned_cart", "s4"),
    ]  # fmt: skip
    assert sorted(row[1:3] for row in signals(conn)) == shipped
    rules = policy.DEFAULT_PATH.read_text(encoding="utf-8").replace(
        "    - name: nothing_that_reveals\n",
        "    - {name: one_maker, rule: sensitive, products: {types: [T], manufacturers: ['7']}}\n"
        "    - name: nothing_that_reveals\n",
    )
    (tmp_path / "policy.yml").write_text(rules, encoding="utf-8")
    monkeypatch.setenv("REGULARS_POLICY", str(tmp_path / "policy.yml"))
    assert sorted(row[1:3] for row in signals(conn)) == [
        ("abandoned_browse", "p1"), ("abandoned_cart", "s3"), ("abandoned_cart", "s4"),
    ]  # fmt: skip


def test_stock_of_the_region_decides_by_its_newest_count(conn):
    planted.fill(conn, "core.events", [event(1, 1, "cart", DAY), event(2, 2, "cart", DAY, "p2")])
    planted.fill(
        conn,
        "core.stock_levels",
        [
            {"region": region, "product_id": product, "on_hand": on_hand,
             "counted_at": f"{day}T10:00Z", "business_day": day}
            for region, product, on_hand, day in [
                ("north", "p1", 9, "2017-09-18"), ("north", "p1", 0, "2017-09-25"),
                ("south", "p1", 9, "2017-09-26"), ("north", "p2", 0, "2017-09-18"),
                ("north", "p2", 1, "2017-09-25"), ("north", "p2", 0, "2017-10-02"),
            ]
        ],
    )  # fmt: skip
    assert [(row[2], row[6]) for row in signals(conn)] == [("p1", False), ("p2", True)]


def test_a_price_drop_compares_what_was_paid(conn):
    planted.fill(
        conn,
        "core.events",
        [event(1, 1, "follow", "2017-08-01"), event(2, 2, "wishlist", DAY, "p2"),
         event(3, 3, "follow", "2017-07-01"), event(4, 4, "browse", "2017-09-01")],
    )  # fmt: skip
    before = [line(n, 5, f"2017-09-{n:02d}", 2.0) for n in (10, 11, 12)]
    dearer = [line(20 + n, 5, f"2017-09-{n:02d}", 2.0, "p2") for n in (10, 11)]
    now = [line(40, 5, "2017-09-30", 3.0, quantity=2), line(41, 5, DAY, 1.0, "p2")]
    planted.fill(conn, "core.order_lines", before + dearer + now)
    assert signals(conn) == [(person(1), "price_drop", "p1", None, 1.5, 2.0, True)]


def test_reviews_are_known_by_their_day(conn):
    planted.fill(
        conn,
        "core.reviews",
        [
            {"review_id": n, "customer_id": person(n), "product_id": "p1", "rating": rating,
             "written_at": f"{day}T15:00Z", "business_day": day}
            for n, rating, day in [(1, 5, DAY), (2, 1, "2017-09-28"), (3, 4, "2017-09-27"),
                                   (4, 2, "2017-10-02")]
        ],
    )  # fmt: skip
    assert [row[:4] for row in signals(conn)] == [
        (person(1), "review_thanks", "1", 5.0),
        (person(2), "service_recovery", "2", 1.0),
    ]
    planted.fill(
        conn,
        "core.mentions",
        [
            {"mention_id": n, "customer_id": person(n), "sentiment": mood,
             "posted_at": f"{DAY}T15:00Z", "business_day": DAY}
            for n, mood in [(5, -0.8), (6, -0.2), (7, None)]
        ],
    )  # fmt: skip
    conn.commit()
    inputs = activate.read_inputs(conn, policy.load(), as_of.parse(DAY))
    complained = inputs.customers.set_index("customer_id")["complained_on"].dropna()
    assert list(complained.index) == [person(2), person(5)]


def test_events_and_returns_and_first_orders_reach_the_decision(conn):
    planted.fill(
        conn,
        "core.member_events",
        [
            {"event_id": name, "name": name, "region": region, "starts_on": day, "ends_on": day,
             "known_at": known, "cancelled": cancelled}
            for name, region, day, known, cancelled in [
                ("open", None, "2017-10-08", "2017-09-01T12:00Z", False),
                ("off", None, "2017-10-08", "2017-09-01T12:00Z", True),
                ("unknown", "north", "2017-10-07", LATE, False),
                ("past", None, DAY, "2017-09-01T12:00Z", False),
            ]
        ],
    )  # fmt: skip
    planted.fill(
        conn,
        "core.returns",
        [{"return_id": "r1", "customer_id": person(1), "product_id": "p1", "quantity": 1,
          "returned_at": f"{DAY}T15:00Z", "business_day": DAY}],
    )  # fmt: skip
    planted.fill(
        conn,
        "features.customer_features",
        [
            {
                "as_of": DAY,
                "customer_id": person(2),
                "orders_total": 1,
                "first_order_day": "2017-09-20",
            }
        ],
    )
    conn.commit()
    inputs = activate.read_inputs(conn, policy.load(), as_of.parse(DAY))
    assert list(inputs.signals["key"]) == ["open"]
    known = inputs.customers.set_index("customer_id")
    assert list(known["returned_on"].dropna().index) == [person(1)]
    assert known.loc[person(2), "orders_total"] == 1
    assert str(known["first_order_day"][person(2)])[:10] == "2017-09-20"
    planted.decide()
    decided = warehouse.rows(
        conn,
        "SELECT campaign, decision_reason <> 'control_group' FROM marketing.decisions "
        "WHERE customer_id = %(who)s",
        {"who": person(2)},
    )
    assert [name for name, _ in decided] == ["second_purchase"]

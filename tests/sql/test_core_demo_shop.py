"""The demo shop in a database of its own: complete, as its source says, once, and nobody else's."""

import psycopg2
import pytest

from include import warehouse
from include.demo_shop.load import TABLES, is_outdated, load
from include.errors import BadInput, Unreachable

#: The source's own row counts, and what its documentation promises of the content.
REAL = {
    "order_lines": 1_469_307,
    "orders": 155_848,
    "products": 92_331,
    "customers": 2_469,
    "stores": 457,
    "campaigns": 27,
    "exposures": 6_589,
    "coupons": 116_204,
    "redemptions": 2_102,
    "promotions": 164_929,
}


@pytest.fixture(scope="module")
def loaded(shop: dict[str, str]) -> dict[str, int]:
    told: list[str] = []
    rows = load(shop["shop_owner"], told.append)
    assert any(text.startswith("order_lines: 65,536 of 1,469,307") for text in told)
    return rows


def found(statement: str) -> list[tuple[object, ...]]:
    with warehouse.connect("shop") as conn:  # the reader
        return warehouse.rows(conn, statement)


def test_every_table_holds_what_the_load_says(loaded):
    assert set(loaded) == set(TABLES)
    for table, rows in loaded.items():
        assert found(f"SELECT count(*) FROM {table}") == [(rows,)]
        assert rows == REAL.get(table, rows)


def test_the_real_facts_hold(loaded):
    lines = found(
        "SELECT sum(sales_value), count(*) FILTER (WHERE sales_value = 0), "
        "count(*) FILTER (WHERE quantity = 0), min(quantity), min(sales_value), "
        "count(*) FROM order_lines"
    )[0]
    assert float(str(lines[0])) == pytest.approx(4_596_039.58)
    assert lines[1:6] == (11_226, 8_869, 0, 0, 1_469_307)
    assert found(
        "SELECT count(*) FROM (SELECT FROM order_lines GROUP BY order_number "
        "HAVING max(line_number) <> count(*) "
        "OR sum(line_number) <> count(*) * (count(*) + 1) / 2) AS gaps_or_doubles"
    ) == [(0,)]
    days = found(
        "SELECT count(DISTINCT (ordered_at AT TIME ZONE 'America/New_York')::date), "
        "min((ordered_at AT TIME ZONE 'America/New_York')::date)::text, "
        "max((ordered_at AT TIME ZONE 'America/New_York')::date)::text FROM orders"
    )[0]
    assert days == (364, "2017-01-01", "2017-12-31")  # closed on 25 December


def test_nothing_is_stamped_before_the_shop_opens(loaded):
    for table, column in (
        ("customers", "updated_at"), ("products", "updated_at"), ("contact_points", "updated_at"),
        ("consents", "recorded_at"), ("events", "occurred_at"), ("reviews", "written_at"),
        ("stock_levels", "counted_at"), ("campaigns", "updated_at"), ("coupons", "updated_at"),
        ("exposures", "exposed_at"), ("redemptions", "redeemed_at"), ("stores", "updated_at"),
        ("promotions", "updated_at"), ("accounts", "updated_at"), ("deliveries", "delivered_at"),
        ("returns", "returned_at"), ("mentions", "posted_at"), ("member_events", "updated_at"),
    ):  # fmt: skip
        statement = f"SELECT min({column}) >= '2017-01-01 05:00+00' FROM {table}"
        assert found(statement) == [(True,)], table


def test_customers_are_known_before_what_they_do(loaded):
    for table, column in (
        ("orders", "ordered_at"), ("exposures", "exposed_at"), ("redemptions", "redeemed_at"),
        ("events", "occurred_at"), ("reviews", "written_at"), ("consents", "recorded_at"),
        ("contact_points", "updated_at"), ("deliveries", "delivered_at"), ("returns", "returned_at"),
    ):  # fmt: skip
        assert found(
            f"SELECT count(*) FROM {table} AS t LEFT JOIN customers AS c USING (customer_number) "
            f"WHERE c.registered_at IS NULL OR c.registered_at > t.{column}"
        ) == [(0,)], table


def test_a_redemption_falls_on_a_basket(loaded):
    assert found(
        "SELECT count(*) FROM redemptions AS r WHERE NOT EXISTS (SELECT 1 FROM orders AS o "
        "WHERE o.customer_number = r.customer_number AND o.ordered_at = r.redeemed_at)"
    ) == [(0,)]


def test_returns_and_deliveries_are_of_orders_that_were_placed(loaded):
    assert found(
        "SELECT count(*) FROM returns AS r LEFT JOIN order_lines AS l "
        "ON l.order_number = r.order_number AND l.product_number = r.product_number "
        "WHERE l.ordered_at IS NULL OR l.ordered_at >= r.returned_at OR r.quantity > l.quantity "
        "OR r.refund > l.sales_value"
    ) == [(0,)]
    assert found(
        "SELECT count(*) FROM deliveries AS d LEFT JOIN orders AS o USING (order_number) "
        "WHERE o.channel IS DISTINCT FROM 'web' OR o.ordered_at >= d.delivered_at "
        "OR o.customer_number <> d.customer_number"
    ) == [(0,)]
    assert 10_000 < loaded["returns"] < 16_000
    assert 10_000 < loaded["deliveries"] < 20_000


def test_mentions_come_from_known_and_unknown_handles(loaded):
    share = found(
        "SELECT count(a.handle)::float / count(*) FROM mentions AS m LEFT JOIN accounts AS a USING (handle)"
    )[0][0]
    assert 4_000 < loaded["mentions"] < 9_000
    assert 0.2 < float(str(share)) < 0.4


def test_what_is_generated_is_marked(loaded):
    marked = {
        name
        for (name,) in found(
            "SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_description AS d "
            "JOIN pg_class AS c ON c.oid = d.objoid "
            "LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = nullif(d.objsubid, 0) "
            "WHERE d.description LIKE 'generated:%'"
        )
    }
    assert {"contact_points", "consents", "events", "reviews", "stock_levels", "accounts", "deliveries",
            "returns", "mentions", "member_events"} <= marked  # fmt: skip
    assert {
        "customers.birthday",
        "customers.store_distance_km",
        "orders.channel",
        "products.unit_margin",
        "stores.region",
    } <= marked
    assert not {"orders", "order_lines", "products", "customers", "coupons"} & marked


def test_a_second_load_finds_it_there(loaded, shop):
    told: list[str] = []
    assert load(shop["shop_owner"], told.append) == loaded
    assert told == [f"the demo shop is there: {sum(loaded.values()):,} rows"]


def test_only_a_demo_shop_of_another_edition_is_outdated(loaded, shop, warehouse, monkeypatch):
    assert not is_outdated(shop["shop_owner"])
    monkeypatch.setattr("include.demo_shop.load.edition", lambda: "next")
    assert is_outdated(shop["shop_owner"])
    assert not is_outdated(warehouse["warehouse"])


def test_a_shop_of_another_edition_is_made_anew_or_not_at_all(loaded, shop, monkeypatch):
    monkeypatch.setattr("include.demo_shop.load.edition", lambda: "next")
    monkeypatch.setattr("include.demo_shop.load._fill", _fail)
    with pytest.raises(RuntimeError):
        load(shop["shop_owner"])
    assert found("SELECT count(*) FROM order_lines") == [(loaded["order_lines"],)]


def _fail(*arguments: object) -> None:
    raise RuntimeError("the machine stopped")


def test_tables_of_somebody_else_are_left_alone(server):
    urls = server.create("shop", "strangers_shop")
    try:
        conn = psycopg2.connect(urls["shop_owner"])
        with conn, conn.cursor() as cursor:
            cursor.execute("DROP TABLE demo_shop_load")
        conn.close()
        with pytest.raises(BadInput, match="tables that it did not make"):
            load(urls["shop_owner"])
    finally:
        server.drop("strangers_shop")


def test_a_server_that_is_not_there_is_said_so():
    with pytest.raises(Unreachable, match="Expected to reach the demo shop's database"):
        load("postgresql://shop@127.0.0.1:9/shop")


def test_mailers_are_those_of_the_source(loaded):
    weeks = found(
        "SELECT count(DISTINCT starts_on), min(starts_on)::text, max(starts_on)::text FROM promotions"
    )
    assert weeks == [(53, "2016-12-26", "2017-12-25")]
    assert found(
        "SELECT min(extract(isodow FROM starts_on)) = 1 AND max(extract(isodow FROM starts_on)) = 1 "
        "AND min(stores_in_mailer) > 0 AND max(stores_in_mailer) <= 1 FROM promotions"
    ) == [(True,)]
    # Planned eight weeks ahead: known on the Monday morning 56 days before.
    late = "updated_at AT TIME ZONE 'America/New_York' > starts_on - 55"
    assert found(f"SELECT count(*) FROM promotions WHERE starts_on > '2017-03-01' AND {late}") == [
        (0,)
    ]

"""A WooCommerce shop in MariaDB, by the folder of SELECTs as it is shipped: to the cent up to core."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import yaml

from benchmarks._mariadb import MariaDB
from include import contracts
from include.errors import BadInput, Unreachable
from include.launcher.servers.state import ROOT
from include.sources.mysql import source as mysql
from include.sources.shop import FUTURE
from tests.faults.proxy import cutting
from tests.sql.small_shop import empty_warehouse, found, ingest_day, nothing_changes
from tests.sql.woocommerce import Order, shop

PREFIX = "shop1_"
WINDOW = datetime(2017, 3, 1, tzinfo=UTC), datetime(2017, 4, 1, tzinfo=UTC)
ANA, BEN, GUEST = 17, 18, "guest@mail.example"
NO_ORDERS = ("wc-pending", "wc-failed", "wc-cancelled", "trash", "wc-checkout-draft")

ORDERS = [
    # Two lines: a coupon of 10% on the first; the price of the second holds 21% of tax and is no round sum.
    Order(201, "2017-03-01 09:00:00",
          [(1, 101, "2", "9.00", "8.10", "1.54"), (2, 106, "1", "8.264463", "8.264463", "1.735537")],
          user=ANA, email="ana@mail.example", total="22.64", shipping="3.00"),
    # Placed at 23:30 UTC, which is tomorrow in Berlin, and at a till.
    Order(202, "2017-03-01 23:30:00", [(3, 103, "3", "30.00", "30.00", "0")],
          user=BEN, total="30.00", via="pos-rest-api"),
    Order(203, "2017-03-02 10:00:00",
          [(4, 102, "1", "10.00", "10.00", "0"), (5, 103, "1", "10.00", "10.00", "0"),
           (6, 101, "1", "10.00", "10.00", "0")],
          email=GUEST, name=("Zoë 🎂", "O'Neil"), total="35.00", shipping="5.00"),
    Order(204, "2017-03-03 10:00:00", [(7, 101, "1.5", "6.00", "6.00", "0")],
          email=" Guest@Mail.example", total="6.00"),
    Order(205, "2017-03-03 11:00:00", [(8, 101, "1", "4.00", "4.00", "0")],
          user=BEN, currency="USD", total="4.00"),
    Order(206, "2017-03-05 08:00:00", [(9, 101, "1", "5.00", "5.00", "0")], user=ANA, total="5.00"),
    # No orders: not paid, failed, cancelled, thrown away, a basket.
    *(Order(210 + n, "2017-03-03 12:00:00", [(20 + n, 101, "1", "99.00", "99.00", "0")], user=ANA,
            status=status)
      for n, status in enumerate(NO_ORDERS)),
    # One of Ben's three cakes comes back, and then everything else of that order is paid back at once.
    Order(301, "2017-03-03 09:00:00", [(31, 103, "-1", "-10.00", "-10.00", "0")],
          total="-10.00", refund_of=202, items_of={31: 3}, reason="crumbled"),
    Order(302, "2017-03-04 09:00:00", total="-20.00", refund_of=202, reason="Order fully refunded."),
    # Half the price of a shirt, which stays; and postage, which is no article.
    Order(303, "2017-03-04 10:00:00", [(32, 106, "0", "-4.13", "-4.13", "-0.87")],
          total="-5.00", refund_of=201, items_of={32: 2}),
    Order(304, "2017-03-04 11:00:00", total="-3.00", refund_of=201, shipping="-3.00"),
    # 5.00 of 35.00, of which 30.00 are articles: 4.29 in three parts, so that one is a cent more or less.
    Order(305, "2017-03-05 09:00:00", total="-5.00", refund_of=203),
    # All of an order without a word of its articles, whose amounts are no round sums.
    Order(306, "2017-03-05 09:00:00", total="-7.00", refund_of=207),
    Order(207, "2017-03-04 08:00:00",
          [(41, 101, "1", "1.652893", "1.652893", "0.347107"),
           (42, 102, "1", "4.132231", "4.132231", "0.867769")],
          user=ANA, total="7.00"),
]  # fmt: skip


@pytest.fixture(scope="module")
def policy_file(home, module_env) -> Any:
    """The policy as docs/own-shop.md shows it."""
    rules = yaml.safe_load((ROOT / "config" / "policy.yml").read_text())
    rules["shop"] |= {
        "source": "woocommerce",
        "timezone": "Europe/Berlin",
        "currency": "EUR",
        "opened_on": date(2017, 3, 1),
        "clock": None,
    }
    rules["models"]["anchor_start"] = date(2017, 3, 1)
    page = (ROOT / "docs" / "own-shop.md").read_text()
    (shown,) = re.findall(
        r"```yaml\n(ingest:\n  sources:\n    customers: .*?)```", page, flags=re.DOTALL
    )
    on = yaml.safe_load(shown)["ingest"]["sources"]
    rules["ingest"]["sources"] = dict.fromkeys(rules["ingest"]["sources"], False) | on
    path = home / "policy.yml"
    path.write_text(yaml.safe_dump(rules, sort_keys=False))
    module_env.setenv("REGULARS_POLICY", str(path))
    return path


@pytest.fixture(scope="module")
def woocommerce(mariadb: MariaDB, warehouse, policy_file, module_env) -> MariaDB:
    mariadb.run(
        f"CREATE DATABASE wordpress CHARACTER SET utf8mb4; USE wordpress; {shop(ORDERS, PREFIX)}"
    )
    module_env.setenv("AIRFLOW_CONN_SHOP", mariadb.url("wordpress", f"?prefix={PREFIX}"))
    empty_warehouse()
    ingest_day()
    return mariadb


def test_orders_are_those_that_count_on_their_day_in_the_shop(woocommerce):
    assert found(
        "SELECT order_number, _partition::text, channel, currency, store_number FROM raw.orders ORDER BY 1"
    ) == [
        ("201", "2017-03-01", "web", "EUR", "web"),
        ("202", "2017-03-02", "till", "EUR", "web"),
        ("203", "2017-03-02", "web", "EUR", "web"),
        ("204", "2017-03-03", "web", "EUR", "web"),
        ("205", "2017-03-03", "web", "USD", "web"),
        ("206", "2017-03-05", "web", "EUR", "web"),
        ("207", "2017-03-04", "web", "EUR", "web"),
    ]


def test_lines_are_net_of_coupons_and_tax_to_the_last_place(woocommerce):
    assert found(
        "SELECT order_number, line_number, product_number, quantity, sales_value, coupon_discount "
        "FROM raw.order_lines ORDER BY 1, 2"
    ) == [
        ("201", 1, "101", Decimal("2"), Decimal("8.10"), Decimal("0.90")),
        ("201", 2, "106", Decimal("1"), Decimal("8.264463"), Decimal("0")),
        ("202", 3, "103", Decimal("3"), Decimal("30"), Decimal("0")),
        ("203", 4, "102", Decimal("1"), Decimal("10"), Decimal("0")),
        ("203", 5, "103", Decimal("1"), Decimal("10"), Decimal("0")),
        ("203", 6, "101", Decimal("1"), Decimal("10"), Decimal("0")),
        ("204", 7, "101", Decimal("1.5"), Decimal("6"), Decimal("0")),
        ("205", 8, "101", Decimal("1"), Decimal("4"), Decimal("0")),
        ("206", 9, "101", Decimal("1"), Decimal("5"), Decimal("0")),
        ("207", 41, "101", Decimal("1"), Decimal("1.652893"), Decimal("0")),
        ("207", 42, "102", Decimal("1"), Decimal("4.132231"), Decimal("0")),
    ]


def test_refunds_are_what_was_paid_back_for_articles(woocommerce):
    assert found(
        "SELECT return_number, order_number, product_number, round(quantity, 4), round(refund, 6), reason, "
        "_partition::text FROM raw.returns ORDER BY 1"
    ) == [
        ("301-31", "202", "103", Decimal("1.0000"), Decimal("10"), "crumbled", "2017-03-03"),
        ("302-3", "202", "103", Decimal("2.0000"), Decimal("20"), "Order fully refunded.", "2017-03-04"),
        ("303-32", "201", "106", Decimal("0.4997"), Decimal("4.13"), None, "2017-03-04"),
        ("305-4", "203", "102", Decimal("0.1429"), Decimal("1.43"), None, "2017-03-05"),
        ("305-5", "203", "103", Decimal("0.1429"), Decimal("1.43"), None, "2017-03-05"),
        ("305-6", "203", "101", Decimal("0.1429"), Decimal("1.43"), None, "2017-03-05"),
        ("306-41", "207", "101", Decimal("1.0000"), Decimal("1.65"), None, "2017-03-05"),
        ("306-42", "207", "102", Decimal("1.0000"), Decimal("4.13"), None, "2017-03-05"),
    ]  # fmt: skip


def test_it_all_arrives_in_core_to_the_cent(woocommerce):
    # What is in another currency waits for a rate.
    in_euro = "order_id <> '205'"
    assert found(f"SELECT count(*), sum(sales) FROM core.order_lines WHERE {in_euro}") == [
        (10, Decimal("93.14"))
    ]
    assert found("SELECT count(*), sum(refund) FROM core.returns") == [(8, Decimal("44.20"))]
    assert (
        found(
            "SELECT table_name FROM ops.row_counts WHERE extracted <> published + quarantined + duplicates"
        )
        == []
    )


def test_a_guest_is_one_customer_by_the_address_however_it_was_typed(woocommerce):
    assert found(
        "SELECT i.first_name, i.last_name, count(DISTINCT o.order_id), min(c.registered_at)::date::text "
        "FROM core.orders AS o JOIN core.identities AS i USING (customer_id) "
        "JOIN core.customers AS c USING (customer_id) WHERE i.external_id LIKE 'guest-%%' GROUP BY 1, 2"
    ) == [("Gast", "Gast", 2, "2017-03-02")]
    assert found(
        "SELECT external_id, first_name, last_name FROM core.identities "
        "WHERE external_id NOT LIKE 'guest-%%' ORDER BY 1"
    ) == [("17", "Ana", "Müller"), ("18", "Ben", "O'Hara")]


def test_the_catalogue_is_read_with_its_shelves(woocommerce):
    assert found(
        "SELECT product_id, department, category, brand, name, active FROM core.products ORDER BY 1"
    ) == [
        ("101", "FOOD & DRINK", "CAKES", "Oma", "Käsekuchen 🍰", True),
        ("102", "FOOD & DRINK", "FOOD & DRINK", None, "Salt & Pepper", True),
        ("103", "FOOD & DRINK", "CAKES", None, "Cake", True),
        ("104", "FOOD & DRINK", "CAKES", None, "Old cake", False),
        ("105", "CLOTHES", "CLOTHES", None, "Shirt", True),
        ("106", "CLOTHES", "CLOTHES", None, "Shirt - M", True),
    ]
    assert found("SELECT product_id, on_hand FROM core.stock_levels ORDER BY 1") == [
        ("101", 7), ("102", 0), ("105", 12), ("106", 12)
    ]  # fmt: skip


# --- what goes wrong: one sentence, and yesterday's publication stands -----------------------------


def change(base: MariaDB, *statements: str) -> None:
    base.run("; ".join(statements).replace("{p}", PREFIX), "wordpress")


def test_a_server_that_goes_away_in_the_middle_may_be_tried_again(woocommerce, monkeypatch):
    change(
        woocommerce,
        "INSERT INTO {p}comments SELECT seq + 10, 101, '', '2017-03-05 09:00:00', repeat('good', 20), '1', "
        "'review', 17 FROM seq_1_to_20000",
    )
    address = woocommerce.url("wordpress", f"?prefix={PREFIX}")
    with nothing_changes(), cutting(address, after=600_000) as cut:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", cut)
        with pytest.raises(Unreachable, match="'shop' to last until the work was done") as stopped:
            ingest_day()
    assert len(str(stopped.value).splitlines()) == 1
    change(woocommerce, "DELETE FROM {p}comments WHERE comment_ID > 10")


@pytest.mark.parametrize(
    ("broken", "mended", "said"),
    [
        (
            "ALTER TABLE {p}wc_orders MODIFY currency blob",
            "ALTER TABLE {p}wc_orders MODIFY currency varchar(10)",
            "woocommerce/orders.sql to give currency as text, found binary",
        ),
        (
            "ALTER TABLE {p}woocommerce_order_items CHANGE order_item_type kind varchar(200)",
            "ALTER TABLE {p}woocommerce_order_items CHANGE kind order_item_type varchar(200)",
            "woocommerce/order_lines.sql, found: Unknown column 'i.order_item_type'",
        ),
        (
            "RENAME TABLE {p}wc_orders TO {p}posts_orders",
            "RENAME TABLE {p}posts_orders TO {p}wc_orders",
            f"woocommerce/_covered_days.sql, found: Table 'wordpress.{PREFIX}wc_orders' doesn't exist",
        ),
    ],
    ids=["type", "column", "table"],
)
def test_what_the_shop_changed_is_named_with_the_file(woocommerce, broken, mended, said):
    change(woocommerce, broken)
    try:
        with nothing_changes(), pytest.raises(BadInput) as stopped:
            ingest_day()
    finally:
        change(woocommerce, mended)
    assert said in str(stopped.value)
    assert len(str(stopped.value).splitlines()) == 1


def test_what_is_paid_or_cancelled_long_after_is_told(woocommerce):
    change(
        woocommerce,
        "UPDATE {p}wc_orders SET status = 'wc-cancelled', date_updated_gmt = '2017-03-05 12:00:00' "
        "WHERE id = 203",
    )
    ingest_day("2017-03-05", since="2017-03-04")
    ((message,),) = found(
        "SELECT message FROM ops.quality_results WHERE check_name = 'recorded_in_time' AND NOT passed "
        "AND table_name = 'raw.orders'"
    )
    assert "found 1 rows of orders dated 2017-03-02 to 2017-03-02" in message


def test_an_order_without_account_and_address_has_no_customer(woocommerce):
    change(
        woocommerce,
        "UPDATE {p}wc_orders SET billing_email = 'deleted@site.invalid' WHERE id = 203",
        "UPDATE {p}wc_orders SET billing_email = NULL WHERE id = 204",
        "UPDATE {p}wc_orders SET status = 'wc-on-hold' WHERE id IN (203, 204)",
    )
    with mysql.opened("woocommerce", "Europe/Berlin", FUTURE) as shop:
        orders = shop._rows("orders", *WINDOW)
        customers = shop._rows("customers", *WINDOW)
    assert {row[1]: row[2] for row in orders if row[1] in ("202", "203", "204")} == {
        "202": "18", "203": None, "204": None
    }  # fmt: skip
    assert {row[1] for row in customers} == {"17", "18"}


def test_stock_is_told_of_the_last_day_alone(woocommerce):
    with mysql.opened("woocommerce", "Europe/Berlin", FUTURE) as shop:
        contract = contracts.load("raw", "stock_levels")
        days = {row[0].isoformat() for row in shop._rows("stock_levels", *WINDOW)}
        assert days == {"2017-03-31T23:59:59"}
        assert shop.outside(contract, *WINDOW) is None

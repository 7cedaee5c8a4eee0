"""Cleaning, end to end on a small shop: every kind of fault is planted once and must be met.

The shop has two days of orders. Faults are planted beside sound rows; the run must set aside, treat or stop
each as its contract says, and account for every row it extracted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from include import contracts, policy, publication, warehouse
from include.contracts import Contract
from include.contracts.rules import Missing
from include.errors import BadInput, QualityStop
from include.sources import offered
from include.steps import gate, ingest

FIRST, LAST = "2017-03-01", "2017-03-02"

BASE = """
INSERT INTO stores SELECT 's' || n, 'north', '2017-03-01 06:00+00' FROM generate_series(1, 3) AS n;
INSERT INTO products (product_number, manufacturer_number, department, brand, category, type, package_size,
    name, active, unit_margin, updated_at)
SELECT 'p' || n, 'm1', 'GROCERY', 'National', '  CHEESE   CAKE ', 'CAKE', '1 LB', 'Cake ' || n, true, 0.3,
    '2017-03-01 06:00+00'
FROM generate_series(1, 20) AS n;
INSERT INTO products (product_number, department, category, updated_at) VALUES
    ('fuel', 'FUEL', 'COUPON/MISC ITEMS', '2017-03-01 06:00+00'),
    ('ticket', 'GROCERY', 'coupon/misc items', '2017-03-01 06:00+00');
INSERT INTO customers (customer_number, first_name, last_name, birthday, home_store_id, registered_at,
    updated_at)
SELECT 'c' || n, 'Ana', 'Silva', '1980-05-17', 's1', '2017-03-01 06:00+00', '2017-03-01 06:00+00'
FROM generate_series(1, 20) AS n;
INSERT INTO contact_points
SELECT n, 'c' || n, 'email', 'c' || n || '@example.com', true, '2017-03-01 06:00+00'
FROM generate_series(1, 20) AS n;
INSERT INTO consents
SELECT n, 'c' || n, 'email', 'marketing', true, '2017-03-01 06:00+00' FROM generate_series(1, 20) AS n;
INSERT INTO orders
SELECT 'o' || n, 'c' || (n %% 20 + 1), 's1', 'till', 'USD', stamp, stamp
FROM generate_series(1, 60) AS n,
    LATERAL (SELECT timestamptz '2017-03-01 17:00+00' + n %% 2 * interval '1 day' AS stamp) AS s;
INSERT INTO order_lines
SELECT o.order_number, n, 'p' || n, 1, 1.99, 0, 0, 0, o.ordered_at
FROM orders AS o, generate_series(1, 5) AS n;
INSERT INTO events
SELECT n, 'c' || (n %% 20 + 1), 'p1', 'browse', '2017-03-02 17:00+00' FROM generate_series(1, 40) AS n;
INSERT INTO reviews
SELECT n, 'c' || (n %% 20 + 1), 'p1', 4, 'Good.', '2017-03-02 17:00+00' FROM generate_series(1, 40) AS n;
INSERT INTO stock_levels
SELECT 'north', 'p' || n, 5, 0, '2017-03-01 06:00+00' FROM generate_series(1, 20) AS n;
INSERT INTO campaigns VALUES ('1', 'Type A', '2017-03-01', '2017-04-01', '2017-03-01 06:00+00');
INSERT INTO exposures
SELECT '1', 'c' || n, '2017-03-01 14:00+00' FROM generate_series(1, 20) AS n;
INSERT INTO coupons
SELECT n, 'u' || n, 'p1', '1', '2017-03-01 06:00+00' FROM generate_series(1, 20) AS n;
INSERT INTO redemptions
SELECT n, 'u1', '1', 'c' || n, '2017-03-02 17:00+00' FROM generate_series(1, 20) AS n;
"""

LINE = "INSERT INTO order_lines VALUES "
ORDER = "INSERT INTO orders VALUES "

#: What is planted, the table that must refuse it, the key it has there, and every reason.
SET_ASIDE = [
    pytest.param(
        LINE + "('o2', 11, 'p1', -1, 1.99, 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o2 / 11", ["negative_quantity"], id="negative quantity",
    ),
    pytest.param(
        LINE + "('o2', 12, 'p1', 1, -1.99, 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o2 / 12", ["negative_sales"], id="negative sales",
    ),
    pytest.param(
        LINE + "('o2', 13, 'p1', -1, -1.99, 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o2 / 13", ["negative_quantity", "negative_sales", "return"], id="return",
    ),
    pytest.param(
        LINE + "('o2', 14, 'p1', 1, 199900, 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o2 / 14", ["absurd_price"], id="absurd price",
    ),
    pytest.param(
        LINE + "('o2', 15, 'p1', 4011, 1.99, 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o2 / 15", ["absurd_quantity"], id="product code as quantity",
    ),
    pytest.param(
        LINE + "('o2', 16, 'p1', 1, 1.99, -0.50, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o2 / 16", ["negative_discount"], id="negative discount",
    ),
    pytest.param(
        LINE + "('o2', 17, 'p1', 1, NULL, 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o2 / 17", ["missing_sales"], id="no sales",
    ),
    pytest.param(
        LINE + "('o2', 18, 'p1', 1, 1e400, 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o2 / 18", ["too_large_sales"], id="beyond any number",
    ),
    pytest.param(
        LINE + "('o2', 19, 'p1', 1, 'NaN', 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o2 / 19", ["not_a_number_sales"], id="no number",
    ),
    pytest.param(
        "INSERT INTO returns VALUES ('r901', 'o2', 'p1', 'c1', 1e400, 1, 'x', '2017-03-01 17:00+00')",
        "core.returns", "r901", ["too_large_quantity"], id="more pieces than any number",
    ),
    pytest.param(
        LINE + "('nowhere', 1, 'p1', 1, 1.99, 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "nowhere / 1", ["orphan_order"], id="orphan line",
    ),
    pytest.param(
        ORDER + "('o901', 'ghost', 's1', 'till', 'USD', '2017-03-01 17:00+00', '2017-03-01 17:00+00')",
        "core.orders", "o901", ["orphan_customer"], id="orphan customer",
    ),
    pytest.param(
        LINE + "('o901', 1, 'p1', 1, 1.99, 0, 0, 0, '2017-03-01 17:00+00')",
        "core.order_lines", "o901 / 1", ["orphan_order"],
        id="line of a quarantined order",
    ),
    pytest.param(
        ORDER + "('o902', 'c1', 's1', 'till', 'USD', NULL, '2017-03-01 17:00+00')",
        "core.orders", "o902", ["missing_ordered_at"], id="order without a stamp",
    ),
    pytest.param(
        ORDER + "('o903', 'c1', 's1', 'till', 'dollars', '2017-03-01 17:00+00', '2017-03-01 17:00+00')",
        "core.orders", "o903", ["unknown_currency"], id="unknown currency",
    ),
    pytest.param(
        ORDER + "('o904', 'c1', 's1', 'till', ' eur ', '2017-03-01 17:00+00', '2017-03-01 17:00+00')",
        "core.orders", "o904", ["missing_rate"], id="a currency without a rate",
    ),
    pytest.param(
        "INSERT INTO events VALUES (901, 'c1', 'p1', 'teleport', '2017-03-01 17:00+00')",
        "core.events", "901", ["unknown_event_type"], id="unknown event",
    ),
    pytest.param(
        "INSERT INTO reviews VALUES (901, 'c1', 'p1', 6, 'Six stars', '2017-03-01 17:00+00')",
        "core.reviews", "901", ["rating_out_of_range"], id="rating of 6",
    ),
    pytest.param(
        "INSERT INTO reviews VALUES (902, 'ghost', 'p1', 0, NULL, '2017-03-01 17:00+00')",
        "core.reviews", "902", ["orphan_customer", "rating_out_of_range", "missing_customer_id"],
        id="rating of 0 by nobody",
    ),
    pytest.param(
        "INSERT INTO contact_points VALUES (901, 'c1', 'email', 'c1 at example.com', true, "
        "'2017-03-02 17:00+00')",
        "core.contact_points", None, ["invalid_email"], id="malformed e-mail",
    ),
    pytest.param(
        "INSERT INTO contact_points VALUES (902, 'c1', 'sms', '555 0100', true, '2017-03-02 17:00+00')",
        "core.contact_points", None, ["invalid_phone"], id="telephone without a country",
    ),
    pytest.param(
        "INSERT INTO contact_points VALUES (903, 'c1', 'pigeon', 'north loft', true, "
        "'2017-03-02 17:00+00')",
        "core.contact_points", None, ["unknown_channel"], id="unknown channel",
    ),
    pytest.param(
        "INSERT INTO campaigns VALUES ('9', 'Type A', '2017-03-05', '2017-03-01', '2017-03-01 06:00+00')",
        "core.campaigns", "9", ["ends_before_start"], id="campaign that ends before it starts",
    ),
]  # fmt: skip

#: Faults that are treated, not set aside.
TREATED = """
INSERT INTO orders SELECT * FROM orders WHERE order_number = 'o4';
INSERT INTO order_lines SELECT * FROM order_lines WHERE order_number = 'o4';
INSERT INTO coupons SELECT 901, coupon_upc, product_number, campaign_number, updated_at FROM coupons
WHERE coupon_row = 1;
INSERT INTO orders
SELECT order_number, customer_number, 's2', channel, currency, ordered_at, updated_at + interval '1 hour'
FROM orders WHERE order_number = 'o6';
INSERT INTO order_lines VALUES
    ('o8', 21, 'p1', 1, 0, 0, 0, 0, '2017-03-01 17:00+00'),
    ('o8', 22, 'p1', 0, 0, 0, 0, 0, '2017-03-01 17:00+00'),
    ('o8', 23, 'unheard of', 1, 1.99, 0, 0, 0, '2017-03-01 17:00+00'),
    ('o8', 24, 'p1', 1, 99.99, 0, 0, 0, '2017-03-01 17:00+00'),
    ('o8', 25, 'fuel', 15000, 45.50, 0, 0, 0, '2017-03-01 17:00+00'),
    ('o8', 26, 'ticket', 1, 10.00, 0, 0, 0, '2017-03-01 17:00+00'),
    ('o8', 27, 'p1', 1, 1e-400, 0, 0, 0, '2017-03-01 17:00+00');
INSERT INTO stock_levels VALUES
    ('north', 'p1', -3, 0, '2017-03-02 06:00+00'), ('north', 'p2', 4, -1, '2017-03-02 06:00+00');
INSERT INTO consents VALUES (901, 'c9', 'sms', 'marketing', NULL, '2017-03-02 17:00+00');
UPDATE customers SET birthday = '31/02/1975' WHERE customer_number = 'c2';
UPDATE customers SET birthday = '1985-02-30' WHERE customer_number = 'c3';
UPDATE customers SET birthday = 'today' WHERE customer_number = 'c4';
UPDATE customers SET birthday = '1884-01-01' WHERE customer_number = 'c5';
UPDATE customers SET birthday = '1984-02-29' WHERE customer_number = 'c6';
UPDATE customers SET birthday = '  ' WHERE customer_number = 'c7';
UPDATE customers SET first_name = '  ZOË ', last_name = NULL WHERE customer_number = 'c8';
INSERT INTO orders VALUES
    ('o910', 'c1', 's1', 'till', NULL, '2017-03-01 17:00+00', '2017-03-01 17:00+00'),
    ('o911', 'c1', 's1', 'till', ' usd', '2017-03-01 17:00+00', '2017-03-01 17:00+00');
INSERT INTO order_lines VALUES ('o910', 1, 'p1', 1, 1.99, NULL, 0.5, NULL, '2017-03-01 17:00+00');
INSERT INTO deliveries VALUES
    ('D1', 'o2', 'c1', 'van', 'delivered', '2017-03-01 12:00+00', '2017-03-02 12:00+00'),
    ('D2', 'o2', 'c1', 'van', 'delivered', '2016-03-02 12:00+00', '2017-03-02 12:00+00'),
    ('D3', 'o2', 'c1', 'van', 'delivered', '2018-03-02 12:00+00', '2017-03-02 12:00+00'),
    ('D4', 'o2', 'c1', 'van', 'delivered', NULL, '2017-03-02 12:00+00');
UPDATE customers SET store_distance_km = 12.5 WHERE customer_number = 'c10';
UPDATE customers SET store_distance_km = -1 WHERE customer_number = 'c11';
UPDATE customers SET store_distance_km = 99999 WHERE customer_number = 'c12';
UPDATE customers SET store_distance_km = 'NaN' WHERE customer_number = 'c13';
UPDATE customers SET store_distance_km = 1e400 WHERE customer_number = 'c14';
UPDATE customers SET store_distance_km = 1e-400 WHERE customer_number = 'c15';
UPDATE contact_points SET address = ' C9@Example.COM' WHERE contact_id = 9;
INSERT INTO contact_points VALUES (910, 'c9', 'sms', '+1 (212) 555-0100', NULL, '2017-03-02 17:00+00');
UPDATE contact_points SET address = ' C10' || chr(8203) || '@M' || chr(220) || 'LLER.example' || chr(160),
    channel = 'E-Mail' WHERE contact_id = 10;
INSERT INTO contact_points VALUES
    (911, 'c10', 'Mobile', '+44 (0)20 7946 0018', true, '2017-03-02 17:00+00'),
    (912, 'c11', 'email', '  ', true, '2017-03-02 17:00+00'),
    (913, 'c12', 'email', NULL, true, '2017-03-02 17:00+00');
INSERT INTO consents VALUES (910, 'c9', 'email', 'marketing', false, '2017-03-02 17:00+00');
"""


def in_shop(*statements: str) -> None:
    with warehouse.connect("shop_owner") as conn:
        for statement in statements:
            warehouse.execute(conn, statement, {})


@contextmanager
def planted(fault: str, cure: str) -> Iterator[None]:
    """The shop with a fault, for the length of a block."""
    in_shop(fault)
    try:
        yield
    finally:
        in_shop(cure)


def run(attempt: str) -> dict[str, int]:
    """The chain from the shop to core, as its DAG runs it; the published rows."""
    plan = ingest.plan({"as_of": LAST, "since": FIRST, "run_id": attempt})
    gate.gate(ingest.extract(plan), rebuild=ingest.extract)
    return gate.gate(ingest.build_core(plan), rebuild=ingest.build_core)


def hashes() -> dict[str, str]:
    with warehouse.connect() as conn:
        return {
            contract.name: publication.content_hash(conn, contract)
            for contract in (*contracts.of_dataset("raw"), *contracts.of_dataset("core"))
        }


def found(statement: str, **params: Any) -> list[tuple[Any, ...]]:
    with warehouse.connect() as conn:
        return warehouse.rows(conn, statement, params)


@pytest.fixture(scope="module")
def published(shop: dict[str, str], warehouse: dict[str, str]) -> dict[str, int]:
    """The small shop with every fault, run once."""
    in_shop(BASE, *(str(case.values[0]) for case in SET_ASIDE), TREATED)
    return run("cleaning")


@pytest.mark.parametrize(("fault", "table", "key", "reasons"), SET_ASIDE)
def test_the_row_is_set_aside_with_every_reason(published, fault, table, key, reasons):
    rows = found(
        "SELECT reasons, payload FROM quarantine.rejected_rows "
        "WHERE table_name = %(table)s AND reasons = %(reasons)s "
        "AND (%(key)s::text IS NULL OR row_key = %(key)s)",
        table=table,
        reasons=reasons,
        key=key,
    )
    assert len(rows) == 1
    assert rows[0][1]  # the row itself is kept, so that it can be replayed


def test_nothing_else_is_set_aside(published):
    rows = found("SELECT count(*) FROM quarantine.rejected_rows")
    assert rows[0][0] == len(SET_ASIDE) + 1  # and the older state of order o6


def test_every_extracted_row_is_accounted_for(published):
    accounts = found(
        "SELECT table_name, extracted, published, quarantined, duplicates FROM ops.row_counts"
    )
    assert {table for table, *_ in accounts} == {
        contract.name
        for contract in contracts.of_dataset("core")
        if contract.source and offered.is_on(policy.load(), contract.source.partition(".")[2])
    }
    for table, extracted, kept, set_aside, doubled in accounts:
        contract = contracts.load(*table.split("."))
        assert extracted == found(f"SELECT count(*) FROM {contract.source}")[0][0]
        assert kept == found(f"SELECT count(*) FROM {table}")[0][0] == published[table]
        assert set_aside == found(
            "SELECT count(*) FROM quarantine.rejected_rows WHERE table_name = %(table)s", table=table
        )[0][0]  # fmt: skip
        assert extracted == kept + set_aside + doubled, table
    counts = {table: (quarantined, doubled) for table, _, _, quarantined, doubled in accounts}
    assert counts["core.orders"] == (5, 1)
    assert counts["core.order_lines"] == (11, 5)
    assert counts["core.coupons"] == (0, 1)


def test_every_amount_is_accounted_for(published):
    accounts = found(
        "SELECT table_name, extracted_money, published_money, quarantined_money, duplicates_money, not_added "
        "FROM ops.row_counts WHERE extracted_money IS NOT NULL"
    )
    assert {table for table, *_ in accounts} == {"core.order_lines", "core.returns"}
    lines = {table: amounts for table, *amounts in accounts}["core.order_lines"]
    extracted, kept, set_aside, doubled, not_added = lines
    assert extracted == kept + set_aside + doubled
    (summed,) = found(
        "SELECT sum(round(sales_value, 2)) FROM raw.order_lines WHERE sales_value < 1e10"
    )[0]
    assert extracted == summed
    assert kept == found("SELECT sum(sales) FROM core.order_lines")[0][0]
    assert doubled == Decimal("9.95")
    assert not_added == 2  # 1e400 and NaN


def test_raw_holds_what_the_shop_holds(published):
    with warehouse.connect("shop") as conn:
        for contract in contracts.of_dataset("raw"):
            held = warehouse.value(conn, f"SELECT count(*) FROM {contract.table}")
            assert published_rows(contract) == held, contract.name


def published_rows(contract: Contract) -> int:
    return int(found(f"SELECT count(*) FROM {contract.name}")[0][0])


def test_equal_copies_of_an_order_are_dropped(published):
    assert found("SELECT count(*) FROM core.orders WHERE order_id = 'o4'") == [(1,)]
    assert (
        found("SELECT count(*), sum(sales) FROM core.order_lines WHERE order_id = 'o4'")[0][0] == 5
    )


def test_of_two_states_of_an_order_the_newer_stands(published):
    assert found("SELECT store_id FROM core.orders WHERE order_id = 'o6'") == [("s2",)]
    assert found(
        "SELECT row_key, payload ->> 'store_id' FROM quarantine.rejected_rows "
        "WHERE reasons = ARRAY['superseded']"
    ) == [("o6", "s1")]
    assert found("SELECT DISTINCT store_id FROM core.order_lines WHERE order_id = 'o6'") == [
        ("s2",)
    ]


@pytest.mark.parametrize(
    ("line", "is_unit", "flags"),
    [
        (21, True, ["zero_sales"]),
        (22, True, ["zero_quantity", "zero_sales"]),
        (23, False, ["unknown_product"]),
        (24, True, ["outlier_price"]),
        (25, False, []),
        (26, False, []),
        (27, True, []),
    ],
)
def test_odd_lines_stay_and_are_flagged(published, line, is_unit, flags):
    assert found(
        "SELECT is_unit, flags FROM core.order_lines WHERE order_id = 'o8' AND line_number = %(line)s",
        line=line,
    ) == [(is_unit, flags)]


@pytest.mark.parametrize(
    ("delivery", "delay", "flags", "original"),
    [
        ("D1", 24, [], None),
        ("D2", 720, ["implausible_delay"], {"delay_hours": 8760}),
        ("D3", -720, ["implausible_delay"], {"delay_hours": -8760}),
        ("D4", None, ["no_promise"], None),
    ],
)
def test_an_outlier_is_capped_and_what_was_given_stays(published, delivery, delay, flags, original):
    assert found(
        "SELECT delay_hours, flags, original FROM core.deliveries WHERE delivery_id = %(delivery)s",
        delivery=delivery,
    ) == [(delay, flags, original)]


@pytest.mark.parametrize(
    ("customer", "distance", "original"),
    [
        ("c9", None, None),
        ("c10", 12.5, None),
        ("c11", None, {"store_distance_km": -1}),
        ("c12", None, {"store_distance_km": 99999}),
        ("c13", None, {"store_distance_km": "NaN"}),
        ("c14", None, {"store_distance_km": 10**300}),
        ("c15", 0, None),
    ],
)
def test_a_distance_that_nobody_lives_at_is_left_out_and_stays_findable(
    published, customer, distance, original
):
    assert found(
        "SELECT store_distance_km, c.flags, original FROM core.customers AS c JOIN core.identities "
        "USING (customer_id) WHERE external_id = %(customer)s",
        customer=customer,
    ) == [(distance, ["implausible_distance"] if original else [], original)]


def test_a_count_below_nothing_is_out_of_stock_and_replaces_the_older_one(published):
    assert found(
        "SELECT DISTINCT ON (product_id) product_id, on_hand, on_order, flags, original "
        "FROM core.stock_levels WHERE product_id IN ('p1', 'p2', 'p3') ORDER BY product_id, counted_at DESC"
    ) == [
        ("p1", 0, 0, ["oversold"], {"on_hand": -3}),
        ("p2", 4, 0, ["negative_on_order"], {"on_order": -1}),
        ("p3", 5, 0, [], None),
    ]


def test_what_is_missing_becomes_what_the_contract_says(published):
    assert found(
        "SELECT order_id, currency FROM core.orders WHERE order_id IN ('o910', 'o911') ORDER BY 1"
    ) == [("o910", "USD"), ("o911", "USD")]
    assert found(
        "SELECT retail_discount, coupon_discount, coupon_match_discount FROM core.order_lines "
        "WHERE order_id = 'o910'"
    ) == [(0, Decimal("0.5"), 0)]


def test_each_flag_is_counted_in_the_quality_history(published):
    assert dict(
        found(
            "SELECT check_name, unexpected_count FROM ops.quality_results "
            "WHERE check_name LIKE 'flag_%%' AND unexpected_count > 0 AND run_id = 'cleaning'"
        )
    ) == {
        "flag_zero_sales": 2, "flag_zero_quantity": 1, "flag_oversold": 1, "flag_negative_on_order": 1,
        "flag_no_promise": 1, "flag_implausible_delay": 2, "flag_implausible_distance": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("customer", "birth_date", "flags"),
    [
        ("c1", "1980-05-17", []),
        ("c2", None, ["unreadable_birthday"]),
        ("c3", None, ["unreadable_birthday"]),
        ("c4", None, ["unreadable_birthday"]),
        ("c5", None, ["implausible_birthday"]),
        ("c6", "1984-02-29", []),
        ("c7", None, []),
    ],
)
def test_a_birthday_is_read_or_unknown_and_flagged(published, customer, birth_date, flags):
    assert found(
        "SELECT birth_date::text, flags FROM core.identities WHERE external_id = %(customer)s",
        customer=customer,
    ) == [(birth_date, flags)]


def test_texts_are_cleaned(published):
    assert found(
        "SELECT first_name, last_name FROM core.identities WHERE external_id = 'c8'"
    ) == [("Zoë", None)]  # fmt: skip
    assert found(
        "SELECT channel, address, verified FROM core.contact_points JOIN core.identities "
        "USING (customer_id) WHERE external_id = 'c9' ORDER BY channel"
    ) == [("email", "c9@example.com", True), ("sms", "+12125550100", False)]
    assert found(
        "SELECT channel, address, address_hash IS NULL FROM core.contact_points "
        "JOIN core.identities USING (customer_id) WHERE external_id = 'c10' ORDER BY channel"
    ) == [("email", "c10@xn--mller-kva.example", False), ("sms", "+442079460018", False)]
    assert found("SELECT DISTINCT category FROM core.products WHERE department = 'GROCERY'") == [
        ("CHEESE CAKE",), ("COUPON/MISC ITEMS",)
    ]  # fmt: skip


def test_an_address_that_was_emptied_is_none_from_then_on(published):
    assert found(
        "SELECT external_id, address, valid_from::text FROM core.contact_points "
        "JOIN core.identities USING (customer_id) WHERE external_id IN ('c11', 'c12') "
        "ORDER BY external_id, valid_from"
    ) == [
        ("c11", "c11@example.com", "2017-03-01 06:00:00+00"), ("c11", None, "2017-03-02 17:00:00+00"),
        ("c12", "c12@example.com", "2017-03-01 06:00:00+00"), ("c12", None, "2017-03-02 17:00:00+00"),
    ]  # fmt: skip


def test_an_answer_holds_until_the_next(published):
    assert found(
        "SELECT granted, valid_to::text FROM core.consents JOIN core.identities USING (customer_id) "
        "WHERE external_id = 'c9' AND channel = 'email' ORDER BY valid_from"
    ) == [(True, "2017-03-02 17:00:00+00"), (False, None)]


def test_an_answer_without_yes_or_no_is_no(published):
    assert found(
        "SELECT granted FROM core.consents JOIN core.identities USING (customer_id) "
        "WHERE external_id = 'c9' AND channel = 'sms' ORDER BY valid_from DESC LIMIT 1"
    ) == [(False,)]


def test_a_rule_that_is_no_sql_stops_with_one_sentence(published, monkeypatch):
    before, broken = hashes(), contracts.load("core", "returns")
    columns = [
        column.model_copy(update={"missing": Missing(becomes="nought")})
        if column.missing
        else column
        for column in broken.columns
    ]
    load = contracts.load
    monkeypatch.setattr(
        contracts,
        "load",
        lambda schema, table: (
            broken.model_copy(update={"columns": columns})
            if table == "returns" and schema == "core"
            else load(schema, table)
        ),
    )
    with pytest.raises(
        BadInput, match=r"rules in returns\.yml.*\"nought\" does not exist"
    ) as stopped:
        run("no sql")
    assert len(str(stopped.value).splitlines()) == 1
    assert hashes() == before


def test_the_same_window_again_changes_nothing(published):
    before = hashes()
    run("again")
    assert hashes() == before


@pytest.mark.parametrize(
    ("fault", "cure", "sentence"),
    [
        pytest.param(
            "ALTER TABLE order_lines RENAME COLUMN sales_value TO turnover",
            "ALTER TABLE order_lines RENAME COLUMN turnover TO sales_value",
            "order_lines.sql, found: column \"sales_value\" does not exist",
            id="missing column",
        ),
        pytest.param(
            "ALTER TABLE reviews RENAME TO opinions",
            "ALTER TABLE opinions RENAME TO reviews",
            "reviews.sql, found: relation \"reviews\" does not exist",
            id="missing table",
        ),
        pytest.param(
            "REVOKE SELECT ON reviews FROM regulars_reader",
            "GRANT SELECT ON reviews TO regulars_reader",
            "reviews.sql, found: permission denied for table reviews. Restore it",
            id="a right that was taken",
        ),
        pytest.param(
            "ALTER TABLE reviews ALTER written_at TYPE text USING written_at::text",
            "ALTER TABLE reviews ALTER written_at TYPE timestamptz USING written_at::timestamptz",
            "reviews.sql",
            id="stamps that became text",
        ),
        pytest.param(
            "ALTER TABLE reviews RENAME TO kept; CREATE VIEW reviews AS SELECT review_id, customer_number, "
            "product_number, rating, body, CASE WHEN review_id = 3 THEN '31/02/2017 ana@example.com' "
            "ELSE written_at::text END::timestamptz AS written_at FROM kept; "
            "GRANT SELECT ON reviews TO regulars_reader",
            "DROP VIEW reviews; ALTER TABLE kept RENAME TO reviews",
            "reviews.sql, found: invalid input syntax for type timestamp with time zone: .... Mend the "
            "value in the shop",
            id="a date that cannot be read",
        ),
        pytest.param(
            "CREATE TABLE kept AS TABLE reviews; TRUNCATE reviews",
            "INSERT INTO reviews SELECT * FROM kept; DROP TABLE kept",
            "table reviews, found it empty",
            id="empty table",
        ),
        pytest.param(
            "CREATE TABLE kept AS TABLE orders; TRUNCATE orders",
            "INSERT INTO orders SELECT * FROM kept; DROP TABLE kept",
            "table of orders empty",
            id="no orders",
        ),
    ],
)  # fmt: skip
def test_a_broken_source_stops_with_one_sentence(published, fault, cure, sentence):
    before = hashes()
    with planted(fault, cure), pytest.raises(BadInput) as stopped:
        run("broken")
    assert sentence in str(stopped.value)
    assert len(str(stopped.value).splitlines()) == 1
    assert "@" not in str(stopped.value)  # a value may be somebody's
    assert stopped.value.__cause__ is None  # the sentence is the last line of the task's log
    assert hashes() == before


@pytest.mark.parametrize(
    ("fault", "check", "published_of_raw"),
    [
        # What is a price and what are cents is learnt in core.
        pytest.param(
            "sales_value = sales_value * 100", "sales", {"raw.order_lines"}, id="amounts in cents"
        ),
        pytest.param("quantity = -quantity", "quantity", set(), id="the sign turned"),
        pytest.param("order_number = NULL", "order_number", set(), id="keys lost"),
    ],
)
def test_a_fault_of_the_whole_table_stops_the_run(published, fault, check, published_of_raw):
    run("before")
    before = hashes()
    cure = "TRUNCATE order_lines; INSERT INTO order_lines SELECT * FROM kept; DROP TABLE kept"
    broken = f"CREATE TABLE kept AS TABLE order_lines; UPDATE order_lines SET {fault}"
    with planted(broken, cure), pytest.raises(QualityStop) as stopped:
        run("stopped")
    assert check in str(stopped.value)
    assert "nothing was published" in str(stopped.value)
    after = hashes()
    assert {table for table in before if before[table] != after[table]} == published_of_raw

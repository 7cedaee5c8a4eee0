"""Readers of any table of core see one whole state of the shop, while the next is published."""

import time

import pytest

from include import contracts, policy
from include.quality import expectations
from tests.sql.readers import watch
from tests.sql.small_shop import (
    FIRST,
    LAST,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
)

#: Rows of every source that the small shop lacks, on each of its five days.
MORE = """
INSERT INTO accounts (account_number, system, customer_number, updated_at)
SELECT 'w' || n, 'web', 'c' || n, timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO contact_points (contact_id, customer_number, channel, verified, updated_at)
SELECT n, 'c' || n, 'email', false, timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO consents (consent_id, customer_number, channel, purpose, recorded_at)
SELECT n, 'c' || n, 'email', 'marketing', timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO campaigns (campaign_number, starts_on, updated_at)
SELECT 'k' || n, '2017-04-01', timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 10) AS n;
INSERT INTO exposures (campaign_number, customer_number, exposed_at)
SELECT 'k1', 'c' || n, timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO coupons (coupon_row, coupon_upc, product_number, campaign_number, updated_at)
SELECT n, 'u' || n, 'p1', 'k1', timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO redemptions (redemption_id, coupon_upc, customer_number, redeemed_at)
SELECT n, 'u' || n, 'c' || n, timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO promotions (product_number, starts_on, mailer_location, updated_at)
SELECT 'p' || n, '2017-03-06', 'D', timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO stock_levels (region, product_number, on_order, counted_at)
SELECT 'north', 'p' || n, 0, timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO member_events (event_number, starts_on, updated_at)
SELECT 'e' || n, '2017-04-01', timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 10) AS n;
INSERT INTO reviews (review_id, customer_number, product_number, body, written_at)
SELECT n, 'c' || n, 'p1', 'Good', timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO mentions (mention_id, handle, body, posted_at)
SELECT n, '@h' || n, 'Good', timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
INSERT INTO deliveries (delivery_number, order_number, customer_number, status, promised_at, delivered_at)
SELECT 'd' || n, 'o' || n, 'c' || n, 'delivered', stamp, stamp
FROM generate_series(1, 60) AS n,
    LATERAL (SELECT timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day' AS stamp) AS s;
INSERT INTO returns (return_number, order_number, product_number, customer_number, quantity, refund,
    returned_at)
SELECT 'r' || n, 'o' || n, 'p1', 'c' || n, 1, 1, timestamptz '2017-03-01 15:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 60) AS n;
"""

#: How a state of the shop, by its number n, marks every row of a table, and how core shows that number.
MARKS = {
    "accounts": ("first_name = 'Gen' || n", "right(first_name, 1)"),
    "campaigns": ("campaign_type = 'Gen' || n", "right(campaign_type, 1)"),
    "consents": ("granted = (n = 2)", "CASE WHEN granted THEN '2' ELSE 'other' END"),
    "contact_points": (
        "address = customer_number || '@gen.example' || n", "right(address, 1)"
    ),
    "coupons": ("updated_at = date_trunc('day', updated_at) + (14 + n) * interval '1 hour'",
                "(extract(hour FROM known_at AT TIME ZONE 'UTC') - 14)::text"),
    "customers": ("household_size = n", "household_size"),
    "deliveries": ("carrier = 'Gen' || n", "right(carrier, 1)"),
    "events": ("event_type = (ARRAY['browse', 'cart', 'follow'])[n]",
               "array_position(ARRAY['browse', 'cart', 'follow'], event_type)::text"),
    "exposures": ("campaign_number = 'k' || n", "right(campaign_id, 1)"),
    "identities": ("last_name = 'Gen' || n", "right(last_name, 1)"),
    "member_events": ("name = 'Gen' || n", "right(name, 1)"),
    "mentions": ("network = 'gen' || n", "right(network, 1)"),
    "order_lines": ("sales_value = n", "sales::integer::text"),
    "orders": ("store_number = 'gen' || n", "right(store_id, 1)"),
    "products": ("name = 'Gen' || n", "right(name, 1)"),
    "promotions": ("stores_in_mailer = n / 10.0", "(10 * store_share)::integer::text"),
    "redemptions": ("campaign_number = 'k' || n", "right(campaign_id, 1)"),
    "returns": ("reason = 'Gen' || n", "right(reason, 1)"),
    "reviews": ("rating = n", "rating::text"),
    "stock_levels": ("on_hand = n", "on_hand::integer::text"),
    "stores": ("region = 'gen' || n", "right(region, 1)"),
}  # fmt: skip

GENERATIONS = (1, 2, 3)


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(policy_without((), home / "policy.yml")))


def generation(number: int) -> None:
    """Bring every row of the shop into one state."""
    owner(
        *(
            f"UPDATE {'customers' if table == 'identities' else table} SET {mark} "
            f"FROM (SELECT {number} AS n) AS g"
            for table, (mark, _) in MARKS.items()
        )
    )


def test_a_hundred_readers_see_one_state_of_the_shop_in_every_table(many_connections, monkeypatch):
    # Checks by the library change nothing of what is published, and take most of the time.
    monkeypatch.setattr(expectations, "check", lambda batch, tables, address: [])
    published = {
        contract.table: contract.name
        for contract in contracts.of_dataset("core")
        if contract.name.startswith("core.")
    }
    assert set(MARKS) == set(published)
    assert all(policy.load().ingest.sources.values())
    queries = {
        table: f"SELECT count(*), count(DISTINCT {shown}), min({shown}) FROM {published[table]}"
        for table, (_, shown) in MARKS.items()
    }
    # All of core in one statement: what belongs together is published together.
    whole = " UNION ALL ".join(
        f"SELECT {shown} FROM {published[table]}"
        for table, (_, shown) in MARKS.items()
        if table != "consents"
    )
    queries["core"] = f"SELECT count(*), count(DISTINCT mark), min(mark) FROM ({whole}) AS w (mark)"
    fill_shop()
    empty_warehouse()
    owner(*[statement for statement in MORE.split(";\n") if statement.strip()])
    generation(GENERATIONS[0])
    ingest_day(LAST, since=FIRST)
    counts = {name: found(query)[0][0] for name, query in queries.items()}
    assert min(counts.values()) > 0

    def publish() -> None:
        for number in GENERATIONS[1:]:
            generation(number)
            ingest_day(LAST, since=FIRST, run_id=f"generation {number}")
            time.sleep(0.3)

    answers = watch(queries, publish)
    for name, seen in answers.items():
        marks = {"2", "other"} if name == "consents" else {str(n) for n in GENERATIONS}
        assert seen <= {(counts[name], 1, mark) for mark in marks}, name
        assert {row[2] for row in seen} >= marks - {"1"}, name

"""Trends on the way from the shop to core: remembered when published, told when unusual, never personal."""

import pytest

from include import contracts
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
)

#: Thirty days of about forty orders each, then an ordinary day and one that is ten times as large.
DAYS = """
INSERT INTO orders (order_number, customer_number, store_number, channel, currency, ordered_at, updated_at)
SELECT 'd' || d || '-' || n, 'c' || (n % 60 + 1), 's1', 'till', 'USD', stamp, stamp
FROM generate_series(6, 36) AS d, generate_series(1, 60 + d % 3) AS n,
    LATERAL (
        SELECT timestamptz '2017-03-01 17:00+00' + (d - 1) * interval '1 day' + n * interval '1 minute'
            AS stamp
    ) AS s
"""

TEN_TIMES = """
INSERT INTO orders (order_number, customer_number, store_number, channel, currency, ordered_at, updated_at)
SELECT 'x' || n, 'c' || (n % 60 + 1), CASE WHEN n % 2 = 0 THEN 's1' END, 'fax', 'USD', stamp, stamp
FROM generate_series(1, 600) AS n,
    LATERAL (SELECT timestamptz '2017-04-06 05:00+00' + n * interval '1 second' AS stamp) AS s
"""


@pytest.fixture(scope="module")
def months(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(policy_without(OFF, home / "policy.yml")))
    fill_shop()
    owner(DAYS, TEN_TIMES)
    empty_warehouse()
    ingest_day("2017-04-05", since="2017-03-01")


def warned(day: str) -> set[str]:
    return {
        name
        for (name,) in found(
            "SELECT check_name FROM ops.quality_results "
            "WHERE table_name = 'core.orders' AND as_of = %(day)s AND NOT passed "
            "AND check_name LIKE '%%as_usual%%'",
            {"day": day},
        )
    }


def test_an_ordinary_day_is_as_usual(months):
    assert found(
        "SELECT count(*) > 3 FROM ops.quality_results WHERE table_name = 'core.orders' "
        "AND check_name LIKE '%as_usual%' AND passed AND as_of = '2017-04-05'"
    ) == [(True,)]
    assert warned("2017-04-05") == set()


def test_a_day_ten_times_the_usual_is_published_with_warnings(months):
    counts = ingest_day("2017-04-06")
    assert counts["core.orders"] >= 600
    assert warned("2017-04-06") == {
        "volume_as_usual",
        "fresh_as_usual",
        "filled_as_usual(store_id)",
        "distributed_as_usual(channel)",
    }


def test_a_day_is_remembered_once_and_as_it_stands(months):
    ingest_day("2017-04-05")
    assert found(
        "SELECT count(*), min(row_count) FROM ops.table_profiles "
        "WHERE table_name = 'core.orders' AND business_day = '2017-04-05'"
    ) == [(1, found("SELECT count(*) FROM core.orders WHERE business_day = '2017-04-05'")[0][0])]


def test_what_is_remembered_holds_no_value_of_a_row(months):
    kept = found("SELECT DISTINCT counts::text || empty_share::text FROM ops.table_profiles")
    texts = " ".join(text for (text,) in kept)
    for value in ("till", "USD", "s1", "c17", "o11", "2017", "Cake"):
        assert f'"{value}"' not in texts
    personal = {
        (contract.name, column.name)
        for contract in contracts.all_contracts()
        for column in contract.columns
        if column.pii
    }
    for table, columns in found(
        "SELECT DISTINCT table_name, jsonb_object_keys(counts) FROM ops.table_profiles"
    ):
        assert (table, columns) not in personal

"""Orders in several currencies: converted by the rate of their day, once, whatever is run again."""

from decimal import Decimal
from typing import Any

import pytest
import yaml

from tests.sql.small_shop import (
    LAST,
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    hashes,
    ingest_day,
    owner,
    policy_without,
)

#: 1 unit of each is so many dollars. No rate of the yen is older than three days, none of the franc stands.
RATES = """
INSERT INTO exchange_rates VALUES
    ('EUR', 1.10, '2017-03-01 00:00-05'), ('EUR', 1.20, '2017-03-03 00:00-05'),
    ('JPY', 0.0089, '2017-03-01 00:00-05'), ('KWD', 3.2777, '2017-03-02 12:00-05'),
    ('SEK', 0.11, '2017-02-24 00:00-05'), ('NOK', 0.12, '2017-02-22 00:00-05')
"""
ORDERS = """
INSERT INTO orders VALUES
    ('e2', 'c1', 's1', 'web', 'EUR', '2017-03-02 17:00+00', '2017-03-02 17:00+00'),
    ('e3', 'c1', 's1', 'web', ' eur', '2017-03-03 17:00+00', '2017-03-03 17:00+00'),
    ('j3', 'c2', 's1', 'web', 'JPY', '2017-03-03 17:00+00', '2017-03-03 17:00+00'),
    ('k2', 'c3', 's1', 'web', 'KWD', '2017-03-02 17:00+00', '2017-03-02 17:00+00'),
    ('s3', 'c4', 's1', 'web', 'SEK', '2017-03-03 17:00+00', '2017-03-03 17:00+00'),
    ('n3', 'c4', 's1', 'web', 'NOK', '2017-03-03 17:00+00', '2017-03-03 17:00+00'),
    ('k1', 'c3', 's1', 'web', 'KWD', '2017-03-01 17:00+00', '2017-03-01 17:00+00')
"""
LINES = """
INSERT INTO order_lines VALUES
    ('e2', 1, 'p1', 1, 10.00, 1.00, 0.50, 0.25, '2017-03-02 17:00+00'),
    ('e3', 1, 'p1', 2, 10.00, 0, 0, 0, '2017-03-03 17:00+00'),
    ('j3', 1, 'p1', 1, 1234, 0, 0, 0, '2017-03-03 17:00+00'),
    ('k2', 1, 'p1', 1, 1.255, 0, 0, 0, '2017-03-02 17:00+00'),
    ('s3', 1, 'p1', 1, 100, 0, 0, 0, '2017-03-03 17:00+00'),
    ('n3', 1, 'p1', 1, 100, 0, 0, 0, '2017-03-03 17:00+00'),
    ('k1', 1, 'p1', 1, 1, 0, 0, 0, '2017-03-01 17:00+00')
"""
RETURNS = """
INSERT INTO returns VALUES
    ('r1', 'e2', 'p1', 'c1', 1, 10.00, NULL, '2017-03-04 17:00+00', NULL),
    ('r2', 'e2', 'p1', 'c1', 1, 10.00, NULL, '2017-03-04 17:00+00', 'EUR'),
    ('r3', NULL, 'p1', 'c1', 1, 10.00, NULL, '2017-03-04 17:00+00', 'eur '),
    ('r4', 'e2', 'p1', 'c1', 1, 10.00, NULL, '2017-03-04 17:00+00', 'USD'),
    ('r5', 'o1', 'p1', 'c2', 1, 10.00, NULL, '2017-03-04 17:00+00', NULL),
    ('r6', 'n3', 'p1', 'c4', 1, 10.00, NULL, '2017-03-04 17:00+00', NULL),
    ('r7', NULL, 'p1', 'c4', 1, 10.00, NULL, '2017-03-04 17:00+00', 'NOK'),
    ('r8', NULL, 'p1', 'c4', 1, 10.00, NULL, '2017-03-04 17:00+00', 'kroner')
"""
CONVERTED = [
    (
        order,
        *(Decimal(number) for number in numbers.split()),
        currency,
        Decimal(original),
        Decimal(rate),
    )
    for order, numbers, currency, original, rate in (
        ("e2", "11.00 1.10 0.55 0.28", "EUR", "10", "1.1"),  # a discount of 0.275
        ("e3", "12.00 0 0 0", "EUR", "10", "1.2"),
        ("j3", "10.98 0 0 0", "JPY", "1234", "0.0089"),  # 10.9826
        ("k2", "4.11 0 0 0", "KWD", "1.255", "3.2777"),  # 4.1135
        ("s3", "11.00 0 0 0", "SEK", "100", "0.11"),  # seven days old
    )
]


def lines() -> list[tuple[Any, ...]]:
    return found(
        "SELECT order_id, sales, retail_discount, coupon_discount, coupon_match_discount, "
        "original_currency, original_sales, exchange_rate FROM core.order_lines "
        "WHERE original_currency IS NOT NULL ORDER BY 1"
    )


def set_aside() -> list[tuple[Any, ...]]:
    return found(
        "SELECT table_name, row_key, reasons FROM quarantine.rejected_rows ORDER BY 1, 2, payload::text"
    )


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    path = policy_without(OFF, home / "rates.yml")
    rules = yaml.safe_load(path.read_text())
    rules["ingest"]["sources"] |= {"exchange_rates": True, "returns": True}
    path.write_text(yaml.safe_dump(rules, sort_keys=False))
    module_env.setenv("REGULARS_POLICY", str(path))


@pytest.fixture(autouse=True)
def _fresh() -> None:
    fill_shop()
    empty_warehouse()
    owner(RATES, ORDERS, LINES, RETURNS)


def test_amounts_are_converted_by_the_rate_of_the_order_s_day():
    ingest_day()
    assert lines() == CONVERTED
    # One unit of the currency is `rate` units of the shop's, and what came in stays beside it.
    assert found(
        "SELECT original_retail_discount, original_coupon_discount, original_coupon_match_discount "
        "FROM core.order_lines WHERE order_id = 'e2'"
    ) == [(1, Decimal("0.5"), Decimal("0.25"))]
    assert found(
        "SELECT order_id, currency, exchange_rate FROM core.orders WHERE order_id IN ('e2', 'o1') ORDER BY 1"
    ) == [("e2", "EUR", Decimal("1.10")), ("o1", "USD", None)]
    assert found(
        "SELECT count(*), count(original_sales), count(exchange_rate) FROM core.order_lines "
        "WHERE order_id = 'o1'"
    ) == [(3, 0, 0)]


def test_without_a_rate_the_order_its_lines_and_its_refunds_are_set_aside():
    ingest_day()
    assert set_aside() == [
        ("core.order_lines", "k1 / 1", ["orphan_order", "missing_rate"]),
        ("core.order_lines", "n3 / 1", ["orphan_order", "missing_rate"]),
        ("core.orders", "k1", ["missing_rate"]),  # its first rate is of the next day
        ("core.orders", "n3", ["missing_rate"]),  # nine days old
        ("core.returns", "r6", ["missing_rate"]),
        ("core.returns", "r7", ["missing_rate"]),
        ("core.returns", "r8", ["unknown_currency"]),
    ]


def test_a_refund_is_worth_what_was_paid():
    ingest_day()
    assert found(
        "SELECT return_id, refund, currency, original_refund, exchange_rate FROM core.returns ORDER BY 1"
    ) == [
        ("r1", 11, "EUR", 10, Decimal("1.1")),
        ("r2", 11, "EUR", 10, Decimal("1.1")),
        ("r3", 12, "EUR", 10, Decimal("1.2")),
        ("r4", 10, "USD", None, None),
        ("r5", 10, None, None, None),
    ]


# The first day brings the customers; refunds of the fourth may come before their orders.
@pytest.mark.parametrize("days", [(1, 2, 3, 4, 5), (1, 5, 4, 3, 2), (1, 4, 2, 5, 3)])
def test_the_order_of_days_changes_nothing(days):
    ingest_day()
    at_once = {name: hashed for name, hashed in hashes().items() if name.startswith("core.")}
    at_once.pop("core.past_states", None)
    empty_warehouse()
    for day in days:
        ingest_day(f"2017-03-0{day}", since=f"2017-03-0{day}")
    after = hashes()
    assert {name: after[name] for name in at_once} == at_once


def test_what_is_said_of_rates_later_changes_no_amount_and_is_told():
    ingest_day()
    owner(
        "UPDATE exchange_rates SET rate = 1.30 WHERE currency = 'EUR' AND rate = 1.20",
        "INSERT INTO exchange_rates VALUES ('JPY', 0.0099, '2017-03-03 00:00-05')",
    )
    ingest_day(run_id="again")
    assert lines() == CONVERTED
    assert ("core.exchange_rates", "EUR / 2017-03-03", ["rate_stands"]) in set_aside()
    # A rate that comes late counts for orders that come after it.
    owner(
        "INSERT INTO orders VALUES "
        "('j4', 'c2', 's1', 'web', 'JPY', '2017-03-04 17:00+00', '2017-03-04 17:00+00')",
        "INSERT INTO order_lines VALUES ('j4', 1, 'p1', 1, 1000, 0, 0, 0, '2017-03-04 17:00+00')",
    )
    ingest_day(run_id="more")
    assert found("SELECT sales FROM core.order_lines WHERE order_id IN ('j3', 'j4') ORDER BY order_id") == [
        (Decimal("10.98"),), (Decimal("9.90"),),
    ]  # fmt: skip


def test_an_order_without_a_rate_comes_in_by_a_replay_once_there_is_one():
    from include.steps import gate, ingest

    ingest_day()
    owner("INSERT INTO exchange_rates VALUES ('NOK', 0.12, '2017-03-03 00:00-05')")
    ingest_day(LAST, since=LAST)
    plan = ingest.plan_replay({"as_of": LAST, "since": None, "run_id": "replay"})
    gate.gate(ingest.build_core(plan), rebuild=ingest.build_core)
    assert found("SELECT sales FROM core.order_lines WHERE order_id = 'n3'") == [(12,)]
    assert found("SELECT return_id, refund FROM core.returns WHERE return_id IN ('r6', 'r7') ORDER BY 1") == [
        ("r6", Decimal("1.2")), ("r7", Decimal("1.2")),
    ]  # fmt: skip
    assert not [row for row in set_aside() if row[1] in ("n3", "n3 / 1", "r6", "r7")]


#: Of the fourth of March, each at an hour of its own, and what is wrong with it.
WRONG = {
    "('EUR', 0, '2017-03-04 01:00-05')": "rate_not_positive",
    "('EUR', -1, '2017-03-04 02:00-05')": "rate_not_positive",
    "('EUR', 'NaN', '2017-03-04 03:00-05')": "not_a_number_rate",
    "('EUR', 'Infinity', '2017-03-04 04:00-05')": "too_large_rate",
    "('EUR', 120, '2017-03-04 05:00-05')": "far_from_neighbours",
    "('EUR', 0.0120, '2017-03-04 06:00-05')": "far_from_neighbours",
    "('USD', 0.83, '2017-03-04 07:00-05')": "wrong_base",
}


@pytest.mark.parametrize("standing", [False, True], ids=["all at once", "beside what stands"])
def test_a_wrong_rate_is_set_aside_and_converts_nothing(standing):
    if standing:
        ingest_day("2017-03-03", since="2017-03-01")
    owner(
        f"INSERT INTO exchange_rates VALUES {', '.join(WRONG)}",
        "INSERT INTO orders VALUES "
        "('e5', 'c1', 's1', 'web', 'EUR', '2017-03-05 17:00+00', '2017-03-05 17:00+00')",
        "INSERT INTO order_lines VALUES ('e5', 1, 'p1', 1, 10, 0, 0, 0, '2017-03-05 17:00+00')",
    )
    ingest_day()
    told = found(
        "SELECT reasons FROM quarantine.rejected_rows WHERE table_name = 'core.exchange_rates' "
        "ORDER BY payload ->> 'known_at'"
    )
    assert [reasons for (reasons,) in told] == [[reason] for reason in WRONG.values()]
    assert found("SELECT sales FROM core.order_lines WHERE order_id = 'e5'") == [(12,)]


def test_rates_that_turn_round_are_not_believed_by_saying_it_again():
    """Once yen for a dollar and not dollars for a yen: every day is told, and nothing converted by it."""
    owner("INSERT INTO orders VALUES ('j5', 'c2', 's1', 'web', 'JPY', '2017-03-05 17:00+00', NULL)")
    for day in (3, 4, 5):
        if day > 3:
            owner(f"INSERT INTO exchange_rates VALUES ('JPY', 112.4, '2017-03-0{day} 00:00-05')")
        ingest_day(f"2017-03-0{day}", since="2017-03-01")
    assert found(
        "SELECT row_key FROM quarantine.rejected_rows WHERE 'far_from_neighbours' = ANY(reasons) ORDER BY 1"
    ) == [("JPY / 2017-03-04",), ("JPY / 2017-03-05",)]
    assert found("SELECT exchange_rate FROM core.orders WHERE order_id = 'j5'") == [
        (Decimal("0.0089"),)
    ]

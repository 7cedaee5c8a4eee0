"""What the shop dates before it opened, or in the future: taken where it says what is, told where not."""

import pytest

from include import policy
from tests.sql.small_shop import (
    empty_warehouse,
    everything_on,
    fill_shop,
    found,
    ingest_day,
    nothing_changes,
    owner,
    policy_without,
)
from tests.sql.source_rows import FACTS, SOURCES, STATES, early

LONG_AGO = "'2009-05-01 12:00+00'"
OPENING = "2017-01-01"

#: Something of every source within the days, so that none is empty.
NOW = [
    row.replace("900", "901").replace("'s9'", "'s8'").replace("'2017-03-06'", "'2017-03-13'")
    for row in early((*STATES, *FACTS), "'2017-03-02 12:00+00'")
]


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(everything_on(home / "policy.yml")))
    assert policy.load().shop.opened_on.isoformat() == OPENING


@pytest.fixture(autouse=True)
def _fresh():
    fill_shop()
    empty_warehouse()
    owner(*NOW)


def told() -> dict[str, str]:
    """Table -> the days that the warning names."""
    return dict(
        found(
            r"SELECT table_name, substring(message FROM 'found (.*?):') FROM ops.quality_results "
            "WHERE check_name = 'recorded_in_time' AND NOT passed AND severity = 'warning'"
        )
    )


@pytest.mark.parametrize("at", [LONG_AGO, "'1970-01-01'"])
def test_what_is_since_before_the_opening_is_loaded_on_the_first_day(at):
    owner(*early(STATES, at))
    ingest_day()
    for table in STATES:
        assert found(
            f"SELECT count(*) FROM raw.{table} AS r WHERE _partition = '{OPENING}' "
            "AND (r::text LIKE '%%900%%' OR r::text LIKE '%%s9%%' OR r::text LIKE '%%2017-03-06%%')",
            {},
        ) == [(1,)], table
    assert found("SELECT count(*) FROM core.consents") == [(2,)]
    told_apart = {t: key for name in STATES for t, key in SOURCES[name].get("found", {}).items()}
    assert (
        len(told_apart) >= len(STATES) - 2
    )  # pseudonyms hide whose addresses and answers they are
    for table, key in told_apart.items():
        assert found(f"SELECT count(*) FROM core.{table} WHERE {key}") == [(1,)], table
    assert told() == {}
    with nothing_changes():
        ingest_day(since=OPENING)


def test_a_stamp_of_minus_infinity_comes_and_is_set_aside_with_its_reason():
    owner(
        "INSERT INTO stores VALUES ('s9', 'south', '-infinity')",
        "UPDATE customers SET registered_at = '-infinity', updated_at = '-infinity' "
        "WHERE customer_number = 'c7'",
    )
    ingest_day()
    impossible = ["impossible_valid_from", "impossible_known_at"]
    assert found(
        "SELECT table_name, business_day::text, reasons FROM quarantine.rejected_rows ORDER BY 1"
    ) == [
        ("core.customers", OPENING, [*impossible, "impossible_registered_at"]),
        ("core.stores", OPENING, impossible),
    ]
    # The customer's orders stay the customer's.
    assert found(
        "SELECT i.known_at = timestamptz '2017-01-01 00:00 America/New_York', count(*) > 0 "
        "FROM core.orders JOIN core.identities AS i USING (customer_id) WHERE i.external_id = 'c7' GROUP BY 1"
    ) == [(True, True)]


def test_a_refusal_before_the_opening_holds_for_the_person():
    owner(
        "UPDATE customers SET first_name = 'Ana', last_name = 'Silva' WHERE customer_number = 'c1'",
        "INSERT INTO accounts (account_number, system, customer_number, email_verified, updated_at) "
        "VALUES ('W1', 'web', 'c1', false, '2017-03-01 07:00+00')",
        "INSERT INTO consents VALUES (1, 'W1', 'email', 'marketing', false, '2016-12-20 12:00+00')",
        "INSERT INTO consents VALUES (2, 'c1', 'email', 'marketing', true, '2017-03-02 12:00+00')",
    )
    ingest_day()
    assert found(
        "SELECT granted, answer FROM core.consents JOIN core.identities AS i USING (customer_id) "
        "WHERE i.external_id = 'c1' ORDER BY valid_from"
    ) == [(False, False), (False, True)]


def test_what_happened_before_the_opening_is_told_when_the_history_is_loaded():
    owner(*early(FACTS, LONG_AGO))
    ingest_day()
    assert told() == {
        f"raw.{table}": f"1 rows of {table} dated 2009-05-01 to 2009-05-01" for table in FACTS
    }
    assert found("SELECT count(*) FROM core.orders WHERE order_id = 'o900'") == [(0,)]


def test_an_ordinary_day_neither_takes_nor_tells_what_is_old():
    owner(*early((*STATES, *FACTS), LONG_AGO))
    ingest_day(since="2017-03-01")
    assert told() == {}
    assert found("SELECT count(*) FROM core.products WHERE product_id = 'p900'") == [(0,)]


def test_what_is_dated_in_the_future_is_told_of_every_table_every_day():
    owner(
        *early((*STATES, *FACTS), "'2029-05-01 12:00+00'"),
        # Recorded in the future too it would be the shop's newest day.
        "UPDATE orders SET updated_at = '2017-03-02' WHERE order_number = 'o900'",
    )
    ingest_day(since="2017-03-01")
    assert told() == {
        f"raw.{table}": f"1 rows of {table} dated 2029-05-01 to 2029-05-01"
        for table in (*STATES, *FACTS)
        if table != "customers"
    }


def test_days_that_the_shop_holds_beyond_the_run_are_no_future():
    ingest_day("2017-03-02", since="2017-03-01")
    assert told() == {}


def test_a_source_that_is_off_is_not_asked(monkeypatch, home):
    path = policy_without(("mentions",), home / "without_mentions.yml")
    monkeypatch.setenv("REGULARS_POLICY", str(path))
    owner(*early(FACTS, LONG_AGO), "ALTER TABLE mentions RENAME TO gone")
    try:
        ingest_day()
    finally:
        owner("ALTER TABLE gone RENAME TO mentions")
    assert "raw.mentions" not in told()
    assert "raw.reviews" in told()

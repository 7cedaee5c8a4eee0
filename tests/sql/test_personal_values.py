"""What is kept and told of a run's quality holds no value of a person, whatever a shop sent and broke."""

from types import SimpleNamespace

import pytest

from include import contracts, publication, warehouse
from include.contracts import Check
from include.errors import QualityStop
from include.quality import expectations
from tests.sql.small_shop import (
    FIRST,
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
    to_raw,
)

#: Sources that hold something about a person.
PERSONAL = {"contact_points", "consents", "accounts", "reviews", "mentions"}

AT = "timestamptz '2017-03-02 17:00+00'"

#: Parts that no other text has: each stands in a value of one kind.
MARKS = (
    "qwxana", "qwyork", "qwmail", "qwbroken", "qwslip", "qwpush", "qwborn", "qwsays", "qwtell", "qwnum",
    "555014", "1899-02-31", "1881-01-17", "1961-11-23",
)  # fmt: skip

PLANTED = f"""
UPDATE customers SET first_name = 'Qwxana' || customer_number, last_name = 'Qwyork' || customer_number,
    birthday = (ARRAY['1961-11-23', '1899-02-31', '1881-01-17', 'Qwborn in May', '23/11/61 +1555014777'])
        [1 + right(customer_number, 1)::integer % 5];
UPDATE customers SET age_band = 'qwslip@qwmail.example' WHERE customer_number IN ('c1', 'c2');
UPDATE customers SET home_store_id = '+1555014001' WHERE customer_number = 'c3';
INSERT INTO customers (customer_number, first_name, birthday, registered_at, updated_at)
VALUES (' ', 'Qwxana', '1961-11-23', {AT}, {AT}), ('qwnum@qwmail.example', 'Qwxana', NULL, {AT}, NULL);
INSERT INTO contact_points (contact_id, customer_number, channel, address, verified, updated_at)
SELECT n, 'c' || n, 'email', 'Qwmail' || n || '@example.com', true, {AT} FROM generate_series(1, 55) AS n
UNION ALL SELECT 100 + n, 'c' || n, 'email', 'qwbroken' || n || '@@example,com', true, {AT}
    FROM generate_series(1, 6) AS n
UNION ALL SELECT 200 + n, 'c' || n, 'sms', '+1555014' || 100 + n, true, {AT} FROM generate_series(1, 30) AS n
UNION ALL SELECT 300 + n, 'c' || n, 'sms', '555014-qwbroken', true, {AT} FROM generate_series(1, 3) AS n
UNION ALL SELECT 400 + n, 'c' || n, 'push', 'qwpush token', true, {AT} FROM generate_series(1, 3) AS n
UNION ALL SELECT 500 + n, 'c' || n, 'qwslip' || n || '@qwmail.example', 'x', true, {AT}
    FROM generate_series(1, 5) AS n
UNION ALL SELECT 600, 'qwnum@qwmail.example', 'email', 'qwmail600@example.com', true, NULL
UNION ALL SELECT 601, 'Qwxana Nobody', 'email', 'qwmail601@example.com', true, {AT};
INSERT INTO consents (consent_id, customer_number, channel, purpose, granted, recorded_at)
SELECT n, 'c' || n, 'email', 'marketing', true, {AT} FROM generate_series(1, 55) AS n
UNION ALL SELECT 100 + n, 'c' || n, 'email', 'qwslip ' || n, true, {AT} FROM generate_series(1, 5) AS n
UNION ALL SELECT 200 + n, 'c' || n, '+1555014200', 'marketing', NULL, {AT} FROM generate_series(1, 3) AS n;
INSERT INTO accounts (account_number, system, customer_number, first_name, last_name, email, phone,
    loyalty_number, handle, email_verified, updated_at)
SELECT 'Wqwnum' || n, CASE WHEN n > 4 THEN 'web' ELSE 'qwslip' || n || '@qwmail.example' END, 'c' || n,
    'Qwxana', 'Qwyork', 'qwmail' || n || '@example.com', '+1555014' || 300 + n, 'qwnum-card', '@qwsays' || n,
    n % 2 = 0, {AT}
FROM generate_series(1, 55) AS n;
INSERT INTO reviews (review_id, customer_number, product_number, rating, body, written_at)
SELECT n, 'c' || n, 'p1', CASE WHEN n > 5 THEN 4 ELSE 555014 END, 'Call me, Qwtell, at +1555014999', {AT}
FROM generate_series(1, 30) AS n
UNION ALL SELECT 100, 'qwnum@qwmail.example', 'p1', 4, 'Qwtell', {AT};
INSERT INTO mentions (mention_id, network, handle, product_number, body, posted_at)
SELECT n, 'qwslip@qwmail.example', '@qwsays' || n, 'p1', 'I am Qwtell', {AT} FROM generate_series(1, 30) AS n;
UPDATE orders SET channel = 'qwslip@qwmail.example' WHERE order_number IN ('o1', 'o2', 'o3');
INSERT INTO orders VALUES
    ('qwnum-1', 'qwnum@qwmail.example', '+1555014400', 'till', 'Qwslip', {AT}, {AT}),
    ('qwnum-2', 'Qwxana Nobody', 's1', 'till', 'USD', {AT}, {AT});
INSERT INTO order_lines VALUES ('qwnum-1', 1, 'qwslip@qwmail.example', 'NaN', 9999, 0, 0, 0, {AT});
INSERT INTO events VALUES (5550140000, 'Qwxana Nobody', 'p1', 'qwslip@qwmail.example', {AT});
"""


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    off = tuple(name for name in OFF if name not in PERSONAL)
    module_env.setenv("REGULARS_POLICY", str(policy_without(off, home / "policy.yml")))


@pytest.fixture
def planted():
    fill_shop()
    empty_warehouse()
    owner(*[statement for statement in PLANTED.split(";\n") if statement.strip()])


def kept() -> dict[str, str]:
    """All that stands in the tables about runs, in small letters."""
    return {
        contract.name: "\n".join(
            row for (row,) in found(f"SELECT lower(t::text) FROM {contract.name} AS t")
        )
        for contract in contracts.all_contracts()
        if contract.name.startswith("ops.") and not contract.view
    }


def assert_no_mark(*told: str) -> None:
    for mark in MARKS:
        for text in told:
            assert mark not in text.lower(), f"{mark} in: {text[:2000]}"


def test_nothing_about_a_person_reaches_the_results_the_profiles_or_the_log(planted, caplog, capfd):
    caplog.set_level("DEBUG")
    ingest_day(since=FIRST)
    # The values did arrive: whole ones in the tables that may hold them, broken ones in quarantine.
    arrived = "".join(
        row
        for table in (
            "raw.customers", "raw.contact_points", "raw.consents", "raw.accounts", "raw.reviews",
            "raw.mentions", "raw.orders", "core.identities", "core.contact_points",
        )
        for (row,) in found(f"SELECT lower(t::text) FROM {table} AS t")
    )  # fmt: skip
    assert [mark for mark in MARKS if mark not in arrived] == []
    reasons = {
        reason
        for (reason,) in found("SELECT DISTINCT unnest(reasons) FROM quarantine.rejected_rows")
    }
    assert reasons >= {
        "invalid_email", "invalid_phone", "invalid_token", "unknown_channel", "unknown_system",
        "orphan_customer", "orphan_order", "not_a_number_quantity", "unknown_currency",
    }  # fmt: skip
    broken = "SELECT table_name, split_part(check_name, ',', 1) FROM ops.quality_results WHERE NOT passed"
    assert set(found(broken)) >= {
        ("core.customers", "column_values_to_be_in_set(age_band"),
        ("core.consents", "column_values_to_be_in_set(purpose"),
    }
    told = kept()
    assert {"ops.quality_results", "ops.table_profiles", "ops.batches", "ops.row_counts"} <= {
        table for table, text in told.items() if text
    }
    assert "expected column_values_to_be_in_set" in told["ops.quality_results"]
    printed = capfd.readouterr()
    assert_no_mark(*told.values(), caplog.text, printed.out, printed.err)


def test_a_stopped_run_says_nothing_about_a_person_either(planted, caplog, capfd):
    caplog.set_level("DEBUG")
    owner("UPDATE contact_points SET channel = address")
    with pytest.raises(QualityStop) as stopped:
        ingest_day(since=FIRST)
    printed = capfd.readouterr()
    assert_no_mark(str(stopped.value), *kept().values(), caplog.text, printed.out, printed.err)


def test_a_check_that_cannot_run_tells_what_went_wrong_and_no_value(planted, caplog, capfd):
    """PostgreSQL quotes the text that it could not read, and the library passes that on."""
    caplog.set_level("DEBUG")
    run = to_raw(since=FIRST)
    with publication.new_batch("core", run) as (conn, batch):
        contract = contracts.load("raw", "customers")
        warehouse.execute(
            conn,
            f"CREATE VIEW {batch.schema}.customers AS "
            "SELECT customer_number, birthday::date::text AS birthday FROM raw.customers",
        )
    asked = contract.model_copy(
        update={
            "checks": [
                Check.model_validate(
                    {"expect": expect, "column": "birthday", "severity": "critical"} | arguments
                )
                for expect, arguments in (
                    ("column_values_to_not_be_null", {}),
                    ("column_values_to_match_regex", {"regex": "^1"}),
                    ("column_values_to_be_unique", {}),
                )
            ]
        }
    )
    results = expectations.check(batch, [asked], warehouse.url())
    assert [result.passed for result in results] == [False, False, False]
    assert all("could not run" in result.message for result in results)
    printed = capfd.readouterr()
    assert_no_mark(*(r.message for r in results), caplog.text, printed.out, printed.err)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('(psycopg2.errors.DataError) no date: "Qwborn"\n[SQL: x]', "psycopg2.errors.DataError"),
        ("MetricResolutionError: Qwborn", "MetricResolutionError"),
        ("'Qwborn'", "an error of the library"),
        ("Qwborn", "an error of the library"),
        ("qwborn.qwmail@example.com: no", "an error of the library"),
    ],
)  # fmt: skip
def test_of_an_error_of_the_library_its_kind_is_told(said, told, nested):
    info = {"exception_message": said, "exception_traceback": said, "raised_exception": True}
    item = SimpleNamespace(
        expectation_config=SimpleNamespace(
            type="expect_column_values_to_be_unique",
            kwargs={"column": "birthday"},
            severity="warning",
        ),
        result={},
        exception_info={"a metric": info} if nested else info,
        success=False,
    )
    result = expectations._result(contracts.load("raw", "customers"), item)
    assert f"the check could not run ({told})" in result.message
    assert_no_mark(str(result))

"""What the shop has deleted, and refusals that no window holds: noticed, told, and mended in the end."""

import pytest

from include import warehouse
from include.errors import BadInput
from tests.sql.small_shop import (
    LAST,
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
)

pytestmark = pytest.mark.usefixtures("warehouse", "shop")

DAY = "2017-03-04"

#: Everybody has an address and says yes.
ROWS = """
INSERT INTO contact_points
SELECT n, 'c' || n, 'email', 'c' || n || '@example.com', true, '2017-03-01 06:00+00'
FROM generate_series(1, 60) AS n;
INSERT INTO consents
SELECT n, 'c' || n, 'email', 'marketing', true, '2017-03-01 06:00+00' FROM generate_series(1, 60) AS n
"""


@pytest.fixture(autouse=True)
def filled(warehouse, shop, tmp_path, monkeypatch):
    off = tuple(name for name in OFF if name not in ("contact_points", "consents"))
    monkeypatch.setenv("REGULARS_POLICY", str(policy_without(off, tmp_path / "policy.yml")))
    fill_shop()
    empty_warehouse()
    owner(ROWS)
    ingest_day(DAY)


def allowed(channel: str = "email") -> set[str]:
    """Who may be written to."""
    with warehouse.connect() as conn:
        rows = warehouse.rows(
            conn,
            warehouse.sql("queries/activate/permissions"),
            {"end": "infinity", "granted_by": "2017-03-06", "customers": None},
        )
        numbers = dict(warehouse.rows(conn, "SELECT customer_id, external_id FROM core.identities"))
    return {
        numbers[customer]
        for customer, of, granted, has_contact, verified, suppressed in rows
        if of == channel and granted and has_contact and verified and not suppressed
    }


def everybody(*without: str) -> set[str]:
    return {f"c{n}" for n in range(1, 61)} - set(without)


def test_everybody_may_be_written_to_at_first():
    assert allowed() == everybody()
    assert found("SELECT * FROM ops.deleted_in_shop") == []
    assert found("SELECT * FROM ops.refusals") == []


@pytest.mark.parametrize("table", ["customers", "contact_points", "consents"])
def test_what_is_deleted_allows_nothing_and_counts_again_when_it_is_back(table):
    owner(
        f"CREATE TABLE kept AS SELECT * FROM {table} WHERE customer_number IN ('c1', 'c2')",
        f"DELETE FROM {table} WHERE customer_number IN ('c1', 'c2')",
    )
    try:
        ingest_day(LAST)
        assert allowed() == everybody("c1", "c2")
        # An older day says nothing of what the shop holds by now.
        ingest_day(DAY)
        assert allowed() == everybody("c1", "c2")
        owner(f"INSERT INTO {table} SELECT * FROM kept")
        ingest_day(LAST)
        assert allowed() == everybody()
    finally:
        owner("DROP TABLE kept")


@pytest.mark.parametrize("table", ["customers", "contact_points", "consents"])
def test_a_read_that_lost_many_keys_stops_by_name(table):
    owner(f"DELETE FROM {table} WHERE customer_number IN ('c1', 'c2', 'c3', 'c4')")
    with pytest.raises(BadInput, match=rf"the shop's table {table} .* found 4 of them gone"):
        ingest_day(LAST)
    assert allowed() == everybody()


@pytest.mark.parametrize("table", ["customers", "contact_points", "consents"])
def test_what_goes_bit_by_bit_is_no_read_that_lost_many(table):
    """Two in a run, six in all, of sixty: what was missed before is no loss of this read."""
    for first in (1, 3, 5):
        gone = f"'c{first}', 'c{first + 1}'"
        owner(f"DELETE FROM {table} WHERE customer_number IN ({gone})")
        ingest_day(LAST)
    assert allowed() == everybody(*(f"c{n}" for n in range(1, 7)))


def test_a_no_beside_a_yes_of_the_same_moment_is_no_known_one():
    """Old rows: one was turned into a no in place, of another channel there is a no of the same day."""
    at = "2017-02-01 06:00+00"
    with warehouse.connect() as conn:
        warehouse.execute(
            conn,
            f"UPDATE core.consents SET valid_from = '{at}', known_at = '{at}' "
            "WHERE customer_id = (SELECT customer_id FROM core.identities WHERE external_id = 'c1')",
        )
    owner(f"UPDATE consents SET granted = false, recorded_at = '{at}' WHERE customer_number = 'c1'")
    ingest_day(LAST)
    assert "c1" not in allowed()


def test_a_row_that_only_changed_is_not_gone():
    owner(
        "UPDATE contact_points SET verified = true, updated_at = '2017-03-20 06:00+00'",
        "UPDATE consents SET recorded_at = '2017-03-20 06:00+00'",
    )
    ingest_day(LAST)
    assert allowed() == everybody()


def test_a_core_without_the_shops_row_numbers_is_compared_by_account_and_channel():
    with warehouse.connect() as conn:
        warehouse.execute(conn, "UPDATE core.contact_points SET contact_id = NULL")
        warehouse.execute(conn, "UPDATE core.consents SET consent_id = NULL")
    owner("DELETE FROM contact_points WHERE customer_number = 'c1'")
    owner("DELETE FROM consents WHERE customer_number = 'c2'")
    ingest_day(LAST)
    assert allowed() == everybody("c1", "c2")


def test_an_address_replaced_by_none_stays_nobodys_when_its_day_is_past():
    owner(
        "UPDATE contact_points SET address = 'none', updated_at = '2017-03-04 12:00+00' WHERE contact_id = 1"
    )
    ingest_day(DAY)
    assert allowed() == everybody("c1")
    ingest_day(LAST, since=LAST)
    assert allowed() == everybody("c1")


@pytest.mark.parametrize(
    ("stamp", "how", "at"),
    [
        ("'2017-03-01 05:00+00'", "late", "2017-03-01 05:00:00+00"),
        ("'2017-05-01 05:00+00'", "future", "2017-03-06 05:00:00+00"),
        ("NULL", "set_aside", "2017-03-06 05:00:00+00"),
        ("'1700-01-01'", "late", "2017-03-06 05:00:00+00"),
    ],
)
def test_a_refusal_that_no_window_holds_is_noted_once_and_told(stamp, how, at):
    owner(f"INSERT INTO consents VALUES (900, 'c1', 'email', 'marketing', false, {stamp})")
    for _ in range(2):
        ingest_day(LAST, since=LAST)
        assert found("SELECT how, channel, refused_at::text FROM ops.refusals") == [
            (how, "email", at)
        ]
    assert found(
        "SELECT DISTINCT check_name, severity FROM ops.quality_results "
        "WHERE check_name LIKE 'refusals_%' AND NOT passed"
    ) == [(f"refusals_{how}", "critical")]


def test_a_later_yes_takes_a_late_no_back():
    owner(
        "INSERT INTO consents VALUES (900, 'c1', 'email', 'marketing', false, '2017-02-27 05:00+00')",
        "INSERT INTO consents VALUES (901, 'c2', 'email', 'marketing', false, '2017-03-01 07:00+00')",
    )
    ingest_day(LAST, since=LAST)
    # c1's yes of 1 March is later than the no; c2's is not.
    assert allowed() == everybody("c2")
    owner(
        "INSERT INTO consents VALUES (902, 'c2', 'email', 'marketing', true, '2017-03-05 12:00+00')"
    )
    ingest_day(LAST, since=LAST)
    assert allowed() == everybody()


def test_a_no_to_something_else_is_none_to_marketing():
    owner(
        "INSERT INTO consents VALUES (900, 'c1', 'email', 'cookies', false, '2017-03-05 12:00+00')",
        "INSERT INTO consents VALUES (901, 'c2', 'email', 'Transactional', false, NULL)",
    )
    ingest_day(LAST)
    assert allowed() == everybody()
    assert found("SELECT * FROM ops.refusals") == []


def test_a_yes_to_every_channel_takes_a_no_back_and_a_no_to_one_is_none_to_the_others():
    owner(
        "INSERT INTO contact_points SELECT 100 + n, 'c' || n, 'sms', '+44207946' || lpad(n::text, 4, '0'), "
        "true, '2017-03-05 06:00+00' FROM generate_series(1, 60) AS n",
        "INSERT INTO consents VALUES (900, 'c1', 'all', 'marketing', true, '2017-03-05 12:00+00'), "
        "(901, 'c2', 'all', 'marketing', true, '2017-03-05 12:00+00'), "
        "(902, 'c2', 'email', 'marketing', false, '2017-03-05 13:00+00')",
    )
    ingest_day(LAST)
    assert allowed() == everybody("c2")
    assert allowed("sms") == {"c1", "c2"}

"""A customer is forgotten everywhere, and stays so whatever the shop sends again."""

import re
from datetime import UTC, datetime

import pytest

from include import warehouse
from include.errors import BadInput, QualityStop
from include.persons import (
    by_hand,
    erasure,
    erasure_requests,
    pseudonym,
)
from include.steps import ingest
from tests.sql import planted
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
)
from tests.sql.test_people import ON, PEOPLE

AT = datetime(2017, 3, 6, tzinfo=UTC)
#: What must not be found anywhere: numbers, an address, a handle, a name.
TRACES = ("c3", "S3", "eva@example.com", "@eva", "roth")


@pytest.fixture
def published(shop, warehouse, home, module_env) -> None:
    """A warehouse with people, one with a social account, and rows about her in every layer."""
    without = tuple(name for name in OFF if name not in ON)
    module_env.setenv("REGULARS_POLICY", str(policy_without(without, home / "policy.yml")))
    fill_shop()
    owner(PEOPLE)
    # one of her orders names a product line that will be set aside
    owner(
        "INSERT INTO orders VALUES ('e1', 'c3', 's1', 'till', 'USD', '2017-03-03 17:00+00', "
        "'2017-03-03 17:00+00')",
        "INSERT INTO order_lines VALUES ('e1', 1, 'p1', -1, 2.50, 0, 0, 0, '2017-03-03 17:00+00')",
    )
    empty_warehouse()
    ingest_day()
    with warehouse_connection() as conn:
        who = {"customer_id": person("c3"), "external_id": "c3"}
        planted.fill(conn, "marketing.customer_segments", [who | {"as_of": "2017-03-05"}])
        planted.fill(conn, "features.customer_features", [{"as_of": "2017-03-05"} | who_only(who)])


warehouse_connection = warehouse.connect


def who_only(who: dict[str, str]) -> dict[str, str]:
    return {"customer_id": who["customer_id"]}


def person(number: str) -> str:
    return str(pseudonym.pseudonym(number, pseudonym.key()))


def everything() -> dict[str, str]:
    """Every row of every table as text, staged ones included."""
    with warehouse_connection() as conn:
        tables = warehouse.rows(
            conn,
            r"SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('raw', 'core', "
            r"'quarantine', 'features', 'ml', 'marketing', 'ops') OR schemaname LIKE 'stage\_%'",
        )
        return {
            table: str(warehouse.rows(conn, f"SELECT t::text FROM {table} AS t"))
            for (table,) in tables
        }


def traces(of: tuple[str, ...]) -> set[str]:
    """Tables that hold a mark as a whole value."""
    pattern = re.compile("|".join(rf"(?<![\w.-]){re.escape(mark)}(?![\w-])" for mark in of), re.I)
    return {table for table, text in everything().items() if pattern.search(text)}


def test_nothing_is_left_but_hashes(published):
    marks = (*TRACES, person("c3"), person("S3"))
    before = traces(marks)
    assert {
        "raw.customers", "raw.mentions", "core.identities", "core.orders", "core.order_lines",
        "core.mentions", "core.accounts", "core.contact_points", "core.identity_links",
        "quarantine.rejected_rows", "features.customer_features", "marketing.customer_segments",
    } <= before  # fmt: skip
    others = found(
        "SELECT count(*) FROM core.orders WHERE customer_id <> %(w)s", {"w": person("c3")}
    )
    deleted = erasure.forget("S3", "erase", AT)  # any of her numbers will do
    assert deleted["core"] > 5
    assert deleted["staged"] > 5
    assert traces(TRACES) == set()
    assert traces(marks) == {"ops.erasures", "ops.suppressions"}
    assert found("SELECT count(*) FROM core.orders") == others
    assert found(
        "SELECT channel, reason FROM ops.suppressions WHERE customer_id = %(who)s",
        {"who": person("c3")},
    ) == [("all", "erased")]
    assert erasure.remaining("c3") == 0


def test_what_the_shop_sends_again_is_dropped(published):
    erasure.forget("c3", "erase", AT)
    owner(
        "UPDATE customers SET first_name = 'Eva', updated_at = '2017-03-05 12:00+00' "
        "WHERE customer_number = 'c3'",
        "INSERT INTO mentions VALUES (9, 'birdsong', '@EVA ', 'p1', 'Again me.', '2017-03-05 13:00+00')",
    )
    counts = ingest_day(since="2017-03-01")
    assert counts["core.orders"] > 90
    assert traces((*TRACES[:4], person("c3"), person("S3"))) == {"ops.erasures", "ops.suppressions"}
    assert erasure.remaining("c3") == 0


def test_a_request_is_fulfilled_without_its_number_in_the_run(published):
    request = erasure_requests.ask("S3")
    done = erasure_requests.fulfil(request, "erase", AT)
    assert "S3" not in str(done)
    assert done["deleted"]["core"] > 5
    # A run that dies before its check is cleared: the number is there until nothing is left.
    assert erasure_requests.fulfil(None, "erase", AT)["requests"] == [request]
    erasure_requests.confirm(done["requests"], "erase", AT)
    assert traces(TRACES) == set()
    assert found("SELECT external_id, run_id, fulfilled_at FROM core.erasure_requests") == [
        (None, "erase", AT)
    ]
    with pytest.raises(BadInput, match="fulfilled already"):
        erasure_requests.fulfil(request, "erase", AT)
    with pytest.raises(BadInput, match="delete this run"):
        erasure_requests.fulfil("c3", "erase", AT)


def test_a_request_waits_while_a_row_is_left(published):
    request = erasure_requests.ask("c3")
    with pytest.raises(QualityStop, match="Expected no row"):
        erasure_requests.confirm([request], "erase", AT)
    assert found("SELECT external_id FROM core.erasure_requests") == [("c3",)]


@pytest.mark.slow
def test_a_batch_built_before_does_not_bring_anybody_back(published):
    from include.steps import gate

    plan = ingest.plan({"as_of": "2017-03-05", "since": "2017-03-01", "run_id": "slow"})
    raw = ingest.extract(plan)
    gate.gate(raw, rebuild=ingest.extract)
    core = ingest.build_core(plan)
    with warehouse_connection() as conn:  # as if the batch had been hidden from the erasure
        warehouse.execute(
            conn,
            "INSERT INTO ops.erasures VALUES (%(who)s, 'account', now(), 'x')",
            {"who": person("c3")},
        )
    gate.gate(core, rebuild=ingest.build_core)
    assert found("SELECT 1 FROM core.identities WHERE external_id = 'c3'") == []
    assert found("SELECT 1 FROM core.orders WHERE customer_id = %(w)s", {"w": person("c3")}) == []


@pytest.mark.slow
def test_who_was_put_together_is_erased_together(published):
    erasure.forget("c1", "erase", AT)
    assert traces(("w1", "c1", person("w1"), person("c1"))) == {"ops.erasures", "ops.suppressions"}
    with warehouse_connection() as conn, pytest.raises(BadInput):
        by_hand.explain(conn, "w1")


def test_somebody_unknown_is_recorded_and_nothing_else_happens(published):
    before = everything()
    erasure.forget("nobody-77", "erase", AT)
    after = everything()
    changed = {table for table in after if after[table] != before[table]}
    assert changed == {"ops.erasures", "ops.suppressions"}
    with pytest.raises(BadInput, match="external_id"):
        erasure.forget("  ", "erase", AT)

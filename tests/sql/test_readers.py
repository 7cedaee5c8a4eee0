"""Readers of any table of core see one whole state of the shop, while the next is published."""

import time

import pytest

from include import contracts, policy
from include.quality import expectations
from include.sources import offered
from tests.sql.readers import watch
from tests.sql.small_shop import (
    FIRST,
    LAST,
    empty_warehouse,
    everything_on,
    fill_shop,
    found,
    ingest_day,
    owner,
)
from tests.sql.source_rows import MARKS, more

GENERATIONS = (1, 2, 3)


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(everything_on(home / "policy.yml")))


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
    assert all(offered.is_on(policy.load(), c.table) for c in contracts.of_dataset("raw"))
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
    owner(*more())
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

"""Quarantine and replay: what is mended passes and leaves, what is not stays, and no row is lost."""

import pytest

from include import contracts, warehouse
from include.contracts import Reject
from include.errors import BadInput, QualityStop
from include.launcher import cli
from include.launcher.commands import inside
from include.launcher.servers.api import Api, Run
from include.steps import gate, ingest, replay, upkeep
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    hashes,
    ingest_day,
    nothing_changes,
    owner,
    policy_without,
    to_raw,
)

FAULTS = (
    # Two lines a thousand times as dear as usual, one that no rule will ever pass, and an orphan.
    "INSERT INTO order_lines VALUES ('o1', 11, 'p1', 1, 3000, 0, 0, 0, '2017-03-02 17:00+00')",
    "INSERT INTO order_lines VALUES ('o2', 11, 'p2', 1, 4000, 0, 0, 0, '2017-03-03 17:00+00')",
    "INSERT INTO order_lines VALUES ('o2', 12, 'p1', -1, 1, 0, 0, 0, '2017-03-03 17:00+00')",
    "INSERT INTO orders VALUES ('o900', 'ghost', 's1', 'till', 'USD', '2017-03-04 17:00+00', "
    "'2017-03-04 17:00+00')",
)


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(policy_without(OFF, home / "policy.yml")))


@pytest.fixture(autouse=True)
def _faulty():
    fill_shop()
    empty_warehouse()
    owner(*FAULTS)
    ingest_day()


@pytest.fixture
def mended(monkeypatch):
    """The rule about absurd prices, repaired: those prices are true."""
    contract = contracts.load("core", "order_lines")
    rules = [
        Reject(reason=r.reason, when="false", expected=r.expected)
        if r.reason == "absurd_price"
        else r
        for r in contract.rejects
    ]
    assert rules != contract.rejects
    repaired = contract.model_copy(update={"rejects": rules})
    loaded = contracts.load
    monkeypatch.setattr(
        contracts,
        "load",
        lambda schema, table: (
            repaired if (schema, table) == ("core", "order_lines") else loaded(schema, table)
        ),
    )


def waiting() -> list[str]:
    return [
        key for (key,) in found("SELECT row_key FROM quarantine.rejected_rows ORDER BY row_key")
    ]


def test_what_passes_leaves_and_what_does_not_stays(mended):
    assert waiting() == ["o1 / 11", "o2 / 11", "o2 / 12", "o900"]
    before, after = replay.replay()
    assert (before.total(), after.total()) == (4, 2)
    assert waiting() == ["o2 / 12", "o900"]
    assert found(
        "SELECT order_id, sales::text FROM core.order_lines WHERE line_number = 11 ORDER BY 1"
    ) == [("o1", "3000.00"), ("o2", "4000.00")]


def test_the_rows_of_a_replay_add_up_and_that_is_a_check(mended):
    replay.replay()
    token = found("SELECT max(token) FROM ops.row_counts")[0][0]
    assert found(
        "SELECT table_name FROM ops.row_counts WHERE token = %(token)s "
        "AND extracted <> published + quarantined + duplicates",
        {"token": token},
    ) == []  # fmt: skip
    accounts = found(
        "SELECT count(*) FROM ops.row_counts WHERE token = %(token)s", {"token": token}
    )
    checks = found(
        "SELECT count(*) FROM ops.quality_results WHERE check_name = 'rows_add_up' AND passed "
        "AND severity = 'critical' AND run_id LIKE 'replay%'"
    )
    assert accounts == checks
    assert accounts[0][0] >= 5


def test_a_replay_does_not_ask_the_shop(mended, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "postgresql://nobody:x@127.0.0.1:1/nowhere")
    replay.replay()
    assert waiting() == ["o2 / 12", "o900"]


def test_an_orphan_leaves_when_its_customer_has_come():
    owner(
        "INSERT INTO customers (customer_number, registered_at, updated_at) "
        "VALUES ('ghost', '2017-03-05 06:00+00', '2017-03-05 06:00+00')"
    )

    def refuse(run):
        raise QualityStop("Expected 1, found 2.")

    plan = to_raw("2017-03-05", since="2017-03-05")
    gate.gate(ingest.build_core(plan), rebuild=refuse)  # its day could not be built again
    assert "o900" in waiting()
    replay.replay()
    assert "o900" not in waiting()
    assert found("SELECT count(*) FROM core.orders WHERE order_id = 'o900'") == [(1,)]
    assert found("SELECT count(*) FROM ops.stale_days") == [(0,)]


def test_an_orphan_leaves_by_itself_with_the_run_that_brings_its_customer():
    owner(
        "INSERT INTO customers (customer_number, registered_at, updated_at) "
        "VALUES ('ghost', '2017-03-05 06:00+00', '2017-03-05 06:00+00')"
    )
    ingest_day("2017-03-05", since="2017-03-05")
    assert "o900" not in waiting()
    assert found("SELECT count(*) FROM core.orders WHERE order_id = 'o900'") == [(1,)]


def test_without_a_repair_nothing_changes():
    with nothing_changes():
        before, after = replay.replay()
    assert before == after


def test_days_that_expired_in_raw_are_refused_and_not_emptied():
    with warehouse.connect() as conn:
        warehouse.execute(conn, "DELETE FROM raw.order_lines WHERE _partition = '2017-03-02'")
    before = {name: value for name, value in hashes().items() if name.startswith("core.")}
    with pytest.raises(BadInput, match=r"found 2017-03-02 expired"):
        replay.replay()
    assert {name: value for name, value in hashes().items() if name.startswith("core.")} == before


def test_a_replay_that_fails_a_check_changes_nothing(monkeypatch):
    contract = contracts.load("core", "orders")
    broken = contract.model_copy(
        update={"checks": [c.model_copy(update={"severity": "critical", "min_value": 10**6})
                           for c in contract.checks if c.expect == "table_row_count_to_be_between"]}
    )  # fmt: skip
    of_dataset = contracts.of_dataset
    monkeypatch.setattr(
        contracts,
        "of_dataset",
        lambda name: tuple(broken if c.name == "core.orders" else c for c in of_dataset(name)),
    )
    with nothing_changes(), pytest.raises(QualityStop):
        replay.replay()


def test_an_empty_quarantine_is_one_sentence():
    with warehouse.connect() as conn:
        warehouse.execute(conn, "TRUNCATE quarantine.rejected_rows")
    with pytest.raises(BadInput, match="nothing to replay"):
        replay.replay()


def test_the_command_says_what_became_of_the_rows(mended, monkeypatch, capsys):
    from contextlib import nullcontext

    monkeypatch.setattr(inside, "embedded", lambda state: nullcontext({}))
    assert cli.main(["replay", "--since", "2017-03-02", "--as-of", "2017-03-03"]) == 0
    said = capsys.readouterr().out
    assert "3 rows were in quarantine; 2 passed and left it." in said
    assert "core.order_lines: negative_quantity" in said
    assert "Airflow is down: once it is up, trigger regulars_features with as_of 2017-03-05" in said
    assert waiting() == ["o2 / 12", "o900"]


class Up(Api):
    """An Airflow that is up, and what was started on it."""

    def __init__(self) -> None:
        super().__init__("http://airflow.example", "admin", "secret")
        self.started: list[tuple[str, str | None]] = []

    def dags(self) -> set[str]:
        return {"regulars_ingest", "regulars_features"}

    def trigger(self, dag, partition_key=None, conf=None) -> Run:
        self.started.append((dag, partition_key))
        return Run(dag, "run", "queued", partition_key, None, None)


def test_a_replay_by_command_wakes_the_chain_where_airflow_is_up(mended, monkeypatch, capsys):
    from contextlib import nullcontext

    up = Up()
    monkeypatch.setattr(inside, "embedded", lambda state: nullcontext({}))
    monkeypatch.setattr(inside, "standing", lambda state: up)
    assert cli.main(["replay"]) == 0
    assert up.started == [("regulars_features", "2017-03-05")]
    assert "Woke regulars_features for 2017-03-05" in capsys.readouterr().out
    # What changes nothing wakes nobody.
    assert cli.main(["replay"]) == 0
    assert len(up.started) == 1


def test_a_history_loaded_at_once_is_replayed_after_upkeep(mended):
    with warehouse.connect() as conn:
        warehouse.execute(
            conn,
            "UPDATE ops.publications SET partition = partition + 400 WHERE partition = '2017-03-05'",
        )
    upkeep.remove_expired()
    assert waiting() == ["o1 / 11", "o2 / 11", "o2 / 12", "o900"]
    with warehouse.connect() as conn:
        warehouse.execute(
            conn,
            "UPDATE ops.publications SET partition = partition - 400 WHERE partition > '2018-01-01'",
        )
    replay.replay()
    assert waiting() == ["o2 / 12", "o900"]

"""Approval and clearing through Airflow's REST interface: real components, a planted warehouse, one DAG."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include import contracts, policy, warehouse
from include.launcher.servers.api import Api, Run, Task
from include.steps.delivery import deliver
from tests.sql import planted

from .conftest import clean_environment, platform_in, wait

pytestmark = pytest.mark.slow

DAYS = ("2017-10-01", "2017-10-02", "2017-10-03", "2017-10-04")
APPROVED, REJECTED, TIMED_OUT, TAKEN_FOR_LOST = DAYS
CLEARED = "2017-10-05"
TASK = "approve_offers"


@pytest.fixture(scope="module")
def airflow() -> Iterator[tuple[Api, str]]:
    """Airflow's own components with regulars_activate unpaused, and its metadata database's address."""
    home = Path(tempfile.mkdtemp(prefix="regulars-approval-"))
    text = policy.DEFAULT_PATH.read_text(encoding="utf-8")
    rules = home / "policy.yml"
    rules.write_text(text.replace("  spend_above: null", "  spend_above: 0.01"))
    environment = clean_environment(home) | {"REGULARS_POLICY": str(rules)}
    with platform_in(home, environment) as held:
        with warehouse.connect() as conn:
            contracts.migrate(conn)
            for number, day in enumerate([*DAYS, CLEARED]):
                planted.people(conn, range(100 * number + 1, 100 * number + 13), day=day)
        held.airflow.migrate()
        held.airflow.start()
        held.airflow.wait()
        api = held.airflow.api()
        wait(lambda: "regulars_activate" in api.dags(), 60, "the DAG")
        api.unpause(["regulars_activate"])
        yield api, held.urls["airflow"]
        api.close()


@pytest.fixture(scope="module")
def waiting(airflow: tuple[Api, str]) -> dict[str, Run]:
    """A run for each day, all of them waiting for their answers at once."""
    api, _ = airflow
    runs = {day: api.trigger("regulars_activate", day) for day in DAYS}

    def asked() -> bool:
        for run in runs.values():
            assert api.run(run.dag, run.id).state != "failed", "\n".join(
                line for task in api.tasks(run) for line in api.log(run, task)[-20:]
            )
        return {question["task_instance"]["dag_run_id"] for question in questions(api)} == {
            run.id for run in runs.values()
        }

    wait(asked, 400, "the questions")
    return runs


def questions(api: Api) -> list[dict[str, Any]]:
    found = api._call("GET", "/dags/~/dagRuns/~/hitlDetails", params={"response_received": False})
    return list(found["hitl_details"])


def states(api: Api, run: Run) -> dict[str, str | None]:
    return {task.name: task.state for task in api.tasks(run)}


def answer(api: Api, run: Run, option: str) -> None:
    path = f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances/{TASK}/-1/hitlDetails"
    api._call("PATCH", path, json={"chosen_options": [option], "params_input": {}})
    await_success(api, run)


def await_success(api: Api, run: Run) -> None:
    def ended() -> bool:
        return api.run(run.dag, run.id).state == "success"

    try:
        # An answer just after the question lets Airflow try the task again first (`include.wiring.approval`).
        wait(ended, 240, "the run's end")
    except AssertionError as error:
        raise AssertionError(f"{error}; its tasks: {states(api, run)}") from None


def triggers(day: str) -> list[tuple[Any, ...]]:
    with warehouse.connect() as conn:
        return warehouse.rows(
            conn,
            "SELECT DISTINCT t.status, m.status, a.status, a.answered_by "
            "FROM marketing.coupon_triggers AS t JOIN marketing.messages AS m USING (trigger_id) "
            "JOIN marketing.approvals AS a ON a.as_of = t.as_of WHERE t.as_of = %(day)s",
            {"day": day},
        )


def test_the_decisions_are_published_while_the_question_is_open(airflow, waiting):
    api, _ = airflow
    for day, run in waiting.items():
        states = {task.name: task.state for task in api.tasks(run)}
        assert states["gate_decisions"] == "success"
        assert states[TASK] == "awaiting_input"
        assert triggers(day) == [("awaiting_approval", "pending", "waiting", None)]
    question = next(
        q for q in questions(api) if q["task_instance"]["dag_run_id"] == waiting[APPROVED].id
    )
    assert question["subject"].startswith("Send ")
    assert "| vip_exclusive |" in question["body"]
    assert "Name1" not in question["body"]
    with warehouse.connect() as conn:
        published = warehouse.rows(
            conn,
            "SELECT partition::text FROM ops.publications "
            "WHERE table_name = 'marketing.decisions' ORDER BY 1",
        )
    assert published == [(day,) for day in DAYS]


def test_an_approval_lets_the_days_offers_leave(airflow, waiting):
    api, _ = airflow
    answer(api, waiting[APPROVED], "Approve")
    assert triggers(APPROVED) == [("approved", "pending", "approved", "admin")]


def test_a_rejection_stops_only_the_days_offers_and_fails_nothing(airflow, waiting):
    api, _ = airflow
    answer(api, waiting[REJECTED], "Reject")
    assert triggers(REJECTED) == [("rejected", "cancelled", "rejected", "admin")]
    assert triggers(APPROVED) == [("approved", "pending", "approved", "admin")]


def test_no_answer_in_time_is_a_rejection(airflow, waiting):
    """The scheduler's own sweep answers, once the time is over: moved to now instead of waited for."""
    import psycopg2

    api, database = airflow
    run = waiting[TIMED_OUT]
    metadata = psycopg2.connect(database)
    with metadata, metadata.cursor() as cursor:
        cursor.execute(
            "UPDATE task_instance SET trigger_timeout = now() "
            "WHERE run_id = %s AND state = 'awaiting_input' AND trigger_timeout > now()",
            (run.id,),
        )
        assert cursor.rowcount == 1
    metadata.close()
    await_success(api, run)
    assert triggers(TIMED_OUT) == [("rejected", "cancelled", "timed_out", None)]


def test_an_answer_counts_where_airflow_takes_its_task_for_lost(airflow, waiting):
    """What the scheduler leaves when it reads the end of the process that asked after the answer."""
    import psycopg2

    api, database = airflow
    run = waiting[TAKEN_FOR_LOST]
    metadata = psycopg2.connect(database)
    with metadata, metadata.cursor() as cursor:
        cursor.execute(
            "UPDATE hitl_detail AS h SET responded_at = now(), chosen_options = '[\"Approve\"]', "
            'responded_by = \'{"id": "ana", "name": "Ana"}\' '
            "FROM task_instance AS t WHERE t.id = h.ti_id AND t.run_id = %s",
            (run.id,),
        )
        assert cursor.rowcount == 1
        cursor.execute(
            "UPDATE task_instance SET state = 'up_for_retry', end_date = now(), next_method = NULL, "
            "next_kwargs = NULL WHERE run_id = %s AND task_id = %s AND state = 'awaiting_input'",
            (run.id, TASK),
        )
        assert cursor.rowcount == 1
    metadata.close()
    await_success(api, run)
    assert triggers(TAKEN_FOR_LOST) == [("approved", "pending", "approved", "Ana")]
    assert run.id not in {question["task_instance"]["dag_run_id"] for question in questions(api)}


def test_only_what_was_approved_is_sent(airflow, waiting):
    sent = deliver.send()
    with warehouse.connect() as conn:
        found = warehouse.rows(
            conn,
            "SELECT as_of::text, count(*) FROM marketing.messages WHERE status = 'sent' GROUP BY 1",
        )
    assert found == [(APPROVED, sent["sent"])]


def at_a_lock() -> set[int]:
    """The sessions that wait for a lock of the warehouse."""
    with warehouse.connect() as conn:
        rows = warehouse.rows(
            conn,
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
    return {pid for (pid,) in rows}


def clear_while_it_waits(api: Api, run: Run, task: str) -> None:
    """Clear a task that stands at a lock in the middle of its work, until its next attempt stands there."""

    def attempt() -> Task:
        return next(found for found in api.tasks(run) if found.name == task)

    wait(lambda: attempt().state == "running" and bool(at_a_lock()), 120, f"{task} at the lock")
    first, sessions = attempt(), at_a_lock()
    assert task in api.clear(run, task)
    wait(lambda: attempt().tries > first.tries, 120, f"the next attempt of {task}")
    wait(lambda: bool(at_a_lock() - sessions), 120, f"the next attempt of {task} at the lock")


def test_tasks_that_are_cleared_while_they_run_decide_the_day_once(airflow, waiting):
    """Airflow ends the first attempt of each, in the middle of reading and of publishing."""
    api, _ = airflow
    with warehouse.connect() as publishing:
        warehouse.execute(publishing, "LOCK TABLE marketing.coupon_triggers IN SHARE MODE")
        with warehouse.connect() as reading:
            warehouse.execute(
                reading, "LOCK TABLE marketing.customer_segments IN ACCESS EXCLUSIVE MODE"
            )
            run = api.trigger("regulars_activate", CLEARED)
            clear_while_it_waits(api, run, "decide_offers")
        clear_while_it_waits(api, run, "gate_decisions")
    wait(
        lambda: run.id in {q["task_instance"]["dag_run_id"] for q in questions(api)},
        180,
        "the question",
    )
    tries = {task.name: task.tries for task in api.tasks(run)}
    assert tries["decide_offers"] > 1
    assert tries["gate_decisions"] > 1
    answer(api, run, "Approve")
    with warehouse.connect() as conn:
        decided, sent, runs = warehouse.rows(
            conn,
            "SELECT count(*), count(*) FILTER (WHERE decision = 'send'), count(DISTINCT run_id) "
            "FROM marketing.decisions WHERE as_of = %(day)s",
            {"day": CLEARED},
        )[0]
        whole = warehouse.rows(
            conn,
            "SELECT count(*), count(DISTINCT t.trigger_id), count(DISTINCT t.coupon_code) "
            "FROM marketing.coupon_triggers AS t JOIN marketing.messages AS m USING (trigger_id) "
            "WHERE t.as_of = %(day)s AND t.status = 'approved' AND m.status = 'pending' "
            "AND m.body LIKE '%%' || t.coupon_code || '%%'",
            {"day": CLEARED},
        )[0]
        published = warehouse.value(
            conn,
            "SELECT count(*) FROM ops.batches WHERE dataset = 'decisions' AND as_of = %(day)s "
            "AND published_at IS NOT NULL",
            {"day": CLEARED},
        )
    assert (decided, runs, published) == (12, 1, 1)
    assert whole == (sent, sent, sent)
    assert sent > 0

"""Following the chain: what is shown, when it is over, and what is said when it fails."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from include.launcher import screen
from include.launcher.commands import chain
from include.launcher.servers.api import (
    Api,
    Run,
    Task,
    log_lines,
)

DAGS = ("first", "second")
DAY = "2017-10-01"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Airflow(Api):
    """An API whose runs go on by one step at each look."""

    def __init__(self, *looks: dict[str, tuple[str, list[Task]]]) -> None:
        self.looks = list(looks)
        self.calls: list[Any] = []
        self.before: list[Run] = []

    def runs(self, dag: str = "~", partition_key: str | None = None) -> list[Run]:
        if not any(call[0] == "trigger" for call in self.calls):
            return self.before
        now = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        self.now = now
        return [self._run(dag, state) for dag, (state, _) in now.items()] + self.before

    def tasks(self, run: Run) -> list[Task]:
        return self.now[run.dag][1]

    def trigger(
        self, dag: str, partition_key: str | None = None, conf: dict[str, Any] | None = None
    ) -> Run:
        self.calls.append(("trigger", dag, partition_key, conf))
        return self._run(dag, "queued")

    def unpause(self, dags: Any) -> None:
        self.calls.append(("unpause", *dags))

    def give_up(self, run: Run, note: str) -> None:
        self.calls.append(("give up", run.id))

    def log(self, run: Run, task: Task) -> list[str]:
        return ["INFO working", "BadInput: Expected rows, found none."]

    def _run(self, dag: str, state: str) -> Run:
        return Run(dag, f"{dag} new", state, DAY, NOON, NOON.replace(minute=1))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(screen, "EVERY_SECONDS", 0.0)


@pytest.fixture
def paper() -> screen.Screen:
    return screen.Screen(DAGS, Console(file=io.StringIO(), width=120))


def lines(paper: screen.Screen) -> list[str]:
    assert isinstance(paper.console.file, io.StringIO)
    return [line.partition("] ")[2] for line in paper.console.file.getvalue().splitlines()]


def test_the_chain_is_followed_to_the_last_dag(paper: screen.Screen):
    api = Airflow(
        {"first": ("running", [Task("plan", "running", 1), Task("gate", None, 0)])},
        {"first": ("running", [Task("plan", "success", 1), Task("gate", "running", 2)])},
        {"first": ("success", [Task("plan", "success", 1), Task("gate", "success", 2)])},
        {
            "first": ("success", [Task("plan", "success", 1), Task("gate", "success", 2)]),
            "second": ("success", [Task("plan", "success", 1)]),
        },
    )
    watched: list[int] = []
    runs = chain.run_chain(api, paper, DAY, "2017-01-01", lambda: watched.append(1), DAGS)
    assert list(runs) == list(DAGS)
    assert len(watched) == 4
    assert api.calls == [
        ("unpause", *DAGS),
        ("trigger", "first", DAY, {"since": "2017-01-01"}),
    ]
    assert lines(paper) == [
        "first running: plan (0 of 2 tasks done)",
        "first running: gate (try 2) (1 of 2 tasks done)",
        "first done (60 s): 2 of 2 tasks",
        "second done (60 s): 1 of 1 tasks",
    ]


def test_unfinished_runs_of_a_killed_launcher_are_given_up(paper: screen.Screen):
    api = Airflow({dag: ("success", []) for dag in DAGS})
    api.before = [
        Run("first", "left", "running", DAY, NOON, None),
        Run("second", "old", "success", DAY, NOON, NOON),
    ]
    runs = chain.run_chain(api, paper, DAY, None, lambda: None, DAGS)
    assert ("give up", "left") in api.calls
    assert ("give up", "old") not in api.calls
    assert {run.id for run in runs.values()} == {"first new", "second new"}
    assert api.calls[-1] == ("trigger", "first", DAY, None)


def test_a_failure_names_the_task_and_ends_with_its_log(paper: screen.Screen):
    tasks = [Task("plan", "success", 1), Task("gate", "failed", 3), Task("x", "upstream_failed", 0)]
    api = Airflow({"first": ("failed", tasks)})
    with pytest.raises(chain.ChainFailed) as caught:
        chain.run_chain(api, paper, DAY, None, lambda: None, DAGS)
    said = str(caught.value)
    assert "its task gate failed in try 3" in said
    assert said.endswith("BadInput: Expected rows, found none.")
    assert lines(paper)[-1] == "first failed (60 s): 3 of 3 tasks"


def test_a_dag_that_is_not_woken_is_named(paper: screen.Screen, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chain, "PATIENCE_SECONDS", 0.05)
    api = Airflow({"first": ("success", [Task("plan", "success", 1)])})
    with pytest.raises(chain.ChainFailed, match="Expected second to be woken for 2017-10-01"):
        chain.run_chain(api, paper, DAY, None, lambda: None, DAGS)


def test_a_long_run_is_not_taken_for_a_dag_that_is_not_woken(
    paper: screen.Screen, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chain, "PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(chain, "POLL_SECONDS", 0.03)
    busy = {"first": ("running", [Task("plan", "running", 1)])}
    api = Airflow(busy, busy, busy, {dag: ("success", []) for dag in DAGS})
    assert chain.is_complete(chain.run_chain(api, paper, DAY, None, lambda: None, DAGS), DAGS)


def test_only_the_newest_run_of_a_day_counts():
    api = Airflow()
    api.before = [
        Run("first", "newer", "failed", DAY, NOON, NOON),
        Run("first", "older", "success", DAY, NOON, NOON),
        Run("second", "only", "success", DAY, NOON, NOON),
        Run("third", "other", "success", DAY, NOON, NOON),
    ]
    found = chain.newest(api, DAY, DAGS)
    assert {dag: run.id for dag, run in found.items()} == {"first": "newer", "second": "only"}
    assert not chain.is_complete(found, DAGS)
    assert not chain.is_complete({}, DAGS)


def test_where_lines_are_printed_details_are_held_back_and_states_are_not(
    monkeypatch: pytest.MonkeyPatch, paper: screen.Screen
):
    monkeypatch.setattr(screen, "EVERY_SECONDS", 60.0)
    for count in range(5):
        paper.show("first", "running", f"{count} rows")
    paper.show("first", "done", "5 rows", 1.0)
    paper.show("first", "done", "5 rows", 1.0)
    assert lines(paper) == ["first running: 0 rows", "first done (1 s): 5 rows"]


def test_what_goes_on_in_silence_says_so_and_for_how_long(
    monkeypatch: pytest.MonkeyPatch, paper: screen.Screen
):
    now = [100.0]
    monkeypatch.setattr("include.launcher.screen.time.monotonic", lambda: now[0])
    for _ in range(7):
        paper.show("first", "running", "train_value (1 of 5 tasks done)")
        now[0] += 5.0
    assert lines(paper) == [
        "first running: train_value (1 of 5 tasks done)",
        "first running for 15 s: train_value (1 of 5 tasks done)",
        "first running for 30 s: train_value (1 of 5 tasks done)",
    ]


def test_a_log_shows_the_error_after_what_led_to_it():
    error = {
        "exc_type": "BadInput",
        "exc_value": "Expected rows, found none.",
        "frames": [{"filename": f"{n}.py", "lineno": n, "name": "f"} for n in range(5)],
    }
    assert log_lines("::group::x") == ["::group::x"]
    assert log_lines({"event": "::group::x"}) == []
    assert log_lines({"event": "Task failed", "level": "error", "error_detail": [error]}) == [
        "ERROR Task failed",
        "  2.py:2 in f",
        "  3.py:3 in f",
        "  4.py:4 in f",
        "BadInput: Expected rows, found none.",
    ]

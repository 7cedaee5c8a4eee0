"""Whatever kills, stops or doubles the deciding of a day: one decision, one code, one message, none lost."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from include import policy, warehouse
from include.errors import Superseded
from include.steps import activate, gate
from tests.sql import planted
from tests.sql.planted import wait_for_the_server_to_notice

pytestmark = [pytest.mark.usefixtures("warehouse"), pytest.mark.slow]

PEOPLE = 12
FENCED = 3


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        start(opened)
        yield opened


def start(conn: Any) -> None:
    """A day to decide, nothing decided."""
    planted.clear(conn)
    planted.people(conn, range(1, PEOPLE + 1))
    conn.commit()


def watch(at_commit: Callable[[int, str], None]) -> None:
    """Call back around the commit that ends each connection, counted from 1."""
    plain, count = warehouse.connect, 0

    @contextmanager
    def watched(name: str = "warehouse") -> Iterator[Any]:
        nonlocal count
        with plain(name) as opened:
            yield opened
            count += 1
            mine = count
            at_commit(mine, "before")
        at_commit(mine, "after")

    warehouse.connect = watched


def decider(run_id: str, at_commit: Callable[[int, str], None]) -> int:
    """Fork a process that decides the day; its process id. It exits with `FENCED` where it was fenced."""
    pid = os.fork()
    if pid:
        return pid
    try:
        watch(at_commit)
        planted.decide(run_id=run_id)
    except Superseded:
        os._exit(FENCED)
    except BaseException:
        os._exit(1)
    os._exit(0)


def signalled(number: int, where: int, when: str) -> Callable[[int, str], None]:
    def at_commit(commit: int, side: str) -> None:
        if (commit, side) == (where, when):
            os.kill(os.getpid(), number)

    return at_commit


def codes(conn: Any) -> dict[str, str]:
    conn.commit()
    return dict(
        warehouse.rows(conn, "SELECT trigger_id::text, coupon_code FROM marketing.coupon_triggers")
    )


def check(conn: Any, place: str) -> None:
    """One decision a customer, and a trigger with its own code and message for each that is sent."""
    conn.commit()
    decided, sent = warehouse.rows(
        conn,
        "SELECT count(*), count(*) FILTER (WHERE decision = 'send') FROM marketing.decisions",
    )[0]
    assert decided == PEOPLE, place
    whole = warehouse.value(
        conn,
        "SELECT count(DISTINCT t.coupon_code) FROM marketing.coupon_triggers AS t "
        "JOIN marketing.messages AS m USING (trigger_id) "
        "WHERE m.body LIKE '%%' || t.coupon_code || '%%'",
    )
    triggers = warehouse.value(conn, "SELECT count(*) FROM marketing.coupon_triggers")
    messages = warehouse.value(conn, "SELECT count(*) FROM marketing.messages")
    assert triggers == messages == whole == sent > 0, place
    one = warehouse.value(conn, "SELECT count(DISTINCT run_id) FROM marketing.decisions")
    assert one == 1, place


def test_killed_before_and_after_every_commit(conn):
    """SIGKILL at each commit of deciding and of its gate in turn, until one run gets through."""
    planted.decide()  # what is slow to import is imported here once, not in every child
    commit, through = 0, False
    while not through:
        commit += 1
        for when in ("before", "after"):
            start(conn)
            pid = decider("killed", signalled(signal.SIGKILL, commit, when))
            _, status = os.waitpid(pid, 0)
            through = os.WIFEXITED(status)
            assert not through or os.WEXITSTATUS(status) == 0
            assert through or os.WTERMSIG(status) == signal.SIGKILL
            wait_for_the_server_to_notice(conn)
            before = codes(conn)
            planted.decide(run_id="retry")
            place = f"killed {when} commit {commit}"
            check(conn, place)
            if before:
                assert codes(conn) == before, f"{place}: published, so the codes stand"
    assert commit > 5, "every step was tried"


def test_a_stopped_attempt_that_wakes_after_its_retry_is_fenced(conn):
    planted.decide()
    commits: list[int] = []
    start(conn)
    plain = warehouse.connect
    try:
        watch(lambda commit, side: commits.append(commit))
        planted.decide(run_id="counted")
    finally:
        warehouse.connect = plain
    last = max(commits)
    start(conn)
    # Stopped once everything is audited, and nothing is published.
    pid = decider("stopped", signalled(signal.SIGSTOP, last - 1, "after"))
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    planted.decide(run_id="retry")
    standing = codes(conn)
    os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, 0)
    assert os.WEXITSTATUS(status) == FENCED
    check(conn, "stopped")
    assert codes(conn) == standing
    assert warehouse.rows(conn, "SELECT DISTINCT run_id FROM marketing.decisions") == [("retry",)]


def test_a_build_cleared_while_its_gate_runs_is_published_once(conn):
    """The gate of one attempt beside a whole second attempt, again and again."""
    for number in range(4):
        start(conn)
        batch = activate.build({"as_of": planted.DAY, "since": None, "run_id": f"first-{number}"})
        outcomes: list[str] = []

        def attempt(work: Callable[[], Any], into: list[str]) -> None:
            try:
                work()
                into.append("published")
            except Superseded:
                into.append("fenced")

        def gate_first(first: dict[str, Any] = batch) -> Any:
            return gate.gate(first, rebuild=activate.build, in_turn=True)

        def cleared(name: str = f"second-{number}") -> Any:
            return planted.decide(run_id=name)

        both = [
            threading.Thread(target=attempt, args=(work, outcomes))
            for work in (gate_first, cleared)
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert "published" in outcomes
        assert len(outcomes) == 2
        check(conn, f"round {number}: {outcomes}")


def test_a_backfill_beside_the_schedule_decides_each_day_once(conn):
    days = ["2017-09-29", "2017-09-30"]
    for day in days:
        planted.people(conn, range(1, PEOPLE + 1), day=day)
    conn.commit()
    failures: list[Exception] = []

    def work(day: str, run_id: str) -> None:
        try:
            planted.decide(day, run_id=run_id)
        except Superseded:
            pass
        except Exception as error:
            failures.append(error)

    runs = [
        threading.Thread(target=work, args=(day, f"{kind}-{day}"))
        for day in [*days, planted.DAY]
        for kind in ("schedule", "backfill")
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert failures == []
    for day in [*days, planted.DAY]:
        planted.decide(day, run_id="last")
    conn.commit()
    most = warehouse.value(
        conn,
        "SELECT max(n) FROM (SELECT count(*) AS n FROM marketing.decisions "
        "WHERE decision IN ('send', 'control') GROUP BY customer_id) AS x",
    )
    assert most == 1, "one VIP message in the quarter, whichever day got there first"
    assert warehouse.value(conn, "SELECT count(*) FROM marketing.decisions") == 3 * PEOPLE
    split = warehouse.value(
        conn,
        "SELECT count(*) FROM (SELECT as_of FROM marketing.decisions GROUP BY as_of "
        "HAVING count(DISTINCT run_id) > 1) AS x",
    )
    assert split == 0

"""Whatever kills or stops the deciding of a day: it is decided once, with one code and message each."""

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest

from include import contracts, policy, publication, warehouse
from tests.sql import planted
from tests.sql.planted import DAY

pytestmark = pytest.mark.usefixtures("warehouse")

PUBLISHED = ("decisions", "coupon_triggers", "messages")


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        planted.people(opened, range(1, 31))
        opened.commit()
        yield opened


def decide_in_a_process_of_its_own(at_commit: Callable[[int, str], None]) -> int:
    """Fork a process that decides the day and calls back around each of its commits; its id."""
    pid = os.fork()
    if pid:
        return pid
    commits = 0

    class Watched(psycopg2.extensions.connection):
        def commit(self) -> None:
            nonlocal commits
            commits += 1
            at_commit(commits, "before")
            super().commit()
            at_commit(commits, "after")

    patched: Any = partial(psycopg2.connect, connection_factory=Watched)
    psycopg2.connect = patched  # in this process alone
    try:
        planted.decide(run_id="first")
    except BaseException as error:
        os._exit(3 if type(error).__name__ == "Superseded" else 1)
    os._exit(0)


def signalled(number: int, where: int, when: str) -> Callable[[int, str], None]:
    def at_commit(commit: int, side: str) -> None:
        if (commit, side) == (where, when):
            os.kill(os.getpid(), number)

    return at_commit


def codes(conn) -> list[tuple[Any, ...]]:
    conn.commit()
    return warehouse.rows(
        conn, "SELECT trigger_id, coupon_code FROM marketing.coupon_triggers ORDER BY 1"
    )


def settled(conn, place: str) -> None:
    """One decision a customer and campaign; a trigger and a message with its code for all that is sent."""
    conn.commit()
    ((decided, customers, sent),) = warehouse.rows(
        conn,
        "SELECT count(*), count(DISTINCT customer_id), count(*) FILTER (WHERE decision = 'send') "
        "FROM marketing.decisions",
    )
    assert (decided, customers) == (30, 30), place
    assert warehouse.rows(
        conn,
        "SELECT count(*), count(DISTINCT t.coupon_code), count(m.message_id), "
        "count(*) FILTER (WHERE m.body LIKE '%%' || t.coupon_code || '%%') "
        "FROM marketing.coupon_triggers AS t FULL JOIN marketing.messages AS m USING (trigger_id)",
    ) == [(sent, sent, sent, sent)], place


@pytest.mark.slow
def test_killed_before_and_after_every_commit(conn):
    """SIGKILL at each commit in turn, until one run gets through; then the task is cleared."""
    planted.decide()  # what it imports is there for the forks
    commit, through = 0, False
    while not through:
        commit += 1
        for when in ("before", "after"):
            planted.clear(conn)
            planted.people(conn, range(1, 31))
            conn.commit()
            pid = decide_in_a_process_of_its_own(signalled(signal.SIGKILL, commit, when))
            _, status = os.waitpid(pid, 0)
            through = os.WIFEXITED(status)
            place = f"killed {when} commit {commit}"
            assert through or os.WTERMSIG(status) == signal.SIGKILL, place
            planted.wait_for_the_server_to_notice(conn)
            standing = codes(conn)
            planted.decide(run_id="second")
            settled(conn, place)
            if standing:
                assert codes(conn) == standing, f"{place}: what was published keeps its codes"
    assert commit > 6, "every step was tried"


@pytest.mark.parametrize("commit", [3, 5, 6, 7])
def test_a_stopped_run_that_wakes_after_its_retry_published_is_fenced(conn, commit):
    """Where it holds a lock, its server has cut its connection, as it does with a host that is gone."""
    pid = decide_in_a_process_of_its_own(signalled(signal.SIGSTOP, commit, "after"))
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    warehouse.execute(
        conn,
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    planted.wait_for_the_server_to_notice(conn)
    planted.decide(run_id="retry")
    settled(conn, f"stopped before commit {commit}")
    standing, hashes = codes(conn), content(conn)
    os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 1, 3), "it ends by itself, whatever it finds"
    assert codes(conn) == standing
    assert content(conn) == hashes
    assert warehouse.value(conn, "SELECT count(DISTINCT run_id) FROM marketing.decisions") == 1


def content(conn) -> list[str]:
    conn.commit()
    return [publication.content_hash(conn, contracts.load("marketing", name)) for name in PUBLISHED]


def test_a_backfill_beside_the_schedule_messages_nobody_for_old_days(conn):
    """An old day and the newest, decided at once: the old one is history."""
    import threading

    planted.people(conn, range(1, 31), day="2017-03-01")
    planted.fill(
        conn,
        "ops.publications",
        [{"table_name": "core.orders", "partition": DAY, "dataset": "core", "run_id": "x"}],
    )
    conn.commit()
    failures: list[BaseException] = []

    def decide(day: str) -> None:
        try:
            planted.decide(day, run_id=f"run-{day}")
        except Exception as error:
            failures.append(error)

    runs = [threading.Thread(target=decide, args=(day,)) for day in ("2017-03-01", DAY)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert failures == []
    conn.commit()
    assert warehouse.rows(
        conn,
        "SELECT DISTINCT decision, decision_reason FROM marketing.decisions "
        "WHERE as_of = '2017-03-01'",
    ) == [("hold", "stale")]
    assert warehouse.rows(conn, "SELECT DISTINCT as_of::text FROM marketing.messages") == [(DAY,)]

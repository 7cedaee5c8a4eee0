"""One notice for a failed run: by Airflow's own caller, to a real mail server and a real webhook."""

import json
import socket
import threading
import uuid
from datetime import UTC, datetime
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
import structlog
from aiosmtpd.controller import Controller
from airflow.callbacks.callback_requests import DagCallbackRequest, DagRunContext
from airflow.dag_processing.processor import _execute_dag_callbacks
from airflow.sdk import DAG, task

from include import notify, warehouse
from include.errors import BadInput, Unreachable

pytestmark = pytest.mark.usefixtures("warehouse")

DOC = """What it is.

What it does: nothing.
Normal: always.
If it fails: safe to clear at any time. Nobody
is affected.
"""


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect, execute

    for name in ("SMTP_URL", "TO", "FROM", "WEBHOOK"):
        monkeypatch.delenv(f"REGULARS_NOTICE_{name}", raising=False)
    with connect() as opened:
        execute(opened, "TRUNCATE ops.notices, ops.failures")
        opened.commit()
        yield opened


def the_dag() -> DAG:
    with DAG("regulars_features", on_failure_callback=notify.run_failed, doc_md=DOC) as dag:

        @task
        def build_features() -> None: ...

        @task
        def gate_features() -> None: ...

        build_features() >> gate_features()
    return dag


def fail(
    run_id: str,
    task_id: str | None = "build_features",
    key: str | None = "2017-10-01",
    cleared: int = 0,
) -> None:
    """Tell of a failed run through the function that Airflow's DAG processor runs callbacks with."""
    stamp = datetime(2017, 10, 2, tzinfo=UTC)
    run: dict[str, Any] = {
        "dag_id": "regulars_features",
        "run_id": run_id,
        "logical_date": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": stamp,
        "start_date": stamp,
        "end_date": stamp,
        "clear_number": cleared,
        "run_type": "asset_triggered",
        "state": "failed",
        "conf": {},
        "consumed_asset_events": [],
        "partition_key": key,
    }
    instance: dict[str, Any] = {
        "id": uuid.uuid4(),
        "task_id": task_id,
        "dag_id": "regulars_features",
        "run_id": run_id,
        "try_number": 3,
        "dag_version_id": uuid.uuid4(),
    }
    request = DagCallbackRequest(
        filepath="features.py",
        bundle_name="dags-folder",
        bundle_version=None,
        msg="task_failure",
        dag_id="regulars_features",
        run_id=run_id,
        context_from_server=DagRunContext.model_validate(
            {"dag_run": run, "last_ti": instance if task_id else None}
        ),
    )
    bag: Any = SimpleNamespace(dags={"regulars_features": the_dag()})
    _execute_dag_callbacks(bag, request, structlog.get_logger())


def task_fails(run_id: str, error: BaseException | None, task_id: str = "build_features") -> None:
    ti = SimpleNamespace(dag_id="regulars_features", run_id=run_id, task_id=task_id)
    notify.task_failed({"ti": ti, "exception": error})


def notices(conn) -> list[tuple[Any, ...]]:
    conn.commit()
    return warehouse.rows(
        conn,
        "SELECT run_id, business_day, task_id, error, channel, delivered, delivery_error "
        "FROM ops.notices ORDER BY recorded_at",
    )


def body(conn) -> str:
    return str(warehouse.value(conn, "SELECT body FROM ops.notices"))


def test_a_failed_run_is_told_once_with_what_on_call_needs(conn):
    task_fails("run-1", BadInput("Expected rows for 2017-10-01,\nfound none: load the day."))
    fail("run-1")
    fail("run-1")
    assert notices(conn) == [
        (
            "run-1",
            "2017-10-01",
            "build_features",
            "Expected rows for 2017-10-01, found none: load the day.",
            "log",
            True,
            None,
        )
    ]
    told = body(conn)
    for part in (
        "DAG: regulars_features",
        "Business day: 2017-10-01",
        "Failing task: build_features",
        "Error: Expected rows for 2017-10-01, found none: load the day.",
        "If it fails: safe to clear at any time. Nobody is affected.",
        "/dags/regulars_features/runs/run-1",
    ):
        assert part in told


def test_a_run_that_fails_again_after_it_was_cleared_is_told_again(conn, monkeypatch):
    sent: list[tuple[int | None, str | None, str | None]] = []

    def keep(notice: notify.Notice) -> tuple[str, str | None]:
        sent.append((notice.attempt, notice.task_id, notice.error))
        return "log", None

    monkeypatch.setattr(notify, "send", keep)
    task_fails("run-1", BadInput("Expected rows, found none: load them."))
    fail("run-1")
    fail("run-1")
    task_fails("run-1", BadInput("Expected a model, found none: train one."), "gate_features")
    fail("run-1", task_id="gate_features", cleared=1)
    fail("run-1", task_id="gate_features", cleared=1)
    fail("run-1", cleared=0)
    assert sent == [
        (0, "build_features", "Expected rows, found none: load them."),
        (1, "gate_features", "Expected a model, found none: train one."),
    ]
    ((_, _, task_id, error, *_),) = notices(conn)
    assert (task_id, error) == ("gate_features", "Expected a model, found none: train one.")


def test_a_task_that_is_gone_from_the_dag_hides_no_second_failure(conn):
    task_fails("run-1", BadInput("Expected x, found y: mend it."), "old_task")
    fail("run-1", task_id="old_task")
    recorded = warehouse.value(conn, "SELECT recorded_at FROM ops.notices")
    conn.commit()
    fail("run-1", task_id="old_task")
    assert warehouse.value(conn, "SELECT recorded_at FROM ops.notices") == recorded
    conn.commit()
    task_fails("run-1", BadInput("Expected z, found none: mend it."), "old_task")
    fail("run-1", task_id="old_task")
    assert (
        warehouse.value(conn, "SELECT error FROM ops.notices") == "Expected z, found none: mend it."
    )


def test_a_run_without_a_known_task_or_day_is_told_too(conn):
    fail("run-2", task_id=None, key=None)
    ((run, day, task_id, error, *_),) = notices(conn)
    assert (run, day, task_id, error) == ("run-2", None, None, None)
    assert "not recorded; see the log" in body(conn)


def test_a_dag_by_the_clock_is_told_of_once_per_cause_until_it_is_mended(conn, monkeypatch):
    """Delivery with a broken policy fails every five minutes: one notice, and one for each new cause."""
    sent: list[str | None] = []

    def keep(notice: notify.Notice) -> tuple[str, str | None]:
        sent.append(notice.error)
        return "log", None

    monkeypatch.setattr(notify, "send", keep)
    broken = "Expected a list of campaigns, found text: mend the policy."
    other = "Expected a number, found text: mend the policy."

    def fails(run_id: str, cause: str) -> None:
        task_fails(run_id, BadInput(cause))
        fail(run_id, key=None)

    for number in range(4):
        fails(f"run-{number}", broken)
    assert sent == [broken]
    fails("run-4", other)
    fails("run-5", other)
    assert sent == [broken, other]
    conn.commit()
    counts = "SELECT run_id, repeated FROM ops.notices ORDER BY recorded_at"
    assert warehouse.rows(conn, counts) == [("run-0", 3), ("run-4", 1)]
    notify.mended(conn, "regulars_features")
    conn.commit()
    fails("run-6", broken)
    assert sent == [broken, other, broken], "it broke again after it was mended"
    # What has a business day is another day's data each time, and is always told.
    for day in ("2017-10-02", "2017-10-03"):
        task_fails(f"run-{day}", BadInput(broken))
        fail(f"run-{day}", key=day)
    assert sent == [broken, other, broken, broken, broken]


def test_many_callers_at_once_tell_once(conn, monkeypatch):
    sent: list[str] = []

    def keep(notice: notify.Notice) -> tuple[str, str | None]:
        sent.append(notice.run_id)
        return "log", None

    monkeypatch.setattr(notify, "send", keep)
    callers = [
        threading.Thread(
            target=notify.run_failed, args=({"dag": the_dag(), "run_id": "run-3", "reason": "x"},)
        )
        for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sent == ["run-3"]
    assert len(notices(conn)) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            psycopg2.errors.UniqueViolation("Key (address)=(ann@example.com) exists"),
            "UniqueViolation",
        ),
        (ValueError("could not convert 'ann@example.com'"), "ValueError"),
        (Unreachable("Expected to reach 'shop', found: refused."), "Expected to reach 'shop'"),
        (None, "stopped from outside"),
    ],
)
def test_a_notice_holds_no_personal_data(conn, error, told):
    task_fails("run-4", error)
    fail("run-4")
    assert told in body(conn)
    assert "ann@example.com" not in body(conn)


def test_an_unreachable_warehouse_is_told_all_the_same(monkeypatch):
    sent: list[notify.Notice] = []

    def keep(notice: notify.Notice) -> tuple[str, str | None]:
        sent.append(notice)
        return "log", None

    monkeypatch.setattr(notify, "send", keep)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgresql://nobody:x@127.0.0.1:1/nothing")
    task_fails("run-5", BadInput("x"))
    fail("run-5")
    assert [notice.run_id for notice in sent] == ["run-5"]


def test_by_mail(conn, monkeypatch):
    mails: list[bytes] = []

    class Box:
        async def handle_DATA(self, server, session, envelope):
            mails.append(envelope.content)
            return "250 OK"

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Controller(Box(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        monkeypatch.setenv("REGULARS_NOTICE_SMTP_URL", f"smtp://127.0.0.1:{port}")
        monkeypatch.setenv("REGULARS_NOTICE_TO", "on-call@example.com")
        fail("run-6")
        fail("run-6")
    finally:
        server.stop()
    (raw,) = mails
    mail = message_from_bytes(raw)
    assert mail["Subject"] == "regulars_features for 2017-10-01 failed at build_features"
    assert mail["To"] == "on-call@example.com"
    assert notices(conn)[0][4:] == ("email", True, None)


def test_by_webhook(conn, monkeypatch):
    posts: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv(
            "REGULARS_NOTICE_WEBHOOK", f"http://127.0.0.1:{server.server_address[1]}/"
        )
        fail("run-7")
    finally:
        server.shutdown()
        server.server_close()
    (post,) = posts
    assert post["dag_id"] == "regulars_features"
    assert post["text"].startswith("regulars_features for 2017-10-01 failed at build_features\n")
    assert notices(conn)[0][4:] == ("webhook", True, None)


def test_what_could_not_be_sent_is_recorded_without_the_address(conn, monkeypatch):
    monkeypatch.setenv("REGULARS_NOTICE_WEBHOOK", "http://127.0.0.1:1/secret-token")
    fail("run-8")
    ((*_, channel, delivered, why),) = notices(conn)
    assert (channel, delivered) == ("webhook", False)
    assert "secret-token" not in why
    monkeypatch.setenv("REGULARS_NOTICE_WEBHOOK", "ftp://somewhere")
    fail("run-9")
    assert notices(conn)[-1][4:] == ("webhook", False, "ValueError")


def test_advice_is_the_paragraph_of_the_documentation():
    assert notify.advice(DOC) == "safe to clear at any time. Nobody is affected."
    assert notify.advice("nothing") == "no advice is written in the DAG's documentation."
    assert notify.advice(None) == "no advice is written in the DAG's documentation."

"""The console asks for a login, reads only, and says what is wrong in one sentence."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from include import contracts, policy, warehouse
from include.console import LazyConsole, chain, clock, data, view
from include.console.app import create_app
from tests.conftest import TestServer
from tests.console import sample

PATHS = ("/", *(f"/static/{name}" for name in view.static_files()))


@pytest.fixture
def app() -> FastAPI:
    return create_app()


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Somebody who is signed in as a viewer."""
    create_auth_manager()
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(
        username="vic", role="VIEWER"
    )
    with TestClient(app) as made:
        yield made


@pytest.fixture(scope="module")
def filled(warehouse: dict[str, str]) -> dict[str, str]:
    """Three days of the chain, well but for two warnings."""
    from include.warehouse import connect

    with connect() as conn:
        sample.fill(conn)
    return warehouse


@pytest.mark.parametrize("path", PATHS)
def test_without_a_login_nothing_is_shown(app: FastAPI, path: str) -> None:
    answer = TestClient(app).get(path)
    assert answer.status_code == 401
    assert "marketing" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_a_user_without_the_right_is_refused(app: FastAPI, path: str) -> None:
    create_auth_manager()
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="nobody", role=None)
    assert TestClient(app).get(path).status_code == 403


def test_every_route_asks_and_none_writes(app: FastAPI) -> None:
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert len(routes) == len(app.routes), "a mount would bypass the login"
    assert {method for route in routes for method in route.methods} == {"GET"}


def test_lazy_console_asks_for_a_login_too() -> None:
    outer = FastAPI()
    outer.mount("/regulars", LazyConsole())
    assert TestClient(outer).get("/regulars/").status_code == 401


def test_unreachable_warehouse_is_one_sentence(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "postgresql://regulars_console:s3cret@127.0.0.1:9/warehouse"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_CONSOLE", address)
    answer = client.get("/")
    assert answer.status_code == 503
    assert "Expected to reach the connection" in answer.text
    assert "127.0.0.1:9/warehouse" in answer.text
    assert "s3cret" not in answer.text
    assert "Traceback" not in answer.text


def test_empty_warehouse_says_how_to_begin(
    client: TestClient, server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = server.create("warehouse", "console_empty")
    try:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_CONSOLE", urls["warehouse_console"])
        answer = client.get("/")
    finally:
        server.drop("console_empty")
    assert answer.status_code == 200
    assert "Nothing has been published yet" in answer.text
    assert "bin/regulars demo" in answer.text


def test_warehouse_without_tables_says_how_to_make_them(
    client: TestClient, server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A shop's database has none of the warehouse's tables.
    urls = server.create("shop", "console_bare")
    try:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_CONSOLE", urls["shop"])
        answer = client.get("/")
    finally:
        server.drop("console_bare")
    assert answer.status_code == 503
    assert "include.contracts migrate" in answer.text


def test_console_may_read_marketing_and_ops_and_nothing_else(filled: dict[str, str]) -> None:
    import psycopg2

    for table in ("core.customers", "core.identities", "quarantine.rejected_rows", "ml.models"):
        if not any(contract.name == table for contract in contracts.all_contracts()):
            continue
        with warehouse.connect("warehouse_console") as conn, pytest.raises(psycopg2.Error):
            warehouse.rows(conn, f"SELECT 1 FROM {table}")
    with warehouse.connect("warehouse_console") as conn, pytest.raises(psycopg2.Error):
        warehouse.execute(conn, "DELETE FROM marketing.decisions")


def test_today_shows_the_chain_the_tables_and_the_decisions(
    client: TestClient, filled: dict[str, str]
) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    text = answer.text
    assert "All six stages have published this day, and 2 checks warn." in text
    for stage in (*chain.STAGES, chain.DELIVERY, *chain.BESIDE):
        assert f'href="../dags/{stage.dag_id}"' in text
    for contract in contracts.all_contracts():
        if contract.schema_name == "marketing" and not contract.view:
            assert f"<code>{contract.name}</code>" in text
    assert "2,424" in text
    assert "17 that are not" in text
    assert re.search(r"Of 82 candidates 52 are to be sent something, .* 28\.60 USD\.", text)
    assert "no consent" in text


def test_today_tells_of_sending_approvals_and_results(
    client: TestClient, filled: dict[str, str]
) -> None:
    page = " ".join(client.get("/").text.split())
    assert "Sending is paused" not in page
    assert "211 messages of Sunday, 1 October 2017, expected cost 148.50 USD" in page
    assert "runs/run-7/tasks/approve_offers/required_actions" in page
    assert "The gateway refused it (400)." in page
    assert "1 unsubscribed" in page
    assert "the verdict of vip_exclusive" in page
    assert "0.40 to 3.90" in page
    assert "Lift of spend" in page


def test_the_chain_says_what_its_figures_count(filled: dict[str, str]) -> None:
    with warehouse.connect() as conn:
        sample.publication(conn, "core.orders", sample.DAY, "core", 1, sample.NOW)
        sample.publication(
            conn, "features.customer_features", sample.DAY, "features", 2424, sample.NOW
        )
        found = data.today(conn)
        conn.rollback()
    page = " ".join(view.today_page(found).split())
    assert '1 order, <span class="nowrap">took' in page
    assert '2,424 customers, <span class="nowrap">took' in page
    # Nothing was trained on this day: only how long it took is told.
    assert found.chain[2].done == ""


def waiting(
    conn: warehouse.Connection, number: int, trigger_status: str = "approved", **values: object
) -> None:
    """A message that has yet to leave."""
    trigger, customer = (str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind}{number}")) for kind in "tc")
    sample.insert(
        conn,
        "marketing.coupon_triggers",
        trigger_id=trigger,
        customer_id=customer,
        campaign="overstock",
        coupon_code=f"WAIT{number}",
        status=trigger_status,
    )
    sample.insert(
        conn,
        "marketing.messages",
        trigger_id=trigger,
        customer_id=customer,
        external_id="x",
        campaign="overstock",
        channel="email",
        **{"status": "pending", "send_not_after": sample.NOW + timedelta(days=9)} | values,
    )


def test_what_waits_for_the_clock_that_stands_is_told_with_how_to_move_it(
    filled: dict[str, str],
) -> None:
    second = datetime(2017, 10, 3, 13, tzinfo=UTC)
    with warehouse.connect() as conn:
        waiting(conn, 1, send_not_before=second)
        waiting(conn, 2, send_not_before=second + timedelta(hours=1))
        waiting(conn, 3, send_not_before=sample.NOW)
        waiting(conn, 4, send_not_before=sample.NOW, send_not_after=sample.NOW)
        waiting(conn, 5, send_not_before=second, status="sent")
        waiting(conn, 6, "awaiting_approval", send_not_before=second)  # waits for a person
        page = view.today_page(data.today(conn))
        rules = policy.load()
        wall = rules.model_copy(update={"shop": rules.shop.model_copy(update={"clock": None})})
        moved = clock.read(conn, wall, second + timedelta(minutes=1))
        conn.rollback()
    head = " ".join(page[: page.index('id="chain"')].split())
    assert "stands still at Monday, 2 October 2017, 10:00 (America/New_York)." in head
    assert "1 message is due and leaves at the next delivery inside the send window." in head
    assert "2 messages are yet to come: the first at Tuesday, 3 October 2017, 09:00." in head
    assert "<code>bin/regulars clock 2017-10-03T09:00</code>" in head
    assert "1 message is past the last moment and will be cancelled." in head
    assert (moved.due, moved.later, moved.missed, moved.stands) == (2, 1, 1, False)
    told = " ".join(clock.told(moved))
    assert told.startswith("The shop's clock is the wall clock: Tuesday, 3 October 2017, 09:01")
    assert "bin/regulars clock" not in told


def test_a_fault_in_the_policy_shows_on_top_and_the_rest_still_stands(
    client: TestClient, filled: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "policy.yml"
    broken.write_text(policy.DEFAULT_PATH.read_text().replace("lookback_days: 3", "lookback: 3"))
    monkeypatch.setenv("REGULARS_POLICY", str(broken))
    page = client.get("/")
    assert page.status_code == 200
    head = page.text[: page.text.index('id="chain"')]
    assert "The policy has a fault" in head
    assert "found &#39;lookback&#39;" in head
    assert "stands still" not in head


def test_what_was_found_of_a_source_before_it_was_switched_off_is_past(
    client: TestClient, filled: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = tmp_path / "policy.yml"
    without.write_text(
        policy.DEFAULT_PATH.read_text().replace("    coupons: true", "    coupons: false")
    )
    assert "<code>core.coupons</code> rows between" in client.get("/").text
    monkeypatch.setenv("REGULARS_POLICY", str(without))
    page = client.get("/").text
    assert "<code>core.coupons</code> rows between" not in page
    assert "and 1 check warns." in page


def test_rows_that_were_all_published_are_told_in_a_sentence(
    client: TestClient, filled: dict[str, str]
) -> None:
    page = " ".join(client.get("/").text.split())
    assert "Of the other table of core every extracted row was published: 112,340 rows." in page
    assert "<code>core.events</code>" not in page


def test_a_campaign_is_one_line_with_its_reasons(
    client: TestClient, filled: dict[str, str]
) -> None:
    page = " ".join(client.get("/").text.split())
    decided = page[page.index('id="decisions"') : page.index('id="sending"')]
    assert decided.count('<th scope="row">vip exclusive') == 1
    assert "suppress: 7 no consent" in page
    assert "hold: 2 budget spent" in page


def test_a_pause_shows_on_top_of_today(client: TestClient, filled: dict[str, str]) -> None:
    from include.warehouse import connect

    with connect() as conn:
        sample.insert(
            conn, "ops.switches", key="pause_sends", value=True, note="wrong <b>prices</b>"
        )
    try:
        page = client.get("/").text
    finally:
        with connect() as conn:
            warehouse.execute(conn, "DELETE FROM ops.switches")
    head = page[: page.index('id="chain"')]
    assert "Sending is paused" in head
    assert "wrong &lt;b&gt;prices&lt;/b&gt;" in head


def test_charts_hold_the_figures_of_the_tables(client: TestClient, filled: dict[str, str]) -> None:
    text = client.get("/").text
    blocks = re.findall(r'<script type="application/json">(.*?)</script>', text, flags=re.DOTALL)
    figures = [json.loads(block) for block in blocks]
    kinds = {figure["data"][0]["type"] for figure in figures}
    assert kinds == {"bar", "box", "scatter"}
    spread = next(figure["data"][0] for figure in figures if figure["data"][0]["type"] == "box")
    ends = ("lowerfence", "q1", "median", "q3", "upperfence")
    segments = list(zip(*(spread[end] for end in ends), strict=True))
    assert all(list(numbers) == sorted(numbers) for numbers in segments)
    assert any(low < high for low, *_, high in segments)
    by_decision = next(figure for figure in figures if figure["layout"].get("barmode") == "stack")
    assert sum(sum(trace["x"]) for trace in by_decision["data"]) == 82


def test_page_and_files_carry_their_headers(client: TestClient, filled: dict[str, str]) -> None:
    page = client.get("/")
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.headers["content-security-policy"]
    script = client.get(f"/static/plotly.min.js?v={view.plotly_version()}")
    assert script.status_code == 200
    assert "immutable" in script.headers["cache-control"]
    assert "private" in script.headers["cache-control"]
    assert client.get("/static/absent.js").status_code == 404


def test_pages_ask_nobody_else(client: TestClient, filled: dict[str, str]) -> None:
    asked = re.findall(r'(?:src|href)="([^"]+)"', client.get("/").text)
    assert asked
    assert not [address for address in asked if "//" in address]


def test_stopped_run_is_named_with_what_marketing_still_has(filled: dict[str, str]) -> None:
    later = sample.DAY + timedelta(days=1)
    with warehouse.connect() as conn:
        opened = sample.NOW + timedelta(days=1)
        sample.batch(conn, 200, "raw", later, opened=opened, minutes=1)
        sample.batch(conn, 201, "core", later, opened=opened, minutes=None)
        sample.finding(
            conn,
            201,
            "core.orders",
            "row count",
            passed=False,
            severity="critical",
            as_of=later,
        )
        found = data.today(conn, now=opened + timedelta(minutes=5))
        conn.rollback()
    standings = [health.standing for health in found.chain]
    assert standings == ["stopped", *["waiting"] * (len(chain.STAGES) - 1)]
    told = view.verdict(found)
    assert told.startswith("regulars_ingest has stopped. core.orders failed the check row count")
    assert told.endswith("Marketing reads the decisions of 1 October.")
    assert 'a <span class="critical">critical</span> one' in view.today_page(found)


def test_failed_run_is_told_until_its_day_is_published(
    client: TestClient, filled: dict[str, str]
) -> None:
    later = sample.DAY + timedelta(days=1)
    opened = sample.NOW + timedelta(days=1)
    with warehouse.connect() as conn:
        sample.batch(conn, 400, "raw", later, opened=opened, minutes=1)
        error = "Expected the column quantity, found none: <restore> it."
        sample.notice(conn, "regulars_ingest", "build_core", error, later, opened)
        sample.insert(conn, "ops.switches", key="pause_sends", value=True, note="wrong prices")
        failed = data.today(conn, now=opened + timedelta(minutes=5))
        sample.batch(conn, 401, "core", later, opened=opened + timedelta(minutes=9), minutes=1)
        mended = data.today(conn, now=opened + timedelta(minutes=15))
        conn.rollback()
    assert failed.chain[0].standing == "stopped"
    page = view.today_page(failed)
    head, rest = page.split('id="chain"')
    assert "regulars_ingest has stopped. build_core failed for 2 October 2017. Marketing" in head
    # Whoever was woken reads first what is wrong and what to do; the list of failures has it, too.
    assert "says: Expected the column quantity, found none" in head
    assert "then clear <code>build_core</code> with everything downstream" in " ".join(head.split())
    assert rest.count("Expected the column quantity, found none") == 1
    assert "says:" not in view.today_page(mended)
    assert "<restore>" not in page, "an error's text is escaped"
    assert 'href="../dags/regulars_ingest/runs/scheduled__2017-10-02"' in page
    assert "Sending is paused</span>: wrong prices." in page
    assert mended.chain[0].standing == "published"


@pytest.mark.parametrize(
    ("age", "standing"), [(timedelta(minutes=3), "running"), (timedelta(hours=9), "stopped")]
)
def test_open_batch_is_at_work_until_it_is_old(
    filled: dict[str, str], age: timedelta, standing: str
) -> None:
    later = sample.DAY + timedelta(days=1)
    with warehouse.connect() as conn:
        sample.batch(conn, 300, "raw", later, opened=sample.NOW, minutes=None)
        found = data.today(conn, now=sample.NOW + age)
        conn.rollback()
    assert found.chain[0].standing == standing
    assert found.chain[1].standing == "waiting"
    assert "regulars_ingest" in view.verdict(found)


def test_stages_are_the_dags() -> None:
    files = {path.stem for path in (warehouse.ROOT / "dags").glob("*.py")}
    stages = (*chain.STAGES, chain.DELIVERY, *chain.BESIDE)
    shown = {stage.dag_id.removeprefix("regulars_") for stage in stages}
    assert files <= shown, "a DAG that the page does not show"


def test_spans_and_ages_are_told_in_words() -> None:
    told = [view.duration(timedelta(seconds=number)) for number in (0, 59, 60, 200, 7500)]
    assert told == ["0 s", "59 s", "1 min", "3 min 20 s", "2 h 5 min"]
    now = sample.NOW
    ages = [view.ago(now - timedelta(seconds=number), now) for number in (5, 61, 7300, 200_000)]
    assert ages == ["just now", "1 minute ago", "2 hours ago", "2 days ago"]


def test_plugin_registers_the_page_without_loading_it() -> None:
    """Every process of Airflow imports the plugin; below a path of its own, the links follow it."""
    script = """
import json, runpy, sys
plugin = runpy.run_path("plugins/regulars_console.py")["RegularsConsolePlugin"]
heavy = [name for name in ("include.console.app", "jinja2.environment", "plotly") if name in sys.modules]
(app,), (view,) = plugin.fastapi_apps, plugin.external_views
print(json.dumps([heavy, app["url_prefix"], view["href"], view["url_route"]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=warehouse.ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(warehouse.ROOT),
            "AIRFLOW__API__BASE_URL": "https://shop.example/air/",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    heavy, prefix, href, route = json.loads(done.stdout.splitlines()[-1])
    assert "include.console.app" not in heavy
    assert (prefix, href, route) == ("/regulars", "/air/regulars/", "today")

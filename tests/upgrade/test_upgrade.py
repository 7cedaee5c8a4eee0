"""What version 0.1.0 left, upgraded by `bin/regulars up` as a shop would: everything is there, and goes on.

`make.py` makes that state, in 6 to 10 minutes; REGULARS_UPGRADE_FROM names a folder where it has done so
before. The folder is only read: the upgrade is of a copy.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include import VERSION, warehouse
from include.contracts.widening import holds
from include.launcher.servers.api import Api
from include.launcher.servers.connections import embedded
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import State
from include.warehouse import ROOT
from tests.e2e.conftest import Demo, Mailbox, clean_environment

pytestmark = pytest.mark.slow

DAY, NEXT = "2017-10-01", "2017-10-02"

#: Of the tables and views that marketing reads: name, column, type.
COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v')
    WHERE c.relnamespace = 'marketing'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
"""

#: What a contract says of a table: columns, what may be empty, keys, unique sets and indexes.
FORM = """
    SELECT c.oid::regclass::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull::text
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'v')
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('raw', 'quarantine', 'core', 'features', 'ml', 'marketing', 'ops')
        AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT i.indrelid::regclass::text, regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX .* ON ', ' ON '),
        i.indisprimary::text, obj_description(i.indexrelid)
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('raw', 'quarantine', 'core', 'features', 'ml', 'marketing', 'ops')
"""

#: What people have added of their own (see make.py).
OWN = ("our_note", "our_vips", "our_offers", "predicted_value DESC")


@dataclass
class Before:
    """What stood before the upgrade."""

    columns: list[tuple[str, str, str]]
    contents: dict[str, str]
    models: list[tuple[Any, ...]]
    pinned: str
    suppressed: set[str]
    runs: list[tuple[Any, ...]]


@dataclass
class Upgraded:
    """The state after `bin/regulars up`, what that printed, and what stood before."""

    before: Before
    said: str
    demo: Demo
    folder: Path


def ask(query: str, name: str = "warehouse") -> list[tuple[Any, ...]]:
    with warehouse.connect(name) as conn:
        return warehouse.rows(conn, query)


def contents(columns: list[tuple[str, str, str]]) -> dict[str, str]:
    """Table -> a hash of the named columns of all its rows; a number is the same with more decimals."""
    tables: dict[str, list[str]] = {}
    views = {
        name for (name,) in ask("SELECT viewname FROM pg_views WHERE schemaname = 'marketing'")
    }
    for table, column, kind in columns:
        if table not in views:
            number = kind.startswith("numeric")
            tables.setdefault(table, []).append(
                f'trim_scale("{column}")' if number else f'"{column}"'
            )
    return {
        table: ask(
            f"SELECT count(*) || ':' || coalesce(sum(hashtextextended(ROW({', '.join(names)})::text, 0)"
            f"::numeric), 0) FROM marketing.{table}"
        )[0][0]
        for table, names in tables.items()
    }


MODELS = (
    "SELECT kind, model_version, is_champion, artefact FROM ml.models WHERE artefact IS NOT NULL "
    "ORDER BY model_version"
)
RUNS = "SELECT dag_id, run_id, state FROM dag_run ORDER BY dag_id, run_id"


def look() -> Before:
    columns = ask(COLUMNS)
    return Before(
        columns,
        contents(columns),
        ask(MODELS),
        ask("SELECT model_version FROM ops.champion_pins")[0][0],
        {str(customer) for (customer,) in ask("SELECT customer_id FROM ops.suppressions")},
        ask(RUNS, "airflow"),
    )


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """The folder of `make.py`."""
    ready = os.environ.get("REGULARS_UPGRADE_FROM")
    if ready:
        yield Path(ready)
        return
    folder = Path(tempfile.mkdtemp(prefix="regulars-before-"))
    folder.chmod(0o711)
    try:
        subprocess.run(
            [sys.executable, Path(__file__).with_name("make.py"), folder],
            env=clean_environment(folder / "state"),
            timeout=2400,
            check=True,
        )
        yield folder
    finally:
        Server(State(folder / "state")).remove()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def upgraded(made: Path) -> Iterator[Upgraded]:
    folder = Path(tempfile.mkdtemp(prefix="regulars-upgrade-"))
    folder.chmod(0o711)
    home = folder / "state"
    patch = pytest.MonkeyPatch()
    environment = clean_environment(home)
    try:
        subprocess.run(["cp", "-a", made / "state", home], check=True)
        shutil.copy(made / "policy.yml", folder / "policy.yml")
        for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
            patch.delenv(name)
        patch.setenv("REGULARS_HOME", str(home))
        environment["REGULARS_POLICY"] = str(folder / "policy.yml")
        with embedded(State(home)):
            before = look()
        demo = Demo(home, "", 0.0, Mailbox(), Api("", "", ""), environment)
        done = demo.command("up", timeout=400)
        assert done.returncode == 0, done.stdout + done.stderr
        where = re.search(r"Airflow: (\S+)  login: (\S+)  password: (\S+)", done.stdout)
        assert where, done.stdout
        demo.api = Api(*where.groups())
        yield Upgraded(before, done.stdout, demo, folder)
        demo.api.close()
    finally:
        patch.undo()
        command = [str(ROOT / "bin" / "regulars"), "down", "--purge"]
        subprocess.run(command, env=environment, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_the_warehouse_has_the_form_of_a_new_one(upgraded: Upgraded, server, monkeypatch):
    assert f"The warehouse is at version {VERSION} now" in upgraded.said
    tried = upgraded.demo.command("run", "-m", "include.contracts", "plan")
    assert tried.stdout == "the warehouse is up to date\n", tried.stdout + tried.stderr
    grown = {
        row for row in ask(FORM) if not any(name in text for name in OWN for text in row if text)
    }
    urls = server.create("warehouse", "warehouse_as_new")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", urls["warehouse"])
    fresh = set(ask(FORM))
    server.drop("warehouse_as_new")
    assert len(fresh) > 1500
    assert grown - fresh == set()
    assert fresh - grown == set()


def test_every_column_of_marketing_is_there_with_every_value_of_before(upgraded: Upgraded):
    now = {(table, column): kind for table, column, kind in ask(COLUMNS)}
    assert len(upgraded.before.columns) > 300
    for table, column, kind in upgraded.before.columns:
        assert holds(now[table, column], kind), f"{table}.{column}: {now[table, column]} for {kind}"
    assert contents(upgraded.before.columns) == upgraded.before.contents


def test_what_people_added_of_their_own_is_kept(upgraded: Upgraded):
    assert ask("SELECT DISTINCT our_note FROM marketing.decisions") == [("ours",)]
    assert ask("SELECT to_regclass('marketing.our_values') IS NOT NULL") == [(True,)]
    assert ask("SELECT count(*) > 50 FROM marketing.our_vips") == [(True,)]
    assert ask("SELECT count(*) > 10 FROM marketing.our_offers") == [(True,)]
    assert ask("SELECT obj_description('marketing.our_vips'::regclass)") == [
        ("for the weekly call",)
    ]


def test_its_policy_is_valid_and_asks_the_models_the_same(upgraded: Upgraded):
    checked = upgraded.demo.command("policy", "check", str(upgraded.folder / "policy.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_airflow_remembers_is_there(upgraded: Upgraded):
    # A run of delivery may have come meanwhile.
    assert set(upgraded.before.runs) <= set(ask(RUNS, "airflow"))
    runs = upgraded.demo.runs(DAY)
    assert {name: found[0].state for name, found in runs.items()}["regulars_activate"] == "success"


def test_the_champions_of_before_load_and_say_what_they_said(upgraded: Upgraded):
    assert [row[:2] for row in upgraded.before.models if row[2]] == [
        (kind, version) for kind, version, champion, _ in ask(MODELS) if champion
    ]
    listed = upgraded.demo.command("models").stdout
    assert re.search(rf"^\s*pinned\s+{upgraded.before.pinned}\b", listed, re.MULTILINE), listed
    customer = ask("SELECT external_id FROM marketing.our_vips ORDER BY 1 LIMIT 1")[0][0]
    told = upgraded.demo.command("recommend", "explain", customer, DAY)
    served = {kind: version for kind, version, *_ in upgraded.before.models}
    assert f"by {served['als']} and policy" in told.stdout, told.stdout + told.stderr
    again = upgraded.demo.command("run", "-c", SCORE)
    assert again.returncode == 0, again.stdout + again.stderr
    redeems, version, count, apart = again.stdout.split()[-4:]
    assert (version, redeems) == (upgraded.before.pinned, served["redemption"])
    assert int(count) > 2000
    assert float(apart) < 1e-5


#: Score the customers of the day again by the champion, and compare with what was published then.
SCORE = f"""
from include import warehouse
from include.steps import features
from include.steps.score import scores
from include.steps.training import redemption, value_model
names = ["p_high_value", "predicted_value", "churn_probability", "next_order_days"]
with warehouse.connect() as conn:
    version, model = value_model.load_champion(conn, "{DAY}")
    redeems = redemption.load_champion(conn, "{DAY}")
    published = warehouse.frame(
        conn, "SELECT * FROM ml.customer_scores WHERE as_of = %(day)s", {{"day": "{DAY}"}}
    )
    known = features.published_customers(conn, "{DAY}")
again = scores(model, known).set_index("customer_id").loc[published["customer_id"], names]
apart = (again - published.set_index("customer_id")[names]).abs().max().max()
print(redeems[0], version, len(published), apart)
"""


def test_a_coupon_that_is_out_is_redeemed(upgraded: Upgraded):
    code, customer, day, basket = ask(
        "SELECT coupon_code, external_id, valid_from::text, minimum_spend + 10 "
        "FROM marketing.coupon_triggers WHERE status = 'sent' AND coupon_code IS NOT NULL "
        "ORDER BY trigger_id DESC LIMIT 1"
    )[0]
    call = (
        f"SELECT accepted, reason, discount > 0 FROM marketing.redeem('{code}', '{customer}', "
        f"'order-1', {basket}, '{day}', '{day} 12:00+00')"
    )
    assert ask(call) == [(True, "redeemed", True)]
    assert ask(call.replace("order-1", "order-2")) == [(False, "already_redeemed", False)]


def test_the_next_day_runs_and_keeps_pin_and_suppressions(upgraded: Upgraded):
    started = upgraded.demo.command("backfill", NEXT)
    assert started.returncode == 0, started.stdout + started.stderr
    # It trains, as every new recipe does.
    upgraded.demo.await_chain([NEXT], seconds=1800)
    served = ask(f"SELECT DISTINCT model_version FROM ml.customer_scores WHERE as_of = '{NEXT}'")
    assert served == [(upgraded.before.pinned,)]
    assert ask("SELECT model_version FROM ops.champion_pins") == [(upgraded.before.pinned,)]
    # What was trained anew was judged beside it, as an answer to the same question.
    judged = ask(
        "SELECT manifest -> 'promotion' ->> 'because' FROM ml.models WHERE kind = 'value' "
        f"AND artefact IS NOT NULL AND model_version <> '{upgraded.before.pinned}'"
    )
    assert all("no champion for what is asked" not in because for (because,) in judged)
    decided = ask(
        f"SELECT decision, count(*) FROM marketing.decisions WHERE as_of = '{NEXT}' GROUP BY 1"
    )
    assert dict(decided)["send"] > 50
    # The one who was suppressed, and the one whose event nobody had taken up.
    assert upgraded.demo.command("clock", f"{NEXT}T12:00").returncode == 0
    suppressed = {str(customer) for (customer,) in ask("SELECT customer_id FROM ops.suppressions")}
    assert upgraded.before.suppressed <= suppressed
    assert ask("SELECT count(*) FROM ops.suppressions WHERE reason = 'unsubscribed'") == [(1,)]
    sent = ask(
        f"SELECT count(*) FROM marketing.decisions AS d JOIN ops.suppressions AS s USING (customer_id) "
        f"WHERE d.as_of = '{NEXT}' AND d.decision = 'send' AND s.channel IN ('all', d.channel)"
    )
    assert sent == [(0,)]
    assert ask("SELECT count(*) > 0 FROM marketing.our_vips") == [(True,)]


def test_an_older_version_may_go_on_where_the_upgrade_only_added(upgraded: Upgraded):
    version, oldest = ask(
        "SELECT version, oldest FROM ops.upgrades ORDER BY upgraded_at DESC LIMIT 1"
    )[0]
    assert version == VERSION
    warned = "There is no way back" in upgraded.said
    assert (oldest == VERSION) is warned

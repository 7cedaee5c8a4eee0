"""The DAG files: they load, quickly, and say what on-call needs."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from include import policy
from include.policy import schedule
from include.warehouse import ROOT
from include.wiring import Audience, Tier

CHAIN = {"ingest", "features", "models", "score", "stock", "activate", "deliver"}
FILES = sorted((ROOT / "dags").glob("*.py"))
HEAVY = ("pandas", "sklearn", "implicit", "great_expectations", "scipy", "torch", "plotly", "skops")

#: Beyond Airflow's own import; measured in a process of its own.
PARSE_SECONDS = 0.5


@pytest.fixture(scope="module")
def dags():
    bag = DagBag(str(ROOT / "dags"))
    assert bag.dags, "expected DAGs, found none"
    assert bag.import_errors == {}
    return bag.dags


def test_each_file_holds_the_dag_of_its_name(dags):
    assert {f"regulars_{path.stem}" for path in FILES} == set(dags)
    assert {path.stem for path in FILES} >= CHAIN


def test_each_dag_says_what_is_normal_and_what_failing_means(dags):
    for dag in dags.values():
        for part in ("What it does:", "Normal:", "If it fails:"):
            assert part in (dag.doc_md or ""), f"{dag.dag_id} lacks '{part}'"
        assert "clear" in dag.doc_md


def test_each_dag_has_one_tier_and_someone_who_reads_it(dags):
    tiers, audiences = {t.value for t in Tier}, {a.value for a in Audience}
    for dag in dags.values():
        tags = set(dag.tags)
        assert len(tags & tiers) == 1, dag.dag_id
        assert tags & audiences, dag.dag_id
        assert tags <= tiers | audiences | {"regulars"}, dag.dag_id


def test_tasks_try_again_and_failed_runs_are_told(dags):
    for dag in dags.values():
        assert dag.on_failure_callback, dag.dag_id
        assert not dag.catchup, dag.dag_id
        for task in dag.tasks:
            assert task.retries >= 1, f"{dag.dag_id}.{task.task_id}"
            assert "_" in task.task_id, f"{task.task_id} should read <verb>_<table>"


def test_an_outlet_sits_on_a_last_gate(dags):
    found = {}
    for dag in dags.values():
        for task in dag.tasks:
            for outlet in task.outlets:
                found[outlet.name] = task.task_id
                assert outlet.uri.rstrip("/") == f"regulars://{outlet.name}"
    assert found == {name: f"gate_{name}" for name in found}
    assert set(found) >= {
        "core",
        "features",
        "champions",
        "scores",
        "stock_priorities",
        "decisions",
    }


def test_the_chain_has_no_sensor_and_triggers_nothing_by_hand():
    for path in FILES:
        text = path.read_text()
        assert "TriggerDagRun" not in text
        assert "Sensor" not in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_only_wires(path: Path):
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 140
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert "SELECT " not in node.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_parses_fast_and_imports_nothing_heavy(path: Path):
    code = f"""
import json, sys, time
import airflow.sdk, airflow.dag_processing.dagbag
before = set(sys.modules)
start = time.process_time()
import importlib.util
spec = importlib.util.spec_from_file_location("parsed", {str(path)!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
seconds = time.process_time() - start
print(json.dumps([seconds, sorted({{m.split(".")[0] for m in set(sys.modules) - before}})]))
"""
    best = min(
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
            ).stdout.splitlines()[-1]
        )
        for _ in range(2)
    )
    seconds, imported = best
    assert not set(HEAVY) & set(imported), f"{path.name} imports {set(HEAVY) & set(imported)}"
    assert seconds < PARSE_SECONDS


@pytest.mark.parametrize(
    ("broken", "zone"),
    [
        (lambda text: text.replace("lookback_days: 3", "lookback_day: 3"), "America/New_York"),
        (lambda text: text.replace("timezone: America/New_York", "timezone: Gotham"), "UTC"),
        (lambda text: text.replace("shop:", "shop: ["), "UTC"),
    ],
    ids=["unknown key", "unknown zone", "not YAML"],
)
def test_a_broken_policy_takes_no_dag_out_of_the_ui(dags, broken, zone, tmp_path, monkeypatch):
    """Their runs fail with the policy's sentence, and are told; a DAG that is gone tells nobody."""
    path = tmp_path / "policy.yml"
    path.write_text(broken((ROOT / "config" / "policy.yml").read_text()))
    monkeypatch.setenv("REGULARS_POLICY", str(path))
    with pytest.raises(policy.PolicyError):
        policy.load()
    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    assert set(bag.dags) == set(dags)
    assert schedule.timezone() == zone

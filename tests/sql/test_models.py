"""When the value model is trained, and that a training that cannot be done changes nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from include import contracts, warehouse
from include.errors import BadInput
from include.models.value.contest import Verdict
from include.steps.training import (
    champions,
    panels,
    population_drift,
    tasks,
    value_model,
)
from include.warehouse import Connection, connect


@pytest.fixture
def conn(warehouse: dict[str, str]) -> Iterator[Connection]:
    with connect() as made:
        made.cursor().execute("DELETE FROM ml.models")
        yield made


def stored(conn: Connection, anchor: str) -> str:
    """A champion of the recipe in force."""
    made_of = value_model.recipe(anchor, panels.settings())
    version = f"value-{anchor}-abc"
    warehouse.execute(
        conn,
        """
        INSERT INTO ml.models
            (model_version, kind, anchor, algorithm, is_champion, manifest, metrics, artefact)
        VALUES (%(version)s, 'value', %(anchor)s, 'blend', true, %(manifest)s, '{}', 'x'::bytea)
        """,
        {"version": version, "anchor": anchor, "manifest": json.dumps(made_of)},
    )
    conn.commit()
    return version


def train(day: str) -> dict[str, Any]:
    return tasks.train_value(tasks.plan({"as_of": day, "since": None, "run_id": "test"}))


def test_a_history_shorter_than_two_horizons_is_refused_and_the_champion_stays(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stored(conn, "2017-02-26")
    monkeypatch.setattr(population_drift, "measure", lambda *_: _rows())
    with pytest.raises(BadInput, match="days of history by 2017-03-05.*champion stays"):
        train("2017-03-05")
    serving = value_model.champion(conn, "2017-03-05")
    assert serving is not None
    assert serving.model_version == version


@pytest.mark.parametrize(
    ("reason", "trained_for"), [(None, None), ("5 features drifted", "2017-10-04")]
)
def test_between_anchor_days_only_drift_trains_and_for_the_day_itself(
    conn: Connection,
    monkeypatch: pytest.MonkeyPatch,
    reason: str | None,
    trained_for: str | None,
) -> None:
    version = stored(conn, "2017-10-01")
    asked: list[tuple[str, str]] = []

    def fit(_: Any, __: Any, made_of: Any, serving: Any, because: str) -> value_model.Trained:
        asked.append((made_of["anchor"], because))
        assert serving.model_version == version
        empty = {
            name: pd.DataFrame(columns=contracts.load("ml", name).content)
            for name in ("models", "backtests", "judged_scores")
        }
        empty["models"] = pd.DataFrame({"metrics": [{}]})
        lost = Verdict(False, "it was not better")
        return value_model.Trained(
            empty["models"], empty["backtests"], empty["judged_scores"], "v", lost, {}
        )

    monkeypatch.setattr(population_drift, "measure", lambda *_: _rows())
    monkeypatch.setattr(population_drift, "alarm", lambda _: reason)
    monkeypatch.setattr(value_model, "fit", fit)
    monkeypatch.setattr(champions, "stage", lambda *_: None)
    found = train("2017-10-04")
    if trained_for is None:
        assert (found["trained"], asked) == (False, [])
        assert found["model_version"] == version
    else:
        assert asked == [(trained_for, reason)]
        assert (found["promoted"], found["verdict"]) == (False, "it was not better")


def test_a_changed_policy_is_another_recipe_and_going_back_finds_the_old_model(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stored(conn, "2017-10-01")
    before = value_model.recipe("2017-10-01", panels.settings())
    changed = panels.settings().__class__(seed=1)
    assert value_model.recipe("2017-10-01", changed)["recipe"] != before["recipe"]
    assert value_model.recipe("2017-10-01", changed)["question"] == before["question"]
    other = panels.settings().__class__(horizon_days=28)
    assert value_model.recipe("2017-10-01", other)["question"] != before["question"]
    serving = value_model.champion(conn, "2017-10-01")
    assert serving is not None
    assert serving.model_version == version


def _rows() -> pd.DataFrame:
    return pd.DataFrame(columns=contracts.load("ml", "drift").content)

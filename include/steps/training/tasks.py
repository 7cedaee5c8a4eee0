"""Train the value model of an anchor day on past cut-off days, and publish champions."""

import logging
from collections.abc import Mapping
from typing import Any

from include import contracts, publication, warehouse
from include.errors import BadInput
from include.publication import Batch
from include.steps import gate as gates
from include.steps.training import (
    champions,
    population_drift,
    recommender,
    redemption,
    uplift,
    value_model,
)
from include.steps.training.champions import anchor_of
from include.steps.training.panels import Panels, settings

log = logging.getLogger(__name__)


def plan(run: Mapping[str, Any]) -> dict[str, Any]:
    """Open the batch that the trainings of the day fill side by side."""
    with publication.new_batch("champions", dict(run) | {"since": run["as_of"]}) as (conn, batch):
        for contract in contracts.of_dataset("champions"):
            publication.stage(conn, batch, contract)
    return batch.as_dict()


def train_value(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Measure drift, and where training is due, fit, judge and stage the value model.

    Training is due where the anchor day has no model of the recipe in force yet, and, between anchor days,
    where the customers have drifted: then the day itself becomes an anchor.

    Returns
    -------
    dict
        The model's version, whether it was trained now and why, whether it serves and why, its figures.
    """
    opened = Batch.from_dict(batch)
    day = opened.as_of
    chosen = settings()
    with warehouse.connect() as conn:
        panels = Panels(conn, chosen.horizon_days)
        serving, moved, because = value_model.champion(conn, day), None, None
        made_of = value_model.recipe(anchor_of(day), chosen)
        found = champions.standing(conn, value_model.KIND, made_of["anchor"], made_of["recipe"])
        if serving is not None:
            version = serving.model_version
            known = value_model.reference(conn, version)
            judged = population_drift.judged_scores(conn, version)
            moved = population_drift.measure(panels, day, chosen, version, known, judged)
        if found is None:
            because = "its anchor day had no model of this recipe"
        elif serving is not None and moved is not None and serving.anchor < day:
            because = population_drift.alarm(moved)
            made_of = value_model.recipe(day, chosen)
            if champions.standing(conn, value_model.KIND, day, made_of["recipe"]):
                because = None
        trained = value_model.fit(panels, chosen, made_of, serving, because) if because else None
        if trained is not None and trained.verdict.promoted:
            moved = population_drift.measure(
                panels, day, chosen, trained.version, trained.reference, trained.judged_scores
            )
    champions.stage(
        opened,
        value_model.KIND,
        {
            "models": trained.models if trained else None,
            "backtests": trained.backtests if trained else None,
            "judged_scores": trained.judged_scores if trained else None,
            "drift": moved,
        },
    )
    if not trained:
        log.info("The value model of %s stands: %s", day, found)
        return {"model_version": found, "trained": False, "metrics": {}}
    log.info("Trained %s because %s; %s", trained.version, because, trained.verdict.because)
    if not trained.verdict.promoted:
        log.warning("The champion before stays: %s", trained.verdict.because)
    return {
        "model_version": trained.version,
        "trained": True,
        "because": because,
        "promoted": trained.verdict.promoted,
        "verdict": trained.verdict.because,
        "metrics": trained.models.iloc[0]["metrics"],
    }


def build(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the gate publishes, for a gate whose staged batch is gone."""
    opened = plan(batch)
    train_value(opened)
    recommender.train(opened)
    redemption.train(opened)
    uplift.train(opened)
    return opened


def gate(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Publish what was trained; where a training failed, the champion before it goes on serving.

    Raises
    ------
    BadInput
        When a kind has no champion at all for the day.
    """
    counts = gates.gate(batch, rebuild=build)
    day = batch["as_of"]
    with warehouse.connect() as conn:
        serving = {
            value_model.KIND: value_model.champion(conn, day),
            recommender.KIND: recommender.champion(conn, day),
        }
    missing = [kind for kind, found in serving.items() if found is None]
    if missing:
        raise BadInput(
            f"Expected a champion of each kind for {day}, found none of {', '.join(missing)}: see the failed "
            "training task of this run; scoring cannot start without one."
        )
    return counts | {
        "champions": {kind: found.model_version for kind, found in serving.items() if found}
    }

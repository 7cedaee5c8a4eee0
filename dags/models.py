"""The champions of a business day: the value model and the recommender, trained once an anchor week.

What it does: where the anchor day's champions do not stand yet, trains them on past cut-off days, judges
them on a later one whose outcomes have matured, beside the naive baseline, and stores them in `ml.models`.
Normal: about a minute and a half on an anchor day's first run, seconds on the other days.
If it fails: safe to clear at any time. A failed training fails this run and nothing else: the gate
publishes what was trained, scoring goes on with the champions before. Only a shop without any champion
yet has no scores.
"""

from typing import Any

from airflow.sdk import TriggerRule, dag, task

from include import wiring
from include.wiring import Audience, Tier


@task
def open_training(**context: Any) -> dict[str, Any]:
    from include.steps.training import tasks

    return tasks.plan(wiring.run_of(context, needs="core"))


@task
def train_value(batch: dict[str, Any]) -> dict[str, Any]:
    from include.steps.training import tasks

    return tasks.train_value(batch)


@task
def train_recommender(batch: dict[str, Any]) -> dict[str, Any]:
    from include.steps.training import recommender

    return recommender.train(batch)


@task
def train_offers(batch: dict[str, Any]) -> dict[str, Any]:
    """Who redeems coupons, and what campaigns add: each waits for a history of its own to learn from."""
    from include.steps.training import redemption, uplift

    return {"redemption": redemption.train(batch), "uplift": uplift.train(batch)}


@task(trigger_rule=TriggerRule.ALL_DONE, outlets=[wiring.asset("champions")])
def gate_champions(batch: dict[str, Any], **context: Any) -> dict[str, Any]:
    from include.steps.training import tasks

    published = tasks.gate(batch)
    wiring.announce(context, "champions", batch["as_of"])
    return published


@task
def confirm_training(
    value: dict[str, Any], recommender: dict[str, Any], offers: dict[str, Any]
) -> list[str]:
    """Runs only where every training succeeded: otherwise this leaf fails the run."""
    trained = [value, recommender, offers["redemption"], offers["uplift"]]
    return [found["model_version"] for found in trained if found["model_version"]]


@dag(
    schedule=wiring.woken_by("features"),
    **wiring.settings(__doc__, Tier.DELAYS, Audience.DATA_ENGINEERING),
)
def regulars_models() -> None:
    batch = open_training()
    value, recommender = train_value(batch), train_recommender(batch)
    offers = train_offers(batch)
    gated = gate_champions(batch)
    [value, recommender, offers] >> gated
    gated >> confirm_training(value, recommender, offers)


regulars_models()

"""What every customer is worth as of a business day, which segment that makes, and what to show them.

What it does: applies the day's champions to the day's features; publishes `ml.customer_scores`,
`marketing.customer_segments` with value, churn, next order and reasons, the summary of the segments, who
moved, and `marketing.product_recommendations`.
Normal: under a minute.
If it fails: safe to clear at any time; clear the first failed task with everything downstream. Marketing
keeps yesterday's segments and recommendations until the gate passes, and no coupon is decided for the day.
"""

from typing import Any

from airflow.sdk import dag, task

from include import wiring
from include.wiring import Audience, Tier


@task
def score_customers(**context: Any) -> dict[str, Any]:
    from include.steps import score

    return score.score(wiring.run_of(context))


@task
def recommend_products(batch: dict[str, Any]) -> dict[str, Any]:
    from include.steps import lists

    return lists.recommend(batch)


@task(outlets=[wiring.asset("scores")])
def gate_scores(batch: dict[str, Any], **context: Any) -> dict[str, int]:
    from include.steps import gate, score

    counts = gate.gate(batch, rebuild=score.build)
    wiring.announce(context, "scores", batch["as_of"])
    return counts


@dag(
    schedule=wiring.woken_by("champions"),
    **wiring.settings(__doc__, Tier.STOPS_MARKETING, Audience.MARKETING),
)
def regulars_score() -> None:
    gate_scores(recommend_products(score_customers()))


regulars_score()

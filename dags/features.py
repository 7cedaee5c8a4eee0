"""Features of every customer and product as of one business day.

What it does: rebuilds `features.customer_features`, `features.product_features` and the interactions of
customers with products for the day, from what `core` knew at its end.
Normal: under a minute; woken once a day by core, more often during a backfill.
If it fails: safe to clear at any time. Nothing is published until the gate passes, so marketing keeps
yesterday's segments; scores for the day are late, not wrong.
"""

from typing import Any

from airflow.sdk import dag, task

from include import wiring
from include.wiring import Audience, Tier


@task
def build_features(**context: Any) -> dict[str, Any]:
    from include.steps import features

    return features.build(wiring.run_of(context, needs="core"))


@task(outlets=[wiring.asset("features")])
def gate_features(batch: dict[str, Any], **context: Any) -> dict[str, int]:
    from include.steps import features, gate

    counts = gate.gate(batch, rebuild=features.build)
    wiring.announce(context, "features", batch["as_of"])
    return counts


@dag(
    schedule=wiring.woken_by("core"),
    **wiring.settings(__doc__, Tier.DELAYS, Audience.DATA_ENGINEERING),
)
def regulars_features() -> None:
    gate_features(build_features())


regulars_features()

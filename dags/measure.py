"""What the campaigns changed: treated against control, once the days after each decision have passed.

What it does: counts what everybody spent in the 28 days after chance decided whether they were sent a
campaign, and publishes `marketing.campaign_results` (lift in money, with intervals) and the labels in
`ml.campaign_outcomes`.
Normal: seconds; woken once a day by core. Until the first decisions are 28 days old it publishes no rows,
with a warning.
If it fails: safe to clear at any time. Nothing is sent or decided by it; marketing keeps yesterday's results.
"""

from typing import Any

from airflow.sdk import dag, task

from include import wiring
from include.wiring import Audience, Tier


@task
def build_campaign_results(**context: Any) -> dict[str, Any]:
    from include.steps import measure

    return measure.build(wiring.run_of(context, needs="core"))


@task(outlets=[wiring.asset("campaign_results")])
def gate_campaign_results(batch: dict[str, Any], **context: Any) -> dict[str, int]:
    from include.steps import gate, measure

    counts = gate.gate(batch, rebuild=measure.build)
    wiring.announce(context, "campaign_results", batch["as_of"])
    return counts


@dag(
    schedule=wiring.woken_by("core"),
    **wiring.settings(__doc__, Tier.INFORMS, Audience.MARKETING),
)
def regulars_measure() -> None:
    gate_campaign_results(build_campaign_results())


regulars_measure()

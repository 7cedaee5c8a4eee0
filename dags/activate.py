"""Who gets what tomorrow: decisions, coupon triggers and messages for a business day.

What it does: takes the day's segments, finds each campaign's candidates, refuses what consent, age and
caps forbid, chooses one offer a customer within the budgets, draws the control group, and publishes
`marketing.decisions`, `marketing.coupon_triggers` and `marketing.messages`. It sends nothing:
`regulars_deliver` does. Offers above the policy's limit for approval are published as waiting, and
`approve_offers` asks a person about them; everything else is sent whatever the answer.
Normal: under a minute; woken once a day by scores. A day that was decided before keeps its decisions.
`approve_offers` is skipped where nothing waits; otherwise it waits for its answer, up to the policy's
hours (Browse > Required Actions), and no answer means no.
If it fails: safe to clear at any time; no code or message is made twice. Nothing is published until the
gate passes, so customers get the day's messages later, or not at all once their send window is over.
"""

from typing import Any

from airflow.sdk import dag, task

from include import wiring
from include.policy import schedule
from include.wiring import Audience, Tier
from include.wiring.approval import OfferApproval


@task
def decide_offers(**context: Any) -> dict[str, Any]:
    from include.steps import activate

    return activate.build(wiring.run_of(context))


@task(outlets=[wiring.asset("decisions")])
def gate_decisions(batch: dict[str, Any], **context: Any) -> dict[str, int]:
    from include.steps import activate, gate

    counts = gate.gate(batch, rebuild=activate.build, in_turn=True)
    wiring.announce(context, "decisions", batch["as_of"])
    return counts


@dag(
    schedule=wiring.woken_by("scores"),
    # Days are decided one after the other (the gate sees to it), but a day that waits for its approval
    # holds up no other.
    max_active_runs=8,
    **wiring.settings(__doc__, Tier.STOPS_MARKETING, Audience.MARKETING, Audience.ON_CALL),
)
def regulars_activate() -> None:
    approve_offers = OfferApproval(
        task_id="approve_offers", timeout_hours=schedule.approval_hours()
    )
    gate_decisions(decide_offers()) >> approve_offers


regulars_activate()

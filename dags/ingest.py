"""The shop's day into the warehouse: extracted, audited, cleaned, integrated, audited, published.

What it does: takes the business day (and the look-back before it) from the shop's database into `raw`,
sets bad rows aside with their reasons, and publishes `core`, one clean row per business thing.
Normal: about a minute for a day, up to two for a year of history (parameter `since`). A day that the
shop does not hold yet is skipped with the sentence "No data for ...".
With the parameter `replay` the shop is not asked: core is built again from raw for the days that have rows
in quarantine.
If it fails: safe to clear at any time; clear the first failed task with everything downstream. Nothing is
published until a gate passes, so marketing keeps yesterday's tables. Customers are affected only by
lateness.
"""

from typing import Any

from airflow.sdk import Param, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from include import wiring
from include.policy import schedule
from include.wiring import Audience, Tier


@task
def plan_day(**context: Any) -> dict[str, Any]:
    from include.steps import ingest

    try:
        if context["params"]["replay"]:
            return ingest.plan_replay(wiring.run_of(context)) | {"replay": True}
        return ingest.plan(wiring.run_of(context)) | {"replay": False}
    except ingest.BeyondSource as beyond:
        if context["dag_run"].run_type == "scheduled":
            raise AirflowSkipException(str(beyond)) from None
        raise


@task
def extract_raw(run: dict[str, Any]) -> dict[str, Any]:
    from include.steps import ingest

    if run["replay"]:
        raise AirflowSkipException("A replay builds core again from raw as it stands.")
    return ingest.extract(run)


@task
def gate_raw(batch: dict[str, Any]) -> dict[str, int]:
    from include.steps import gate, ingest

    return gate.gate(batch, rebuild=ingest.extract)


# Runs after a replay has skipped the extraction, and not where plan_day found no data.
@task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def build_core(run: dict[str, Any]) -> dict[str, Any]:
    from include.steps import ingest

    return ingest.build_core(run)


@task(outlets=[wiring.asset("core")])
def gate_core(batch: dict[str, Any], **context: Any) -> dict[str, int]:
    from include.steps import gate, ingest

    counts = gate.gate(batch, rebuild=ingest.build_core)
    wiring.announce(context, "core", batch["as_of"])
    return counts


@dag(
    schedule=wiring.daily(schedule.timezone()),
    **wiring.settings(
        __doc__,
        Tier.STOPS_MARKETING,
        Audience.DATA_ENGINEERING,
        params={
            "since": Param(
                None,
                type=["null", "string"],
                format="date",
                description="First day of a load with history; empty for the ordinary look-back.",
            ),
            "replay": Param(
                False,
                type="boolean",
                description="Build core again from raw for the days up to as_of that have rows in "
                "quarantine, after a rule or a missing row was repaired; the shop is not asked.",
            ),
        },
    ),
)
def regulars_ingest() -> None:
    run = plan_day()
    published_raw = gate_raw(extract_raw(run))
    core = build_core(run)
    published_raw >> core
    gate_core(core)


regulars_ingest()

"""The shop's day into the warehouse: extracted, audited, cleaned, integrated, audited, published.

What it does: takes the business day (and the look-back before it) from the shop's database into `raw`,
sets bad rows aside with their reasons, and publishes `core`, one clean row per business thing.
Normal: about a minute for a day, up to two for a year of history (parameter `since`). A day that the
shop does not hold yet is skipped with the sentence "No data for ...".
If it fails: safe to clear at any time; clear the first failed task with everything downstream. Nothing is
published until a gate passes, so marketing keeps yesterday's tables. Customers are affected only by
lateness.
"""

from typing import Any

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from include import wiring
from include.policy import schedule
from include.wiring import Audience, Tier


@task
def plan_day(**context: Any) -> dict[str, Any]:
    from include.steps import ingest

    try:
        return ingest.plan(wiring.run_of(context))
    except ingest.BeyondSource as beyond:
        if context["dag_run"].run_type == "scheduled":
            raise AirflowSkipException(str(beyond)) from None
        raise


@task
def extract_raw(run: dict[str, Any]) -> dict[str, Any]:
    from include.steps import ingest

    return ingest.extract(run)


@task
def gate_raw(batch: dict[str, Any]) -> dict[str, int]:
    from include import gates
    from include.steps import ingest

    return gates.gate(batch, rebuild=ingest.extract)


@task
def build_core(run: dict[str, Any]) -> dict[str, Any]:
    from include.steps import ingest

    return ingest.build_core(run)


@task(outlets=[wiring.asset("core")])
def gate_core(batch: dict[str, Any], **context: Any) -> dict[str, int]:
    from include import gates
    from include.steps import ingest

    counts = gates.gate(batch, rebuild=ingest.build_core)
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
            )
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

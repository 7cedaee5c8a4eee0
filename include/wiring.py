"""What every DAG file shares: assets, schedules, retries, tags, and the day of a run.

Imported by `dags/` when they are parsed, so it imports nothing heavy.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pendulum
from airflow.sdk import (
    Asset,
    CronPartitionTimetable,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    IdentityMapper,
    Param,
    PartitionedAssetTimetable,
    RetryAction,
    RetryRule,
)

from include import as_of, coverage
from include.errors import BadInput, Superseded
from include.notify import run_failed, task_failed

#: The datasets that wake one another; the address of an asset never holds a host or a port.
DATASETS = (
    "core",
    "features",
    "champions",
    "scores",
    "stock_priorities",
    "decisions",
    "campaign_results",
)

START = pendulum.datetime(2017, 1, 1)


class Tier(StrEnum):
    """How much waits for a DAG."""

    STOPS_MARKETING = "tier-1"
    DELAYS = "tier-2"
    INFORMS = "tier-3"


class Audience(StrEnum):
    """Who reads what a DAG makes."""

    DATA_ENGINEERING = "data-engineering"
    MARKETING = "marketing"
    ON_CALL = "on-call"


def asset(name: str) -> Asset:
    """The asset that says a dataset of a day was checked and published."""
    if name not in DATASETS:
        raise BadInput(f"Expected one of {', '.join(DATASETS)}, found the asset '{name}'.")
    return Asset(name=name, uri=f"regulars://{name}")


def daily(timezone: str) -> CronPartitionTimetable:
    """Midnight in the shop's zone; the partition key is the business day that has just ended."""
    return CronPartitionTimetable(
        "0 0 * * *", timezone=timezone, run_offset=-1, key_format="%Y-%m-%d"
    )


def weekly(timezone: str) -> CronTriggerTimetable:
    """Monday morning in the shop's zone, when nothing else runs."""
    return CronTriggerTimetable("30 4 * * 1", timezone=timezone)


def woken_by(name: str) -> PartitionedAssetTimetable:
    """A run for each business day of an asset."""
    return PartitionedAssetTimetable(assets=asset(name), default_partition_mapper=IdentityMapper())


def settings(doc: str | None, tier: Tier, *audiences: Audience, **more: Any) -> dict[str, Any]:
    """What every DAG declares, for `@dag(**settings(__doc__, ...))`.

    A task is tried again after a lost worker or an unreachable server, never after bad input or where a
    newer attempt took over. One notice goes out for a failed run.
    """
    params = {
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            description="Business day, for a run started by hand (YYYY-MM-DD).",
        )
    }
    return {
        "start_date": START,
        "catchup": False,
        "doc_md": doc,
        "tags": ["regulars", tier.value, *(audience.value for audience in audiences)],
        "on_failure_callback": run_failed,
        "params": params | more.pop("params", {}),
        "default_args": {
            "on_failure_callback": task_failed,
            "retries": 2,
            "retry_delay": timedelta(seconds=20),
            "retry_policy": ExceptionRetryPolicy(
                rules=[
                    RetryRule(BadInput, RetryAction.FAIL, reason="Bad input does not mend itself."),
                    RetryRule(Superseded, RetryAction.FAIL, reason="A newer attempt took over."),
                ]
            ),
        },
    } | more


def run_of(context: Mapping[str, Any], needs: str | None = None) -> dict[str, Any]:
    """The run as its steps know it: business day, first day of a load with history, run id.

    Parameters
    ----------
    needs
        A dataset that must hold the day: what woke the run does, what a person asks for may not.
    """
    day = as_of.business_day(context)
    if needs:
        coverage.require(needs, day)
    return {
        "as_of": day,
        "since": as_of.since(context),
        "run_id": context["dag_run"].run_id,
    }


def announce(context: Mapping[str, Any], name: str, day: str) -> None:
    """Put the business day on the asset event, where a run started by hand carries no key itself."""
    if context["dag_run"].partition_key != day:
        context["outlet_events"][asset(name)].add_partitions(day)

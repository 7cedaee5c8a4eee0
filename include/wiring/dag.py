"""What every DAG declares: tags, retries, notices, parameters; and the day of a run."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pendulum
from airflow.sdk import ExceptionRetryPolicy, Param, RetryAction, RetryRule

from include import as_of
from include.errors import BadInput, Superseded
from include.notify import run_failed, task_failed
from include.wiring import coverage

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

"""Forgets the customers who asked for it everywhere, and keeps it so.

What it does: takes a request (or, without one, every request that waits) and deletes every row of that person
in every table, staged batches included. Keyed hashes stay, in `ops.erasures` and `ops.suppressions`: what the
shop sends of the person later is dropped as it is published, and nobody is written to.
Normal: seconds. The run counts rows by schema and shows no number; the number is given to
`bin/regulars run -m include.erasure_requests NUMBER`, which prints the request, and never to this form.
If it fails: safe to clear at any time; it deletes all of a person or nothing. `check_customer` fails where a
row is left. Erase the customer in the shop as well: this DAG cannot.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from include import wiring
from include.wiring import Audience, Tier


@task
def erase_customer(**context: Any) -> dict[str, Any]:
    from include.persons import erasure_requests

    run = context["dag_run"]
    return erasure_requests.fulfil(context["params"]["request"], run.run_id, run.run_after)


@task
def check_customer(erased: dict[str, Any], **context: Any) -> None:
    from include.persons import erasure_requests

    run = context["dag_run"]
    erasure_requests.confirm(erased["requests"], run.run_id, run.run_after)


@dag(
    schedule=None,
    **wiring.settings(
        __doc__,
        Tier.INFORMS,
        Audience.DATA_ENGINEERING,
        Audience.ON_CALL,
        params={
            "request": Param(
                None,
                type=["null", "string"],
                description="The request's id, never a customer's number; empty for all that wait.",
            )
        },
    ),
)
def regulars_erase() -> None:
    check_customer(erase_customer())


regulars_erase()

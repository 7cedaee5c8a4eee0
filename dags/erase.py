"""Forgets one customer everywhere, and keeps it so.

What it does: takes the shop's number of a customer (or of one of the customer's accounts) from the form and
deletes every row of that person in every table, staged batches included. Keyed hashes stay, in `ops.erasures`
and `ops.suppressions`: what the shop sends of the person later is dropped as it is published, and nobody is
written to.
Normal: seconds. The run counts rows by schema and shows no number.
If it fails: safe to clear at any time; it deletes all or nothing. `check_customer` fails where a row is left.
The number stays in this run's configuration: delete the run in the UI once it has succeeded. Erase the
customer in the shop as well: this DAG cannot.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from include import wiring
from include.wiring import Audience, Tier


@task
def erase_customer(**context: Any) -> dict[str, int]:
    from include import erasure

    return erasure.forget(
        context["params"]["external_id"],
        context["dag_run"].run_id,
        context["dag_run"].run_after,
    )


@task
def check_customer(deleted: dict[str, int], **context: Any) -> None:
    from include import erasure
    from include.errors import QualityStop

    if left := erasure.remaining(context["params"]["external_id"]):
        raise QualityStop(
            f"Expected no row of the erased customer, found {left}: clear erase_customer with downstream."
        )


@dag(
    schedule=None,
    **wiring.settings(
        __doc__,
        Tier.INFORMS,
        Audience.DATA_ENGINEERING,
        Audience.ON_CALL,
        params={
            "external_id": Param(
                type="string",
                minLength=1,
                description="The shop's number of the customer, or of one of the customer's accounts.",
            )
        },
    ),
)
def regulars_erase() -> None:
    check_customer(erase_customer())


regulars_erase()

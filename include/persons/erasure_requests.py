"""Requests to be forgotten: a run is given the request, never the number of the person.

What a run is started with stays in Airflow's own database for good. So whoever takes a request records the
number here, in the warehouse, and starts `regulars_erase` with the request's id; the number is emptied when
nothing is left of the person.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from include import contracts, warehouse
from include.errors import BadInput, QualityStop
from include.persons import erasure


def ask(external_id: str) -> str:
    """Record a request; its id.

    Parameters
    ----------
    external_id
        The shop's number of the customer, or of one of the customer's accounts.

    Raises
    ------
    BadInput
        When the number is empty.
    """
    if not external_id.strip():
        raise BadInput("Expected the number of a customer, found it empty: give it.")
    request = str(uuid4())
    with warehouse.connect() as conn:
        contracts.migrate(conn)
        warehouse.execute(
            conn,
            "INSERT INTO core.erasure_requests (request_id, external_id, requested_at) "
            "VALUES (%(request)s, %(number)s, %(at)s)",
            {"request": request, "number": external_id.strip(), "at": datetime.now(UTC)},
        )
    return request


def fulfil(request: str | None, run_id: str, at: Any) -> dict[str, Any]:
    """Forget the person of a request, or of every request that waits.

    Returns
    -------
    dict
        `requests`, the ids of those fulfilled, and `deleted`, the rows deleted by schema.

    Raises
    ------
    BadInput
        When no such request waits.
    """
    waiting = _waiting(request)
    deleted: dict[str, int] = {}
    for number in waiting.values():
        for schema, count in erasure.forget(number, run_id, at).items():
            deleted[schema] = deleted.get(schema, 0) + count
    return {"requests": list(waiting), "deleted": deleted}


def confirm(requests: list[str], run_id: str, at: Any) -> None:
    """Empty the numbers of fulfilled requests, once nothing is left of the persons.

    Raises
    ------
    QualityStop
        When rows of a person are left.
    """
    for request in requests:
        with warehouse.connect() as conn:
            number = warehouse.value(
                conn,
                "SELECT external_id FROM core.erasure_requests WHERE request_id = %(request)s",
                {"request": request},
            )
        if number is None:
            continue  # confirmed before
        if left := erasure.remaining(number):
            raise QualityStop(
                f"Expected no row of the erased customer, found {left}: clear erase_customer with "
                "downstream."
            )
        with warehouse.connect() as conn:
            warehouse.execute(
                conn,
                "UPDATE core.erasure_requests SET external_id = NULL, fulfilled_at = %(at)s, "
                "run_id = %(run_id)s WHERE request_id = %(request)s",
                {"request": request, "at": at, "run_id": run_id},
            )


def _waiting(request: str | None) -> dict[str, str]:
    """Request -> number, of one request or of all that wait."""
    if request is not None:
        try:
            UUID(request)
        except ValueError:
            raise BadInput(
                "Expected the id of a request, found something else: record the request with "
                "`bin/regulars run -m include.erasure_requests NUMBER` and give what it prints. If a "
                "customer's number was given, delete this run."
            ) from None
    with warehouse.connect() as conn:
        contracts.migrate(conn)
        found = dict(
            warehouse.rows(
                conn,
                "SELECT request_id::text, external_id FROM core.erasure_requests "
                "WHERE external_id IS NOT NULL "
                "AND (%(request)s::uuid IS NULL OR request_id = %(request)s::uuid) "
                "ORDER BY requested_at, request_id",
                {"request": request},
            )
        )
    if not found:
        raise BadInput(
            "Expected a request that waits, found none: record it with `bin/regulars run -m "
            "include.erasure_requests NUMBER`, or it is fulfilled already."
        )
    return found

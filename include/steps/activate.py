"""Decide what each customer gets for a business day, and stage it for the gate."""

import logging
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, policy, publication, warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.policy import Policy
from include.publication import Batch
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.offers.decide import Inputs

log = logging.getLogger(__name__)

DATASET = "decisions"

#: How many recommended products a message may name.
PRODUCTS_IN_A_MESSAGE = 3


def build(run: Mapping[str, Any]) -> dict[str, Any]:
    """Decide a day and stage decisions, coupon triggers and messages.

    A day that was decided before is not decided again: what stands is staged as it is, so that running a
    day twice changes nothing, whatever has been decided for other days in between.

    Parameters
    ----------
    run
        `as_of` and `run_id`.

    Returns
    -------
    dict
        The batch, and how many candidates got which decision.

    Raises
    ------
    BadInput
        When the day has no segments.
    """
    day = as_of.parse(run["as_of"])
    rules = policy.load()
    one_day = {"as_of": run["as_of"], "run_id": run["run_id"]}
    with publication.opened(DATASET, one_day) as (conn, batch):
        tables = {
            name: contracts.load("marketing", name)
            for name in ("decisions", "coupon_triggers", "messages")
        }
        for contract in tables.values():
            publication.stage(conn, batch, contract)
        if _is_decided(conn, run["as_of"]):
            log.info("%s was decided before; what was decided stands.", day)
            for contract in tables.values():
                _stage_standing(conn, batch, contract)
        else:
            _stage_new(conn, batch, tables, rules, day)
        counts = _counts(conn, batch, tables["decisions"])
        seen = publication.others(conn, batch)
    log.info("Decided %s: %s", day, counts)
    return batch.as_dict() | {"decisions": counts, "seen": seen}


def _is_decided(conn: Connection, day: str) -> bool:
    return bool(
        warehouse.value(
            conn,
            """
            SELECT 1 FROM ops.publications
            WHERE table_name = 'marketing.decisions' AND partition = %(day)s
            """,
            {"day": day},
        )
    )


def _stage_standing(conn: Connection, batch: Batch, contract: Contract) -> None:
    names = ", ".join(f'"{name}"' for name in contract.column_names)
    warehouse.execute(
        conn,
        f"INSERT INTO {batch.table(contract)} ({names}) "
        f"SELECT {names} FROM {contract.name} WHERE as_of = %(as_of)s",
        {"as_of": batch.as_of},
    )


def _stage_new(
    conn: Connection, batch: Batch, tables: Mapping[str, Contract], rules: Policy, day: date
) -> None:
    from include.offers.decide import decide

    outcome = decide(read_inputs(conn, rules, day), rules, day)
    for name, found in (
        ("decisions", outcome.decisions),
        ("coupon_triggers", outcome.triggers),
        ("messages", outcome.messages),
    ):
        warehouse.copy_frame(conn, found, batch.table(tables[name]))


def _counts(conn: Connection, batch: Batch, contract: Contract) -> dict[str, int]:
    return {
        decision: int(n)
        for decision, n in warehouse.rows(
            conn,
            f"SELECT decision, count(*) FROM {batch.table(contract)} "
            "GROUP BY decision ORDER BY decision",
        )
    }


def read_inputs(conn: Connection, rules: Policy, day: date) -> "Inputs":
    """What the warehouse knew at the end of a business day.

    Raises
    ------
    BadInput
        When the day has no segments.
    """
    from include.offers.decide import Inputs

    _, end = as_of.window(day.isoformat(), day.isoformat(), rules.shop.timezone)
    params = {
        "as_of": day,
        "end": end,
        "timezone": rules.shop.timezone,
        "customers": None,
        "products": PRODUCTS_IN_A_MESSAGE,
    }
    customers = warehouse.frame(conn, warehouse.sql("marketing/activate_customers"), params)
    if customers.empty:
        raise BadInput(
            f"Expected segments for {day} in marketing.customer_segments, found none: run "
            "regulars_score for that day first."
        )
    newest = warehouse.value(
        conn, "SELECT max(partition) FROM ops.publications WHERE dataset = 'core'"
    )
    return Inputs(
        customers=customers,
        permissions=_read(conn, "activate_permissions", params),
        history=_read(conn, "activate_history", params),
        products=_read(conn, "activate_products", params),
        newest_day=max(newest or day, day),
    )


def _read(conn: Connection, name: str, params: Mapping[str, Any]) -> "pd.DataFrame":
    return warehouse.frame(conn, warehouse.sql(f"marketing/{name}"), params)


def preview(rules: Policy) -> str:
    """Who would gain or lose what under other rules, on the newest day that was decided.

    Segments and decisions of the day are worked out anew from the predictions that stand; nothing is
    written.

    Raises
    ------
    BadInput
        When no day has been decided yet.
    """
    from dataclasses import replace

    from include.offers.decide import decide
    from include.offers.preview import compare, tell

    with warehouse.connect() as conn:
        day = warehouse.value(
            conn,
            "SELECT max(partition) FROM ops.publications WHERE table_name = 'marketing.decisions'",
        )
        if day is None:
            raise BadInput(
                "Expected decisions of some day to compare with, found none: run the chain once, for "
                "instance by `bin/regulars demo`."
            )
        before = warehouse.frame(
            conn,
            """
            SELECT customer_id, campaign, segment, decision, cost_expected
            FROM marketing.decisions WHERE as_of = %(day)s
            """,
            {"day": day},
        )
        inputs = read_inputs(conn, rules, day)
        customers = _segmented_anew(conn, rules, day, inputs.customers)
    moved = int((customers["segment"] != inputs.customers["segment"]).sum())
    # How old the day is says nothing about the rules: what is stale by now is shown as if it were new.
    outcome = decide(replace(inputs, customers=customers, newest_day=day), rules, day)
    head = f"Decisions for {day}, as they stand and as this policy ({rules.hash}) would have them:"
    return f"{head}\n\n{tell(compare(before, outcome.decisions), moved, rules.shop.currency)}"


def _segmented_anew(
    conn: Connection, rules: Policy, day: date, customers: "pd.DataFrame"
) -> "pd.DataFrame":
    """The customers with the segments that the rules give them."""
    from include.offers import segments

    scored = warehouse.frame(
        conn,
        """
        SELECT f.customer_id, f.recency_days, f.tenure_days, f.registered_days,
               s.p_high_value, s.predicted_value
        FROM features.customer_features AS f
        JOIN marketing.customer_segments AS s USING (as_of, customer_id)
        WHERE f.as_of = %(day)s
        ORDER BY f.customer_id
        """,
        {"day": day},
    )
    assigned = segments.assign(
        scored,
        scored[["p_high_value", "predicted_value"]],
        rules.segments,
        rules.models.high_value_share,
    ).set_index("customer_id")
    found = customers.copy()
    for name in ("segment", "priority_service"):
        found[name] = found["customer_id"].map(assigned[name]).fillna(found[name])
    return found

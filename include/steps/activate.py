"""Decide what each customer gets for a business day, and stage it for the gate."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, policy, publication, warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.policy import Policy
from include.publication import Batch
from include.steps.training import redemption, uplift
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.offers.inputs import Inputs

log = logging.getLogger(__name__)

DATASET = "decisions"

#: What a batch holds.
TABLES = ("decisions", "coupon_triggers", "messages", "budget_use", "control_members")

#: How many recommended products a message may name.
PRODUCTS_IN_A_MESSAGE = 3


def build(run: Mapping[str, Any]) -> dict[str, Any]:
    """Decide a day and stage decisions, coupon triggers, messages, budgets and control groups.

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
    with publication.new_batch(DATASET, one_day) as (conn, batch):
        tables = {name: contracts.load("marketing", name) for name in TABLES}
        for contract in tables.values():
            publication.stage(conn, batch, contract)
        if _is_decided(conn, run["as_of"]):
            log.info("%s was decided before; what was decided stands.", day)
            for contract in tables.values():
                _stage_standing(conn, batch, contract)
        else:
            for sentence in unknown_products(conn, rules, day):
                log.warning(sentence)
            stage_day(conn, batch, read_inputs(conn, rules, day), rules, day)
        counts = _counts(conn, batch, tables["decisions"])
        seen = publication.mark_of_other_days(conn, batch)
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


def stage_day(conn: Connection, batch: Batch, inputs: "Inputs", rules: Policy, day: date) -> None:
    """Decide a day and fill the batch's staged tables, some rows at a time."""
    from include.offers.decide import Day

    decided = Day(inputs, rules, day)
    staged = {name: batch.table(contracts.load("marketing", name)) for name in TABLES}
    for triggers, messages in decided.written():
        warehouse.copy_frame(conn, triggers, staged["coupon_triggers"])
        warehouse.copy_frame(conn, messages, staged["messages"])
    for decisions in decided.decisions():
        warehouse.copy_frame(conn, decisions, staged["decisions"])
    money = {"as_of": day.isoformat(), "currency": rules.shop.currency}
    warehouse.copy_frame(conn, decided.budgets.round(4).assign(**money), staged["budget_use"])
    _stage_members(conn, decided.members(), staged["control_members"], rules, day)


def _stage_members(
    conn: Connection, members: "pd.DataFrame", table: str, rules: Policy, day: date
) -> None:
    """Who came into a control group since the days before, and who left one."""
    _, end = as_of.window(day.isoformat(), day.isoformat(), rules.shop.timezone)
    standing = warehouse.frame(
        conn, warehouse.sql("queries/activate/members"), {"end": end, "as_of": day}
    )
    found = members.merge(
        standing, on=["customer_id", "scope"], how="outer", suffixes=("", "_before")
    )
    is_member = found["share"].notna()
    changed = found[is_member != found["share_before"].notna()]
    is_member = is_member[changed.index]
    rules_now = {campaign.name: campaign.control_share for campaign in rules.campaigns}
    held = changed["scope"].map(rules_now).fillna(rules.control.share)
    moment = end.isoformat()
    warehouse.copy_frame(
        conn,
        changed[["customer_id", "scope"]].assign(
            external_id=changed["external_id"].fillna(changed["external_id_before"]),
            share=changed["share"].fillna(held),
            is_member=is_member,
            as_of=day.isoformat(),
            valid_from=moment,
            known_at=moment,
        ),
        table,
    )


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
    from include.offers.inputs import Inputs, Past

    _, end = as_of.window(day.isoformat(), day.isoformat(), rules.shop.timezone)
    complaints, total = rules.activation.complaints, rules.budgets.total
    params = {
        "as_of": day,
        "end": end,
        "granted_by": end,
        "timezone": rules.shop.timezone,
        "customers": None,
        "products": PRODUCTS_IN_A_MESSAGE,
        "complaint_days": complaints.days,
        "complaint_rating": complaints.rating,
        "complaint_sentiment": complaints.sentiment,
        "return_days": complaints.return_days,
        "starts_on": total.starts_on if total else None,
        "ends_on": total.ends_on if total else None,
        "message_cost": rules.budgets.message_cost.model_dump_json(),
    }
    customers = warehouse.frame(conn, warehouse.sql("queries/activate/customers"), params)
    if customers.empty:
        raise BadInput(
            f"Expected segments for {day} in marketing.customer_segments, found none: run "
            "regulars_score for that day first."
        )
    newest = warehouse.value(
        conn, "SELECT max(partition) FROM ops.publications WHERE dataset = 'core'"
    )
    past = warehouse.rows(conn, warehouse.sql("queries/activate/past"), params)
    spent = warehouse.rows(conn, warehouse.sql("queries/activate/spent"), params)
    version, chances = redemption.propensities(conn, day.isoformat())
    uplift_version, gains = uplift.gains(conn, day.isoformat())
    return Inputs(
        customers=customers,
        permissions=warehouse.frame(conn, warehouse.sql("queries/activate/permissions"), params),
        history=warehouse.frame(conn, warehouse.sql("queries/activate/history"), params),
        products=warehouse.frame(conn, warehouse.sql("queries/activate/products"), params),
        newest_day=max(newest or day, day),
        signals=_signals(conn, rules, day, params),
        accounts=warehouse.frame(conn, warehouse.sql("queries/activate/accounts"), params),
        chances=chances,
        redemption_version=version,
        uplift=gains,
        uplift_version=uplift_version,
        released=frozenset(
            name
            for (name,) in warehouse.rows(conn, warehouse.sql("queries/activate/released"), params)
        ),
        past={name: Past(sent, redeemed) for name, sent, redeemed in past},
        spent={name: cost for name, cost, _ in spent} | {None: sum(row[2] for row in spent)},
    )


def _signals(
    conn: Connection, rules: Policy, day: date, params: Mapping[str, Any]
) -> "pd.DataFrame":
    """What each campaign that is on may answer, as its trigger's query finds it."""
    import pandas as pd

    from include.offers.inputs import no_signals

    parts = [no_signals()]
    for campaign in rules.campaigns:
        trigger = campaign.trigger
        if trigger.query is None or not campaign.runs_on(day):
            continue
        statement = warehouse.sql(
            "queries/activate/signals", found=f"queries/triggers/{trigger.query}"
        )
        own = trigger.parameters | {"is_offer": trigger.is_offer}
        rows = warehouse.frame(conn, statement, dict(params) | _sensitive(rules) | own)
        if not rows.empty:
            parts.append(rows.drop(columns="product_id").assign(campaign=campaign.name))
    return pd.concat(parts, ignore_index=True)


def unknown_products(conn: Connection, rules: Policy, day: date) -> list[str]:
    """A sentence for each product, type, category or brand that a campaign asks for and the shop lacks."""
    _, end = as_of.window(day.isoformat(), day.isoformat(), rules.shop.timezone)
    told = []
    for campaign in rules.campaigns:
        if not campaign.runs_on(day) or not campaign.trigger.products:
            continue
        unknown = warehouse.rows(
            conn,
            warehouse.sql("queries/activate/unknown_products"),
            {"end": end, "asked": json.dumps(campaign.trigger.products)},
        )
        told += [
            f"Campaign {campaign.name} asks for products with {column} '{value}', and by {day} the shop has "
            "none; correct its trigger in the policy."
            for column, value in unknown
        ]
    return told


def _sensitive(rules: Policy) -> dict[str, str]:
    """The kinds of products that no message may name, as the SQL of signals takes them."""
    from include.policy.recommendations import Sensitive

    found = [
        rule.products.model_dump(mode="json", exclude_none=True)
        for rule in rules.recommendations.rules
        if isinstance(rule, Sensitive)
    ]
    return {"sensitive": json.dumps(found)}


def preview(rules: Policy) -> str:
    """Who would gain or lose what under other rules, on the newest day that was decided.

    Segments and decisions of the day are worked out anew from the predictions that stand; nothing is
    written.

    Raises
    ------
    BadInput
        When no day has been decided yet.
    """
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
            SELECT customer_id, campaign, segment, decision, decision_reason, cost_expected,
                expected_incremental_value
            FROM marketing.decisions WHERE as_of = %(day)s
            """,
            {"day": day},
        )
        unknown = unknown_products(conn, rules, day)
        inputs = read_inputs(conn, rules, day)
        customers = _segmented_anew(conn, rules, day, inputs.customers)
    moved = int((customers["segment"] != inputs.customers["segment"]).sum())
    # How old the day is says nothing about the rules: what is stale by now is shown as if it were new.
    outcome = decide(replace(inputs, customers=customers, newest_day=day), rules, day)
    head = f"Decisions for {day}, as they stand and as this policy ({rules.hash}) would have them:"
    warnings = "".join(f"Warning: {sentence}\n" for sentence in unknown)
    told = tell(compare(before, outcome.decisions), moved, rules.shop.currency)
    return f"{warnings}{head}\n\n{told}"


def _segmented_anew(
    conn: Connection, rules: Policy, day: date, customers: "pd.DataFrame"
) -> "pd.DataFrame":
    """The customers with the segments that the rules give them."""
    from include.offers import segments

    scored = warehouse.frame(
        conn,
        """
        SELECT f.customer_id, f.recency_days, f.tenure_days, f.registered_days, f.orders_13w,
               f.sales_13w, s.p_high_value, s.predicted_value
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

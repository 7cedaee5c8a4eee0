"""Score every customer of a business day, and give each a segment."""

import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, policy, publication, warehouse
from include.errors import BadInput
from include.steps import features, lists
from include.steps.training import value_model
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.value.model import ValueModel

log = logging.getLogger(__name__)

#: Movement between segments is measured against the day this many days earlier.
MOVEMENT_DAYS = 7

#: Customers scored at once by a thread.
PART = 50_000

#: Digits kept: more would be noise, and would tell two equal days apart.
_DIGITS = 6


def score(run: Mapping[str, Any]) -> dict[str, Any]:
    """Open the day's batch and stage scores, segments, their summary and who moved.

    Returns
    -------
    dict
        The batch, with the rows of each table.
    """
    day = run["as_of"]
    with publication.new_batch("scores", dict(run) | {"since": day}) as (conn, batch):
        version, model = value_model.load_champion(conn, day)
        known = features.published_customers(conn, day)
        _refuse_empty(known, day)
        earlier = _a_week_earlier(conn, day)
        external = _external_ids(conn)
        scored = scores(model, known)
        tables = _tables(model, known, scored, earlier)
        common = {"as_of": day, "model_version": version, "policy_hash": policy.load().hash}
        counts = {}
        for name, frame in tables.items():
            contract = contracts.load(*name.split("."))
            table = publication.stage(conn, batch, contract)
            filled = frame.assign(**common)
            if "external_id" in contract.content:
                filled["external_id"] = filled["customer_id"].map(external)
            counts[name] = warehouse.copy_frame(conn, filled[contract.content], table)
    log.info("Scored %s customers with %s", f"{len(known):,}", version)
    return batch.as_dict() | {"rows": counts, "model_version": version}


def scores(model: "ValueModel", known: "pd.DataFrame") -> "pd.DataFrame":
    """Every prediction and the three reasons of each customer; index and order as in `known`.

    In parts, so that memory does not grow with what the members need in between, and by as many threads as
    the process may use cores: most of the work is outside Python.
    """
    import pandas as pd

    currency = policy.load().shop.currency
    # Not named by a list of the columns: a part is a view, and copies nothing.
    parts = [known.iloc[start : start + PART] for start in range(0, len(known), PART)]

    def one(part: "pd.DataFrame") -> "pd.DataFrame":
        return model.predict(part).round(_DIGITS).join(model.reasons(part, currency))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        found = pd.concat(threads.map(one, parts))
    found.insert(0, "customer_id", known["customer_id"])
    return found


def build(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the gate publishes, for a gate whose staged batch is gone."""
    return lists.recommend(score(batch))


def _tables(
    model: "ValueModel", known: "pd.DataFrame", scored: "pd.DataFrame", earlier: "pd.DataFrame"
) -> "dict[str, pd.DataFrame]":
    from include.offers import segments

    rules = policy.load()
    day = as_of.parse(str(known["as_of"].iloc[0].date()))
    share = model.settings.high_value_share
    assigned = segments.assign(known, scored, rules.segments, share)
    today = assigned.join(scored.drop(columns="customer_id")).assign(
        currency=rules.shop.currency,
        horizon_days=model.settings.horizon_days,
        expected_next_order_date=segments.next_order_date(day, scored["next_order_days"].tolist()),
    )
    before = (
        segments.assign(earlier, scores(model, earlier), rules.segments, share)
        if len(earlier)
        else assigned.iloc[:0]
    )
    return {
        "ml.customer_scores": scored,
        "marketing.customer_segments": today,
        "marketing.segment_summary": segments.summary(today, before, rules.segments).assign(
            currency=rules.shop.currency, horizon_days=model.settings.horizon_days
        ),
        "marketing.segment_changes": segments.changes(today, before),
    }


def _a_week_earlier(conn: Connection, day: str) -> "pd.DataFrame":
    """Features a week before the day, rebuilt from `core`, so that it matters not which days ran."""
    earlier = as_of.days_before(day, MOVEMENT_DAYS)
    return features.customers(conn, earlier)


def _external_ids(conn: Connection) -> dict[str, str]:
    return {
        str(customer): external
        for customer, external in warehouse.rows(
            conn, "SELECT customer_id, external_id FROM core.identities"
        )
    }


def _refuse_empty(known: "pd.DataFrame", day: str) -> None:
    if known.empty:
        raise BadInput(
            f"Expected features for {day} in features.customer_features, found none: run regulars_features "
            "for the day first."
        )

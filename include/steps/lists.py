"""List products for every customer of a business day, and explain one customer's lists."""

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, policy, publication, warehouse
from include.errors import BadInput, RegularsError
from include.publication import Batch
from include.steps import product_rows as inputs
from include.steps.training.recommender import load_model, require_champion
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.lists.build import ListMaker

log = logging.getLogger(__name__)


def recommend(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Stage the recommendation tables of the batch's day.

    Returns
    -------
    dict
        The batch, with the rows staged and the customers who have a list.
    """
    from include.models.lists.build import lists

    opened = Batch.from_dict(batch)
    day = opened.as_of
    with warehouse.connect() as conn:
        version, maker, who = maker_of(conn, day, inputs.staged_segments(conn, opened))
    found, summaries = lists(maker)
    external = who.set_index("customer_id")["external_id"]
    counts = {}
    with warehouse.connect() as conn:
        for frame, schema, table in (
            (found, "ml", "recommendations"),
            (found, "marketing", "product_recommendations"),
            (summaries, "marketing", "recommendation_lists"),
        ):
            contract = contracts.load(schema, table)
            staged = publication.stage(conn, opened, contract)
            filled = frame.assign(
                as_of=day,
                model_version=version,
                external_id=frame["customer_id"].map(external),
                policy_hash=policy.load().hash,
            )
            counts[table] = warehouse.copy_frame(conn, filled[contract.content], staged)
    short = int(summaries["why_short"].notna().sum())
    log.info(
        "Listed products for %s customers, %s of %s lists short: %s",
        f"{found['customer_id'].nunique():,}",
        f"{short:,}",
        f"{len(summaries):,}",
        counts,
    )
    return dict(batch) | {
        "recommended_customers": int(found["customer_id"].nunique()),
        "short_lists": short,
        "recommendation_rows": counts,
    }


def maker_of(
    conn: Connection, day: str, segments: "pd.DataFrame", only: str | None = None
) -> "tuple[str, ListMaker, pd.DataFrame]":
    """The champion's version, what makes a day's lists, and the customers they are for.

    Parameters
    ----------
    segments : DataFrame
        customer_id, segment, value_tier.
    only : str, optional
        The external number of the one customer to make lists for.
    """
    from include.features.purchases import one_day
    from include.models.lists.build import ListMaker
    from include.models.products import rules as list_rules

    who = inputs.customers(conn, day)
    purchases, known = inputs.load_purchases(conn, day, who["customer_id"].to_list())
    signals = inputs.load_signals(conn, day, purchases, known)
    version, model = load_model(conn, day, known)
    if only is not None:
        who = who[who["external_id"] == only]
    persons = inputs.people(purchases, who, segments)
    shelf = inputs.shelf(conn, day, known, persons.regions.tolist())
    rules = policy.load().recommendations
    for sentence in list_rules.unknown(rules.rules, known):
        log.warning("%s", sentence)
    now = model.snapshot(purchases, known, one_day(day), signals)
    return version, ListMaker(model, now, persons, shelf, rules), who


def explain(external_id: str, day: str | None = None) -> str:
    """Which rule and which model did what to one customer's lists of a day (default: the newest published).

    Raises
    ------
    BadInput
        When nothing was published, or the shop does not know the customer.
    """
    from include.models.lists.explain import explain as lines_of

    with warehouse.connect() as conn:
        newest = warehouse.value(conn, "SELECT max(as_of) FROM marketing.product_recommendations")
        if day is None and newest is None:
            raise BadInput(
                "Expected published recommendations, found none: run regulars_score for a day first."
            )
        day = day or newest.isoformat()
        # Refused before the purchases of everybody are read and the model is loaded.
        if external_id not in set(inputs.customers(conn, day)["external_id"]):
            raise BadInput(
                f"Expected the number of a customer known by {day}, found '{external_id}': look it up in "
                "marketing.current_customer_segments.external_id."
            )
        require_champion(conn, day)
        segments = inputs.published_segments(conn, day)
        version, maker, who = maker_of(conn, day, segments, only=external_id)
    group = segments.set_index("customer_id")["segment"].get(who["customer_id"].iloc[0])
    region = who["region"].iloc[0]
    told = [f"segment {group or 'unknown'}", f"region {region or 'unknown'}"]
    head = [
        f"Customer {external_id} as of {day}: {', '.join(told)}",
        f"by {version} and policy {policy.load().hash}; chance: of a purchase in the next 28 days",
    ]
    return "\n".join([*head, *lines_of(maker)])


USAGE = """usage: regulars recommend explain CUSTOMER [DAY]
       what each model and rule did to the customer's product lists of a business day"""


def main(argv: list[str]) -> int:
    """`regulars recommend explain`; the exit code is 0 when told, 1 when not possible, 2 for usage."""
    if len(argv) not in (2, 3) or argv[0] != "explain":
        sys.stderr.write(USAGE + "\n")
        return 2
    try:
        day = as_of.parse(argv[2], "DAY").isoformat() if len(argv) > 2 else None
        sys.stdout.write(explain(argv[1], day) + "\n")
    except RegularsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0

"""Measure what the campaigns changed, once the days after each decision have passed."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, policy, publication, warehouse
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

DATASET = "campaign_results"

#: Days after a decision in which an outcome is counted: the longest offer is good for three weeks, and the
#: fourth shows whether purchases were only brought forward.
WINDOW_DAYS = 28

#: Days up to the decision whose spend sharpens the estimate.
BEFORE_DAYS = 91

#: Decisions of a year are measured together: control groups are small, and one day's tells little.
MEASURED_DAYS = 364


def build(run: Mapping[str, Any]) -> dict[str, Any]:
    """Stage the outcomes of every decision whose window has passed, and what the campaigns changed.

    A day by which nothing has matured gets no rows and a warning: a young shop is no failure.

    Returns
    -------
    dict
        The batch, with the rows of each table.
    """
    day = run["as_of"]
    with publication.new_batch(DATASET, dict(run) | {"since": day}) as (conn, batch):
        found = outcomes(conn, day)
        if found.empty:
            log.warning(
                "Nothing to measure for %s: no decision between sending and control is %s days old.",
                day,
                WINDOW_DAYS,
            )
        counts = {}
        for contract, frame in (
            (contracts.load("ml", "campaign_outcomes"), found),
            (contracts.load("marketing", "campaign_results"), results(found, day)),
        ):
            table = publication.stage(conn, batch, contract)
            counts[contract.name] = warehouse.copy_frame(conn, frame, table) if len(frame) else 0
    log.info("Measured %s: %s", day, counts)
    return batch.as_dict() | {"rows": counts}


def outcomes(conn: Connection, day: str) -> "pd.DataFrame":
    """`ml/campaign_outcomes.sql` as of a day."""
    rules = policy.load()
    timezone = rules.shop.timezone
    _, end = as_of.window(day, day, timezone)
    return warehouse.frame(
        conn,
        warehouse.sql("ml/campaign_outcomes"),
        {
            "as_of": day,
            "end": end,
            "timezone": timezone,
            "window_days": WINDOW_DAYS,
            "before_days": BEFORE_DAYS,
            "measured_days": MEASURED_DAYS,
            "message_cost": rules.budgets.message_cost.model_dump_json(),
        },
    )


def results(found: "pd.DataFrame", day: str) -> "pd.DataFrame":
    """Outcomes as rows of `marketing.campaign_results`."""
    from include.models.campaigns import lift

    currency = policy.load().shop.currency
    return lift.summarise(found, currency).assign(
        as_of=day, window_days=WINDOW_DAYS, currency=currency, basis="experiment"
    )

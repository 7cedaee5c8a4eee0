"""Learn from past campaigns who redeems coupons, and say it of every customer of a day."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include import as_of, policy, warehouse
from include.errors import BadInput
from include.steps.training import champions
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.campaigns.redemption import RedemptionModel, Settings

log = logging.getLogger(__name__)

#: How the redemption model is called in ml.models.
KIND = "redemption"
#: Where its code begins (`include.models.code`).
MADE_BY = ("include.steps.training.redemption",)

#: Campaigns that start earlier than this after the shop's first day teach nothing: no customer has a past.
MINIMUM_HISTORY_DAYS = 28

#: The backtest learns from what had ended this many days before the anchor day, and is judged on campaigns
#: that began after it and have ended since.
JUDGED_DAYS = 91

#: The planner believes that hardly any row joins, and sorts millions of them; these joins are hash joins.
_PLAN = {"enable_mergejoin": "off", "enable_nestloop": "off", "work_mem": "128MB", "jit": "off"}


def exposures(conn: Connection, day: str, reference: str | None = None) -> "pd.DataFrame":
    """`queries/training/campaign_exposures.sql` as of a day: campaigns sent so far, or one to all.

    Parameters
    ----------
    reference
        A campaign; with it, a row for every customer as if that campaign were sent to them on the next day.
    """
    rules = policy.load().shop
    _, end = as_of.window(day, day, rules.timezone)
    for name, value in _PLAN.items():
        warehouse.execute(conn, f"SET LOCAL {name} = '{value}'")
    found = warehouse.frame(
        conn,
        warehouse.sql("queries/training/campaign_exposures"),
        {
            "as_of": day,
            "end": end,
            "opened_on": rules.opened_on,
            "history_days": MINIMUM_HISTORY_DAYS,
            "reference": reference,
        },
    )
    for name in _PLAN:
        warehouse.execute(conn, f"SET LOCAL {name} TO DEFAULT")
    return found


def ended_by(rows: "pd.DataFrame", day: str) -> "pd.DataFrame":
    """The rows of campaigns whose last day is `day` or earlier."""
    import pandas as pd

    return rows[rows["ends_on"] <= pd.Timestamp(day)]


def train(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Train the redemption model of the batch's anchor day (`champions.train`).

    A shop with too few campaigns behind it has no such model, which is no failure.
    """
    from include.models.campaigns.redemption import Settings

    chosen = Settings()
    return champions.train(
        batch,
        KIND,
        lambda anchor: recipe(anchor, chosen),
        exposures,
        lambda rows, anchor, made_of: fit(rows, anchor, chosen, made_of),
        optional=True,
    )


def recipe(anchor: str, chosen: "Settings") -> dict[str, Any]:
    """What decides a redemption model besides the data, and a hash of it."""
    from include.steps.training import recipes

    made_by = recipes.method(
        MADE_BY,
        chosen.as_dict(),
        history_days=MINIMUM_HISTORY_DAYS,
        judged_days=JUDGED_DAYS,
    )
    return recipes.recipe(anchor, made_by)


def fit(
    rows: "pd.DataFrame", anchor: str, chosen: "Settings", made_of: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The model of an anchor day as a row of ml.models, and its backtest as rows of ml.backtests.

    Raises
    ------
    BadInput
        When too few campaigns have ended by the anchor day.
    """
    import pandas as pd

    from include.models import registry
    from include.models.campaigns.redemption import RedemptionModel, judge

    ended = ended_by(rows, anchor)
    model = RedemptionModel(chosen).fit(ended)
    cut = as_of.days_before(anchor, JUDGED_DAYS)
    later = ended[ended["starts_on"] > pd.Timestamp(cut)]
    figures: dict[str, dict[str, float]] = {}
    if later["is_redeemed"].any():
        try:
            figures = judge(RedemptionModel(chosen).fit(ended_by(ended, cut)), later)
        except BadInput as few:
            log.info("No backtest of the redemption model of %s: %s", anchor, few)
    about = dict(made_of) | {
        "algorithm": "logistic_regression",
        "data": champions.data_hash(ended),
        "rows": len(ended),
    }
    version = registry.version(KIND, anchor, about)
    row = champions.model_row(
        KIND,
        anchor,
        version,
        "logistic_regression",
        about | {"explained": model.explained()},
        {name: round(pair["ours"], 5) for name, pair in figures.items()},
        registry.dumps(model.state()),
    )
    lines = [
        {
            "cut": cut,
            "metric": metric,
            "setting": "campaigns",
            "ours": pair["ours"],
            "baseline": pair["baseline"],
            "baseline_name": "smoothed past redemption rate",
            "n": len(later),
        }
        for metric, pair in figures.items()
    ]
    return row, lines


def load_champion(conn: Connection, day: str) -> "tuple[str, RedemptionModel] | None":
    """The redemption model that serves a day and its version, or None before the first one."""
    from include.models import registry
    from include.models.campaigns.redemption import RedemptionModel

    champion = champions.serving(conn, KIND, day)
    if champion is None:
        return None
    stored = champions.artefact(conn, champion.model_version)
    return champion.model_version, RedemptionModel.from_state(registry.loads(stored))


def propensities(conn: Connection, day: str) -> "tuple[str | None, pd.DataFrame]":
    """How readily each customer redeems, as of a day: the model's version, and customer_id, p_redeem.

    Without a model the version is None and the frame is empty.

    Every customer is asked about the same campaign, the one that the shop has sent to most people so far, so
    the figures compare customers with one another. `include.models.campaigns.redemption.moved_to`
    brings them to the level of an offer.
    """
    import pandas as pd

    champion = load_champion(conn, day)
    reference = _largest_campaign(conn, day)
    if champion is None or reference is None:
        return None, pd.DataFrame(
            {"customer_id": pd.Series(dtype="str"), "p_redeem": pd.Series(dtype=float)}
        )
    rows = exposures(conn, day, reference)
    return champion[0], pd.DataFrame(
        {"customer_id": rows["customer_id"], "p_redeem": champion[1].predict(rows).round(6)}
    )


def _largest_campaign(conn: Connection, day: str) -> str | None:
    _, end = as_of.window(day, day, policy.load().shop.timezone)
    found: str | None = warehouse.value(
        conn,
        """
        SELECT e.campaign_id
        FROM core.known_exposures AS e
        JOIN core.known_campaigns AS c USING (campaign_id)
        WHERE e.business_day <= %(day)s
            AND e.known_from < %(end)s AND e.known_until >= %(end)s
            AND c.known_from < %(end)s AND c.known_until >= %(end)s
        GROUP BY e.campaign_id, c.starts_on
        ORDER BY count(*) DESC, c.starts_on DESC, e.campaign_id LIMIT 1
        """,
        {"day": day, "end": end},
    )
    return found

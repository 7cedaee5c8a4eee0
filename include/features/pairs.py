"""What rankers of product lists see of a customer and an item: which numbers, and what they are called.

They are worked out by `include.models.products.snapshot`, in this order: a stored ranker holds a weight for
each by its name and refuses others. Counts decay by half in so many days as their names end with.
"""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["score", "count", "days", "share", "ratio", "money", "flag", "log odds", "product"]


@dataclass(frozen=True)
class Feature:
    """One number of a pair of a customer and an item, as a ranker sees it.

    Attributes
    ----------
    theme
        Features of one theme tell much the same.
    unit
        Of what is counted or measured.
    label
        What it is called in words.
    logged
        Whether the ranker sees its logarithm: counts and durations are skewed.
    """

    name: str
    theme: str
    unit: Unit
    label: str
    logged: bool = True


def _decayed(name: str, theme: str, label: str, *half_lives: int) -> tuple[Feature, ...]:
    return tuple(
        Feature(f"{name}_{days}", theme, "count", f"{label}, decayed by half in {days} days")
        for days in half_lives
    )


#: Of a customer's visits.
VISITS = (
    Feature("visits", "visits", "count", "visits, decayed by half in 28 days"),
    Feature("visit_days", "visits", "count", "days with a visit"),
    Feature("since_visit", "visits", "days", "days since the last visit"),
    Feature("items_a_visit", "visits", "ratio", "different items a visit"),
    Feature(
        "items_tried", "visits", "count", "items bought for the first time in the last 28 days"
    ),
)

#: Of any pair: what needs no purchase of the item itself.
COMMON = (
    Feature("als", "taste", "score", "fit by what customers alike buy", logged=False),
    Feature("buyers_28", "popularity", "count", "its buyers of the last 28 days"),
    Feature("buyers_91", "popularity", "count", "its buyers of the last 91 days"),
    Feature("buyers_ever", "popularity", "count", "its buyers so far"),
    Feature("trend_7", "trend", "ratio", "its buyers of the last week against four weeks"),
    Feature("trend_28", "trend", "ratio", "its buyers of the last four weeks against thirteen"),
    Feature("days_per_buyer", "popularity", "ratio", "purchase days for each of its buyers"),
    Feature("share_off", "price", "share", "reduction of the last two weeks", logged=False),
    Feature("share_off_change", "price", "share", "the same less the usual one", logged=False),
    Feature("usual_price", "price", "money", "its usual price"),
    *_decayed("group", "type", "purchase days of its type", 28, 112),
    Feature("group_days", "type", "count", "purchase days of its type"),
    Feature("group_since", "type", "days", "days since its type was bought"),
    Feature("group_gap", "type", "days", "usual days between purchases of its type"),
    Feature("group_due", "type", "ratio", "days since its type was bought over the usual ones"),
    *_decayed("family", "category", "purchase days of its category", 28, 112),
    *_decayed("maker", "manufacturer", "purchase days of its manufacturer", 112),
    *VISITS,
)

_LOGS = (
    Feature("days", "habit", "count", "days it was bought on"),
    Feature("since", "recency", "days", "days since it was bought"),
    Feature("gap", "cadence", "days", "usual days between its purchases"),
    Feature("last_gap", "cadence", "days", "days between its last two purchases"),
    Feature("due", "cadence", "ratio", "days since it was bought over the usual ones"),
    Feature("last_due", "cadence", "ratio", "days since it was bought over the last ones"),
    *_decayed("decayed", "habit", "days it was bought on", 14, 28, 56, 112),
)


def _product(name: str, theme: str, label: str) -> Feature:
    return Feature(name, theme, "product", label, logged=False)


#: Of pairs that were bought before, after those of any pair: recency and cadence, and the curvature that a
#: linear model lacks.
REPEAT = (
    *_LOGS,
    Feature("once", "habit", "flag", "it was bought on one day only", logged=False),
    Feature("tenure", "recency", "days", "days since it was first bought"),
    Feature("rate", "habit", "ratio", "days it was bought on for each day since", logged=False),
    Feature("expected", "habit", "share", "chance of a purchase within 28 days at that rate"),
    Feature("share_of_visits", "habit", "share", "share of the visits with it", logged=False),
    Feature("share_of_group", "type", "share", "share of its type's purchase days", logged=False),
    Feature("per_visit", "habit", "ratio", "purchase days a visit lately", logged=False),
    _product("per_visit_days", "habit", "purchase days a visit lately x days it was bought on"),
    _product("due_days", "cadence", "how due it is x days it was bought on"),
    _product("since_days", "recency", "days since it was bought x days it was bought on"),
    _product("since_gap", "cadence", "days since it was bought x usual days between"),
    Feature("rebuy_item", "popularity", "log odds", "that it is bought again", logged=False),
    Feature("rebuy_group", "popularity", "log odds", "that its type is bought again", logged=False),
    _product("rebuy_days", "popularity", "that it is bought again x days it was bought on"),
    _product("visits_decayed", "visits", "visits x days it was bought on, both lately"),
    _product("visits_since", "visits", "visits lately x days since it was bought"),
    *(_product(f"{f.name}_squared", f.theme, f"{f.label}, squared") for f in _LOGS),
)

#: Of pairs that were never bought: one score to order by, and what turns it into a chance.
NEW = (
    Feature("score", "taste", "score", "fit by what customers alike buy, and its trend"),
    *(feature for feature in VISITS if feature.name in ("visits", "items_tried")),
)

#: What each ranker sees.
RANKERS = {"repeat": COMMON + REPEAT, "discover": NEW}

LABELS = {feature.name: feature.label for features in RANKERS.values() for feature in features}

"""The customer features that models see: which, on what scale, and what they are called in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

Unit = Literal["money", "count", "days", "share", "ratio", "weeks"]


@dataclass(frozen=True)
class Feature:
    """One column of `features.customer_features` as a model sees it.

    Attributes
    ----------
    theme
        Features of one theme tell much the same; reasons add them up and name the theme's headline.
    logged
        Whether the model sees log(1 + x): amounts, counts and durations are skewed.
    """

    name: str
    theme: str
    unit: Unit
    logged: bool = True


@dataclass(frozen=True)
class Theme:
    """What a group of features is called, and the feature that stands for it in a sentence."""

    label: str
    headline: str


THEMES: dict[str, Theme] = {
    "recent_spend": Theme("spend in the last 4 weeks", "sales_4w"),
    "quarter_spend": Theme("spend in the last 13 weeks", "sales_13w"),
    "long_spend": Theme("spend a week over the last half year", "sales_per_week_26w"),
    "visits": Theme("orders in the last 13 weeks", "orders_13w"),
    "recency": Theme("days since the last order", "recency_days"),
    "tenure": Theme("days since the first order", "tenure_days"),
    "cadence": Theme("usual days between orders", "gap_median_days"),
    "regularity": Theme("weeks with an order, of the last 13", "active_weeks_13w"),
    "basket": Theme("mean order value", "basket_mean_26w"),
    "breadth": Theme("categories bought in the last 13 weeks", "categories_13w"),
    "trend": Theme("spend of the last 4 weeks against the last 13", "trend_4w_to_13w"),
    "discounts": Theme("share bought at reduced prices", "retail_discount_share_13w"),
    "habits": Theme("share of orders at weekends", "weekend_share_26w"),
    "campaigns": Theme("campaigns mailed", "campaigns_total"),
}


def _features(theme: str, unit: Unit, names: str, *, logged: bool = True) -> list[Feature]:
    return [Feature(name, theme, unit, logged) for name in names.split()]


#: Every feature that the value models see, in the order of their columns.
FEATURES: tuple[Feature, ...] = (
    *_features("recent_spend", "money", "sales_1w sales_2w sales_4w sales_decay_2w sales_decay_4w"),
    *_features("quarter_spend", "money", "sales_8w sales_13w sales_decay_8w week_max_13w"),
    *_features("quarter_spend", "money", "root_sales_per_week_13w", logged=False),
    *_features(
        "long_spend",
        "money",
        "sales_26w sales_per_week_26w sales_total sales_per_week_total sales_decay_16w "
        "sales_decay_32w",
    ),
    *_features("long_spend", "money", "root_sales_per_week_26w", logged=False),
    *_features(
        "visits",
        "count",
        "orders_1w orders_2w orders_4w orders_8w orders_13w orders_26w orders_total "
        "order_days_4w order_days_13w order_days_total orders_per_week_26w orders_decay_4w "
        "orders_decay_16w",
    ),
    *_features("recency", "days", "recency_days"),
    *_features("recency", "ratio", "gaps_since_last"),
    *_features("tenure", "days", "tenure_days"),
    *_features(
        "cadence",
        "days",
        "gap_mean_days gap_sd_days gap_median_days gap_median_13w_days gap_p90_days gap_last_days",
    ),
    *_features("regularity", "weeks", "active_weeks_4w active_weeks_13w", logged=False),
    *_features("regularity", "share", "active_week_share_26w", logged=False),
    *_features("regularity", "ratio", "week_variation_13w"),
    *_features("basket", "money", "basket_mean_26w basket_sd_26w basket_max_13w"),
    *_features("basket", "count", "lines_per_basket_26w units_13w"),
    *_features(
        "breadth",
        "count",
        "products_13w repeat_products_13w categories_13w departments_13w stores_13w",
    ),
    *_features("trend", "weeks", "trend_13w", logged=False),
    *_features("trend", "ratio", "trend_4w_to_13w"),
    *_features(
        "discounts",
        "share",
        "retail_discount_share_13w coupon_discount_share_13w coupon_order_share_13w "
        "private_share_13w other_share_13w",
        logged=False,
    ),
    *_features("habits", "share", "weekend_share_26w evening_share_26w", logged=False),
    *_features(
        "campaigns", "count", "campaigns_total campaigns_13w redemptions_total redemptions_13w"
    ),
)

NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)


def matrix(frame: pd.DataFrame, leave_out: Sequence[str] = ()) -> pd.DataFrame:
    """The features as numbers on the models' scale, one column each in the order of `FEATURES`.

    A column that the frame lacks, a missing value and an infinite one become NaN, which every model
    meets with a rule of its own (trees: a branch; linear models: the training median).

    Parameters
    ----------
    frame : DataFrame with one row per customer
    leave_out
        Features not to be used.

    Returns
    -------
    DataFrame of float64 with the frame's index
    """
    columns = {}
    for feature in FEATURES:
        if feature.name in leave_out:
            continue
        if feature.name in frame.columns:
            values = pd.to_numeric(frame[feature.name], errors="coerce").to_numpy(
                dtype=np.float64, na_value=np.nan
            )
            values = np.where(np.isfinite(values), values, np.nan)
        else:
            values = np.full(len(frame), np.nan)
        columns[feature.name] = np.log1p(np.maximum(values, 0)) if feature.logged else values
    return pd.DataFrame(columns, index=frame.index)


def wording(theme: str, value: float, currency: str) -> str:
    """A theme and a customer's value of it, as words: `spend in the last 4 weeks is 120 USD`."""
    described = THEMES[theme]
    unit = next(f.unit for f in FEATURES if f.name == described.headline)
    if not np.isfinite(value):
        return f"{described.label} not known yet"
    if unit == "money":
        return f"{described.label} is {value:,.0f} {currency}"
    if unit == "share":
        return f"{described.label} is {value:.0%}"
    if unit == "ratio":
        return f"{described.label} is {value:.2f} times"
    return f"{described.label} is {value:,.0f}"

"""The customer features that models see: which, on what scale, and what they are called in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Unit = Literal["money", "count", "days", "share", "ratio", "weeks", "band"]

#: What a band that is not known becomes: below every band.
UNKNOWN_BAND = -1.0


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
    "cadence": Theme("usual days between orders", "gap_median_days"),
    "regularity": Theme("weeks with an order, of the last 13", "active_weeks_13w"),
    "basket": Theme("mean order value", "basket_mean_26w"),
    "breadth": Theme("categories bought in the last 13 weeks", "categories_13w"),
    "trend": Theme("spend of the last 4 weeks against the last 13", "trend_4w_to_13w"),
    "discounts": Theme("share bought at reduced prices", "retail_discount_share_13w"),
    "habits": Theme("share of orders at weekends", "weekend_share_26w"),
    "campaigns": Theme("campaigns mailed in the last 13 weeks", "campaigns_13w"),
    "household": Theme("income band", "income_band"),
}


def _features(theme: str, unit: Unit, names: str, *, logged: bool = True) -> list[Feature]:
    return [Feature(name, theme, unit, logged) for name in names.split()]


#: Every feature that the value models see, in the order of their columns. Sums over all history are left
#: out: they grow with the shop's own age, so a later day would not look like the days learnt from.
FEATURES: tuple[Feature, ...] = (
    *_features("recent_spend", "money", "sales_1w sales_2w sales_4w sales_decay_2w sales_decay_4w"),
    *_features("quarter_spend", "money", "sales_8w sales_13w sales_decay_8w week_max_13w"),
    *_features("quarter_spend", "money", "root_sales_per_week_13w", logged=False),
    *_features(
        "long_spend",
        "money",
        "sales_per_week_26w sales_per_week_total sales_decay_16w sales_decay_32w",
    ),
    *_features("long_spend", "money", "root_sales_per_week_26w", logged=False),
    *_features(
        "visits",
        "count",
        "orders_1w orders_2w orders_4w orders_8w orders_13w order_days_4w order_days_13w "
        "orders_per_week_26w orders_decay_4w orders_decay_16w",
    ),
    *_features("recency", "days", "recency_days"),
    *_features("recency", "ratio", "gaps_since_last"),
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
    *_features("campaigns", "count", "campaigns_13w redemptions_13w"),
    *_features("household", "band", "age_band income_band household_size kids_count", logged=False),
)

#: More of these never means less value, which the boosted trees are told.
RISING: tuple[str, ...] = tuple(
    feature.name
    for feature in FEATURES
    if feature.name.startswith(("sales_", "root_", "orders_decay", "active_week"))
)

#: Decayed rates of spend, whose square roots the linear models of spend start from.
RATES: tuple[str, ...] = tuple(f"sales_decay_{weeks}w" for weeks in (4, 8, 16, 32))

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
        if feature.unit == "band":
            known = feature.name in frame.columns
            columns[feature.name] = (
                _bands(frame[feature.name]) if known else np.full(len(frame), UNKNOWN_BAND)
            )
            continue
        if feature.name in frame.columns:
            values = numbers(frame[feature.name])
        else:
            values = np.full(len(frame), np.nan)
        columns[feature.name] = np.log1p(np.maximum(values, 0)) if feature.logged else values
    return pd.DataFrame(columns, index=frame.index)


def roots(frame: pd.DataFrame) -> pd.DataFrame:
    """Square roots of the decayed rates of spend, for models of the square root of spend."""
    return pd.DataFrame(
        {
            f"root_{name}": np.sqrt(np.maximum(np.nan_to_num(numbers(frame[name])), 0))
            for name in RATES
        },
        index=frame.index,
    )


def numbers(values: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """A column as floats; what is missing, infinite or no number becomes NaN."""
    found = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def _bands(values: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """The lower end of each band (`35-49K` is 35, `Under 15K` 0, `3+` 3) or `UNKNOWN_BAND`."""
    text = values.astype("str")
    found = pd.to_numeric(text.str.extract(r"(\d+)", expand=False), errors="coerce")
    found = found.where(~text.str.contains("under|less", case=False, na=False), 0.0)
    return found.fillna(UNKNOWN_BAND).to_numpy(dtype=np.float64)


def wording(theme: str, shown: Any, currency: str) -> str:
    """A theme and a customer's value of it, as words: `spend in the last 4 weeks is 120 USD`."""
    described = THEMES[theme]
    unit = next(f.unit for f in FEATURES if f.name == described.headline)
    if pd.isna(shown):
        return f"{described.label} not known"
    if unit == "band":
        return f"{described.label} is {shown}"
    value = float(shown)
    if unit == "money":
        return f"{described.label} is {value:,.0f} {currency}"
    if unit == "share":
        return f"{described.label} is {value:.0%}"
    if unit == "ratio":
        return f"{described.label} is {value:.2f} times"
    return f"{described.label} is {value:,.0f}"


def wordings(
    theme: str, values: "pd.Series[Any]", currency: str
) -> tuple[npt.NDArray[np.intp], list[str]]:
    """`wording` of many customers: which of the sentences each one has, and the different sentences.

    Values that read the same are one sentence, so the work grows with what can be told apart in words.
    """
    unit = next(f.unit for f in FEATURES if f.name == THEMES[theme].headline)
    if unit != "band":
        digits = 2 if unit in ("share", "ratio") else 0
        values = pd.Series(np.round(numbers(values), digits))
    codes, shown = pd.factorize(values, use_na_sentinel=False)
    return codes, [wording(theme, value, currency) for value in shown]

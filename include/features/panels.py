"""Training rows: what was known of customers at past cut-off days, and what they did after each.

A *panel* is a frame with one row per cut-off day and customer: the features known at the end of the cut
(`features.customer_features`) and what happened after it (`spend`, `spend_4w`, `orders`, `order_days`,
`days_to_next_order`). Its rows must have matured: the days after the cut lie before the day of training.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from include.errors import BadInput
from include.features.arrays import Floats, Ints

#: Days within which a customer who buys nothing counts as churned, and the cap of the next order.
CHURN_DAYS = 28

#: Fewer customers, or fewer of either class, than this are no training set.
MINIMUM_CUSTOMERS = 100
MINIMUM_POSITIVES = 20

_OUTCOMES = ("spend", "spend_4w", "orders", "order_days", "days_to_next_order")

#: Rows stand in the order of what customers did; their keyed pseudonyms only part equal ones.
_ROW_ORDER = ("first_order_day", "sales_total", "orders_total", "recency_days", "customer_id")


def top_share(amounts: Floats, share: float) -> Ints:
    """1 for the top `share` of customers by amount, 0 for the others.

    Customers level with the last one that fits are in as well, so equal customers are never split;
    a customer without any spend is never in.
    """
    wanted = round(share * len(amounts))
    if wanted < 1:
        return np.zeros(len(amounts), dtype=np.int64)
    line = np.sort(amounts)[::-1][wanted - 1]
    return ((amounts >= line) & (amounts > 0)).astype(np.int64)


def panel(cuts: Iterable[tuple[str, pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    """Features and outcomes of several cut-off days as one frame of training rows.

    Parameters
    ----------
    cuts
        For each cut-off day: the day, the features of every customer at its end, and the outcomes of
        those customers who bought after it.

    Returns
    -------
    DataFrame with one row per cut and customer with an order by the cut, ordered by cut and then by
    what the customer did, so that no model depends on the keys by which customers are called; customers
    without an outcome bought nothing.
    """
    parts = []
    for cut, known, outcomes in cuts:
        customers = known[known["orders_total"] > 0]
        later = outcomes.set_index("customer_id").reindex(customers["customer_id"].to_numpy())
        joined = customers.assign(cut=cut).reset_index(drop=True)
        for name in _OUTCOMES:
            values = later[name].to_numpy(dtype=np.float64, na_value=np.nan)
            joined[name] = values if name == "days_to_next_order" else np.nan_to_num(values)
        parts.append(joined.sort_values(list(_ROW_ORDER), ignore_index=True))
    if not parts:
        raise BadInput(
            "Expected at least one cut-off day whose outcomes have matured, found none: the history is "
            "shorter than the horizon; wait, or shorten models.horizon_days."
        )
    return pd.concat(parts, ignore_index=True)


def high_value(rows: pd.DataFrame, share: float) -> Floats:
    """1 for the top share of each cut's customers by spend in the horizon, 0 for the others."""
    labels = np.zeros(len(rows))
    for _, part in rows.groupby("cut", sort=False):
        labels[part.index] = top_share(part["spend"].to_numpy(np.float64), share)
    return labels


def check(matured: pd.DataFrame, horizon_days: int, share: float) -> None:
    """Refuse training rows that no believable model can come from.

    Raises
    ------
    BadInput
        When customers are too few, nobody spent anything, or one class is all but empty.
    """
    newest = matured[matured["cut"] == matured["cut"].max()]
    if len(newest) < MINIMUM_CUSTOMERS:
        raise BadInput(
            f"Expected at least {MINIMUM_CUSTOMERS} customers with an order to learn from, found "
            f"{len(newest)}: the present champion stays."
        )
    if not (newest["spend"] > 0).any():
        raise BadInput(
            f"Expected spend in the {horizon_days} days after the cut-off days, found none: check "
            "the orders; the present champion stays."
        )
    positives = int(high_value(matured, share).sum())
    if not MINIMUM_POSITIVES <= positives <= len(matured) - MINIMUM_POSITIVES:
        raise BadInput(
            f"Expected at least {MINIMUM_POSITIVES} customers of high value and as many others, found "
            f"{positives} of {len(matured)}: the present champion stays."
        )

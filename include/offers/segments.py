"""Who is in which segment: lifecycle from days, tier from the model, RFM cell, names from the policy."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from include.policy import Segments

LIFECYCLES = ("new", "active", "lapsing", "lost")


def lifecycle(
    recency_days: npt.ArrayLike,
    tenure_days: npt.ArrayLike,
    registered_days: npt.ArrayLike,
    *,
    new_days: int,
    active_days: int,
    lapsing_days: int,
) -> list[str]:
    """new, active, lapsing or lost.

    Parameters
    ----------
    recency_days, tenure_days, registered_days : array-like of shape (n_customers,)
        Days since the last order, the first order and registration; NaN where there is none.
    new_days, active_days, lapsing_days
        Limits, inclusive. New goes before the others; a customer who never ordered is new for `new_days`
        after registration, then lapsing, and lost after `lapsing_days`.
    """
    recency, tenure, registered = (
        np.asarray(values, dtype=np.float64)
        for values in (recency_days, tenure_days, registered_days)
    )
    known_for = np.fmax(np.nan_to_num(tenure, nan=-1.0), np.nan_to_num(registered, nan=-1.0))
    started = np.where(np.isnan(tenure), known_for, tenure)
    quiet = np.where(np.isnan(recency), np.maximum(known_for, active_days + 1), recency)
    named = np.where(quiet <= lapsing_days, "lapsing", "lost")
    named = np.where(quiet <= active_days, "active", named)
    return [str(name) for name in np.where(started <= new_days, "new", named)]


def ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """Percentile and decile by predicted value.

    Parameters
    ----------
    scores : DataFrame with customer_id and predicted_value

    Returns
    -------
    DataFrame with the index of `scores`: value_percentile (100 for the best, above 0 for the last) and
    value_decile (1 for the best tenth). Customers of equal value are ordered by id.
    """
    order = np.lexsort((scores["customer_id"].to_numpy(dtype="U"), -scores["predicted_value"]))
    place = np.empty(len(scores), dtype=np.int64)
    place[order] = np.arange(len(scores))
    n = max(len(scores), 1)
    return pd.DataFrame(
        {
            "value_percentile": np.round(100 * (1 - place / n), 2),
            "value_decile": 1 + place * 10 // n,
        },
        index=scores.index,
    )


def value_tier(scores: pd.DataFrame, share: float) -> list[str]:
    """`high` for the top share of customers by P(high value), `low` for the others.

    Customers of equal probability are ordered by predicted value, then by id, so the split is the same
    whatever the order of the rows.
    """
    order = np.lexsort(
        (
            scores["customer_id"].to_numpy(dtype="U"),
            -scores["predicted_value"],
            -scores["p_high_value"],
        )
    )
    tiers = np.full(len(scores), "low", dtype=object)
    tiers[order[: round(share * len(scores))]] = "high"
    return [str(tier) for tier in tiers]


def rfm_cells(known: pd.DataFrame) -> list[str]:
    """Recency, frequency and monetary fifth of each customer, as `5-4-1`.

    Parameters
    ----------
    known : DataFrame with recency_days, orders_13w and sales_13w

    Returns
    -------
    A cell a customer: 5 for the fifth with the latest orders, the most orders, the most spend in the last 13
    weeks. Equal customers have equal fifths; who never ordered stands in 1-1-1.
    """
    recency, orders, spend = (
        pd.Series(known[name].to_numpy(dtype=np.float64, na_value=np.nan))
        for name in ("recency_days", "orders_13w", "sales_13w")
    )
    ordered = recency.notna()
    fifths = []
    for part in (-recency, orders, spend):
        rank = part.where(ordered).rank(pct=True).fillna(0).to_numpy(dtype=np.float64)
        # A hair less, so that a share such as 3 of 15 is in the first fifth however it is rounded.
        fifths.append([str(fifth) for fifth in np.maximum(np.ceil(5 * rank - 1e-9), 1).astype(int)])
    return ["-".join(cell) for cell in zip(*fifths, strict=True)]


def assign(
    known: pd.DataFrame, scores: pd.DataFrame, rules: "Segments", share: float
) -> pd.DataFrame:
    """The segment of every customer.

    Parameters
    ----------
    known
        Features of a day: customer_id, recency_days, tenure_days, registered_days, orders_13w, sales_13w.
    scores
        Predictions with the same index: p_high_value, predicted_value.
    rules
        The policy's segments.
    share
        The share of customers called high value.

    Returns
    -------
    DataFrame with the index of `known`: customer_id, segment, lifecycle, value_tier, rfm_cell,
    strategy, priority_service, value_percentile, value_decile
    """
    scored = scores.assign(customer_id=known["customer_id"])
    days = rules.lifecycle
    cycles = lifecycle(
        known["recency_days"].to_numpy(dtype=np.float64, na_value=np.nan),
        known["tenure_days"].to_numpy(dtype=np.float64, na_value=np.nan),
        known["registered_days"].to_numpy(dtype=np.float64, na_value=np.nan),
        new_days=days.new_days,
        active_days=days.active_days,
        lapsing_days=days.lapsing_days,
    )
    tiers, cells = value_tier(scored, share), rfm_cells(known)
    combined = list(zip(cycles, tiers, cells, strict=True))
    of = {one: rules.of(*one) for one in dict.fromkeys(combined)}
    named = [of[one] for one in combined]
    found = pd.DataFrame(
        {
            "customer_id": known["customer_id"],
            "segment": [segment.name for segment in named],
            "lifecycle": cycles,
            "value_tier": tiers,
            "rfm_cell": cells,
            "strategy": [segment.strategy for segment in named],
            "priority_service": [segment.priority_service for segment in named],
        },
        index=known.index,
    )
    return found.join(ranks(scored))


def summary(segments: pd.DataFrame, before: pd.DataFrame, rules: "Segments") -> pd.DataFrame:
    """Size, value and movement of each segment of the policy, empty ones included.

    Parameters
    ----------
    segments
        Today's rows: customer_id, segment, predicted_value, p_high_value, churn_probability.
    before
        customer_id and segment a week earlier.

    Returns
    -------
    DataFrame with segment, strategy, customers, customer_share, value_total, value_mean,
    value_share, p_high_value_mean, churn_probability_mean, customers_before, entered, left_for_others
    """
    moved = changes(segments, before)
    everybody, everything = len(segments), float(segments["predicted_value"].sum())
    lines = []
    for rule in rules.named:
        part = segments[segments["segment"] == rule.name]
        total = float(part["predicted_value"].sum())
        lines.append(
            {
                "segment": rule.name,
                "strategy": rule.strategy,
                "customers": len(part),
                "customer_share": len(part) / everybody if everybody else 0.0,
                "value_total": total,
                "value_mean": total / len(part) if len(part) else None,
                "value_share": total / everything if everything else 0.0,
                "p_high_value_mean": _mean(part, "p_high_value"),
                "churn_probability_mean": _mean(part, "churn_probability"),
                "customers_before": int((before["segment"] == rule.name).sum()),
                "entered": int((moved["segment_to"] == rule.name).sum()),
                "left_for_others": int((moved["segment_from"] == rule.name).sum()),
            }
        )
    return pd.DataFrame(lines)


def changes(segments: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Who stands in another segment than a week earlier; newcomers come from `none`.

    Returns
    -------
    DataFrame with customer_id, segment_from, segment_to, ordered by customer
    """
    earlier = before.set_index("customer_id")["segment"]
    today = segments[["customer_id", "segment"]].rename(columns={"segment": "segment_to"})
    today["segment_from"] = today["customer_id"].map(earlier).fillna("none")
    moved = today[today["segment_from"] != today["segment_to"]]
    columns = ["customer_id", "segment_from", "segment_to"]
    return moved[columns].sort_values("customer_id", ignore_index=True)


def next_order_date(as_of: date, days: Sequence[float]) -> list[date]:
    """The day of the next order, at the earliest the day after `as_of`."""
    first = np.datetime64(as_of, "D")
    ahead = np.maximum(np.rint(np.asarray(days, dtype=np.float64)), 1).astype("timedelta64[D]")
    return [day.item() for day in first + ahead]


def _mean(part: pd.DataFrame, name: str) -> float | None:
    return float(part[name].mean()) if len(part) else None

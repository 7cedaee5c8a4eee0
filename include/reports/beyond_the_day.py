"""What came true of a day's predictions: the only code that looks beyond the business day.

The pipeline never sees this. The truth is read from the shop itself, for the horizon after the day, and the
predictions as they were published; so what is printed is out of sample and out of time.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include import as_of, policy, warehouse
from include.models.value.baselines import BASELINES, USUAL

if TYPE_CHECKING:
    import pandas as pd


def readable() -> bool:
    """Whether the shop is the demo's, whose tables this comparison reads by name."""
    return policy.load().shop.is_demo


@dataclass(frozen=True)
class Figure:
    """One metric of the published predictions beside the naive baseline's."""

    metric: str
    ours: float
    baseline: float


def predictions(day: str) -> "pd.DataFrame":
    """Published predictions of a day with the baseline: external_id, p_high_value, predicted_value, naive."""
    with warehouse.connect() as conn:
        return warehouse.frame(
            conn,
            f"""
            SELECT s.external_id, s.p_high_value, s.predicted_value, f.{BASELINES[USUAL].column} AS naive
            FROM marketing.customer_segments AS s
            JOIN features.customer_features AS f USING (as_of, customer_id)
            WHERE s.as_of = %(day)s AND f.orders_total > 0
            ORDER BY s.external_id
            """,
            {"day": day},
        )


def spend_after(day: str) -> "pd.DataFrame | None":
    """What customers spent in the horizon after the day, or None while the shop does not hold all of it."""
    settings = policy.load()
    first = as_of.days_before(day, -1)
    last = as_of.days_before(day, -settings.models.horizon_days)
    start, end = as_of.window(first, last, settings.shop.timezone)
    with warehouse.connect("shop") as shop:
        newest = warehouse.value(
            shop,
            "SELECT max((ordered_at AT TIME ZONE %(timezone)s)::date) FROM orders",
            {"timezone": settings.shop.timezone},
        )
        if newest is None or newest.isoformat() < last:
            return None
        return warehouse.frame(
            shop,
            """
            SELECT o.customer_number AS external_id, sum(l.sales_value) AS spend
            FROM orders AS o
            JOIN order_lines AS l USING (order_number)
            WHERE o.ordered_at >= %(start)s AND o.ordered_at < %(end)s
            GROUP BY 1
            """,
            {"start": start, "end": end},
        )


def compare(day: str) -> tuple[list[Figure], int] | None:
    """Metrics of the day's published scores on what came true, and the number of customers.

    Returns None where the truth is not there yet.
    """
    from include.features import panels
    from include.models import evaluate

    after = spend_after(day)
    if after is None:
        return None
    known = predictions(day).merge(after, on="external_id", how="left").fillna({"spend": 0.0})
    spend = known["spend"].to_numpy("float64")
    truth = panels.top_share(spend, policy.load().models.high_value_share).astype("float64")
    chance, naive = known["p_high_value"].to_numpy("float64"), known["naive"].to_numpy("float64")
    figures = [
        Figure(name, metric(truth, chance), metric(truth, naive))
        for name, metric in evaluate.CLASSIFICATION.items()
        if name not in ("ece", "brier")
    ]
    # The baseline is an amount, so it has no calibration of its own.
    figures += [
        Figure(name, evaluate.CLASSIFICATION[name](truth, chance), float("nan"))
        for name in ("ece", "brier")
    ]
    value = known["predicted_value"].to_numpy("float64")
    figures += [
        Figure(name, evaluate.SPEND[name](spend, value), evaluate.SPEND[name](spend, naive))
        for name in ("mae", "gini", "spearman")
    ]
    return figures, len(known)

"""What happened after a day, beside what was predicted for it, for a shop whose data goes on."""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg2

from include import policy
from include.console import charts
from include.errors import RegularsError
from include.reports import backtests, beyond_the_day

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Truth:
    """What happened after the day, as the shop's own rows tell it; no model has seen it.

    Attributes
    ----------
    until
        The last day of the horizon.
    metrics
        Name, ours, the naive baseline's (None where it has none).
    calibration
        Per bin: mean predicted chance, observed share, customers.
    gains
        Share of customers, in order of the score -> share of the high-value ones among them, for us
        and for the naive baseline.
    deciles
        Decile -> mean predicted value, mean spend.
    """

    until: date
    customers: int
    metrics: list[tuple[str, float, float | None]]
    calibration: list[tuple[float, float, int]]
    gains: list[tuple[float, float, float]]
    deciles: list[tuple[int, float, float]]


def look_ahead(day: date) -> Truth | None:
    """Compare the day's predictions with what happened after it.

    Returns
    -------
    Truth or None
        None where the horizon is not over, or the shop cannot be read.
    """
    asked = day.isoformat()
    try:
        compared = beyond_the_day.compare(asked)
        after = beyond_the_day.spend_after(asked)
    except (RegularsError, psycopg2.Error):
        return None
    if compared is None or after is None:
        return None
    joined = beyond_the_day.predictions(asked).merge(after, on="external_id", how="left")
    rules = policy.load().models
    return _truth(
        joined.fillna({"spend": 0.0}),
        day + timedelta(days=rules.horizon_days),
        rules.high_value_share,
        [
            (
                backtests.METRICS.get(figure.metric, charts.spaced(figure.metric)),
                figure.ours,
                None if math.isnan(figure.baseline) else figure.baseline,
            )
            for figure in compared[0]
        ],
    )


def _truth(
    joined: "pd.DataFrame",
    until: date,
    share: float,
    metrics: list[tuple[str, float, float | None]],
) -> Truth:
    """The curves of predictions, the naive baseline and what was spent, customer by customer."""
    import numpy as np

    from include.features import panels

    spend = joined["spend"].to_numpy(float)
    chance = joined["p_high_value"].to_numpy(float)
    value = joined["predicted_value"].to_numpy(float)
    naive = joined["naive"].to_numpy(float)
    high = panels.top_share(spend, share).astype(float)

    def bins(score: Any) -> list[Any]:
        return np.array_split(np.argsort(-score, kind="stable"), 10)

    calibration = [
        (float(chance[rows].mean()), float(high[rows].mean()), len(rows)) for rows in bins(chance)
    ]
    deciles = [
        (place, float(value[rows].mean()), float(spend[rows].mean()))
        for place, rows in enumerate(bins(value), start=1)
    ]

    def captured(score: Any) -> Any:
        found = np.cumsum(high[np.argsort(-score, kind="stable")]) / max(high.sum(), 1)
        return np.concatenate([[0.0], found])

    steps = np.unique(np.linspace(0, len(high), 51).astype(int))
    ours, theirs = captured(chance), captured(naive)
    gains = [(at / len(high), float(ours[at]), float(theirs[at])) for at in steps]
    return Truth(until, len(high), metrics, calibration, gains, deciles)

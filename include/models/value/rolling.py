"""Backtests at rolling origins: the recipe fitted as of past days, judged on what came after each.

At each origin the model learns from cuts whose outcomes had matured by then, and is judged on the horizon
after it, beside the usual baseline on the same customers: what they spent in the last 13 weeks (for its
order and its amount), and that amount with the quantiles of what it missed on the training rows (for
intervals).
Intervals of the figures are bootstraps over customers; those of differences are paired.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.features.arrays import Floats, Ints
from include.features.panels import high_value
from include.models import evaluate
from include.models.value.baselines import BASELINES, USUAL
from include.models.value.model import INTERVAL_TAIL, ValueModel

#: Draws of a bootstrap interval.
REPEATS = 100


@dataclass(frozen=True)
class Figure:
    """One metric at one origin; NaN where the baseline has none.

    Attributes
    ----------
    decile
        1 for the best tenth of customers by the score, None for all.
    low, high
        95% interval of `ours`.
    difference_low, difference_high
        95% interval of ours less the baseline's, customers drawn in pairs.
    """

    metric: str
    decile: int | None
    ours: float
    baseline: float
    low: float
    high: float
    difference_low: float
    difference_high: float
    n: int


@dataclass(frozen=True)
class Judged:
    """Floatss of shape (n_customers,) at one origin: the truth, what we said, what the naive rule says."""

    spend: Floats
    high: Floats
    chance: Floats
    value: Floats
    inside: Floats
    naive: Floats
    naive_inside: Floats

    def drawn(self, rows: Ints) -> "Judged":
        """Of some of the customers, in any number."""
        return Judged(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def judged(model: ValueModel, past: pd.DataFrame, later: pd.DataFrame) -> Judged:
    """What a model, fitted on `past`, and the naive rule say of the customers of `later`."""
    value, low, high = model.predict_spend(later)
    usual = BASELINES[USUAL]
    truth, naive = _spend(later), usual.amounts(later)
    missed = _spend(past) - usual.amounts(past)
    below, above = np.quantile(missed, [INTERVAL_TAIL, 1 - INTERVAL_TAIL])
    return Judged(
        spend=truth,
        high=high_value(later, model.settings.high_value_share),
        chance=model.predict_high_value(later),
        value=value,
        inside=_within(truth, low, high),
        naive=naive,
        naive_inside=_within(truth, np.maximum(naive + below, 0), naive + above),
    )


def figures(found: Judged, seed: int) -> list[Figure]:
    """Every metric at one origin, with intervals."""
    n = len(found.spend)
    names, (ours, baseline) = _measured(found)

    def measured(rows: Ints) -> Floats:
        _, drawn = _measured(found.drawn(rows))
        return np.stack([drawn[0], drawn[0] - drawn[1]])

    low, high = evaluate.bootstrap_many(measured, n, seed=seed, repeats=REPEATS)
    return [
        Figure(
            metric=metric,
            decile=decile,
            ours=float(ours[place]),
            baseline=float(baseline[place]),
            low=float(low[0, place]),
            high=float(high[0, place]),
            difference_low=float(low[1, place]),
            difference_high=float(high[1, place]),
            n=n,
        )
        for place, (metric, decile) in enumerate(names)
    ]


def _measured(found: Judged) -> tuple[list[tuple[str, int | None]], Floats]:
    """Names, and our figures and the baseline's as an array of shape (2, n_figures)."""
    lines: list[tuple[str, int | None, float, float]] = []
    for name, metric in evaluate.CLASSIFICATION.items():
        naive = float("nan") if name in evaluate.PROBABILITY else metric(found.high, found.naive)
        lines.append((name, None, metric(found.high, found.chance), naive))
    for name, metric in evaluate.SPEND.items():
        lines.append(
            (name, None, metric(found.spend, found.value), metric(found.spend, found.naive))
        )
    lines.append(
        ("coverage_80", None, float(found.inside.mean()), float(found.naive_inside.mean()))
    )
    by_decile = {
        "lift": (
            evaluate.lift_by_decile(found.high, found.chance),
            evaluate.lift_by_decile(found.high, found.naive),
        ),
        "chance": (
            evaluate.mean_by_decile(found.chance, found.chance),
            [float("nan")] * 10,
        ),
        "observed": (
            evaluate.mean_by_decile(found.high, found.chance),
            evaluate.mean_by_decile(found.high, found.naive),
        ),
        "captured_value": (
            evaluate.captured_by_decile(found.spend, found.value),
            evaluate.captured_by_decile(found.spend, found.naive),
        ),
        "coverage_80": (
            evaluate.mean_by_decile(found.inside, found.value),
            evaluate.mean_by_decile(found.naive_inside, found.naive),
        ),
    }
    for name, (mine, theirs) in by_decile.items():
        for place, pair in enumerate(zip(mine, theirs, strict=True), start=1):
            lines.append((name, place, *pair))
    names = [(metric, decile) for metric, decile, _, _ in lines]
    return names, np.array([line[2:] for line in lines]).T


def _spend(rows: pd.DataFrame) -> Floats:
    return rows["spend"].to_numpy(np.float64)


def _within(truth: Floats, low: Floats, high: Floats) -> Floats:
    return ((truth >= low) & (truth <= high)).astype(np.float64)

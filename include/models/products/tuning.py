"""Choose ALS settings on a split in time within the training period.

Each alternative learns from what was known eight weeks before the anchor and is judged by what customers
bought for the first time in the four weeks after that: nothing that a later backtest is judged on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from include.features.arrays import Reals
from include.features.purchases import Catalogue, Purchases
from include.features.signals import Signals
from include.models.products import backtest
from include.models.products.als import AlsSettings
from include.models.products.recommender import Recommender
from include.models.products.snapshot import HORIZON_DAYS, Settings, Snapshot
from include.models.products.toplists import ranked


@dataclass(frozen=True)
class Trial:
    """How one alternative did beside the declared settings."""

    settings: AlsSettings
    ndcg: float
    declared: float
    standard_error: float  # of the mean difference, over customers
    customers: int

    @property
    def name(self) -> str:
        """What was tried, in short."""
        s = self.settings
        return (
            f"factors={s.factors} regularization={s.regularization:g} alpha={s.alpha:g} "
            f"half_life_days={s.half_life_days:g}"
        )


def tune(
    purchases: Purchases,
    catalogue: Catalogue,
    anchor: int,
    declared: Settings,
    signals: Signals | None = None,
) -> tuple[Settings, list[Trial]]:
    """The settings to train with, and how each alternative did; the declared ones come first.

    The declared settings stand unless an alternative is better by more than one standard error of the
    difference: the best of several is partly luck.
    """
    cut = anchor - 2 * HORIZON_DAYS
    known = purchases.until(cut)
    if not declared.alternatives or len(known.day) == 0 or known.day.min() > cut - HORIZON_DAYS:
        return declared, []
    found: list[tuple[AlsSettings, Reals]] = []
    for als in (declared.als, *declared.alternatives):
        figures = _new_ndcg(purchases, catalogue, cut, replace(declared, als=als), signals)
        if figures is not None:
            found.append((als, figures))
    if not found or found[0][0] != declared.als:
        return declared, []
    usual = found[0][1]
    trials = []
    best, chosen = 0.0, declared.als
    for als, figures in found:
        gain = figures - usual
        error = float(gain.std() / np.sqrt(len(gain)))
        trials.append(Trial(als, float(figures.mean()), float(usual.mean()), error, len(gain)))
        if gain.mean() > max(best, error):
            best, chosen = float(gain.mean()), als
    return replace(declared, als=chosen), trials


def _new_ndcg(
    purchases: Purchases,
    catalogue: Catalogue,
    cut: int,
    settings: Settings,
    signals: Signals | None,
) -> Reals | None:
    """NDCG of what is new to each customer, ordered by ALS and season as the discover list is."""
    als = Recommender(settings).fit_als(purchases, cut, signals)
    if als is None:
        return None
    now = Snapshot(purchases, catalogue, cut, als, signals)
    found = now.new_candidates(settings, catalogue.eligible, np.unique(now.pair_customer))
    lists = ranked(found.customer, found.item, found.features["score"].astype(float), 10)
    truth = backtest.Truth.after(purchases, now, cut + HORIZON_DAYS, new_only=True)
    return backtest.score(lists, truth).ndcg if len(truth.customers) else None


def alternatives(declared: AlsSettings, changes: Sequence[dict[str, float]]) -> list[AlsSettings]:
    """The declared settings with each set of changes; those that change nothing are left out."""
    whole = {field.name for field in fields(AlsSettings) if field.type == "int"}
    out: list[AlsSettings] = []
    for change in changes:
        values = {k: int(v) if k in whole else float(v) for k, v in change.items()}
        other = replace(declared, **values)  # type: ignore[arg-type]
        if other != declared and other not in out:
            out.append(other)
    return out

"""Judge recommendation lists by what was bought in the following weeks, beside those of their rivals.

NDCG@n gives each hit 1 / log2(rank + 1) and divides by what a perfect list of the same length could
have had; Recall@n is hits over everything bought. Items that no list could hold (never sold before)
stay in the denominator. Every customer with history and at least one purchase counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.features.arrays import Integers, Reals
from include.features.purchases import Catalogue, Purchases
from include.features.signals import Signals
from include.models.products import rivals
from include.models.products.beyond_accuracy import FIGURES, beyond, coverage
from include.models.products.content import Content
from include.models.products.recommender import Recommender, Settings
from include.models.products.snapshot import HORIZON_DAYS, Snapshot
from include.models.products.toplists import Ranked


@dataclass(frozen=True)
class Truth:
    """What was bought after a cut, by customers with history: sorted keys customer * n_items + item."""

    keys: Integers
    customers: Integers
    n_items: int

    @classmethod
    def after(
        cls,
        purchases: Purchases,
        now: Snapshot,
        until: int,
        *,
        new_only: bool = False,
        repeats_only: bool = False,
    ) -> Truth:
        """Purchases in (now.cut, until]; on request only pairs never bought up to the cut, or only others."""
        keys = purchases.pairs_between(now.cut, until)
        known = np.unique(now.pair_customer)
        keys = keys[np.isin(keys // now.n_items, known)]
        if new_only or repeats_only:
            keys = keys[(now.pairs.find(keys) < 0) == new_only]
        return cls(keys, np.unique(keys // now.n_items), now.n_items)


@dataclass(frozen=True)
class Scores:
    """Figures of each customer in `Truth.customers`, and the share of the catalogue shown."""

    ndcg: Reals
    recall: Reals
    coverage: float


def score(ranked: Ranked, truth: Truth, n: int = 10, sellable: int | None = None) -> Scores:
    """NDCG@n and Recall@n of each customer with truth, and coverage.

    Parameters
    ----------
    sellable : int, optional
        Items that could have been shown; coverage is the share of them in at least one list.
    """
    top = ranked.rank < n
    customer, item, rank = ranked.customer[top], ranked.item[top], ranked.rank[top]
    at = np.searchsorted(truth.customers, customer)
    inside = at < len(truth.customers)
    inside[inside] &= truth.customers[at[inside]] == customer[inside]
    shown = len(np.unique(item[inside]))
    customer, item, rank, at = customer[inside], item[inside], rank[inside], at[inside]
    hit = np.isin(customer * truth.n_items + item, truth.keys).astype(float)
    size = len(truth.customers)
    gain = np.bincount(at, weights=hit / np.log2(rank + 2), minlength=size)
    hits = np.bincount(at, weights=hit, minlength=size)
    wanted = np.bincount(
        np.searchsorted(truth.customers, truth.keys // truth.n_items), minlength=size
    )
    best = np.r_[0.0, np.cumsum(1 / np.log2(np.arange(2, n + 2)))][np.minimum(wanted, n)]
    return Scores(gain / best, hits / wanted, shown / max(sellable or truth.n_items, 1))


@dataclass(frozen=True)
class Line:
    """One figure beside one baseline's."""

    metric: str
    setting: str
    ours: float
    baseline: float
    baseline_name: str
    n: int
    ours_95: tuple[float, float] | None = None
    difference_95: tuple[float, float] | None = None


def fit_and_judge(
    purchases: Purchases,
    catalogue: Catalogue,
    anchor: int,
    settings: Settings,
    signals: Signals | None = None,
    judged_by: Signals | None = None,
) -> tuple[Recommender, list[Line]]:
    """The recommender of an anchor day, and how one of four weeks earlier did on those four weeks.

    The judged model has seen nothing of the weeks it is judged on. Where history is too short for
    that, the list of figures is empty.

    Parameters
    ----------
    signals : Signals, optional
        What customers did beside buying.
    judged_by : Signals, optional
        What the judged model may know of it: nothing, where it was generated and no figure may
        rest on it.
    """
    model = Recommender(settings)
    cut = anchor - HORIZON_DAYS
    try:
        judged = Recommender(settings).fit(purchases, catalogue, cut, judged_by)
    except ValueError:
        return model.fit(purchases, catalogue, anchor, signals), []
    lines = judge(judged, purchases, catalogue, cut, anchor, judged_by)
    earlier = judged.als_ if signals is judged_by else None
    return model.fit(purchases, catalogue, anchor, signals, earlier=earlier), lines


def judge(
    model: Recommender,
    purchases: Purchases,
    catalogue: Catalogue,
    cut: int,
    until: int,
    signals: Signals | None = None,
) -> list[Line]:
    """Figures of a model's lists at `cut` on what was bought in (cut, until]."""
    now = model.snapshot(purchases, catalogue, cut, signals)
    content = Content(catalogue)
    lines: list[Line] = []
    for setting, ours, baselines in compared(model, now, model.settings.list_length):
        truth = truth_of(setting, purchases, now, until)
        if len(truth.customers) == 0:
            continue
        mine = figures(ours, truth, now, content)
        for name, ranked in baselines.items():
            theirs = figures(ranked, truth, now, content)
            lines += [_line(metric, setting, name, mine[metric], theirs[metric]) for metric in mine]
            shown = [coverage(lists, len(np.unique(now.pair_item))) for lists in (ours, ranked)]
            lines.append(Line("coverage", setting, shown[0], shown[1], name, len(truth.customers)))
    return lines


def _line(metric: str, setting: str, name: str, ours: Known, peer: Known) -> Line:
    """One figure beside a baseline's, over the customers who have it in both."""
    a, b = ours.values[np.isin(ours.customers, peer.customers)], peer.values
    b = b[np.isin(peer.customers, ours.customers)]
    whose = ours.customers[np.isin(ours.customers, peer.customers)]
    if len(whose) == 0:
        return Line(metric, setting, float("nan"), float("nan"), name, 0)
    ends = interval(whose, a, b, seed=20170101, rounds=200)
    return Line(
        metric,
        setting,
        float(a.mean()),
        float(b.mean()),
        name,
        len(whose),
        ends["ours"],
        ends["difference"],
    )


def truth_of(setting: str, purchases: Purchases, now: Snapshot, until: int) -> Truth:
    """What a setting's lists are judged by."""
    return Truth.after(
        purchases, now, until, new_only=setting == "new", repeats_only=setting == "repeat"
    )


@dataclass(frozen=True)
class Known:
    """One figure of each customer who has it."""

    customers: Integers
    values: Reals


def figures(ranked: Ranked, truth: Truth, now: Snapshot, content: Content) -> dict[str, Known]:
    """Accuracy of each customer with truth, and what accuracy does not say, of each with a list."""
    accuracy = score(ranked, truth)
    other = beyond(ranked, now, content)
    found = {
        "ndcg_at_10": Known(truth.customers, accuracy.ndcg),
        "recall_at_10": Known(truth.customers, accuracy.recall),
    }
    for name in FIGURES:
        values = getattr(other, name)
        known = ~np.isnan(values)
        found[name] = Known(other.customers[known], values[known])
    return found


def compared(
    model: Recommender, now: Snapshot, n: int
) -> list[tuple[str, Ranked, dict[str, Ranked]]]:
    """For all purchases, for new and for repeated ones: our lists, and each rival's."""
    ours = {
        "all": model.varied(now, n, model.settings.variety),
        "new": model.discover(now, n),
        "repeat": model.replenish(now, n),
    }
    return [(setting, ours[setting], rivals.lists(now, n, setting)) for setting in rivals.SETTINGS]


def interval(
    customers: Integers, a: Reals, b: Reals, seed: int, rounds: int = 1000
) -> dict[str, tuple[float, float]]:
    """95% bootstrap intervals of mean(a), of mean(a) / mean(b) and of mean(a - b).

    Customers are drawn, each with all of its figures: those of one customer at several cuts are no
    independent evidence.

    Parameters
    ----------
    customers, a, b : arrays of one length
        Whose figure it is, ours and the baseline's.
    """
    _, owner = np.unique(customers, return_inverse=True)
    count, total_a, total_b = (np.bincount(owner, weights=w) for w in (np.ones(len(a)), a, b))
    generator = np.random.default_rng(seed)
    ours, peer = np.empty(rounds), np.empty(rounds)
    for k in range(rounds):
        chosen = generator.integers(0, len(count), len(count))
        size = count[chosen].sum()
        ours[k], peer[k] = total_a[chosen].sum() / size, total_b[chosen].sum() / size
    ratio = np.divide(ours, peer, out=np.full(rounds, np.nan), where=peer > 0)

    def ends(values: NDArray[Any]) -> tuple[float, float]:
        if not np.isfinite(values).any():
            return float("nan"), float("nan")
        low, high = np.nanquantile(values, [0.025, 0.975])
        return float(low), float(high)

    return {"ours": ends(ours), "ratio": ends(ratio), "difference": ends(ours - peer)}

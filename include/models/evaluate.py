"""How good predictions are: metrics over arrays, and their bootstrap intervals over customers.

Every function takes the truth first and the score second, as one-dimensional arrays of one length, and
returns a float; where a metric has no meaning (one class only, no spend at all) it returns NaN.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from scipy import stats
from sklearn import metrics

from include.features.arrays import Floats, Ints

Metric = Callable[[Floats, Floats], float]

#: Bins of the calibration error, each with the same number of customers.
CALIBRATION_BINS = 10


def roc_auc(truth: Floats, score: Floats) -> float:
    """Chance that a positive scores above a negative, ties counting half (Mann and Whitney 1947).

    By ranks: many times faster than by the curve, which counts where thousands of draws are measured.
    """
    positives = float(np.sum(truth))
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    above = float(stats.rankdata(score) @ truth) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def pr_auc(truth: Floats, score: Floats) -> float:
    """Area under precision over recall (average precision)."""
    if not truth.any():
        return float("nan")
    return float(metrics.average_precision_score(truth, score))


def lift_top_decile(truth: Floats, score: Floats) -> float:
    """Share of positives in the tenth with the highest scores, over their share in all."""
    if not truth.any():
        return float("nan")
    best = np.argsort(-score, kind="stable")[: max(1, round(len(score) / 10))]
    return float(truth[best].mean() / truth.mean())


def ece(truth: Floats, probability: Floats) -> float:
    """Expected calibration error over ten bins of equal count.

    Naeini, Cooper and Hauskrecht (2015): the mean over customers of |share of positives - mean
    probability| of the bin.
    """
    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, min(CALIBRATION_BINS, len(order)))
    gaps = [len(b) * abs(truth[b].mean() - probability[b].mean()) for b in bins]
    return float(np.sum(gaps) / len(order))


def brier(truth: Floats, probability: Floats) -> float:
    """Mean squared error of a probability (Brier 1950)."""
    return float(np.mean((truth - probability) ** 2))


def mae(truth: Floats, predicted: Floats) -> float:
    """Mean absolute error, in the unit of the truth."""
    return float(np.mean(np.abs(truth - predicted)))


def wape(truth: Floats, predicted: Floats) -> float:
    """Sum of absolute errors over the sum of the truth."""
    total = float(np.sum(truth))
    return float(np.sum(np.abs(truth - predicted)) / total) if total else float("nan")


def bias(truth: Floats, predicted: Floats) -> float:
    """How far the predicted total is off, as a share of the true total; negative is too low."""
    total = float(np.sum(truth))
    return float(np.sum(predicted) / total - 1) if total else float("nan")


def spearman(truth: Floats, score: Floats) -> float:
    """Rank correlation."""
    if len(np.unique(truth)) < 2 or len(np.unique(score)) < 2:
        return float("nan")
    return float(stats.spearmanr(truth, score).statistic)


def gini(truth: Floats, score: Floats) -> float:
    """Normalised Gini: spend captured in the order of the score, 1 for the perfect order.

    Customers with equal scores share their spend equally, so that their order does not matter.
    """
    best = _captured(truth, truth)
    return float(_captured(truth, score) / best) if best else float("nan")


def _captured(truth: Floats, score: Floats) -> float:
    total = truth.sum()
    if not total:
        return 0.0
    order = np.argsort(-score, kind="stable")
    _, group, size = np.unique(-score[order], return_inverse=True, return_counts=True)
    shared = np.bincount(group, weights=truth[order])[group] / size[group]
    n = len(truth)
    return float(np.cumsum(shared).sum() / total / n - (n + 1) / (2 * n))


def mean_by_decile(values: Floats, score: Floats) -> list[float]:
    """The mean within each tenth of customers by score, the best tenth first."""
    order = np.argsort(-score, kind="stable")
    return [float(values[b].mean()) for b in np.array_split(order, 10)]


def captured_by_decile(truth: Floats, score: Floats) -> list[float]:
    """Share of all spend that lies in each tenth of customers by score, the best tenth first."""
    order = np.argsort(-score, kind="stable")
    total = truth.sum() or 1.0
    return [float(truth[b].sum() / total) for b in np.array_split(order, 10)]


def lift_by_decile(truth: Floats, score: Floats) -> list[float]:
    """Share of positives in each tenth of customers by score over their share in all, the best first."""
    share = float(truth.mean()) or 1.0
    return [mean / share for mean in mean_by_decile(truth, score)]


def misjudged(truth: Floats, score: Floats) -> float:
    """Share of customers on the wrong side of the line when as many are called high as truly are."""
    called = np.zeros(len(score))
    called[np.argsort(-score, kind="stable")[: int(truth.sum())]] = 1
    return float(np.mean(called != truth))


CLASSIFICATION: Mapping[str, Metric] = {
    "roc_auc": roc_auc,
    "pr_auc": pr_auc,
    "lift_top_decile": lift_top_decile,
    "ece": ece,
    "brier": brier,
    "misjudged": misjudged,
}

#: Metrics that only a probability has; an amount, as the naive rule gives, has none.
PROBABILITY = frozenset({"ece", "brier"})

SPEND: Mapping[str, Metric] = {
    "mae": mae,
    "wape": wape,
    "gini": gini,
    "spearman": spearman,
    "bias": bias,
}


def bootstrap(
    statistic: Callable[[Ints], float],
    n: int,
    *,
    seed: int,
    repeats: int = 200,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of one statistic; see `bootstrap_many`."""
    low, high = bootstrap_many(
        lambda drawn: np.array([statistic(drawn)]), n, seed=seed, repeats=repeats, level=level
    )
    return float(low[0]), float(high[0])


def bootstrap_many(
    statistics: Callable[[Ints], Floats],
    n: int,
    *,
    seed: int,
    repeats: int = 200,
    level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Percentile intervals of statistics over customers drawn with replacement (Efron 1979).

    Parameters
    ----------
    statistics
        Takes the positions of the customers drawn, so that a difference of two models is paired; returns
        an array of figures, all of the same draw.
    n
        Number of customers.

    Returns
    -------
    The lower and the upper ends, each of the shape that `statistics` returns
    """
    random = np.random.default_rng(seed)
    drawn = np.array([statistics(random.integers(0, n, n)) for _ in range(repeats)])
    tail = (1 - level) / 2
    with warnings.catch_warnings():
        # A figure without a meaning in any draw is NaN, as the figure itself is.
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return low, high

"""Forecasts of weekly counts that need no learning: averages, smoothing and the Croston family.

Every function takes an array of weekly units, (n series, w weeks), oldest first, every series at once, and
returns the expected units of any coming week, (n,). Series that never sold get 0. The recursions are those
of statsforecast 2.0.3 (smoothing, SBA and TSB agree with it to 1e-12).

References: Croston (1972), Operational Research Quarterly 23; Syntetos and Boylan (2005), International
Journal of Forecasting 21 (SBA); Teunter, Syntetos and Babai (2011), European Journal of Operational Research
214 (TSB); Nikolopoulos et al. (2011), Journal of the Operational Research Society 62 (ADIDA).
"""

import numpy as np

from include.features.arrays import Floats

#: Weights of the newest week among which exponential smoothing chooses, series by series.
ALPHAS = (0.05, 0.1, 0.2, 0.3, 0.5)
#: The weight that the Croston family's literature settles on for slow goods.
SLOW_ALPHA = 0.1
#: ADIDA never adds up more weeks than this.
LONGEST_BUCKET = 13


def last_week(units: Floats) -> Floats:
    """The newest week."""
    return units[:, -1]


def moving_average(units: Floats, weeks: int) -> Floats:
    """The mean of the newest weeks."""
    return units[:, -weeks:].mean(axis=1)


def seasonal_naive(units: Floats, horizon: int, season: int = 52) -> Floats:
    """The same weeks of the year before, (n, horizon); NaN where the history is too short."""
    out = np.full((len(units), horizon), np.nan)
    have = units.shape[1]
    for step in range(horizon):
        place = have + step - season
        if 0 <= place < have:
            out[:, step] = units[:, place]
    return out


def smoothed(units: Floats, alpha: float) -> Floats:
    """Simple exponential smoothing, started at the first week."""
    level = units[:, 0].astype(np.float64)
    for week in range(1, units.shape[1]):
        level += alpha * (units[:, week] - level)
    return level


def exponential_smoothing(units: Floats) -> Floats:
    """Simple exponential smoothing with the weight that would have served each series best.

    Best by the squared error of one-step forecasts within the history.
    """
    best = np.full(len(units), np.inf)
    chosen = np.zeros(len(units))
    for alpha in ALPHAS:
        level = units[:, 0].astype(np.float64)
        error = np.zeros(len(units))
        for week in range(1, units.shape[1]):
            miss = units[:, week] - level
            error += miss**2
            level += alpha * miss
        better = error < best
        best[better], chosen[better] = error[better], level[better]
    return chosen


def _sizes_and_gaps(units: Floats, alpha: float) -> tuple[Floats, Floats, Floats]:
    """Smoothed size of a sale, smoothed weeks between sales, smoothed chance of a sale in a week."""
    size, gap = np.zeros(len(units)), np.zeros(len(units))
    since = np.zeros(len(units))
    chance = (units[:, 0] > 0).astype(np.float64)
    for week in range(units.shape[1]):
        sold = units[:, week] > 0
        since += 1
        first = sold & (size == 0)
        size = np.where(
            sold, np.where(first, units[:, week], size + alpha * (units[:, week] - size)), size
        )
        gap = np.where(sold, np.where(first, since, gap + alpha * (since - gap)), gap)
        since[sold] = 0
        chance += alpha * (sold - chance)
    return size, gap, chance


def croston_sba(units: Floats, alpha: float = SLOW_ALPHA) -> Floats:
    """Croston's size over interval, with the bias correction of Syntetos and Boylan.

    The correction, 1 - alpha / 2, follows from the weight that the intervals are smoothed with.
    """
    size, gap, _ = _sizes_and_gaps(units, alpha)
    return (1 - alpha / 2) * size / np.maximum(gap, 1.0)


def tsb(units: Floats, alpha: float = SLOW_ALPHA) -> Floats:
    """Chance of a sale times its size; the chance fades while nothing sells, so goods that die out do."""
    size, _, chance = _sizes_and_gaps(units, alpha)
    return size * chance


def adida(units: Floats, alpha: float = 0.2) -> Floats:
    """Aggregate over the mean interval between sales, smooth, spread evenly again."""
    n, have = units.shape
    sold = units > 0
    counts = sold.sum(axis=1)
    last = have - np.argmax(sold[:, ::-1], axis=1)
    interval = np.where(counts > 0, last / np.maximum(counts, 1), 1.0)
    bucket = np.clip(np.rint(interval), 1, min(LONGEST_BUCKET, have)).astype(int)
    out = np.zeros(n)
    for width in np.unique(bucket):
        rows = np.flatnonzero(bucket == width)
        kept = units[rows, have % width :]
        sums = kept.reshape(len(rows), -1, width).sum(axis=2)
        out[rows] = smoothed(sums, alpha) / width
    out[counts == 0] = 0.0
    return out

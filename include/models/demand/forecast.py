"""Weekly demand of products and product types, eight weeks ahead, with intervals.

How a forecast comes about, all of it from weeks that had ended at the origin:

1. A booster (scikit-learn, Poisson loss) learns from earlier origins what units followed, for every product
   at once: levels and trends of the product and of its type, price and discount, and the mailers of the week
   forecast as far as the plan was known. The Poisson loss makes its totals unbiased, which an absolute loss
   does not. It predicts a multiple of the product's level, so that slow and fast goods share what they teach.
2. The other methods of `methods` forecast every series too: averages and smoothing, and what customers are
   due to buy (`cadence`). A second booster that knew nothing of the newest eight weeks is fitted for a
   rolling backtest beside them, and each series takes the method that did best, its errors drawn towards
   those of its like, since few weeks tell little.
3. Products sum to their type: a type is the sum of its products and of one further row, `rest`, for what
   sells again or for the first time without having sold in the window.
4. Intervals come from the backtest's errors, in units of what a count of that size is expected to miss.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from include.features.arrays import Floats, Ints
from include.features.demand_panel import (
    HORIZON,
    REGULAR_WEEKS,
    WINDOW,
    Panel,
    Settings,
    learnt_from,
    summed,
)
from include.models.abreast import abreast
from include.models.demand import methods
from include.models.demand.methods import METHODS, Origin
from include.models.demand.regressors import features

#: What forecasts a shop too young for a booster.
SIMPLE = "adida"

#: Origins of the rolling backtest, weeks before now; each is judged on the weeks that have ended since.
TESTED = (HORIZON, HORIZON // 2)
#: The ends of the 80% and of the 95% interval.
QUANTILES = (0.025, 0.1, 0.9, 0.975)
#: Series of one size share their errors: so many sizes with equally many errors, at least so many in each.
SIZES, ERRORS = 8, 200
#: A type's share of units outside its forecast products is shrunk to all types', as if so many units a week
#: had been seen at it.
REST_PRIOR = 20.0


class Booster:
    """Expected units of every product and week ahead, learnt over all products at once.

    scikit-learn's histogram gradient boosting under a Poisson loss, on units as a multiple of the product's
    level, weighted by the level: the same as a Poisson regression with the level as exposure.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def fit(self, panel: Panel, known: int) -> "Booster":
        """Learn from the origins whose eight weeks ended within the first `known` weeks."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        s = self.settings
        chance = np.random.default_rng(s.seed)
        tables, targets, weights = [], [], []
        for origin in learnt_from(known, s):
            rows = panel.active(origin)
            share = np.where(panel.sold_weeks(origin, rows) >= REGULAR_WEEKS, *s.sample)
            kept = chance.random(len(rows)) < share
            rows, share = rows[kept], share[kept]
            table, level = features(panel, origin, rows)
            units = panel.units[rows, origin : origin + HORIZON] / level[:, None]
            tables.append(table)
            targets.append(units.T.ravel())
            weights.append(np.tile(level / share, HORIZON))
        table = np.concatenate(tables)
        # A feature that nobody knew anything of (no plan of mailers, say) teaches nothing.
        self.columns_ = np.flatnonzero(~np.isnan(table).all(axis=0))
        self.model_ = HistGradientBoostingRegressor(
            loss="poisson",
            learning_rate=s.learning_rate,
            max_iter=s.iterations,
            max_leaf_nodes=s.leaves,
            min_samples_leaf=s.leaf_rows,
            max_features=s.feature_share,
            max_bins=127,
            early_stopping=False,
            random_state=s.seed,
        ).fit(table[:, self.columns_], np.concatenate(targets), np.concatenate(weights))
        return self

    def predict(self, panel: Panel, origin: int, rows: Ints) -> Floats:
        """Expected units, (len(rows), HORIZON)."""
        table, level = features(panel, origin, rows)
        multiple = self.model_.predict(table[:, self.columns_]).reshape(HORIZON, len(rows)).T
        units: Floats = multiple * level[:, None]
        return units


@dataclass(frozen=True)
class Forecast:
    """What is expected of the weeks ahead.

    Attributes
    ----------
    rows
        The products forecast singly: places in the panel, (n,).
    units, ends
        Expected units and the ends of the intervals in the order of `QUANTILES`, (n, HORIZON) and
        (n, HORIZON, 4).
    method
        Places in `methods.NAMES`, (n,).
    rest
        Units of each type outside `rows`, (kinds, HORIZON).
    kinds, kind_ends
        Types: the sums of their products and their rest, and intervals, as above.
    tested
        The backtest behind it, empty for a shop too young to have one.
    boosted
        What the booster alone expects, or the simple method where there is none, (n, HORIZON).
    """

    rows: Ints
    units: Floats
    ends: Floats
    method: Ints
    rest: Floats
    kinds: Floats
    kind_ends: Floats
    tested: "tuple[Tested, ...]"
    boosted: Floats


@dataclass(frozen=True)
class Tested:
    """One origin of the backtest: what would have been forecast, and what came."""

    origin: int
    rows: Ints
    units: Floats
    truth: Floats
    kinds: Floats
    kind_truth: Floats


def origins_needed(weeks: int) -> list[int]:
    """The origins at which it is asked what customers are due to buy: those of the backtest, and now."""
    return [weeks - back for back in (*TESTED, 0) if weeks - back > 0]


def forecast(panel: Panel, due: Mapping[int, Floats], settings: Settings) -> Forecast:
    """Forecast every product that sold within the window, and every type.

    Parameters
    ----------
    due
        Origin -> expected units from who is due to buy (`cadence.Cadence.expected_`), (products, HORIZON);
        empty, and nothing is read off the customers.
    """
    now = panel.weeks
    rows = panel.active(now)
    if not learnt_from(now, settings):
        boosted = units = METHODS[SIMPLE].expect(Origin(panel, now, rows))
        method = np.full(len(rows), methods.NAMES.index(SIMPLE))
        tested: tuple[Tested, ...] = ()
    else:

        def one(extra: int) -> Floats:
            booster = Booster(replace(settings, seed=settings.seed + extra)).fit(panel, now)
            return booster.predict(panel, now, rows)

        boosted = np.mean(
            abreast(partial(one, extra) for extra in range(settings.boosters)), axis=0
        )
        units, method, tested = _chosen(panel, due, settings, rows, boosted)
    rest = rest_of(panel, now, panel.kind, panel.n_kinds, settings)
    kinds = summed(units, panel.kind[rows], panel.n_kinds) + rest
    pairs = [(t.units, t.truth) for t in tested]
    kind_pairs = [(t.kinds, t.kind_truth) for t in tested]
    return Forecast(
        rows, units, interval(units, pairs), method, rest, kinds, interval(kinds, kind_pairs), tested, boosted
    )  # fmt: skip


def _chosen(
    panel: Panel, due: Mapping[int, Floats], settings: Settings, rows: Ints, boosted: Floats
) -> tuple[Floats, Ints, tuple[Tested, ...]]:
    """Units and method of each product, and the backtest, if the history is long enough for one."""
    now = panel.weeks
    usual = np.full(len(rows), methods.NAMES.index(methods.BOOSTER))
    earlier = now - TESTED[0]
    if earlier <= 0 or not learnt_from(earlier, settings):
        return boosted, usual, ()
    booster = Booster(settings).fit(panel, earlier)
    # A booster that had less to learn from than today's says little about today's: then none is refused.
    fair = len(learnt_from(earlier, settings)) == len(learnt_from(now, settings))
    scale = methods.due_scale(panel, due, earlier)
    error = np.zeros((len(panel.units), len(METHODS)))
    weeks = np.zeros(len(panel.units))
    tested = []
    for back in TESTED:
        origin, steps = now - back, min(back, HORIZON)
        then = panel.active(origin)
        truth = panel.units[:, origin : origin + steps]
        units = booster.predict(panel, origin, then)
        every = candidates(Origin(panel, origin, then, units, due, scale))
        error[then] += np.stack(
            [((truth[then] - one[:, :steps]) ** 2).sum(axis=1) for one in every], axis=1
        )
        weeks[then] += steps
        tested.append(_tested(panel, origin, then, units, steps, settings))
    if not fair:
        return boosted, usual, tuple(tested)
    method = _best(error[rows], weeks[rows], panel.sold_weeks(now, rows), settings)
    every = candidates(Origin(panel, now, rows, boosted, due, scale))
    return np.stack(every)[method, np.arange(len(rows))], method, tuple(tested)


def candidates(origin: Origin) -> list[Floats]:
    """The forecasts of every method at an origin, in the order of `METHODS`, each (len(rows), HORIZON)."""
    return [method.expect(origin) for method in METHODS.values()]


def _best(error: Floats, weeks: Floats, sold_weeks: Ints, settings: Settings) -> Ints:
    """The method of each series with the least squared error, shrunk to the average of its kind.

    A series without a backtest (its first sales are newer) takes what is best for its kind.
    """
    own = error / np.maximum(error.mean(axis=1, keepdims=True), 1e-9)
    method = np.full(len(error), methods.NAMES.index(methods.BOOSTER))
    regular = sold_weeks >= REGULAR_WEEKS
    for kind in (regular, ~regular):
        if not error[kind].any():
            continue
        average = error[kind].sum(axis=0) / error[kind].sum(axis=0).mean()
        shrunk = own[kind] * weeks[kind, None] + settings.choice_prior * average
        method[kind] = shrunk.argmin(axis=1)
    return method


def _tested(
    panel: Panel, origin: int, rows: Ints, units: Floats, steps: int, settings: Settings
) -> Tested:
    rest = rest_of(panel, origin, panel.kind, panel.n_kinds, settings)
    kinds = summed(units, panel.kind[rows], panel.n_kinds) + rest
    truth = panel.units[:, origin : origin + steps]
    return Tested(
        origin, rows, units[:, :steps], truth[rows], kinds[:, :steps], panel.by_kind(truth)
    )  # fmt: skip


def rest_of(panel: Panel, origin: int, group: Ints, n_groups: int, settings: Settings) -> Floats:
    """Units expected of each group (type, category) from products outside the window, (groups, HORIZON).

    What such products sold after earlier origins, over what the others sold in the window before, times what
    the others sell now; shrunk to the share of all groups, as most groups are small.
    """

    def level(at: int) -> Floats:
        window = panel.units[:, max(0, at - WINDOW) : at].mean(axis=1)
        return np.bincount(group, weights=window, minlength=n_groups).astype(np.float64)

    past = learnt_from(origin, settings)
    if not past:
        return np.zeros((n_groups, HORIZON))
    outside, before = np.zeros((n_groups, HORIZON)), np.zeros(n_groups)
    for at in past:
        others = np.ones(len(panel.units), dtype=bool)
        others[panel.active(at)] = False
        sold = panel.units[others, at : at + HORIZON]
        outside += summed(sold, group[others], n_groups)
        before += level(at)
    share = outside.sum(axis=0) / max(before.sum(), 1e-9)
    prior = REST_PRIOR * len(past)
    rate: Floats = (outside + prior * share) / (before + prior)[:, None]
    return rate * level(origin)[:, None]


def interval(units: Floats, tested: list[tuple[Floats, Floats]]) -> Floats:
    """The ends of the intervals of `units` from a backtest's pairs of forecast and truth, (n, HORIZON, 4).

    What was missed, over the root of what was expected, is near enough alike among series of one size for its
    quantiles to be taken over all of them; near and far weeks apart. NaN without a backtest.
    """
    ends = np.full((*units.shape, len(QUANTILES)), np.nan)
    for part in (slice(0, HORIZON // 2), slice(HORIZON // 2, HORIZON)):
        seen = [(u[:, part].ravel(), t[:, part].ravel()) for u, t in tested if u[:, part].size]
        if not seen:
            continue
        expected, came = (np.concatenate(side) for side in zip(*seen, strict=True))
        sold = expected > 0
        expected, came = expected[sold], came[sold]
        if not len(expected):
            continue
        sizes = int(np.clip(len(expected) // ERRORS, 1, SIZES))
        edges = np.quantile(expected, np.linspace(0, 1, sizes + 1)[1:-1])
        size, size_now = np.digitize(expected, edges), np.digitize(units[:, part], edges)
        missed = (came - expected) / np.sqrt(expected)
        quantiles = np.stack([np.quantile(missed[size == s], QUANTILES) for s in range(sizes)])
        now = units[:, part, None]
        ends[:, part] = np.maximum(now + quantiles[size_now] * np.sqrt(now), 0.0)
    return ends

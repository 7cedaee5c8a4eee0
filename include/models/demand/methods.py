"""How a series can be forecast: the methods among which a backtest chooses, series by series.

One joins by a line in `METHODS`: it is then tried on every series in the backtest, chosen where it did best
(`include.models.demand.forecast`), named in `ml.demand_forecasts`, and shown by `bench demand`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from include.features.arrays import Floats, Ints
from include.features.demand_panel import HORIZON, REGULAR_WEEKS, Panel
from include.models.demand import smoothing


@dataclass(frozen=True)
class Origin:
    """What is known where a forecast begins.

    Attributes
    ----------
    panel, week
        The series, and how many of their weeks have ended: nothing later may be looked at.
    rows
        The products asked about: places in the panel, (n,).
    boosted
        What the booster expects of them, (n, HORIZON); empty for a shop too young to have one.
    due
        Origin -> expected units of every product from who is due to buy (`cadence`), (products, HORIZON);
        empty where nothing is read off the customers.
    due_scale
        Units sold for each one that was due, by how regularly a product sells (`due_scale`), (5,).
    """

    panel: Panel
    week: int
    rows: Ints
    boosted: Floats = field(default_factory=lambda: np.empty((0, HORIZON)))
    due: Mapping[int, Floats] = field(default_factory=dict)
    due_scale: Floats = field(default_factory=lambda: np.ones(5))

    @property
    def units(self) -> Floats:
        """Weekly units up to now, oldest first, (n, week)."""
        return self.panel.units[self.rows, : self.week]


@dataclass(frozen=True)
class Method:
    """One way to forecast series.

    Attributes
    ----------
    expect
        What is known at an origin -> expected units of its products, (n, HORIZON).
    level
        Of a method that needs nothing but a series and expects the same of each coming week: weekly units,
        (n, weeks), oldest first -> units of any coming week, (n,). Such a method forecasts types and
        categories as well as products. None for others.
    """

    expect: Callable[[Origin], Floats]
    level: Callable[[Floats], Floats] | None = None


def steady(level: Callable[[Floats], Floats]) -> Method:
    """The method that expects the same of each coming week."""
    return Method(lambda origin: level(origin.units)[:, None].repeat(HORIZON, axis=1), level)


def _boosted(origin: Origin) -> Floats:
    return origin.boosted


def _due(origin: Origin) -> Floats:
    """What customers are due to buy, brought to what was sold; the booster's where nobody is looked at."""
    if not origin.due:
        return origin.boosted
    sold_weeks = origin.panel.sold_weeks(origin.week, origin.rows)
    return origin.due[origin.week][origin.rows] * origin.due_scale[_regularity(sold_weeks), None]


BOOSTER = "booster"

#: Every method by the name that tables and benches call it by.
METHODS: Mapping[str, Method] = {
    BOOSTER: Method(_boosted),
    "customers_due": Method(_due),
    "last_week": steady(smoothing.last_week),
    "moving_average_4": steady(partial(smoothing.moving_average, weeks=4)),
    "moving_average_8": steady(partial(smoothing.moving_average, weeks=8)),
    "moving_average_13": steady(partial(smoothing.moving_average, weeks=13)),
    "exponential_smoothing": steady(smoothing.exponential_smoothing),
    "croston_sba": steady(smoothing.croston_sba),
    "tsb": steady(smoothing.tsb),
    "adida": steady(smoothing.adida),
}

#: In their order: a series' method is stored as its place here.
NAMES = tuple(METHODS)

#: Those that forecast any series from its own past.
STEADY = {name: method.level for name, method in METHODS.items() if method.level is not None}


def due_scale(panel: Panel, due: Mapping[int, Floats], week: int) -> Floats:
    """Units sold for each one that was due, by regularity: first purchases are due from nobody."""
    if not due:
        return np.ones(5)
    rows = panel.active(week)
    group = _regularity(panel.sold_weeks(week, rows))
    sold = panel.units[rows, week : week + HORIZON].sum(axis=1)
    sums = [np.bincount(group, weights=w, minlength=5) for w in (sold, due[week][rows].sum(axis=1))]
    scale: Floats = (sums[0] + 1.0) / (sums[1] + 1.0)
    return scale


def _regularity(sold_weeks: Ints) -> Ints:
    """Classes of how regularly a series sells, 0 to 4."""
    return np.digitize(sold_weeks, (2, 4, REGULAR_WEEKS, 10))

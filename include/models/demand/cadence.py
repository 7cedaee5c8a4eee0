"""Demand read off the customers: who is due to buy what, from how often each bought it so far.

Each pair of customer and product has a state at the end of a week: in how many weeks it was bought, the mean
gap between them, the weeks since the last one, and how often the customer shops at all. How often a pair in
such a state was bought h weeks later is counted over the past, and that share times the pair's usual units,
summed over the customers, is what they are expected to take. A table of counts and not a model: each of its
numbers can be looked up. First purchases are not in it, so it says who, and only roughly how many.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from include.features.arrays import Floats, Ints
from include.features.demand_panel import Bought

#: A state needs that many earlier weeks of history before anything is counted.
FIRST_WEEK = 8
#: Counts of a state are shrunk towards its average over the horizon as if this many pairs were seen there.
PRIOR = 20.0
#: How fast the habit of shopping follows the weeks with a purchase.
HABIT_ALPHA = 0.2

_TIMES = (2, 3, 4, 6, 9, 13)
_RATIO = (0.3, 0.6, 0.9, 1.2, 1.6, 2.2, 3, 5)
_SINCE_ONCE = (1, 2, 3, 5, 8, 13, 20, 30)
_GAP = (1.3, 2, 3, 4.5, 7, 10)
_HABIT = (0.15, 0.4, 0.65, 0.85)
_STATES = (len(_TIMES) + 1) * (len(_RATIO) + 1) * (len(_GAP) + 1) * (len(_HABIT) + 1)


@dataclass
class _State:
    """The pairs bought so far, and the state of each."""

    pairs: Ints
    state: Ints


class Cadence:
    """Expected units of each product from who is due, at the end of any week asked for.

    Parameters
    ----------
    horizon
        Weeks ahead.

    Attributes
    ----------
    expected_
        Origin (number of weeks known) -> expected units, (n_products, horizon). The chances behind it were
        counted on weeks before the origin alone.
    """

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon

    def fit(self, bought: Bought, origins: list[int]) -> "Cadence":
        """Walk through the weeks once, and note what is expected at each of `origins`."""
        self._prepare(bought)
        counted = np.zeros((self.horizon, _STATES))
        seen = np.zeros((self.horizon, _STATES))
        past: deque[_State] = deque(maxlen=self.horizon)
        self.expected_: dict[int, Floats] = {}
        for week in range(bought.n_weeks):
            rows = slice(self._starts[week], self._starts[week + 1])
            now = np.zeros(self.n_pairs_, dtype=bool)
            now[self._pair[rows]] = True
            for step, then in enumerate(reversed(past)):
                hit = now[then.pairs]
                counted[step] += np.bincount(then.state, weights=hit, minlength=_STATES)
                seen[step] += np.bincount(then.state, minlength=_STATES)
            self._advance(week, rows)
            if week + 1 >= FIRST_WEEK:
                past.append(self._state(week))
            if week + 1 in origins:
                self.chance_ = _shrunk(counted, seen)
                self.last_ = (
                    past[-1] if past else _State(np.zeros(0, np.int64), np.zeros(0, np.int64))
                )
                self.expected_[week + 1] = self.by_product()
        return self

    def by_product(self) -> Floats:
        """Expected units at the newest origin walked to, (n_products, horizon)."""
        product = self.pair_product_[self.last_.pairs]
        return np.stack(
            [
                np.bincount(product, weights=wanted, minlength=self.n_products_)
                for wanted in self._wanted()
            ],
            axis=1,
        )

    def by_group(self, group: Ints, n_groups: int, weeks: int) -> Floats:
        """Expected units of the first `weeks` weeks, (n_products, n_groups), by a group of each customer."""
        pairs = self.last_.pairs
        cell = self.pair_product_[pairs] * n_groups + group[self.pair_customer_[pairs]]
        total = np.sum(
            [wanted for wanted, _ in zip(self._wanted(), range(weeks), strict=False)], axis=0
        )
        found = np.bincount(cell, weights=total, minlength=self.n_products_ * n_groups)
        table: Floats = found.reshape(self.n_products_, n_groups).astype(np.float64)
        return table

    def _wanted(self) -> list[Floats]:
        usual = self._units[self.last_.pairs] / np.maximum(self._times[self.last_.pairs], 1)
        return [chance[self.last_.state] * usual for chance in self.chance_]

    def _prepare(self, bought: Bought) -> None:
        # What was sold without a customer is of many people, and of nobody's habits.
        order = np.argsort(bought.week, kind="stable")
        order = order[bought.customer[order] != bought.nobody]
        key = (bought.customer * bought.n_products + bought.product)[order]
        pairs, self._pair = np.unique(key, return_inverse=True)
        self.n_pairs_, self.n_products_ = len(pairs), bought.n_products
        self.pair_customer_, self.pair_product_ = np.divmod(pairs, bought.n_products)
        self._amount = bought.units[order]
        self._starts = np.searchsorted(bought.week[order], np.arange(bought.n_weeks + 1))
        self._times = np.zeros(self.n_pairs_, dtype=np.int64)
        self._first = np.zeros(self.n_pairs_, dtype=np.int64)
        self._last = np.zeros(self.n_pairs_, dtype=np.int64)
        self._units = np.zeros(self.n_pairs_)
        self._habit = np.zeros(bought.n_customers)

    def _advance(self, week: int, rows: slice) -> None:
        pairs, amount = self._pair[rows], self._amount[rows]
        # A pair may stand several times in a week, once a region.
        self._units += np.bincount(pairs, weights=amount, minlength=self.n_pairs_)
        pairs = np.unique(pairs)
        self._first[pairs[self._times[pairs] == 0]] = week
        self._times[pairs] += 1
        self._last[pairs] = week
        shopped = np.zeros(len(self._habit))
        shopped[self.pair_customer_[pairs]] = 1.0
        self._habit += HABIT_ALPHA * (shopped - self._habit)

    def _state(self, week: int) -> _State:
        pairs = np.flatnonzero(self._times > 0)
        times, since = self._times[pairs], week - self._last[pairs]
        often = times > 1
        gap = (self._last[pairs] - self._first[pairs]) / np.maximum(times - 1, 1)
        where = np.where(
            often,
            np.digitize(since / np.maximum(gap, 0.5), _RATIO),
            np.digitize(since, _SINCE_ONCE),
        )
        state = np.digitize(times, _TIMES)
        state = state * (len(_RATIO) + 1) + where
        state = state * (len(_GAP) + 1) + np.where(often, np.digitize(gap, _GAP), 0)
        habit = np.digitize(self._habit[self.pair_customer_[pairs]], _HABIT)
        return _State(pairs, state * (len(_HABIT) + 1) + habit)


def _shrunk(counted: Floats, seen: Floats) -> Floats:
    """The chance of a purchase h weeks later by state, (horizon, states)."""
    average = counted.sum(axis=0) / np.maximum(seen.sum(axis=0), 1.0)
    chance: Floats = (counted + PRIOR * average) / (seen + PRIOR)
    return chance

"""Which candidates to send where budgets are short: the most expected gain, and how far from the best it is.

At most one candidate a customer, and the cost of what is chosen within every budget: one over all, one for
each campaign, one for each day. This is a multiple-choice knapsack with a few dozen knapsack rows. Its
Lagrangian dual puts a price on each budget; at given prices every customer takes the candidate with the
most gain left after its cost is paid at those prices, so one look at all candidates answers millions of
them. Any prices give an upper bound on what any choice can reach, and the best prices give that of the
linear relaxation (Geoffrion 1974). They are found by a bundle of such looks (Kelley 1960, kept near the
best one by a box: Marsten, Hogan and Blankenship 1975). The looks that support the bound, weighted as the
linear program over them does, average to a solution of the relaxation; each customer takes the answer of one
of these looks, as many customers for each as its weight says, so that groups of customers who are all alike
are split as the budgets ask. What that overspends is taken back, and what is left is given away greedily.
The relaxation splits at most as many customers as there are budgets, so on many customers the gap all but
vanishes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from include.errors import BadInput
from include.features.arrays import Bools, Floats, Ints

#: A look at all candidates: prices, the bound at them, its slope.
Look = tuple[Floats, float, Floats]

#: The golden ratio less 1.
GOLDEN = (5**0.5 - 1) / 2

#: The search for prices ends when the bound cannot fall by more than this share, or after so many looks.
TOLERANCE = 1e-5
MOST_LOOKS = 200

#: Sums of many costs are exact to about this much: a budget may be spent to its last cent.
_DUST = 1e-9

#: Rounds in which room that is left is given away to many at once, and the most candidates that are tried
#: one by one after them: what is left by then is worth a few candidates at most.
MOST_ROUNDS = 20
MOST_SINGLE = 20_000


@dataclass(frozen=True)
class Allocation:
    """What was chosen, and what it is worth.

    Attributes
    ----------
    chosen : array of shape (n_candidates,)
    value
        Expected gain of what was chosen.
    bound
        No choice within the budgets can be worth more.
    spent : dict of budget to cost
    prices : dict of budget to the gain that one more unit of money in it would bring; 0 where it is not short
    """

    chosen: Bools
    value: float
    bound: float
    spent: dict[str, float]
    prices: dict[str, float]

    @property
    def gap(self) -> float:
        """How far below the bound the value may lie, as a share of the bound."""
        return 1 - self.value / self.bound if self.bound > 0 else 0.0


def allocate(
    candidates: pd.DataFrame,
    total: float | None = None,
    per_campaign: Mapping[str, float | None] | None = None,
    per_day: float | Mapping[str, float | None] | None = None,
) -> Allocation:
    """Choose at most one candidate a customer, for the most expected gain within the budgets.

    Parameters
    ----------
    candidates
        One row per candidate: customer_id, campaign, cost, value (the expected incremental value, cost taken
        off) and, where `per_day` is given, day. Candidates without a gain are never chosen.
    total
        Most that all of them may cost together; None for no limit.
    per_campaign
        Most that a campaign may cost; a campaign without an entry, or with None, has no limit.
    per_day
        Most that each day may cost: one figure for all days, or one a day.

    Raises
    ------
    BadInput
        When a cost or a budget is negative or not a number.
    """
    problem = _Problem.of(candidates, total, per_campaign or {}, per_day)
    if not len(problem.value):
        nothing = np.zeros(len(candidates), dtype=bool)
        free = dict.fromkeys(problem.names, 0.0)
        return Allocation(nothing, 0.0, 0.0, free, dict(free))
    prices, bound, looks = problem.best_prices()
    # From the answer at the best prices too: on few customers it is often the better start.
    starts = (problem.best(problem.priced(prices)), problem.blended(looks))
    picked = max(
        (problem.mended(prices, start) for start in starts),
        key=lambda choice: float(problem.value[choice].sum()),
    )
    chosen = np.zeros(len(candidates), dtype=bool)
    chosen[problem.row[picked]] = True
    value = float(problem.value[picked].sum())
    spent = problem.spent(picked)
    return Allocation(
        chosen=chosen,
        value=value,
        bound=max(bound, value),
        spent=dict(zip(problem.names, map(float, spent), strict=True)),
        prices=dict(zip(problem.names, map(float, prices), strict=True)),
    )


@dataclass
class _Problem:
    """The candidates with a gain, ordered by customer, and the budgets each one draws on.

    Attributes
    ----------
    row : their places in the caller's frame, shape (n,)
    start : where each customer's candidates begin, shape (n_customers,)
    owner : the customer of each candidate, shape (n,)
    draws : the budgets that each candidate draws on, shape (n_kinds, n), -1 for none
    limit : of each budget, shape (n_budgets,)
    """

    row: Ints
    value: Floats
    cost: Floats
    start: Ints
    owner: Ints
    draws: Ints
    limit: Floats
    names: list[str]

    @classmethod
    def of(
        cls,
        candidates: pd.DataFrame,
        total: float | None,
        per_campaign: Mapping[str, float | None],
        per_day: float | Mapping[str, float | None] | None,
    ) -> "_Problem":
        value = candidates["value"].to_numpy(dtype=np.float64)
        cost = candidates["cost"].to_numpy(dtype=np.float64)
        if not (np.isfinite(value).all() and np.isfinite(cost).all() and (cost >= 0).all()):
            raise BadInput(
                "Expected a finite value and a cost of 0 or more for every candidate, found others: look at "
                "the campaign's assumptions and the predictions of the day."
            )
        row = np.flatnonzero(value > 0)
        codes, _ = pd.factorize(candidates["customer_id"].iloc[row], sort=False)
        order = np.argsort(codes, kind="stable")
        row, owner = row[order], codes[order].astype(np.int64)
        start = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]]) if len(row) else row
        names: list[str] = []
        limits: list[float] = []
        draws: list[Ints] = []
        given = (("campaign", per_campaign), ("day", per_day))
        for column, budgets in given:
            if budgets is None or (isinstance(budgets, Mapping) and not budgets):
                continue
            codes, labels = pd.factorize(candidates[column].iloc[row], sort=True)
            place = np.full(len(labels) + 1, -1, dtype=np.int64)
            for k, label in enumerate(labels):
                limit = budgets.get(label) if isinstance(budgets, Mapping) else budgets
                if limit is not None:
                    place[k] = len(names)
                    names.append(f"{column} {label}")
                    limits.append(limit)
            draws.append(place[codes])
        # The widest budget comes last: what the narrow ones cannot pay should not count against it.
        if total is not None:
            draws.append(np.full(len(row), len(names), dtype=np.int64))
            names.append("total")
            limits.append(total)
        most = np.asarray(limits, dtype=np.float64)
        if not (np.isfinite(most).all() and (most >= 0).all()):
            raise BadInput(f"Expected budgets of 0 or more, found {limits}: correct the policy.")
        shape = (len(draws), len(row))
        drawn = np.vstack(draws) if draws else np.zeros(shape, dtype=np.int64)
        return cls(row, value[row], cost[row], start, owner, drawn, most, names)

    def priced(self, prices: Floats) -> Floats:
        """What is left of each candidate's value once its cost is paid at the prices, shape (n,)."""
        padded = np.append(prices, 0.0)
        price = np.zeros(len(self.value))
        for drawn in self.draws:
            price += padded[drawn]
        return self.value - price * self.cost

    def best(self, left: Floats, least: float = 0.0) -> Ints:
        """Each customer's best candidate, of those with more than `least` left; the first of equals."""
        most = np.maximum.reduceat(left, self.start)
        place = np.flatnonzero((left == most[self.owner]) & (left > least))
        if not len(place):
            return place
        return place[np.r_[True, self.owner[place[1:]] != self.owner[place[:-1]]]]

    def spent(self, picked: Ints) -> Floats:
        """Cost drawn from each budget."""
        total = np.zeros(len(self.limit))
        for drawn in self.draws:
            budget = drawn[picked]
            known = budget >= 0
            total += np.bincount(
                budget[known], weights=self.cost[picked][known], minlength=len(self.limit)
            )
        return total

    def look(self, prices: Floats) -> tuple[float, Floats]:
        """The bound at some prices, and its slope: what is left in each budget."""
        left = self.priced(prices)
        picked = self.best(left)
        slack = self.limit - self.spent(picked)
        return float(left[picked].sum() + prices @ self.limit), slack

    def best_prices(self) -> tuple[Floats, float, list[Look]]:
        """Prices of (all but) the least bound, that bound, and every look on the way to them."""
        count = len(self.limit)
        centre = np.zeros(count)
        bound, slope = self.look(centre)
        if count == 0 or (slope >= 0).all():
            return centre, bound, [(centre, bound, slope)]
        # A price at which a candidate of middling worth for its cost is no longer worth it.
        costly = self.cost > 0
        reach = np.full(count, float(np.median(self.value[costly] / self.cost[costly])))
        cuts = [(centre, bound, slope)]
        for _ in range(MOST_LOOKS):
            prices, promised = _lowest(cuts, centre, reach)
            found, slope = self.look(prices)
            cuts.append((prices, found, slope))
            at_edge = bool((np.abs(prices - centre) >= reach * (1 - 1e-9)).any())
            is_near = bound - promised <= TOLERANCE * abs(bound)
            if is_near and not at_edge:
                break
            kept_its_word = found <= bound - 0.5 * (bound - promised)
            if is_near or (at_edge and kept_its_word):
                reach = reach * 2
            elif found >= bound:
                reach = reach / 2
            if found < bound:
                centre, bound = prices, found
        return centre, bound, cuts

    def blended(self, looks: list[Look]) -> Ints:
        """Each customer's pick at one of the looks, all of them together within the budgets on average."""
        weight = _weights(looks, len(self.limit))
        active = np.flatnonzero(weight > 1e-9)
        edges = np.cumsum(weight[active]) / weight[active].sum()
        # Evenly spread, and the same every time: multiples of the golden ratio (Weyl 1916).
        place = np.arange(len(self.start)) * GOLDEN % 1
        turn = np.minimum(np.searchsorted(edges, place, side="right"), len(active) - 1)
        parts = []
        for number, index in enumerate(active.tolist()):
            picked = self.best(self.priced(looks[index][0]))
            parts.append(picked[turn[self.owner[picked]] == number])
        return np.sort(np.concatenate(parts))

    def mended(self, prices: Floats, picked: Ints) -> Ints:
        """A choice within the budgets, made from one that nearly is; the prices say what to drop or add."""
        left = self.priced(prices)
        picked = self._within(picked, left, self.limit)
        # What was dropped, or turned out by a price, is let in again as far as there is room.
        for _ in range(MOST_ROUNDS):
            room = self.limit - self.spent(picked)
            is_free = np.ones(len(self.start), dtype=bool)
            is_free[self.owner[picked]] = False
            fits = is_free[self.owner] & self._fits(self.cost, room)
            more = self.best(np.where(fits, left, -np.inf), -np.inf)
            more = self._within(more, left, room)
            if not len(more):
                break
            picked = np.sort(np.concatenate([picked, more]))
        return self._improved(picked, left)

    def _fits(self, cost: Floats, room: Floats) -> Bools:
        """Whether each candidate by itself could be paid."""
        found = np.ones(len(cost), dtype=bool)
        for drawn in self.draws:
            found &= cost <= np.append(room, np.inf)[drawn] + _DUST
        return found

    def _within(self, picked: Ints, left: Floats, room: Floats) -> Ints:
        """Without the picks that there is no room for, those of least worth for their cost first."""
        for drawn in self.draws:
            budget = drawn[picked]
            worth = left[picked] / np.maximum(self.cost[picked], 1e-12)
            order = np.lexsort((-worth, budget))
            running = _running_sums(budget[order], self.cost[picked][order])
            allowed = np.append(room, np.inf)[budget[order]] + _DUST
            picked = np.sort(picked[order[running <= allowed]])
        return picked

    def _improved(self, picked: Ints, left: Floats) -> Ints:
        """With a better candidate, or one at all, wherever one still fits; tried one by one."""
        room = self.limit - self.spent(picked)
        holds = np.full(len(self.start), -1, dtype=np.int64)
        holds[self.owner[picked]] = picked
        has = holds >= 0
        held_value = np.where(has, self.value[holds], 0.0)[self.owner]
        held_cost = np.where(has, self.cost[holds], 0.0)[self.owner]
        order = np.flatnonzero((self.value > held_value) & self._fits(self.cost - held_cost, room))
        order = order[np.argsort(-left[order], kind="stable")][:MOST_SINGLE]
        for i in order.tolist():
            who = self.owner[i]
            now = holds[who]
            if now >= 0 and self.value[i] <= self.value[now]:
                continue
            after = room.copy()
            for drawn in self.draws:
                if now >= 0 and drawn[now] >= 0:
                    after[drawn[now]] += self.cost[now]
                if drawn[i] >= 0:
                    after[drawn[i]] -= self.cost[i]
            if (after >= -_DUST).all():
                room, holds[who] = after, i
        return np.sort(holds[holds >= 0])


def _lowest(cuts: list[Look], centre: Floats, reach: Floats) -> tuple[Floats, float]:
    """The least point, within reach of the centre, of the largest of the cuts; what it promises."""
    near = [(max(0.0, c - r), c + r) for c, r in zip(centre, reach, strict=True)]
    found, scale = _solved(cuts, near)
    return np.asarray(found.x[:-1]), float(found.x[-1] * scale)


def _weights(cuts: list[Look], count: int) -> Floats:
    """How much each look supports the least point of all of them; the weights add up to 1."""
    if len(cuts) == 1:  # nothing is short
        return np.ones(1)
    found, _ = _solved(cuts, [(0.0, None)] * count)
    return np.asarray(-found.ineqlin.marginals)


def _solved(cuts: list[Look], within: list[tuple[float, float | None]]) -> tuple[Any, float]:
    """The linear program: the least, over prices within limits, of the largest of the cuts; its scale.

    The bound is convex, so that bound + slope (p - prices) of each look lies below it.
    """
    count = len(within)
    rows = np.array([[*slope, -1.0] for _, _, slope in cuts])
    ends = np.array([slope @ prices - bound for prices, bound, slope in cuts])
    scale = max(1.0, float(np.abs(rows[:, :-1]).max()))
    found = optimize.linprog(
        np.r_[np.zeros(count), 1.0],
        A_ub=np.column_stack([rows[:, :-1] / scale, rows[:, -1]]),
        b_ub=ends / scale,
        bounds=[*within, (None, None)],
        method="highs",
    )
    if found.x is None:
        raise ArithmeticError(f"The linear program over {len(cuts)} cuts failed: {found.message}")
    return found, scale


def _running_sums(group: Ints, amount: Floats) -> Floats:
    """Sums from the first row of each group on; groups stand together."""
    if not len(group):
        return amount
    total = np.cumsum(amount)
    first = np.r_[True, group[1:] != group[:-1]]
    before = (total - amount)[first]
    return np.asarray(total - before[np.cumsum(first) - 1])

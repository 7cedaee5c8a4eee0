"""What is known of customers, items and their pairs at the end of a day, as numbers for the rankers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.features.arrays import Bools, Integers, Reals
from include.features.purchases import Catalogue, Purchases, rhythm
from include.features.signals import Signals
from include.models.products.als import AlsSettings, PurchaseAls, confidence
from include.models.products.toplists import best_per_group

#: Half-lives of the decayed counts, in days: two weeks, a month, two months, four months.
HALF_LIVES = (14, 28, 56, 112)

#: Cases in which an item's own rate of being bought again weighs as much as its group's.
REBUY_CASES = 10.0

#: Recommendations are judged by, and learnt from, what is bought in the four weeks after the cut.
HORIZON_DAYS = 28


@dataclass(frozen=True)
class Settings:
    """How lists are made; depths are candidates a customer.

    `trend_weight` is the power to which an item's buyers of the last four weeks, relative to those of
    the last thirteen, count in the discover list beside its ALS score: what is in season comes first.
    `variety` is the policy's dial (`include.models.products.select`) at which the blend is judged;
    `alternatives` are ALS settings that are tried at training (`include.models.products.tuning`).
    """

    als: AlsSettings = field(default_factory=AlsSettings)
    repeat_depth: int = 200
    als_depth: int = 100
    popular_depth: int = 30
    trend_weight: float = 0.2
    ridge: float = 1.0
    list_length: int = 10
    variety: float = 0.0
    alternatives: tuple[AlsSettings, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """Pairs of a customer (row number) and an item, ordered by customer, then item."""

    customer: Integers
    item: Integers
    features: dict[str, NDArray[np.float32]]

    def matrix(self) -> NDArray[np.float32]:
        """Features as columns, in the order of their names' dictionary."""
        return np.column_stack(list(self.features.values())).astype(np.float32, copy=False)


class Snapshot:
    """Purchases as of a cut-off day, and the numbers about customers, items and pairs drawn from them.

    Parameters
    ----------
    purchases, catalogue
        With the same item codes. Rows after `cut` are left out here.
    cut : int
        Day number; the snapshot knows the whole of that day.
    als : PurchaseAls
        Fitted on rows up to `cut` or earlier; customers are folded in with their rows up to `cut`.
    signals : Signals, optional
        What customers did beside buying, with the same codes.
    """

    def __init__(
        self,
        purchases: Purchases,
        catalogue: Catalogue,
        cut: int,
        als: PurchaseAls,
        signals: Signals | None = None,
    ) -> None:
        self.purchases = purchases.until(cut)
        self.signals = (signals or Signals.none()).until(cut)
        self.catalogue = catalogue
        self.cut = cut
        self.als = als
        p = self.purchases
        self.n_items = p.n_items
        self.pairs = rhythm(p.customer * p.n_items + p.item, p.day, cut, HALF_LIVES)
        self.pair_customer = self.pairs.keys // p.n_items
        self.pair_item = self.pairs.keys % p.n_items
        self.visits = rhythm(p.customer, p.day, cut, HALF_LIVES)
        self.groups = self._rhythm_of(catalogue.group)
        self.families = self._rhythm_of(catalogue.family)
        self.makers = self._rhythm_of(catalogue.maker)
        self._count_items()
        self._count_customers()

    def _rhythm_of(self, code: Integers) -> Any:
        of_row = code[self.purchases.item]
        known = of_row >= 0
        width = int(code.max(initial=-1)) + 1
        keys = self.purchases.customer[known] * width + of_row[known]
        return rhythm(keys, self.purchases.day[known], self.cut, HALF_LIVES)

    def _find(self, of: Any, code: Integers, customer: Integers, item: Integers) -> Integers:
        width = int(code.max(initial=-1)) + 1
        keys = np.where(code[item] >= 0, customer * width + code[item], -1)
        found: Integers = of.find(keys)
        return found

    def _count_items(self) -> None:
        p, n = self.purchases, self.n_items
        age = self.cut - p.day
        key = p.customer * n + p.item

        def buyers(days: int) -> NDArray[np.float32]:
            recent = np.unique(key[age < days])
            return np.bincount(recent % n, minlength=n).astype(np.float32)

        def guests(days: int | None = None) -> NDArray[np.float32]:
            sold, day, orders = p.of_nobody.T
            recent = np.ones(len(day), dtype=bool) if days is None else self.cut - day < days
            counted = np.bincount(sold[recent], weights=orders[recent], minlength=n)
            return counted.astype(np.float32)

        # An order without a customer is a buyer of whom nothing else is known.
        self.guests = {days: guests(days) for days in (7, 28, 91)}
        self.buyers = {days: buyers(days) + self.guests[days] for days in (7, 28, 91)}
        known = np.bincount(self.pair_item, minlength=n).astype(np.float32)
        self.buyers_ever = known + guests()
        days_bought = np.bincount(self.pair_item, weights=self.pairs.days, minlength=n)
        self.days_per_buyer = (days_bought / np.maximum(known, 1)).astype(np.float32)

        def share_off(rows: Bools) -> NDArray[np.float32]:
            off = np.bincount(p.item[rows], weights=p.discount[rows], minlength=n)
            paid = np.bincount(p.item[rows], weights=p.sales[rows], minlength=n)
            return (off / np.maximum(off + paid, 0.01)).astype(np.float32)

        self.share_off_lately = share_off(age < 14)
        self.share_off_usually = share_off(age >= 0)
        paid = np.bincount(p.item, weights=p.sales, minlength=n)
        rows = np.bincount(p.item, minlength=n)
        self.usual_price = (paid / np.maximum(rows, 1)).astype(np.float32)

    def _count_customers(self) -> None:
        n = self.purchases.n_customers
        at = self.visits.find(np.arange(n))
        self.visits_lately = _at(self.visits.decayed[28], at, 0)
        self.visit_days = _at(self.visits.days, at, 0)
        self.days_since_visit = _at(self.cut - self.visits.last, at, 999)
        self.items_known = np.bincount(self.pair_customer, minlength=n).astype(np.float32)
        tried = self.pairs.first > self.cut - HORIZON_DAYS
        self.items_tried = np.bincount(self.pair_customer[tried], minlength=n).astype(np.float32)

    @cached_property
    def rebuys(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log odds that an item bought eight to four weeks ago was bought again in the last four.

        Of each item, and of each item's group; few cases are pulled toward the group's rate, and that
        toward the shop's. Both have one entry an item.
        """
        n, group = self.n_items, self.catalogue.group
        earlier = self.purchases.pairs_between(self.cut - 2 * HORIZON_DAYS, self.cut - HORIZON_DAYS)
        later = self.purchases.pairs_between(self.cut - HORIZON_DAYS, self.cut)
        again, item = np.isin(earlier, later).astype(float), earlier % n
        usual = (again.sum() + 1) / (len(again) + 2)

        def rate(code: Integers, hit: Reals, size: int, toward: Any, cases: float) -> Reals:
            hits = np.bincount(code, weights=hit, minlength=size)
            out: Reals = (hits + cases * toward) / (np.bincount(code, minlength=size) + cases)
            return out

        known = group[item] >= 0
        width = int(group.max(initial=-1)) + 1
        of_group = rate(group[item[known]], again[known], width, usual, 2 * REBUY_CASES)
        of_group = np.where(group >= 0, np.r_[of_group, usual][group], usual)
        of_item = rate(item, again, n, of_group, REBUY_CASES)
        return _log_odds(of_item), _log_odds(of_group)

    @cached_property
    def decayed(self) -> sparse.csr_matrix:
        """Decayed counts as the ALS weighs them, shape (n_customers, n_items)."""
        return confidence(self.purchases, self.signals, self.cut, self.als.settings)

    @cached_property
    def factors(self) -> NDArray[np.float32]:
        """Customers folded into the ALS space."""
        return self.als.fold_in(self.decayed)

    @cached_property
    def bought(self) -> sparse.csr_matrix:
        """Ones where a customer has ever bought an item."""
        ones = np.ones(len(self.pair_item), dtype=np.float32)
        shape = (self.purchases.n_customers, self.n_items)
        return sparse.csr_matrix((ones, (self.pair_customer, self.pair_item)), shape=shape)

    def repeat_candidates(self, depth: int, allowed: Bools) -> Candidates:
        """What each customer has bought, the `depth` most frequent and recent of it, with features."""
        ok = np.flatnonzero(allowed[self.pair_item])
        weight = self.pairs.decayed[56][ok] + 0.2 * self.pairs.decayed[112][ok]
        best, _ = best_per_group(self.pair_customer[ok], weight, self.pair_item[ok], depth)
        rows = np.sort(ok[best])
        customer, item = self.pair_customer[rows], self.pair_item[rows]
        features = self._common(customer, item) | self._repeat(rows, customer, item)
        return Candidates(customer, item, features)

    def new_keys(self, settings: Settings, allowed: Bools, rows: Integers) -> Integers:
        """What customers `rows` have not bought, by ALS and by what is popular: sorted keys of pairs."""
        customer, item, _ = self.als.top_items(
            self.factors, self.bought, settings.als_depth, allowed & (self.buyers[91] > 0)
        )
        wanted = np.isin(customer, rows)
        popular = np.flatnonzero(allowed & (self.buyers[28] > 0))
        order = np.lexsort((popular, -self.buyers_ever[popular], -self.buyers[28][popular]))
        popular = popular[order][: settings.popular_depth]
        keys = np.unique(
            np.concatenate(
                [
                    customer[wanted] * self.n_items + item[wanted],
                    np.repeat(rows * self.n_items, len(popular)) + np.tile(popular, len(rows)),
                ]
            )
        )
        return keys[self.pairs.find(keys) < 0]

    def describe_new(self, keys: Integers, settings: Settings) -> Candidates:
        """Pairs that were never bought, with features; keys are customer * n_items + item, sorted."""
        customer, item = keys // self.n_items, keys % self.n_items
        return Candidates(customer, item, self._new(customer, item, settings.trend_weight))

    def new_candidates(self, settings: Settings, allowed: Bools, rows: Integers) -> Candidates:
        """What each customer of `rows` has not bought: ALS and popular items, with features."""
        return self.describe_new(self.new_keys(settings, allowed, rows), settings)

    def _common(self, customer: Integers, item: Integers) -> dict[str, NDArray[np.float32]]:
        """Numbers of a pair that need no purchase of the item itself; logarithms of counts."""
        c = self.catalogue
        group = self._find(self.groups, c.group, customer, item)
        family = self._find(self.families, c.family, customer, item)
        maker = self._find(self.makers, c.maker, customer, item)
        group_days = _at(self.groups.days, group, 0)
        group_since = _at(self.cut - self.groups.last, group, 400)
        group_gap = _mean_gap(self.groups, group)
        lately, usually = self.share_off_lately[item], self.share_off_usually[item]
        return {
            "als": self.als.scores(self.factors, customer, item),
            "buyers_28": np.log1p(self.buyers[28][item]),
            "buyers_91": np.log1p(self.buyers[91][item]),
            "buyers_ever": np.log1p(self.buyers_ever[item]),
            "trend_7": np.log((4 * self.buyers[7][item] + 2) / (self.buyers[28][item] + 2)),
            "trend_28": self._trend(item),
            "days_per_buyer": np.log(self.days_per_buyer[item] + 0.3),
            "share_off": lately,
            "share_off_change": lately - usually,
            "usual_price": np.log1p(self.usual_price[item]),
            "group_28": _log(_at(self.groups.decayed[28], group, 0)),
            "group_112": _log(_at(self.groups.decayed[112], group, 0)),
            "group_days": _log(group_days),
            "group_since": _log_days(group_since),
            "group_gap": _log_days(group_gap),
            "group_due": _log_days(group_since / np.maximum(group_gap, 1)),
            "family_28": _log(_at(self.families.decayed[28], family, 0)),
            "family_112": _log(_at(self.families.decayed[112], family, 0)),
            "maker_112": _log(_at(self.makers.decayed[112], maker, 0)),
            "visits": _log(self.visits_lately[customer]),
            "visit_days": _log(self.visit_days[customer]),
            "since_visit": _log(self.days_since_visit[customer]),
            "items_a_visit": _log(
                self.items_known[customer] / np.maximum(self.visit_days[customer], 1)
            ),
            "items_tried": _log(self.items_tried[customer]),
        }

    def _repeat(
        self, rows: Integers, customer: Integers, item: Integers
    ) -> dict[str, NDArray[np.float32]]:
        """Recency and cadence of pairs that were bought, with the curvature a linear model lacks."""
        p, c = self.pairs, self.catalogue
        days = p.days[rows].astype(np.float32)
        since = (self.cut - p.last[rows]).astype(np.float32)
        tenure = (self.cut - p.first[rows]).astype(np.float32)
        once = days < 2
        gap = np.where(once, 60, (p.last - p.first)[rows] / np.maximum(days - 1, 1))
        last_gap = np.where(once, 60, np.nan_to_num(p.last_gap[rows], nan=60))
        rate = days / (tenure + 14)
        group = self._find(self.groups, c.group, customer, item)
        group_112 = np.maximum(_at(self.groups.decayed[112], group, 0), 1e-3)
        visits = np.maximum(self.visits_lately[customer], 0.05)
        logs = {
            "days": np.log(days),
            "since": _log_days(since),
            "gap": _log_days(gap),
            "last_gap": _log_days(last_gap),
            "due": _log_days(since / np.maximum(gap, 1)),
            "last_due": _log_days(since / np.maximum(last_gap, 1)),
        } | {f"decayed_{h}": _log(p.decayed[h][rows]) for h in HALF_LIVES}
        rebuy_item, rebuy_group = (odds[item] for odds in self.rebuys)
        per_visit = np.minimum(p.decayed[28][rows] / visits, 3)
        out = {
            **logs,
            "once": once.astype(np.float32),
            "tenure": _log_days(tenure),
            "rate": rate,
            "expected": np.log(1 - np.exp(-HORIZON_DAYS * rate) + 1e-3),
            "share_of_visits": days / np.maximum(self.visit_days[customer], 1),
            "share_of_group": p.decayed[112][rows] / group_112,
            "per_visit": per_visit,
            "per_visit_days": per_visit * logs["days"],
            "due_days": logs["due"] * logs["days"],
            "since_days": logs["since"] * logs["days"],
            "since_gap": logs["since"] * logs["gap"],
            "rebuy_item": rebuy_item,
            "rebuy_group": rebuy_group,
            "rebuy_days": rebuy_item * logs["days"],
            "visits_decayed": _log(self.visits_lately[customer]) * logs["decayed_28"],
            "visits_since": _log(self.visits_lately[customer]) * logs["since"],
        } | {f"{name}_squared": values**2 for name, values in logs.items()}
        return {name: np.asarray(values, dtype=np.float32) for name, values in out.items()}

    def _new(
        self, customer: Integers, item: Integers, trend_weight: float
    ) -> dict[str, NDArray[np.float32]]:
        """One score to order by, and what turns it into a chance.

        Richer models of new purchases learn the season of the weeks they are fitted on and lose to
        ALS alone in the next ones, so the order is not learnt.
        """
        score = self.als.scores(self.factors, customer, item)
        return {
            "score": np.log(np.maximum(score, 0) + 1e-4) + trend_weight * self._trend(item),
            "visits": _log(self.visits_lately[customer]),
            "items_tried": _log(self.items_tried[customer]),
        }

    def _trend(self, item: Integers) -> NDArray[np.float32]:
        """Logarithm of an item's buyers of the last four weeks over those of thirteen, a month's."""
        return np.log((3.25 * self.buyers[28][item] + 5) / (self.buyers[91][item] + 5))


def _at(values: Any, at: Integers, default: float) -> NDArray[np.float32]:
    if len(values) == 0:
        return np.full(len(at), default, dtype=np.float32)
    return np.where(at >= 0, np.asarray(values)[np.maximum(at, 0)], default).astype(np.float32)


def _mean_gap(of: Any, at: Integers) -> NDArray[np.float32]:
    """Mean days between purchase days, 60 where there are fewer than two."""
    days = _at(of.days, at, 0)
    span = _at(of.last - of.first, at, 0)
    return np.where(days < 2, 60, span / np.maximum(days - 1, 1)).astype(np.float32)


def _log_odds(share: Reals) -> NDArray[np.float32]:
    return np.log(share / (1 - share)).astype(np.float32)


def _log(values: Reals) -> NDArray[np.float32]:
    return np.log(values + 0.1).astype(np.float32)


def _log_days(values: Reals) -> NDArray[np.float32]:
    return np.log(np.minimum(values, 400) + 0.3).astype(np.float32)

"""What to show each customer next: a *replenish* list of things bought before, a *discover* list of others.

Candidates come from the customer's own purchases (with their recency and cadence), from matrix
factorisation (`include.models.als`), from what is bought by those who buy what the customer buys, and
from what is popular in the customer's region. Two logistic models over a few dozen numbers each give
the probability that a candidate is bought within the next four weeks: one for repeats, one for things
new to the customer, because repeats are so much likelier that a joint model learns nothing else. Their
probabilities are comparable, so the blended list is an ordinary sort.

Everything is deterministic, sees nothing after its cut-off day, and is stored as plain arrays.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from include.models.als import AlsSettings, PurchaseAls
from include.models.purchases import (
    Bools,
    Catalogue,
    Floats,
    Ints,
    Purchases,
    decayed_matrix,
    rhythm,
)

#: Half-lives of the decayed counts, in days: two weeks, a month, two months, four months.
HALF_LIVES = (14, 28, 56, 112)

#: Recommendations are judged by, and learnt from, what is bought in the four weeks after the cut.
HORIZON_DAYS = 28

#: Sources as they stand in marketing.product_recommendations.
REPEAT, ALS, SIMILAR, POPULAR = "repeat", "als", "similar", "popular"


@dataclass(frozen=True)
class Settings:
    """How lists are made; depths are candidates a customer.

    `trend_weight` is the power to which an item's buyers of the last four weeks, relative to those of
    the last thirteen, count in the discover list beside its ALS score: what is in season comes first.
    """

    als: AlsSettings = field(default_factory=AlsSettings)
    repeat_depth: int = 200
    als_depth: int = 100
    popular_depth: int = 30
    trend_weight: float = 0.2
    ridge: float = 1.0
    list_length: int = 10


@dataclass(frozen=True)
class Candidates:
    """Pairs of a customer (row number) and an item, ordered by customer, then item."""

    customer: Ints
    item: Ints
    features: dict[str, NDArray[np.float32]]

    def matrix(self) -> NDArray[np.float32]:
        """Features as columns, in the order of their names' dictionary."""
        return np.column_stack(list(self.features.values())).astype(np.float32, copy=False)


def best_per_group(group: Ints, score: Floats, tie: Ints, n: int) -> tuple[Ints, Ints]:
    """Positions of the `n` highest scores of each group, best first, and their rank from 0.

    Equal scores are ordered by `tie`, so that the outcome does not depend on the order of rows.
    """
    order = np.lexsort((tie, -score, group))
    sorted_group = group[order]
    fresh = np.r_[True, sorted_group[1:] != sorted_group[:-1]] if len(order) else order
    starts = np.flatnonzero(fresh)
    sizes = np.diff(np.r_[starts, len(order)])
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    keep = rank < n
    return order[keep], rank[keep]


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
    """

    def __init__(
        self, purchases: Purchases, catalogue: Catalogue, cut: int, als: PurchaseAls
    ) -> None:
        self.purchases = purchases.until(cut)
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

    def _rhythm_of(self, code: Ints) -> Any:
        of_row = code[self.purchases.item]
        known = of_row >= 0
        width = int(code.max(initial=-1)) + 1
        keys = self.purchases.customer[known] * width + of_row[known]
        return rhythm(keys, self.purchases.day[known], self.cut, HALF_LIVES)

    def _find(self, of: Any, code: Ints, customer: Ints, item: Ints) -> Ints:
        width = int(code.max(initial=-1)) + 1
        keys = np.where(code[item] >= 0, customer * width + code[item], -1)
        found: Ints = of.find(keys)
        return found

    def _count_items(self) -> None:
        p, n = self.purchases, self.n_items
        age = self.cut - p.day
        key = p.customer * n + p.item

        def buyers(days: int) -> NDArray[np.float32]:
            recent = np.unique(key[age < days])
            return np.bincount(recent % n, minlength=n).astype(np.float32)

        self.buyers = {days: buyers(days) for days in (7, 28, 91)}
        self.buyers_ever = np.bincount(self.pair_item, minlength=n).astype(np.float32)
        days_bought = np.bincount(self.pair_item, weights=self.pairs.days, minlength=n)
        self.days_per_buyer = (days_bought / np.maximum(self.buyers_ever, 1)).astype(np.float32)

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
    def decayed(self) -> sparse.csr_matrix:
        """Decayed purchase counts at the ALS half-life, shape (n_customers, n_items)."""
        return decayed_matrix(self.purchases, self.cut, self.als.settings.half_life_days)

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

    def new_candidates(self, settings: Settings, allowed: Bools, rows: Ints) -> Candidates:
        """What each customer of `rows` has not bought: ALS and popular items, with features."""
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
        keys = keys[self.pairs.find(keys) < 0]
        customer, item = keys // self.n_items, keys % self.n_items
        return Candidates(customer, item, self._new(customer, item, settings.trend_weight))

    def _common(self, customer: Ints, item: Ints) -> dict[str, NDArray[np.float32]]:
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

    def _repeat(self, rows: Ints, customer: Ints, item: Ints) -> dict[str, NDArray[np.float32]]:
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
            "visits_decayed": _log(self.visits_lately[customer]) * logs["decayed_28"],
            "visits_since": _log(self.visits_lately[customer]) * logs["since"],
        } | {f"{name}_squared": values**2 for name, values in logs.items()}
        return {name: np.asarray(values, dtype=np.float32) for name, values in out.items()}

    def _new(
        self, customer: Ints, item: Ints, trend_weight: float
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

    def _trend(self, item: Ints) -> NDArray[np.float32]:
        """Logarithm of an item's buyers of the last four weeks over those of thirteen, a month's."""
        return np.log((3.25 * self.buyers[28][item] + 5) / (self.buyers[91][item] + 5))


def _at(values: Any, at: Ints, default: float) -> NDArray[np.float32]:
    if len(values) == 0:
        return np.full(len(at), default, dtype=np.float32)
    return np.where(at >= 0, np.asarray(values)[np.maximum(at, 0)], default).astype(np.float32)


def _mean_gap(of: Any, at: Ints) -> NDArray[np.float32]:
    """Mean days between purchase days, 60 where there are fewer than two."""
    days = _at(of.days, at, 0)
    span = _at(of.last - of.first, at, 0)
    return np.where(days < 2, 60, span / np.maximum(days - 1, 1)).astype(np.float32)


def _log(values: Floats) -> NDArray[np.float32]:
    return np.log(values + 0.1).astype(np.float32)


def _log_days(values: Floats) -> NDArray[np.float32]:
    return np.log(np.minimum(values, 400) + 0.3).astype(np.float32)


@dataclass(frozen=True)
class LinearRanker:
    """A ridge logistic regression over named features, as plain arrays."""

    names: tuple[str, ...]
    centre: Floats
    scale: Floats
    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, candidates: Candidates, bought: Bools, ridge: float) -> LinearRanker | None:
        """Learn P(bought in the next four weeks); None where the labels hold one class only."""
        from sklearn.linear_model import LogisticRegression

        if bought.all() or not bought.any():
            return None
        x = candidates.matrix()
        centre, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        scale[scale == 0] = 1.0
        # In place and in single precision: these are the largest arrays of a training.
        x -= centre.astype(np.float32)
        x /= scale.astype(np.float32)
        model = LogisticRegression(C=1.0 / ridge, max_iter=500)
        model.fit(x, bought)
        weights = np.asarray(model.coef_[0], dtype=np.float64)
        return cls(tuple(candidates.features), centre, scale, weights, float(model.intercept_[0]))

    def probability(self, candidates: Candidates) -> NDArray[np.float64]:
        """P(bought in the next four weeks) of each candidate."""
        if tuple(candidates.features) != self.names:
            raise ValueError(
                f"Expected the features {', '.join(self.names)}, found "
                f"{', '.join(candidates.features)}: the model was stored by another version, so "
                "train it again."
            )
        if len(candidates.item) == 0:
            return np.empty(0)
        slope = self.weights / self.scale
        z = candidates.matrix() @ slope + (self.intercept - self.centre @ slope)
        return 1.0 / (1.0 + np.exp(-z))


@dataclass(frozen=True)
class Ranked:
    """Lists as arrays: customer row, item, probability, rank from 0; best first per customer."""

    customer: Ints
    item: Ints
    score: Floats
    rank: Ints


class Recommender:
    """ALS and the two rankers of one anchor day.

    Attributes
    ----------
    als_ : PurchaseAls
    repeat_, new_ : LinearRanker or None
        None where history is too short to learn from; then decayed counts and ALS scores rank.
    """

    als_: PurchaseAls
    repeat_: LinearRanker | None
    new_: LinearRanker | None

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    def fit(
        self,
        purchases: Purchases,
        catalogue: Catalogue,
        anchor: int,
        earlier: PurchaseAls | None = None,
    ) -> Recommender:
        """Learn from rows up to `anchor`: rankers on its last four weeks, ALS on everything.

        Parameters
        ----------
        earlier : PurchaseAls, optional
            One fitted with the same settings on rows up to four weeks before the anchor, where it
            is at hand; it is fitted here otherwise.
        """
        known = purchases.until(anchor)
        cut = anchor - HORIZON_DAYS
        self.repeat_ = self.new_ = None
        if len(known.day) and known.day.min() <= cut:
            past = earlier or self.fit_als(known, cut)
            if past is not None:
                self._fit_rankers(Snapshot(known, catalogue, cut, past), known, anchor)
        als = self.fit_als(known, anchor)
        if als is None:
            raise ValueError(
                "Purchases: expected at least one item bought by "
                f"{self.settings.als.min_buyers} customers up to the anchor day, found none; wait "
                "for more orders or choose a later day."
            )
        self.als_ = als
        return self

    def fit_als(self, purchases: Purchases, cut: int) -> PurchaseAls | None:
        """ALS on rows up to `cut`; None where there is too little to learn from."""
        matrix = decayed_matrix(purchases.until(cut), cut, self.settings.als.half_life_days)
        buyers = np.bincount(matrix.indices, minlength=matrix.shape[1])
        if (buyers >= self.settings.als.min_buyers).sum() == 0:
            return None
        return PurchaseAls(self.settings.als).fit(matrix)

    def _fit_rankers(self, past: Snapshot, known: Purchases, anchor: int) -> None:
        everything = np.ones(past.n_items, dtype=bool)
        bought = known.pairs_between(past.cut, anchor)
        repeat = past.repeat_candidates(self.settings.repeat_depth, everything)
        label = np.isin(repeat.customer * past.n_items + repeat.item, bought, kind="sort")
        self.repeat_ = LinearRanker.fit(repeat, label, self.settings.ridge)
        rows = np.unique(past.pair_customer)
        new = past.new_candidates(self.settings, everything, rows)
        label = np.isin(new.customer * past.n_items + new.item, bought, kind="sort")
        self.new_ = LinearRanker.fit(new, label, self.settings.ridge)

    def snapshot(self, purchases: Purchases, catalogue: Catalogue, cut: int) -> Snapshot:
        """Purchases as of `cut`, customers folded in."""
        return Snapshot(purchases, catalogue, cut, self.als_)

    def replenish(self, now: Snapshot, n: int) -> Ranked:
        """The `n` things each customer is likeliest to buy again; eligible items only."""
        found = now.repeat_candidates(self.settings.repeat_depth, now.catalogue.eligible)
        if self.repeat_ is None:
            # A count decayed over four months, as a share that never reaches 1.
            score = 1 - np.exp(-np.exp(found.features["decayed_112"].astype(np.float64)) / 4)
        else:
            score = self.repeat_.probability(found)
        return _ranked(found.customer, found.item, score, n)

    def discover(self, now: Snapshot, n: int, rows: Ints | None = None) -> Ranked:
        """The `n` things new to each customer that suit best; eligible items only."""
        if rows is None:
            rows = np.unique(now.pair_customer)
        found = now.new_candidates(self.settings, now.catalogue.eligible, rows)
        if self.new_ is None:
            score = 1 - np.exp(-np.exp(found.features["score"].astype(np.float64)))
        else:
            score = self.new_.probability(found)
        return _ranked(found.customer, found.item, score, n)

    def blend(self, now: Snapshot, n: int) -> Ranked:
        """The `n` likeliest purchases of each customer, old and new alike."""
        old, new = self.replenish(now, n), self.discover(now, n)
        return _ranked(
            np.r_[old.customer, new.customer],
            np.r_[old.item, new.item],
            np.r_[old.score, new.score],
            n,
        )

    def to_bytes(self, catalogue: Catalogue) -> bytes:
        """Factors and rankers as one npz of plain arrays; equal models give equal bytes."""
        arrays: dict[str, Any] = {
            "als": np.frombuffer(self.als_.to_bytes(catalogue.item_ids), dtype=np.uint8)
        }
        for name, ranker in (("repeat", self.repeat_), ("new", self.new_)):
            if ranker is not None:
                arrays[f"{name}_names"] = np.asarray(ranker.names)
                arrays[f"{name}_centre"] = ranker.centre
                arrays[f"{name}_scale"] = ranker.scale
                arrays[f"{name}_weights"] = ranker.weights
                arrays[f"{name}_intercept"] = np.asarray([ranker.intercept])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(
        cls, data: bytes, catalogue: Catalogue, settings: Settings | None = None
    ) -> Recommender:
        """Load onto today's catalogue; sizes of the lists come from `settings`."""
        model = cls(settings)
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            model.als_ = PurchaseAls.from_bytes(stored["als"].tobytes(), catalogue.item_ids)
            rankers: list[LinearRanker | None] = []
            for name in ("repeat", "new"):
                if f"{name}_names" not in stored:
                    rankers.append(None)
                    continue
                rankers.append(
                    LinearRanker(
                        tuple(str(n) for n in stored[f"{name}_names"]),
                        stored[f"{name}_centre"],
                        stored[f"{name}_scale"],
                        stored[f"{name}_weights"],
                        float(stored[f"{name}_intercept"][0]),
                    )
                )
            model.repeat_, model.new_ = rankers
        return model


def _ranked(customer: Ints, item: Ints, score: Floats, n: int) -> Ranked:
    best, rank = best_per_group(customer, score, item, n)
    return Ranked(customer[best], item[best], score[best], rank)


def lists(
    model: Recommender,
    now: Snapshot,
    customer_ids: NDArray[np.str_],
    regions: Mapping[str, str],
    n: int,
) -> pd.DataFrame:
    """Both lists of every customer, with source and reason.

    Parameters
    ----------
    customer_ids : ndarray of str
        Who gets lists; those without purchases get what is popular in their region.
    regions : mapping of customer id to region

    Returns
    -------
    DataFrame
        customer_id, list, rank (from 1), product_id, score, source, reason. A list is shorter than
        `n` where too little is eligible, never padded.
    """
    known = {str(c): row for row, c in enumerate(now.purchases.customer_ids)}
    wanted = np.asarray([known[c] for c in customer_ids if c in known], dtype=np.int64)
    wanted = wanted[np.isin(wanted, now.pair_customer)]
    again = _only(model.replenish(now, n), wanted)
    fresh = model.discover(now, n, np.sort(wanted))
    ids = now.purchases.customer_ids
    parts = [
        _frame(now, ids[again.customer], "replenish", again, REPEAT, _repeat_reasons(now, again)),
        _frame(now, ids[fresh.customer], "discover", fresh, *_new_reasons(now, fresh)),
    ]
    have = set(ids[wanted].tolist())
    cold = np.asarray([c for c in customer_ids if c not in have], dtype="U")
    parts.append(_popular_lists(now, cold, regions, n))
    out = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return out.sort_values(["customer_id", "list", "rank"], ignore_index=True)


def _only(ranked: Ranked, rows: Ints) -> Ranked:
    keep = np.isin(ranked.customer, rows)
    return Ranked(ranked.customer[keep], ranked.item[keep], ranked.score[keep], ranked.rank[keep])


def _frame(
    now: Snapshot, customers: Any, name: str, ranked: Ranked, source: Any, reason: Any
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": customers,
            "list": name,
            "rank": ranked.rank + 1,
            "product_id": now.catalogue.item_ids[ranked.item],
            "score": np.round(np.asarray(ranked.score, dtype=float), 6),
            "source": source,
            "reason": reason,
        }
    )


def _repeat_reasons(now: Snapshot, ranked: Ranked) -> list[str]:
    at = now.pairs.find(ranked.customer * now.n_items + ranked.item)
    days = now.pairs.days[at]
    since = now.cut - now.pairs.last[at]
    gap = (now.pairs.last - now.pairs.first)[at] / np.maximum(days - 1, 1)
    return [
        f"you buy this about every {_days(round(g))}; last {_ago(s)}"
        if d > 1
        else f"you bought this {_ago(s)}"
        for d, s, g in zip(days.tolist(), since.tolist(), gap.tolist(), strict=True)
    ]


def _days(days: int) -> str:
    return "day" if days <= 1 else f"{days} days"


def _ago(days: int) -> str:
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")


def _new_reasons(now: Snapshot, ranked: Ranked) -> tuple[list[str], list[str]]:
    """Source and reason of things new to the customer: the nearest thing they already buy."""
    anchors = _nearest_bought(now, ranked)
    score = now.als.scores(now.factors, ranked.customer, ranked.item)
    group = now.catalogue.group
    sources, reasons = [], []
    for item, near, value in zip(
        ranked.item.tolist(), anchors.tolist(), score.tolist(), strict=True
    ):
        if near < 0 or value <= 0:
            sources.append(POPULAR)
            reasons.append(f"{int(now.buyers[28][item])} customers bought this in the last 28 days")
        elif group[item] >= 0 and group[item] == group[near]:
            sources.append(SIMILAR)
            reasons.append(f"same kind as {now.catalogue.names[near]}, which you buy")
        else:
            sources.append(ALS)
            reasons.append(f"often bought by customers who also buy {now.catalogue.names[near]}")
    return sources, reasons


def _nearest_bought(now: Snapshot, ranked: Ranked, depth: int = 30) -> Ints:
    """For each pair, which of the customer's `depth` strongest items lies nearest; -1 without any."""
    strength = now.pairs.decayed[112]
    best, rank = best_per_group(now.pair_customer, strength, now.pair_item, depth)
    own = np.full((now.purchases.n_customers, depth), -1, dtype=np.int64)
    own[now.pair_customer[best], rank] = now.pair_item[best]
    norm = np.linalg.norm(now.als.item_factors_, axis=1)
    unit = now.als.item_factors_ / np.where(norm > 0, norm, 1)[:, None]
    out = np.full(len(ranked.item), -1, dtype=np.int64)
    step = 4096  # bounds memory: step x depth x factors float32
    for start in range(0, len(out), step):
        part = slice(start, start + step)
        mine = own[ranked.customer[part]]
        likeness = np.einsum("kdf,kf->kd", unit[mine], unit[ranked.item[part]])
        likeness[(mine < 0) | (norm[mine] == 0)] = -np.inf
        nearest = likeness.argmax(axis=1)
        found = np.isfinite(likeness[np.arange(len(mine)), nearest])
        out[part] = np.where(found, mine[np.arange(len(mine)), nearest], -1)
    return out


def _popular_lists(
    now: Snapshot, cold: NDArray[np.str_], regions: Mapping[str, str], n: int
) -> pd.DataFrame:
    """What most customers of the region bought in the last 28 days, for customers without purchases."""
    inside = now.purchases.day > now.cut - HORIZON_DAYS
    keys = np.unique(now.purchases.customer[inside] * now.n_items + now.purchases.item[inside])
    customer, item = keys // now.n_items, keys % now.n_items
    where = np.asarray([regions.get(str(c), "") for c in now.purchases.customer_ids], dtype="U")
    parts = []
    wanted = pd.Series([regions.get(str(c), "") for c in cold], dtype="str")
    for region in sorted(set(wanted)):
        here = where[customer] == region if region else np.ones(len(customer), dtype=bool)
        if not here.any():
            here, place = np.ones(len(customer), dtype=bool), ""
        else:
            place = region
        buyers = np.bincount(item[here], minlength=now.n_items)
        live = max(len(np.unique(customer[here])), 1)
        buyers[~now.catalogue.eligible] = 0
        top = np.lexsort((np.arange(now.n_items), -buyers))[:n]
        top = top[buyers[top] > 0]
        members = cold[(wanted == region).to_numpy()]
        shown = f"popular in region {place}" if place else "popular in the shop"
        parts.append(
            pd.DataFrame(
                {
                    "customer_id": np.repeat(members, len(top)),
                    "list": "discover",
                    "rank": np.tile(np.arange(1, len(top) + 1), len(members)),
                    "product_id": np.tile(now.catalogue.item_ids[top], len(members)),
                    "score": np.tile(np.round(buyers[top] / live, 6), len(members)),
                    "source": POPULAR,
                    "reason": [
                        f"{shown}: bought by {b} customers in the last 28 days"
                        for _ in members
                        for b in buyers[top].tolist()
                    ],
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def weights(ranker: LinearRanker | None) -> dict[str, float]:
    """A ranker's weights by feature, on standardised features, for people to read."""
    if ranker is None:
        return {}
    return {name: round(float(w), 4) for name, w in zip(ranker.names, ranker.weights, strict=True)}

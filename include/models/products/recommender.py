"""What each customer will buy next: things bought before (*replenish*), and others (*discover*).

Candidates come from the customer's own purchases (with their recency and cadence), from matrix
factorisation (`include.models.products.als`), and from what most customers buy. Two logistic models over a
few dozen numbers each give the probability that a candidate is bought within the next four weeks: one for
repeats, one for things new to the customer, because repeats are so much likelier that a joint model
learns nothing else. Their probabilities are comparable, so the blended list is an ordinary sort.

What may be shown of it, and in which order, is decided afterwards (`include.models.lists.build`). Everything
is deterministic, sees nothing after its cut-off day, and is stored as plain arrays.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from include.features.arrays import Integers, Reals
from include.features.purchases import Catalogue, Purchases
from include.features.signals import Signals
from include.models.products import select
from include.models.products.als import PurchaseAls, confidence
from include.models.products.pool import Pool
from include.models.products.rankers import LinearRanker
from include.models.products.snapshot import (
    HORIZON_DAYS,
    Candidates,
    Settings,
    Snapshot,
)
from include.models.products.toplists import Ranked, ranked

__all__ = ["HORIZON_DAYS", "Ranked", "Recommender", "Settings", "Snapshot"]


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
        signals: Signals | None = None,
        earlier: PurchaseAls | None = None,
    ) -> Recommender:
        """Learn from rows up to `anchor`: rankers on its last four weeks, ALS on everything.

        Parameters
        ----------
        signals : Signals, optional
            What customers did beside buying.
        earlier : PurchaseAls, optional
            One fitted with the same settings on rows up to four weeks before the anchor, where it
            is at hand; it is fitted here otherwise.
        """
        known = purchases.until(anchor)
        cut = anchor - HORIZON_DAYS
        self.repeat_ = self.new_ = None
        if len(known.day) and known.day.min() <= cut:
            past = earlier or self.fit_als(known, cut, signals)
            if past is not None:
                self._fit_rankers(Snapshot(known, catalogue, cut, past, signals), known, anchor)
        als = self.fit_als(known, anchor, signals)
        if als is None:
            raise ValueError(
                "Purchases: expected at least one item bought by "
                f"{self.settings.als.min_buyers} customers up to the anchor day, found none; wait "
                "for more orders or choose a later day."
            )
        self.als_ = als
        return self

    def fit_als(
        self, purchases: Purchases, cut: int, signals: Signals | None = None
    ) -> PurchaseAls | None:
        """ALS on rows up to `cut`; None where there is too little to learn from."""
        matrix = confidence(purchases, signals or Signals.none(), cut, self.settings.als)
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

    def snapshot(
        self,
        purchases: Purchases,
        catalogue: Catalogue,
        cut: int,
        signals: Signals | None = None,
    ) -> Snapshot:
        """Purchases as of `cut`, customers folded in: also those who came after the training."""
        return Snapshot(purchases, catalogue, cut, self.als_, signals)

    def score_repeats(self, found: Candidates) -> Reals:
        """P(bought again in the next four weeks) of candidates that were bought before."""
        if self.repeat_ is None:
            # A count decayed over four months, as a share that never reaches 1.
            return 1 - np.exp(-np.exp(found.features["decayed_112"].astype(np.float64)) / 4)
        return self.repeat_.probability(found)

    def score_new(self, found: Candidates) -> Reals:
        """P(bought in the next four weeks) of candidates that are new to their customers."""
        if self.new_ is None:
            return 1 - np.exp(-np.exp(found.features["score"].astype(np.float64)))
        return self.new_.probability(found)

    def replenish(self, now: Snapshot, n: int) -> Ranked:
        """The `n` things each customer is likeliest to buy again; eligible items only."""
        found = now.repeat_candidates(self.settings.repeat_depth, now.catalogue.eligible)
        return ranked(found.customer, found.item, self.score_repeats(found), n)

    def discover(self, now: Snapshot, n: int, rows: Integers | None = None) -> Ranked:
        """The `n` things new to each customer that suit best; eligible items only."""
        if rows is None:
            rows = np.unique(now.pair_customer)
        found = now.new_candidates(self.settings, now.catalogue.eligible, rows)
        return ranked(found.customer, found.item, self.score_new(found), n)

    def blend(self, now: Snapshot, n: int) -> Ranked:
        """The `n` likeliest purchases of each customer, old and new alike."""
        old, new = self.replenish(now, n), self.discover(now, n)
        return ranked(
            np.r_[old.customer, new.customer],
            np.r_[old.item, new.item],
            np.r_[old.score, new.score],
            n,
        )

    def varied(self, now: Snapshot, n: int, variety: float, depth: int = 60) -> Ranked:
        """The blend with the policy's dial: the `depth` likeliest purchases, not all of one kind."""
        if variety <= 0:
            return self.blend(now, n)
        first = self.blend(now, depth)
        order = np.lexsort((first.item, first.customer))
        pool = Pool(
            "blend",
            first.customer[order],
            first.item[order],
            first.score[order],
            np.full(len(order), -1),
        )
        shown, rank = select.select(pool, now, n, variety, [])
        return select.as_ranked(pool, shown, rank)

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

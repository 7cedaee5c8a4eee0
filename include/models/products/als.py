"""Implicit-feedback matrix factorisation of purchases, with recency decay and log counts.

Follows Hu, Koren and Volinsky (2008), *Collaborative Filtering for Implicit Feedback Datasets*:
every purchased pair has preference 1 and a confidence, every other pair preference 0 and
confidence 1. The confidence of a pair is ``alpha * log(1 + sum of 0.5 ** (age / half_life))`` over
the days on which the customer bought the item. On weekly grocery baskets small confidences with a
strong ridge beat the textbook ``alpha`` of 15 to 40 by a wide margin, hence the defaults.

The factorisation itself is `implicit`'s. What is guarded here are its traps: it takes negative
weights and an empty matrix in silence, and its own ``recommend`` pads short lists with items that
were to be left out.

A browsed, carted, followed or wished-for product and a good review are weaker evidence than a purchase.
How much weaker is declared (`AlsSettings.browse` and its neighbours): a weight of 0.2 says that five such
events of today count like one purchase of today.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.features.arrays import Bools, Integers, Reals
from include.features.purchases import Purchases
from include.features.signals import KINDS, Signals


@dataclass(frozen=True)
class AlsSettings:
    """How to fit: sizes and weights, all with the values that won on earlier periods.

    `quantity` and the weights of events and reviews say how much each adds to the confidence of a
    pair beside a purchase (`include.features.signals`); 0 leaves it out.
    """

    factors: int = 64
    regularization: float = 15.0
    alpha: float = 1.0
    iterations: int = 12
    half_life_days: float = 112.0
    min_buyers: int = 3
    seed: int = 20170101
    quantity: float = 0.0
    browse: float = 0.0
    cart: float = 0.0
    follow: float = 0.0
    wishlist: float = 0.0
    review: float = 0.0


def confidence(
    purchases: Purchases, signals: Signals, cut: int, settings: AlsSettings
) -> sparse.csr_matrix:
    """Decayed weight of each pair as of `cut`, shape (n_customers, n_items).

    Each purchase day counts ``1 + quantity * log2(pieces)``, each signal its declared weight times its
    strength, both halved every `half_life_days`.
    """

    def decay(days: NDArray[np.int32]) -> Reals:
        halved: Reals = (0.5 ** ((cut - days) / settings.half_life_days)).astype(np.float32)
        return halved

    bought = purchases.until(cut)
    weight = decay(bought.day)
    if settings.quantity:
        weight = weight * (1 + settings.quantity * np.log2(np.maximum(bought.quantity, 1)))
    declared = np.asarray([*(getattr(settings, kind) for kind in KINDS), 0.0])
    seen = signals.until(cut)
    seen = seen.where(declared[seen.kind] * seen.strength > 0)
    beside = declared[seen.kind] * seen.strength * decay(seen.day)
    matrix = sparse.csr_matrix(
        (
            np.concatenate([weight, beside]).astype(np.float32),
            (np.r_[bought.customer, seen.customer], np.r_[bought.item, seen.item]),
        ),
        shape=(purchases.n_customers, purchases.n_items),
    )
    matrix.sum_duplicates()
    return matrix


def check_weights(matrix: sparse.spmatrix | sparse.sparray, what: str) -> sparse.csr_matrix:
    """Return `matrix` as a clean CSR matrix of float32, or raise ValueError saying what is wrong.

    Explicit zeros are dropped and duplicates summed. NaN, infinite and negative weights are
    refused: implicit would take a negative weight as a strong dislike without a word.
    """
    clean = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    clean.sum_duplicates()
    bad = ~np.isfinite(clean.data)
    if bad.any():
        raise ValueError(
            f"{what}: expected finite weights, found {int(bad.sum())} that are NaN or infinite; "
            "correct or quarantine those rows first."
        )
    negative = clean.data < 0
    if negative.any():
        raise ValueError(
            f"{what}: expected weights of 0 or more, found {int(negative.sum())} negative ones; "
            "leave returns out or net them against their purchases first."
        )
    clean.eliminate_zeros()
    return clean


class PurchaseAls:
    """Item factors learnt from purchases; customers are folded in and never stored.

    Parameters
    ----------
    settings : AlsSettings
        Sizes, weights and the seed. The same settings and matrix give the same bytes.

    Attributes
    ----------
    item_factors_ : ndarray of shape (n_items, factors), float32
        Zero rows for items with fewer than ``settings.min_buyers`` customers: too few to learn
        from, so they are never recommended from here.
    known_ : ndarray of shape (n_items,), bool
        Items with learnt factors.
    """

    item_factors_: NDArray[np.float32]
    known_: Bools

    def __init__(self, settings: AlsSettings | None = None) -> None:
        self.settings = settings or AlsSettings()

    def fit(self, decayed: sparse.spmatrix | sparse.sparray) -> PurchaseAls:
        """Learn item factors from decayed purchase counts, shape (n_customers, n_items).

        Raises
        ------
        ValueError
            When a weight is NaN, infinite or negative, or when no purchase is left at all.
        """
        from implicit.cpu.als import AlternatingLeastSquares

        counts = check_weights(decayed, "Purchase counts")
        buyers = np.bincount(counts.indices, minlength=counts.shape[1])
        self.known_ = buyers >= self.settings.min_buyers
        kept = counts[:, self.known_]
        # Without those who bought nothing of it: their number would move the random start.
        kept = kept[np.diff(kept.indptr) > 0]
        kept.data = np.log1p(kept.data)
        if kept.nnz == 0:
            raise ValueError(
                f"Purchase counts: expected at least one item with {self.settings.min_buyers} "
                f"buyers, found none among {counts.nnz} purchases; wait for more orders or lower "
                "min_buyers."
            )
        model = AlternatingLeastSquares(
            factors=self.settings.factors,
            regularization=self.settings.regularization,
            alpha=self.settings.alpha,
            iterations=self.settings.iterations,
            random_state=self.settings.seed,
        )
        model.fit(kept, show_progress=False)
        self.item_factors_ = np.zeros((counts.shape[1], self.settings.factors), dtype=np.float32)
        self.item_factors_[self.known_] = model.item_factors
        return self

    def fold_in(self, decayed: sparse.spmatrix | sparse.sparray) -> NDArray[np.float32]:
        """Customer factors for decayed counts of shape (n_customers, n_items), by one exact solve.

        A customer without purchases of known items gets zeros, and so a score of 0 everywhere.
        """
        from implicit.cpu.als import AlternatingLeastSquares

        counts = check_weights(decayed, "Purchase counts")
        if counts.shape[1] != self.item_factors_.shape[0]:
            raise ValueError(
                f"Purchase counts: expected {self.item_factors_.shape[0]} items as at training, "
                f"found {counts.shape[1]}; code customers' purchases with the model's items."
            )
        kept = counts[:, self.known_]
        kept.data = np.log1p(kept.data)
        solver = AlternatingLeastSquares(
            factors=self.settings.factors,
            regularization=self.settings.regularization,
            alpha=self.settings.alpha,
        )
        solver.item_factors = np.ascontiguousarray(self.item_factors_[self.known_])
        factors = solver.recalculate_user(np.arange(kept.shape[0]), kept)
        return np.nan_to_num(np.asarray(factors, dtype=np.float32))

    def filled(self, items: Integers, factors: Reals) -> PurchaseAls:
        """The same model with factors for `items` too few customers have bought to learn them."""
        out = PurchaseAls(self.settings)
        out.known_ = self.known_
        out.item_factors_ = self.item_factors_.copy()
        out.item_factors_[items] = factors
        return out

    def scores(self, customers: Reals, rows: Integers, items: Integers) -> NDArray[np.float32]:
        """Score of each pair (customers[rows[k]], items[k]); shape (n_pairs,)."""
        out = np.empty(len(rows), dtype=np.float32)
        step = 1 << 17  # bounds memory: two gathered blocks of step x factors float32
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            out[part] = np.einsum(
                "ij,ij->i", customers[rows[part]], self.item_factors_[items[part]]
            )
        return out

    def top_items(
        self, customers: Reals, excluded: sparse.csr_matrix, n: int, allowed: Bools
    ) -> tuple[Integers, Integers, Reals]:
        """The `n` best allowed items of each customer that are not in `excluded`.

        Parameters
        ----------
        customers : ndarray of shape (n_customers, factors)
        excluded : csr_matrix of shape (n_customers, n_items); any stored entry is left out
        n : items a customer at most; fewer where fewer are left, never padded
        allowed : ndarray of shape (n_items,), bool

        Returns
        -------
        rows, items, scores : arrays of one length, ordered by customer, then best first
        """
        from implicit.cpu.topk import topk

        allowed_items = np.flatnonzero(allowed & self.known_)
        if len(allowed_items) == 0 or n <= 0 or len(customers) == 0:
            empty = np.empty(0, dtype=np.int64)
            return empty, empty, np.empty(0, dtype=np.float32)
        n = min(n, len(allowed_items))
        left_out = sparse.csr_matrix(excluded[:, allowed_items])
        best, scores = topk(
            np.ascontiguousarray(self.item_factors_[allowed_items]),
            np.ascontiguousarray(customers, dtype=np.float32),
            n,
            filter_query_items=left_out,
        )
        rows = np.repeat(np.arange(len(customers)), n)
        best, scores = best.ravel(), scores.ravel()
        # implicit fills the list of a customer with too few items left with excluded ones, scored
        # at the lowest float: those, and customers without any signal (all zero), go.
        keep = (scores > np.finfo(np.float32).min / 2) & (np.abs(scores) > 0)
        return rows[keep], allowed_items[best[keep]], scores[keep]

    def to_bytes(self, item_ids: NDArray[np.str_]) -> bytes:
        """Everything needed to score, as an npz of plain arrays; equal models give equal bytes."""
        buffer = io.BytesIO()
        kept = np.flatnonzero(self.known_)
        names = list(asdict(self.settings))
        np.savez_compressed(
            buffer,
            item_ids=np.asarray(item_ids)[kept].astype("U"),
            item_factors=self.item_factors_[kept],
            setting_names=np.asarray(names),
            setting_values=np.asarray([float(getattr(self.settings, n)) for n in names]),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, item_ids: NDArray[np.str_]) -> PurchaseAls:
        """Load factors onto the items of today's catalogue; items unknown at training get zeros."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            values = dict(zip(stored["setting_names"], stored["setting_values"], strict=True))
            # A setting that came later than the stored model has the value it had without a name.
            kept: dict[str, Any] = {
                field.name: (int if field.type == "int" else float)(values[field.name])
                for field in fields(AlsSettings)
                if field.name in values
            }
            settings = AlsSettings(**kept)
            model = cls(settings)
            position = {item: row for row, item in enumerate(stored["item_ids"])}
            rows = np.asarray([position.get(str(i), -1) for i in item_ids], dtype=np.int64)
            model.known_ = rows >= 0
            model.item_factors_ = np.zeros((len(item_ids), settings.factors), dtype=np.float32)
            model.item_factors_[model.known_] = stored["item_factors"][rows[model.known_]]
        return model

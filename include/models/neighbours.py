"""Ratings predicted from the k nearest customers, over fitted baselines.

``r(u, i) = b(u, i) + sum of s(u, v) * (r(v, i) - b(v, i)) / (sum of s(u, v) + damping)``, the sums over
the k most similar customers v who rated product i, ``b(u, i) = mean + b(u) + b(i)`` (Koren, 2010,
*Factor in the Neighbors*). Similarity is the correlation of two customers' deviations from the baseline
over the products that both rated, shrunk by how many those are: ``(n - 1) / (n - 1 + shrinkage)``.
Only positive similarities count. The damping pulls a prediction with few or distant neighbours back
toward the baseline; without it five neighbours do worse than no neighbours at all.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from include.features.arrays import Floats, Ints

#: Similarities held at once, in numbers: customers are worked through in blocks of this many cells.
BLOCK_CELLS = 8_000_000


class RatingNeighbours:
    """Predict ratings from the k nearest customers.

    Parameters
    ----------
    k : int
        Neighbours that count for one prediction, at most.
    shrinkage : float
        Common ratings, less one, at which a similarity counts half.
    damping : float
        Similarity that the baseline brings into each weighted mean.
    customer_ridge, product_ridge : float
        Ratings' worth of pull toward zero on each customer's and product's deviation.
    rounds : int
        Alternations of fitting product and customer deviations.

    Attributes
    ----------
    mean_ : float
    customer_deviation_, product_deviation_ : ndarray, one entry a customer or product seen in `fit`
    scale_ : tuple of the lowest and the highest rating seen; predictions stay inside it
    """

    mean_: float
    customer_deviation_: Floats
    product_deviation_: Floats
    scale_: tuple[float, float]

    def __init__(
        self,
        k: int = 5,
        *,
        shrinkage: float = 100.0,
        damping: float = 0.3,
        customer_ridge: float = 6.0,
        product_ridge: float = 4.0,
        rounds: int = 20,
    ) -> None:
        self.k = k
        self.shrinkage = shrinkage
        self.damping = damping
        self.customer_ridge = customer_ridge
        self.product_ridge = product_ridge
        self.rounds = rounds

    def fit(
        self,
        customers: Sequence[Hashable] | ArrayLike,
        products: Sequence[Hashable] | ArrayLike,
        ratings: Sequence[float] | ArrayLike,
    ) -> RatingNeighbours:
        """Learn from three sequences of one length, one entry a rating.

        A pair rated more than once counts once, with its mean rating.

        Raises
        ------
        ValueError
            When k is below 1, the lengths differ, nothing is given, or a rating is no finite number.
        """
        if self.k < 1:
            raise ValueError(f"Expected k of 1 or more, found {self.k}; 5 is the usual number.")
        rating = np.asarray(ratings, dtype=np.float64)
        self._customers, customer = _codes(customers)
        self._products, product = _codes(products)
        if not len(customer) == len(product) == len(rating):
            raise ValueError(
                f"Expected as many customers, products and ratings, found {len(customer)}, "
                f"{len(product)} and {len(rating)}; give one entry of each a rating."
            )
        if len(rating) == 0:
            raise ValueError("Expected at least one rating, found none; wait for the first review.")
        bad = int((~np.isfinite(rating)).sum())
        if bad:
            raise ValueError(
                f"Expected finite ratings, found {bad} that are NaN or infinite; leave unrated pairs "
                "out instead of giving them a rating."
            )
        self.scale_ = (float(rating.min()), float(rating.max()))
        shape = (len(self._customers), len(self._products))
        count = sparse.csr_matrix((np.ones(len(rating)), (customer, product)), shape=shape)
        total = sparse.csr_matrix((rating, (customer, product)), shape=shape)
        # CSR construction sums repeats, in the same order for both.
        customer = np.repeat(np.arange(shape[0]), np.diff(count.indptr))
        product = count.indices.astype(np.int64)
        rating = total.data / count.data
        self._fit_baselines(customer, product, rating)
        deviation = rating - self._baseline(customer, product)
        self._deviation = sparse.csr_matrix((deviation, (customer, product)), shape=shape)
        self._rated = sparse.csr_matrix((np.ones(len(rating)), (customer, product)), shape=shape)
        self._squared = self._deviation.multiply(self._deviation).tocsr()
        self._by_product = self._deviation.tocsc()
        self._by_product.sort_indices()
        return self

    def _fit_baselines(self, customer: Ints, product: Ints, rating: Floats) -> None:
        n_customers, n_products = len(self._customers), len(self._products)
        of_customer = np.bincount(customer, minlength=n_customers) + self.customer_ridge
        of_product = np.bincount(product, minlength=n_products) + self.product_ridge
        self.mean_ = float(rating.mean())
        b_customer, b_product = np.zeros(n_customers), np.zeros(n_products)
        for _ in range(self.rounds):
            rest = rating - self.mean_ - b_customer[customer]
            b_product = np.bincount(product, weights=rest, minlength=n_products) / of_product
            rest = rating - self.mean_ - b_product[product]
            b_customer = np.bincount(customer, weights=rest, minlength=n_customers) / of_customer
        self.customer_deviation_, self.product_deviation_ = b_customer, b_product

    def _baseline(self, customer: Ints, product: Ints) -> Floats:
        """Mean plus the deviations of what is known; a code of -1 is unknown and adds nothing."""
        of_customer = np.where(customer >= 0, self.customer_deviation_[customer], 0.0)
        of_product = np.where(product >= 0, self.product_deviation_[product], 0.0)
        return self.mean_ + of_customer + of_product

    def similarity(self, rows: Ints) -> Floats:
        """Similarity of the customers `rows` to every customer, shape (len(rows), n_customers).

        Negative ones, and one's own, are 0.
        """
        with_all = self._deviation.T.tocsc()
        common = (self._rated[rows] @ self._rated.T).toarray()
        product = (self._deviation[rows] @ with_all).toarray()
        norm = (self._squared[rows] @ self._rated.T).toarray()
        norm *= (self._rated[rows] @ self._squared.T).toarray()
        np.sqrt(norm, out=norm)
        out = np.divide(product, norm, out=np.zeros_like(product), where=norm > 0)
        support = np.maximum(common - 1, 0)
        # Zero without two products in common, whatever the shrinkage.
        out *= np.divide(
            support, support + self.shrinkage, out=np.zeros_like(support), where=support > 0
        )
        out[np.arange(len(rows)), rows] = 0
        return np.maximum(out, 0, out=out)

    def predict(
        self, customers: Sequence[Hashable] | ArrayLike, products: Sequence[Hashable] | ArrayLike
    ) -> Floats:
        """Predicted ratings of pairs, shape (n_pairs,), inside the rating scale.

        A customer or product without ratings gets the baseline of what is known: the mean, moved by
        the deviation of the one that is known.
        """
        self._check_fitted()
        customer = _find(self._customers, customers)
        product = _find(self._products, products)
        if len(customer) != len(product):
            raise ValueError(
                f"Expected as many customers as products, found {len(customer)} and {len(product)}; "
                "give one of each a pair."
            )
        return np.clip(self._predict(customer, product), *self.scale_)

    def _predict(self, customer: Ints, product: Ints) -> Floats:
        """Predictions before they are cut to the scale: what lists are ordered by."""
        out = self._baseline(customer, product)
        known = np.flatnonzero((customer >= 0) & (product >= 0))
        targets = np.unique(customer[known])
        height = max(1, BLOCK_CELLS // max(len(self._customers), 1))
        for start in range(0, len(targets), height):
            rows = targets[start : start + height]
            inside = known[(customer[known] >= rows[0]) & (customer[known] <= rows[-1])]
            at = np.searchsorted(rows, customer[inside])
            out[inside] += self._moved(self.similarity(rows), at, product[inside])
        return out

    def _moved(self, similarity: Floats, at: Ints, product: Ints) -> Floats:
        """How far neighbours move each pair (row `at` of `similarity`, product) off its baseline."""
        out = np.zeros(len(at))
        order = np.argsort(product, kind="stable")
        ends = np.flatnonzero(np.diff(product[order], append=-1)) + 1
        start = 0
        for end in ends.tolist():
            pairs = order[start:end]
            start = end
            column = slice(*self._by_product.indptr[product[pairs[0]] : product[pairs[0]] + 2])
            raters = self._by_product.indices[column]
            weight = similarity[at[pairs][:, None], raters[None, :]]
            # Stable: of equally similar customers, the one that comes first counts.
            nearest = np.argsort(-weight, axis=1, kind="stable")[:, : self.k]
            weight = np.take_along_axis(weight, nearest, axis=1)
            total = weight.sum(axis=1)
            moved = (weight * self._by_product.data[column][nearest]).sum(axis=1)
            out[pairs] = np.divide(
                moved, total + self.damping, out=np.zeros(len(pairs)), where=total > 0
            )
        return out

    def recommend(self, customer: Hashable, n: int = 10) -> list[tuple[Any, float]]:
        """The `n` products with the highest prediction that the customer has not rated, best first.

        Equal predictions are ordered by product. A customer without ratings gets the products with
        the best baseline. The list is shorter where fewer products are left.
        """
        self._check_fitted()
        row = int(_find(self._customers, [customer])[0])
        left = np.arange(len(self._products))
        if row >= 0:
            left = np.setdiff1d(left, self._rated[row].indices)
        rating = self._predict(np.full(len(left), row), left)
        order = np.argsort(-rating, kind="stable")[: max(n, 0)]
        shown = np.clip(rating, *self.scale_)
        return [(self._products[left[p]], float(shown[p])) for p in order]

    def _check_fitted(self) -> None:
        if not hasattr(self, "mean_"):
            raise ValueError("Expected a fitted model, found none; call fit first.")


def _codes(labels: Any) -> tuple[list[Any], Ints]:
    """Distinct labels in order, and the position of each given label among them."""
    values = _as_list(labels)
    distinct = sorted(set(values), key=_natural)
    position = {label: code for code, label in enumerate(distinct)}
    return distinct, np.fromiter((position[v] for v in values), dtype=np.int64, count=len(values))


def _find(distinct: list[Any], labels: Any) -> Ints:
    position = {label: code for code, label in enumerate(distinct)}
    values = _as_list(labels)
    return np.fromiter((position.get(v, -1) for v in values), dtype=np.int64, count=len(values))


def _as_list(labels: Any) -> list[Any]:
    """Labels as plain Python values, from a list, an array or a pandas column."""
    return labels.tolist() if hasattr(labels, "tolist") else list(labels)


def _natural(label: Any) -> tuple[int, float, str]:
    """Numbers by size, also when written as text, before other text."""
    try:
        number = float(label)
    except (TypeError, ValueError):
        return 1, 0.0, str(label)
    return (0, number, str(label)) if math.isfinite(number) else (1, 0.0, str(label))


def run_case(path: str | Path, out: IO[str], k: int = 5) -> None:
    """The worked case: from ratings as CSV to one predicted rating for each unrated pair, as CSV.

    Both have the header `customer,product,rating`. A row with an empty rating only names a customer
    or product. Rows are ordered by customer, best first, so that the first of each are what to
    recommend.

    Raises
    ------
    ValueError
        When the header differs, a rating is no number, or no rating is left.
    """
    with open(path, newline="", encoding="utf-8-sig") as source:
        reader = csv.DictReader(source)
        expected = ["customer", "product", "rating"]
        found = [name.strip() for name in reader.fieldnames or []]
        if found[:3] != expected:
            raise ValueError(
                f"Expected the header {','.join(expected)} in {path}, found {','.join(found) or 'none'}."
            )
        reader.fieldnames = found
        rows = [
            _line(line, *((row[name] or "").strip() for name in expected), path=path)
            for line, row in enumerate(reader, start=2)
        ]
    rated = [(c, p, r) for c, p, r in rows if r is not None]
    model = RatingNeighbours(k).fit(
        [c for c, _, _ in rated], [p for _, p, _ in rated], [r for _, _, r in rated]
    )
    customers = sorted({c for c, _, _ in rows if c}, key=_natural)
    products = sorted({p for _, p, _ in rows if p}, key=_natural)
    done = {(c, p) for c, p, _ in rated}
    pairs = [(c, p) for c in customers for p in products if (c, p) not in done]
    predicted = model.predict([c for c, _ in pairs], [p for _, p in pairs])
    best = sorted(
        zip(pairs, predicted.tolist(), strict=True),
        key=lambda line: (_natural(line[0][0]), -line[1], _natural(line[0][1])),
    )
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(expected)
    writer.writerows((c, p, f"{rating:.4f}") for (c, p), rating in best)


def _line(
    number: int, customer: str, product: str, rating: str, *, path: str | Path
) -> tuple[str, str, float | None]:
    """One row of the file; None where the rating is empty."""
    if not rating:
        return customer, product, None
    try:
        return customer, product, float(rating)
    except ValueError:
        raise ValueError(
            f"Expected a number as rating in line {number} of {path}, found '{rating}'; correct it or "
            "leave it empty."
        ) from None

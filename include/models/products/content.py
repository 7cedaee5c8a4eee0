"""Products that are alike by what they are: category, brand, type and words, weighted by TF-IDF.

It places what nobody has bought yet: a new product gets the factors of the products that it resembles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.features.arrays import Integers, Reals
from include.features.purchases import Catalogue
from include.models.products.als import PurchaseAls

#: Similarity that stands for "nothing in particular" in the mean: few or distant likenesses stay small.
DAMPING = 1.0

#: Rows compared at once; bounds memory where many products share words.
_STEP = 512


class Content:
    """TF-IDF vectors of a catalogue's items, of length 1; shape (n_items, n_terms)."""

    vectors: sparse.csr_matrix

    def __init__(self, catalogue: Catalogue) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        def codes(name: str, code: Integers) -> NDArray[np.object_]:
            known = np.asarray([f" {name}{c}" for c in code.tolist()], dtype=object)
            known[code < 0] = ""
            return known

        texts = (
            catalogue.text
            + codes("typecode", catalogue.group)
            + codes("categorycode", catalogue.family)
            + codes("makercode", catalogue.maker)
        )
        if not any(str(text).strip() for text in texts):
            self.vectors = sparse.csr_matrix((len(texts), 1), dtype=np.float32)
            return
        vectorizer = TfidfVectorizer(sublinear_tf=True, dtype=np.float32, strip_accents="unicode")
        self.vectors = sparse.csr_matrix(vectorizer.fit_transform(texts.tolist()))

    def similarity(self, left: Integers, right: Integers) -> Reals:
        """Cosine of each pair of items, from 0 to 1; shape (n_pairs,)."""
        out = np.empty(len(left), dtype=np.float32)
        for start in range(0, len(left), 1 << 15):
            part = slice(start, start + (1 << 15))
            product = self.vectors[left[part]].multiply(self.vectors[right[part]])
            out[part] = np.asarray(product.sum(axis=1)).ravel()
        return out

    def nearest(self, items: Integers, among: Integers, k: int) -> tuple[Integers, Reals]:
        """The `k` items of `among` most like each of `items`, best first, shapes (len(items), k).

        Equal ones in the order of `among`; where fewer are alike at all, similarity 0 fills up.
        """
        k = min(k, len(among))
        found = np.zeros((len(items), k), dtype=np.int64)
        likeness = np.zeros((len(items), k), dtype=np.float32)
        table = self.vectors[among].T.tocsc()
        for start in range(0, len(items), _STEP):
            part = slice(start, start + _STEP)
            close = (self.vectors[items[part]] @ table).toarray()
            # Of a few dozen among thousands: parted first, and only those are sorted.
            near = np.sort(np.argpartition(-close, k - 1, axis=1)[:, :k], axis=1)
            order = np.argsort(-np.take_along_axis(close, near, axis=1), axis=1, kind="stable")
            best = np.take_along_axis(near, order, axis=1)
            found[part] = among[best]
            likeness[part] = np.take_along_axis(close, best, axis=1)
        return found, likeness


def with_new(
    als: PurchaseAls, content: Content, items: Integers, k: int = 20
) -> tuple[PurchaseAls, Integers]:
    """The model with factors for new `items`, and of each the learnt item that it is most like (or -1).

    Factors are the mean of those of the `k` most similar items that were learnt, weighted by
    similarity and pulled toward nothing where little is similar.
    """
    learnt = np.flatnonzero(als.known_)
    if len(items) == 0 or len(learnt) == 0:
        return als, np.full(len(items), -1, dtype=np.int64)
    near, likeness = content.nearest(items, learnt, k)
    weight = likeness / (likeness.sum(axis=1, keepdims=True) + DAMPING)
    factors = np.einsum("ik,ikf->if", weight, als.item_factors_[near])
    return als.filled(items, factors), np.where(likeness[:, 0] > 0, near[:, 0], -1)

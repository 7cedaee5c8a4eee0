"""What customers did beside buying: browsed, carted, followed or wished for, reviewed, sent back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.features.arrays import Bools, Integers, Reals
from include.features.purchases import Catalogue, Purchases, day_number

#: Kinds of signal that speak for a product, in the order of their codes; each is a weight of `AlsSettings`.
KINDS = ("browse", "cart", "follow", "wishlist", "review")

#: What speaks against it comes after them.
RETURN = len(KINDS)

#: A rating of this or less says nothing for a product; 5 counts as a whole review.
NEUTRAL_RATING = 2


@dataclass(frozen=True)
class Signals:
    """One row an event, review or return; codes of customer and item as in the purchases beside."""

    customer: Integers
    item: Integers
    day: NDArray[np.int32]
    kind: Integers  # position in KINDS, or RETURN
    rating: Reals  # NaN but for reviews

    @classmethod
    def none(cls) -> Signals:
        """A shop where nothing but purchases is recorded."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(nothing, nothing, nothing.astype(np.int32), nothing, np.empty(0))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, purchases: Purchases, catalogue: Catalogue) -> Signals:
        """From columns customer_id, product_id, business_day, kind, rating (empty but for reviews).

        Rows of a customer, product or kind that is not known are left out.

        Raises
        ------
        ValueError
            When a review's rating is not a finite number.
        """
        customer, item, kind = (
            pd.Index(known).get_indexer(pd.Index(frame[column].astype(str)))
            for known, column in (
                (purchases.customer_ids, "customer_id"),
                (catalogue.item_ids, "product_id"),
                ([*KINDS, "return"], "kind"),
            )
        )
        rating = frame["rating"].to_numpy(dtype=float)
        review = kind == KINDS.index("review")
        bad = int((review & ~np.isfinite(rating)).sum())
        if bad:
            raise ValueError(
                f"Reviews: expected a rating in each, found {bad} without; correct or quarantine "
                "them first."
            )
        ok = (customer >= 0) & (item >= 0) & (kind >= 0)
        return cls(
            customer[ok].astype(np.int64),
            item[ok].astype(np.int64),
            day_number(frame["business_day"])[ok],
            kind[ok].astype(np.int64),
            np.where(review, rating, np.nan)[ok],
        )

    @property
    def strength(self) -> Reals:
        """1; of a review, how far its rating lies above neutral, from 0 to 1; of a return 0."""
        liked = np.clip((self.rating - NEUTRAL_RATING) / (5 - NEUTRAL_RATING), 0, 1)
        out: Reals = np.where(self.kind == RETURN, 0.0, np.where(np.isnan(liked), 1.0, liked))
        return out

    def of(self, *kinds: str) -> Signals:
        """The rows of some kinds."""
        return self.where(np.isin(self.kind, [KINDS.index(kind) for kind in kinds]))

    def until(self, cut: int) -> Signals:
        """The rows known at the end of day `cut`."""
        return self.where(self.day <= cut)

    def where(self, rows: Bools) -> Signals:
        """Some of the rows."""
        return Signals(
            self.customer[rows],
            self.item[rows],
            self.day[rows],
            self.kind[rows],
            self.rating[rows],
        )


def conversion(
    signals: Signals, purchases: Purchases, cut: int, horizon: int, prior: float = 20.0
) -> Reals:
    """Chance that a product of a signal is bought within `horizon` days after it, for each kind.

    Of the signals between two and one horizon before `cut`, the share whose product the same customer
    bought within a horizon, pulled toward one in `prior` + 1 by as many cases.
    """
    inside = (signals.day > cut - 2 * horizon) & (signals.day <= cut - horizon)
    old = signals.where(inside & (signals.kind < RETURN))
    n = purchases.n_items
    key = old.customer * n + old.item
    span = int(purchases.day.max(initial=0)) + 2
    bought = np.unique((purchases.customer * n + purchases.item) * span + purchases.day)
    first = np.searchsorted(bought, key * span + old.day, side="right")
    end = np.searchsorted(bought, key * span + old.day + horizon, side="right")
    size = len(KINDS)
    hits = np.bincount(old.kind, weights=(end > first).astype(float), minlength=size)
    share: Reals = (hits + 1) / (np.bincount(old.kind, minlength=size) + prior + 1)
    return share

"""Ranked lists as arrays: who is shown what, in which order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.features.arrays import Bools, Integers, Reals


@dataclass(frozen=True)
class Ranked:
    """Lists as arrays: customer row, item, probability, rank from 0; best first per customer."""

    customer: Integers
    item: Integers
    score: Reals
    rank: Integers

    def where(self, rows: Bools) -> Ranked:
        """Some of the rows."""
        return Ranked(self.customer[rows], self.item[rows], self.score[rows], self.rank[rows])


def best_per_group(
    group: Integers, score: Reals, tie: Integers, n: int
) -> tuple[Integers, Integers]:
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


def ranked(customer: Integers, item: Integers, score: Reals, n: int) -> Ranked:
    """The `n` highest scores of each customer as lists; equal scores in the order of items."""
    best, rank = best_per_group(customer, score, item, n)
    return Ranked(customer[best], item[best], score[best], rank)

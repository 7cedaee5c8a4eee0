"""Candidates of one list with what became of each: dropped for a reason, moved by a rule, or shown."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from include.features.arrays import Bools, Integers, Reals

#: Sources as they stand in marketing.product_recommendations.
SOURCES = ("repeat", "als", "neighbours", "similar", "popular", "browse", "rule")
REPEAT, ALS, NEIGHBOURS, SIMILAR, POPULAR, BROWSE, RULE = range(len(SOURCES))


@dataclass
class Pool:
    """Pairs of a customer (row number) and an item, ordered by customer, then item."""

    name: str  # of the list
    customer: Integers
    item: Integers
    score: Reals  # chance of a purchase in the next four weeks
    source: Integers  # position in SOURCES
    dropped: Integers = field(
        init=False
    )  # position in `reasons`, -1 where nothing speaks against it
    moved: Reals = field(init=False)  # log odds added to the score when lists are ordered
    pinned: Integers = field(init=False)  # position that a rule asks for, 0 without
    rating: Reals = field(init=False)  # stars that the customer is expected to give, NaN unknown
    reasons: list[str] = field(default_factory=list)
    effects: list[tuple[str, Bools]] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = len(self.item)
        self.dropped = np.full(size, -1, dtype=np.int64)
        self.moved = np.zeros(size)
        self.pinned = np.zeros(size, dtype=np.int64)
        self.rating = np.full(size, np.nan)

    @property
    def kept(self) -> Bools:
        """Where nothing speaks against showing it."""
        return self.dropped < 0

    def drop(self, where: Bools, reason: str) -> None:
        """Leave candidates out; the first reason stands."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        where = where & self.kept
        self.dropped[where] = self.reasons.index(reason)

    def touch(self, what: str, where: Bools) -> None:
        """Remember that a rule did something to candidates."""
        if where.any():
            self.effects.append((what, where))

    def odds(self) -> Reals:
        """What lists are ordered by: log odds of the score, moved by the rules."""
        chance = np.clip(self.score, 1e-9, 1 - 1e-9)
        out: Reals = np.log(chance / (1 - chance)) + self.moved
        return out


@dataclass(frozen=True)
class People:
    """What lists depend on beside purchases; one entry a customer, in the order of their codes."""

    customer_ids: NDArray[np.str_]
    listed: Bools  # gets lists
    region: Integers  # position in `regions`, -1 unknown
    regions: NDArray[np.str_]
    segment: NDArray[np.object_]  # empty where unknown
    low_value: Bools

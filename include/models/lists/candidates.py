"""Where candidates come from beside a customer's purchases and ALS: what each brings up, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from include.features.arrays import Bools, Integers, Reals
from include.features.signals import KINDS, conversion
from include.models.lists.bought_together import bought_together
from include.models.products.content import Content, with_new
from include.models.products.pool import People
from include.models.products.rules import is_new
from include.models.products.snapshot import HORIZON_DAYS, Snapshot
from include.models.products.toplists import best_per_group

#: A customer's strongest items that stand for the rest, and what is brought up a customer by each source.
OWN_DEPTH, TOGETHER_DEPTH, BROWSED_DEPTH, NEW_DEPTH = 30, 40, 30, 10

#: Signals that bring a product up; a review speaks of what was bought.
BROWSED = ("browse", "cart", "follow", "wishlist")


def own_items(now: Snapshot, hidden: Bools, depth: int = OWN_DEPTH) -> Integers:
    """Each customer's strongest items, shape (n_customers, depth), -1 where there are fewer.

    Items that are `hidden` stand for nothing: what they bring up would tell of them.
    """
    may = np.flatnonzero(~hidden[now.pair_item])
    customer, item = now.pair_customer[may], now.pair_item[may]
    best, rank = best_per_group(customer, now.pairs.decayed[112][may], item, depth)
    own = np.full((now.purchases.n_customers, depth), -1, dtype=np.int64)
    own[customer[best], rank] = item[best]
    return own


@dataclass(frozen=True)
class Found:
    """Pairs of one source: sorted keys customer * n_items + item, and of each what it rests on."""

    keys: Integers
    because: Integers

    def of(self, keys: Integers) -> Integers:
        """What each pair rests on, -1 where this source did not bring it up."""
        if len(self.keys) == 0:
            return np.full(len(keys), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.because[at], -1)


def _best_of(
    now: Snapshot, customer: Integers, item: Integers, because: Integers, score: Reals, n: int
) -> Found:
    """The `n` best new pairs of each customer, each once."""
    key = customer * now.n_items + item
    fresh = now.pairs.find(key) < 0
    key, because, score = key[fresh], because[fresh], score[fresh]
    order = np.lexsort((because, -score, key))
    first = np.r_[True, np.diff(key[order]) != 0] if len(order) else order.astype(bool)
    once = order[first]
    best, _ = best_per_group(key[once] // now.n_items, score[once], key[once] % now.n_items, n)
    kept = once[best]
    kept = kept[np.argsort(key[kept])]
    return Found(key[kept], because[kept])


class Sources:
    """Everything that brings products up for customers `rows` as of a snapshot.

    Items that are `hidden` (one entry an item) bring nothing up.
    """

    def __init__(self, now: Snapshot, people: People, rows: Integers, hidden: Bools) -> None:
        self.now = now
        self.people = people
        self.rows = rows
        self.hidden = hidden

    @cached_property
    def together(self) -> Found:
        """What is often in one basket with something the customer buys."""
        now, rows = self.now, self.rows
        table = bought_together(now.purchases, now.cut)
        mine = own_items(now, self.hidden)[rows]
        customer, own = np.repeat(rows, mine.shape[1]), mine.ravel()
        customer, own = customer[own >= 0], own[own >= 0]
        size = np.diff(table.indptr)[own]
        offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        at = np.repeat(table.indptr[own], size) + offset
        item, cosine = table.indices[at].astype(np.int64), table.data[at]
        return _best_of(
            now, np.repeat(customer, size), item, np.repeat(own, size), cosine, TOGETHER_DEPTH
        )

    @cached_property
    def browsed(self) -> Found:
        """What the customer looked at, put into the cart, follows or wishes for: its row in signals."""
        signals = self.now.signals
        at = np.flatnonzero(np.isin(signals.kind, [KINDS.index(k) for k in BROWSED]))
        at = at[np.isin(signals.customer[at], self.rows)]
        return _best_of(
            self.now, signals.customer[at], signals.item[at], at, self._worth(at), BROWSED_DEPTH
        )

    @cached_property
    def conversions(self) -> Reals:
        """Chance that what a signal of each kind names is bought in the four weeks after it."""
        return conversion(self.now.signals, self.now.purchases, self.now.cut, HORIZON_DAYS)

    def browse_chance(self, keys: Integers) -> Reals:
        """Chance of a purchase from the customer's own signal, 0 without one."""
        row = self.browsed.of(keys)
        out = np.zeros(len(keys))
        out[row >= 0] = self._worth(row[row >= 0])
        return out

    def _worth(self, at: Integers) -> Reals:
        """Chance of a purchase from signals, halved every month: old wishes are hardly wishes any more."""
        signals = self.now.signals
        age = self.now.cut - signals.day[at]
        worth: Reals = self.conversions[signals.kind[at]] * 0.5 ** (age / HORIZON_DAYS)
        return worth

    @cached_property
    def shares(self) -> NDArray[np.float32]:
        """Share of the live customers of each region who bought each item in the last four weeks.

        Shape (n_regions + 1, n_items); the last row is the whole shop, also for regions without anybody.
        """
        now, regions = self.now, len(self.people.regions)
        p = now.purchases
        inside = p.day > now.cut - HORIZON_DAYS
        keys = np.unique(p.customer[inside] * now.n_items + p.item[inside])
        customer, item = keys // now.n_items, keys % now.n_items
        out = np.zeros((regions + 1, now.n_items), dtype=np.float32)
        live = max(len(np.unique(customer)), 1)
        out[regions] = np.bincount(item, minlength=now.n_items) / live
        where = self.people.region[customer]
        for region in range(regions):
            here = where == region
            buyers = len(np.unique(customer[here]))
            out[region] = (
                np.bincount(item[here], minlength=now.n_items) / buyers if buyers else out[regions]
            )
        return out

    def popular(self, depth: int, allowed: Bools) -> Integers:
        """What is bought most in each customer's region: sorted keys of pairs never bought."""
        parts = [np.empty(0, dtype=np.int64)]
        n = self.now.n_items
        for region in range(-1, len(self.people.regions)):
            rows = self.rows[self.people.region[self.rows] == region]
            share = np.where(allowed, self.shares[region], 0)
            top = np.lexsort((np.arange(n), -share))[:depth]
            top = top[share[top] > 0]
            parts.append(np.repeat(rows * n, len(top)) + np.tile(top, len(rows)))
        keys = np.unique(np.concatenate(parts))
        return keys[self.now.pairs.find(keys) < 0]


def new_products(
    now: Snapshot, content: Content, within_days: int, rows: Integers
) -> tuple[Found, Bools]:
    """New products that resemble what a customer buys, and which items they are.

    The snapshot's ALS gets factors for them from the products that they are like. What each pair rests
    on is the learnt product that is most like it.
    """
    fresh = is_new(now, within_days) & now.catalogue.eligible & ~now.als.known_
    items = np.flatnonzero(fresh)
    nothing = np.empty(0, dtype=np.int64)
    if len(items) == 0:
        return Found(nothing, nothing), fresh
    now.als, near = with_new(now.als, content, items)
    like = np.full(now.n_items, -1, dtype=np.int64)
    like[items] = near
    placed = type(now.als)(now.als.settings)
    placed.item_factors_, placed.known_ = now.als.item_factors_, fresh & (like >= 0)
    customer, item, score = placed.top_items(now.factors[rows], now.bought[rows], NEW_DEPTH, fresh)
    return _best_of(now, rows[customer], item, like[item], score, NEW_DEPTH), fresh

"""What may be shown to whom, whatever the models say. Every reason not to show a product enters here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.features.arrays import Bools, Reals
from include.models.products.pool import People, Pool
from include.models.products.snapshot import Snapshot
from include.policy.recommendations import Eligibility

#: Pairs with a second purchase that an item's usual gap rests on, at least; else its type's is taken.
ENOUGH_GAPS = 5

#: Days on which a customer bought an item that make their own gap a habit, at least.
ENOUGH_DAYS = 3


@dataclass(frozen=True)
class Shelf:
    """What the shop has, by region; shapes (n_regions, n_items), the last row for an unknown region."""

    out_of_stock: Bools  # counted lately, and nothing was there
    kept_back: Bools  # held for high-value customers by the stock priorities in force

    @classmethod
    def unknown(cls, regions: int, items: int) -> Shelf:
        """Nothing counted, nothing held back."""
        nothing = np.zeros((regions + 1, items), dtype=bool)
        return cls(nothing, nothing.copy())


def apply(pool: Pool, now: Snapshot, people: People, shelf: Shelf, rules: Eligibility) -> None:
    """Drop from a pool what may not be shown to its customer."""
    catalogue = now.catalogue
    pool.drop(~catalogue.eligible[pool.item], "not for sale")
    margin = catalogue.margin[pool.item]
    pool.drop(np.nan_to_num(margin, nan=np.inf) < rules.minimum_margin, "below the margin floor")
    region = people.region[pool.customer]
    pool.drop(shelf.out_of_stock[region, pool.item], "out of stock in the region")
    kept_back = shelf.kept_back[region, pool.item] & people.low_value[pool.customer]
    pool.drop(kept_back, "kept for high-value customers")
    pool.drop(_too_soon(pool, now, rules.replacement_share), "bought inside its replacement time")


def _too_soon(pool: Pool, now: Snapshot, share: float) -> Bools:
    at = now.pairs.find(pool.customer * now.n_items + pool.item)
    if share <= 0 or len(now.pairs.keys) == 0:
        return np.zeros(len(at), dtype=bool)
    at_ = np.maximum(at, 0)
    since = now.cut - now.pairs.last[at_]
    return (at >= 0) & (since < share * replacement_times(now)[at_])


def replacement_times(now: Snapshot) -> Reals:
    """Days after which each bought pair may be bought again; one entry a pair of the snapshot.

    The item's usual gap, or the customer's own mean one where that is a habit and shorter: who drinks
    a crate a week is not to wait for those who take one a season.
    """
    pairs = now.pairs
    own = (pairs.last - pairs.first) / np.maximum(pairs.days - 1, 1)
    usual = usual_gaps(now)[now.pair_item]
    out: Reals = np.where(pairs.days >= ENOUGH_DAYS, np.minimum(own, usual), usual)
    return out


def usual_gaps(now: Snapshot) -> Reals:
    """Median days between a customer's purchases of each item; 0 where nobody bought it twice.

    An item with few such customers has the median of its group.
    """
    pairs = now.pairs
    again = pairs.days >= 2
    gap = ((pairs.last - pairs.first) / np.maximum(pairs.days - 1, 1))[again]
    item = now.pair_item[again]
    own, count = _medians(item, gap, now.n_items)
    group = now.catalogue.group
    known = group[item] >= 0
    wide, _ = _medians(group[item[known]], gap[known], int(group.max(initial=-1)) + 1)
    of_group = np.where(group >= 0, np.r_[wide, 0.0][group], 0.0)
    out: Reals = np.where(count >= ENOUGH_GAPS, own, of_group)
    return out


def _medians(group: np.ndarray, value: Reals, size: int) -> tuple[Reals, np.ndarray]:
    """Lower median of each group's values, 0 where it has none, and their number."""
    order = np.lexsort((value, group))
    count = np.bincount(group, minlength=size)
    starts = np.cumsum(count) - count
    out = np.zeros(size)
    has = count > 0
    out[has] = value[order][(starts + (count - 1) // 2)[has]]
    return out, count

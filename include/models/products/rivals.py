"""The rivals of the recommender: what else could fill product lists, judged beside it.

One joins by a line in `RIVALS`. Its lists are then judged on the same customers and weeks as ours
(`include.models.products.backtest`), and `ml.backtests`, the report and `bench recommend` have its figures.
The lists that customers see are the recommender's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from include.models.products.toplists import Ranked, best_per_group

if TYPE_CHECKING:
    from include.features.arrays import Integers, Reals
    from include.models.products.snapshot import Snapshot

#: What lists are judged by: all purchases, those new to the customer, and those of things bought before.
SETTINGS = ("all", "new", "repeat")

#: Half-life of the decayed repeat counts, in days.
HALF_LIFE = 112


@dataclass(frozen=True)
class Rival:
    """Another way to fill product lists.

    Attributes
    ----------
    label
        What the report calls it.
    settings
        Which of `SETTINGS` it can fill lists for.
    lists
        What was known at the end of the cut (purchases, signals, catalogue, ALS), the length of a list and
        the setting -> the list of each customer with history, of eligible items.
    """

    label: str
    settings: tuple[str, ...]
    lists: Callable[[Snapshot, int, str], Ranked]


def repeat_count(now: Snapshot, n: int, setting: str = "repeat") -> Ranked:
    """What each customer bought on most days."""
    return _own(now, now.pairs.days.astype(float), n)


def repeat_decay(now: Snapshot, n: int, setting: str = "repeat") -> Ranked:
    """The same, each day counting half after `HALF_LIFE` days. The one that matters most."""
    return _own(now, now.pairs.decayed[HALF_LIFE].astype(float), n)


def _own(now: Snapshot, weight: Reals, n: int) -> Ranked:
    ok = np.flatnonzero(now.catalogue.eligible[now.pair_item])
    best, rank = best_per_group(now.pair_customer[ok], weight[ok], now.pair_item[ok], n)
    rows = ok[best]
    return Ranked(now.pair_customer[rows], now.pair_item[rows], weight[rows], rank)


def popularity(now: Snapshot, n: int, setting: str = "all") -> Ranked:
    """What most customers bought in the last four weeks; of new purchases, less what one has bought.

    Of purchase days and buyers, over one week to the whole history, this counting is the strongest.
    """
    new_only = setting == "new"
    buyers = now.buyers[28].astype(float)
    buyers[~now.catalogue.eligible] = 0
    customers = np.unique(now.pair_customer)
    most = int(now.items_known.max(initial=0)) if new_only else 0
    order = np.lexsort((np.arange(now.n_items), -buyers))[: most + n]
    order = order[buyers[order] > 0]
    if not new_only:
        return Ranked(
            np.repeat(customers, len(order)),
            np.tile(order, len(customers)),
            np.tile(buyers[order], len(customers)),
            np.tile(np.arange(len(order)), len(customers)),
        )
    parts: list[tuple[int, Integers]] = []
    starts = np.searchsorted(now.pair_customer, customers)
    ends = np.searchsorted(now.pair_customer, customers, side="right")
    for customer, start, end in zip(customers.tolist(), starts, ends, strict=True):
        known = end - start
        ahead = order[: known + n]
        parts.append((customer, ahead[~np.isin(ahead, now.pair_item[start:end])][:n]))
    item = np.concatenate([p for _, p in parts]) if parts else np.empty(0, dtype=np.int64)
    sizes = [len(p) for _, p in parts]
    rank = np.concatenate([np.arange(s) for s in sizes]) if parts else item
    return Ranked(np.repeat(customers, sizes), item, buyers[item], rank)


#: Every rival by the name that tables and benches call it by.
RIVALS: Mapping[str, Rival] = {
    "popularity": Rival("most popular", ("all", "new"), popularity),
    "repeat_count": Rival("bought most often", ("all", "repeat"), repeat_count),
    "repeat_decay": Rival("bought most often lately", ("all", "repeat"), repeat_decay),
}


def lists(now: Snapshot, n: int, setting: str) -> dict[str, Ranked]:
    """The lists of each rival that fills any for a setting, by name."""
    return {
        name: rival.lists(now, n, setting)
        for name, rival in RIVALS.items()
        if setting in rival.settings
    }

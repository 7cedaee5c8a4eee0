"""Fill lists from candidates: the best first, within limits, and not all of one kind.

Each position goes to the candidate with the highest log odds, less `variety` times how close it is to
what the list holds already (1 of the same group, 1/2 of the same family, 1/4 of the same maker: maximal
marginal relevance, Carbonell and Goldstein, 1998) and times how popular it is anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.features.arrays import Bools, Integers, Reals
from include.models.products.pool import People, Pool
from include.models.products.rules import heeds
from include.models.products.snapshot import Snapshot
from include.models.products.toplists import Ranked
from include.policy.recommendations import Limit as LimitRule
from include.policy.recommendations import OneOfAFamily

#: Log odds that variety 1 takes from a second product of a group, and from each e-fold of buyers.
CLOSENESS, POPULARITY = 3.0, 0.5

#: Candidates of customers that are looked at together; bounds memory.
_CELLS = 2_000_000


@dataclass(frozen=True)
class Limit:
    """At most `at_most` items of one code in a list, for some customers."""

    name: str
    code: Integers  # one entry an item, -1 where it counts for none
    at_most: int
    heeds: Bools  # one entry a customer


def select(
    pool: Pool, now: Snapshot, n: int, variety: float, limits: Sequence[Limit]
) -> tuple[Integers, Integers]:
    """Positions in the pool that are shown, and their rank from 0; ordered by customer, then rank.

    What only a limit kept out of a list that ended short is dropped with the limit's name.
    """
    kept = np.flatnonzero(pool.kept)
    odds = pool.odds()[kept]
    if variety > 0:
        odds = odds - variety * POPULARITY * np.log1p(now.buyers[28][pool.item[kept]])
    order = kept[np.lexsort((pool.item[kept], -odds, pool.customer[kept]))]
    by_position = np.empty(len(pool.item))
    by_position[kept] = odds
    customer = pool.customer[order]
    starts = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]]) if len(order) else order
    sizes = np.diff(np.r_[starts, len(order)])
    shown: list[Integers] = []
    ranks: list[Integers] = []
    step = max(1, _CELLS // max(int(sizes.max(initial=1)), 1))
    for first in range(0, len(starts), step):
        part = slice(first, first + step)
        found, rank = _fill(
            pool, now, order, starts[part], sizes[part], by_position, n, variety, limits
        )
        shown.append(found)
        ranks.append(rank)
    if not shown:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate(shown), np.concatenate(ranks)


def _fill(
    pool: Pool,
    now: Snapshot,
    order: Integers,
    starts: Integers,
    sizes: Integers,
    odds: Reals,
    n: int,
    variety: float,
    limits: Sequence[Limit],
) -> tuple[Integers, Integers]:
    """The lists of some customers; tables have one row a customer, one column a candidate."""
    width = int(sizes.max())
    columns = np.arange(width)
    real = columns[None, :] < sizes[:, None]
    at = order[np.where(real, starts[:, None] + columns[None, :], starts[:, None])]
    item = pool.item[at]
    value = np.where(real, odds[at], -np.inf)
    catalogue = now.catalogue
    codes = [
        (c[item], w)
        for c, w in ((catalogue.group, 1.0), (catalogue.family, 0.5), (catalogue.maker, 0.25))
    ]
    limited = [(limit, limit.code[item], limit.heeds[pool.customer[at[:, 0]]]) for limit in limits]
    held = [np.zeros(item.shape, dtype=np.int64) for _ in limited]
    close = np.zeros(item.shape)
    pinned = pool.pinned[at] * real
    everyone = np.arange(len(starts))
    found = np.full((len(starts), n), -1, dtype=np.int64)
    for position in range(n):
        now_value = value - variety * CLOSENESS * close
        # A pinned product waits for its own position.
        now_value[pinned > position + 1] = -np.inf
        for (limit, _, heeding), count in zip(limited, held, strict=True):
            now_value[(count >= limit.at_most) & heeding[:, None]] = -np.inf
        asked = (pinned == position + 1) & np.isfinite(now_value)
        now_value = np.where(asked, now_value + 1e6, now_value)
        best = now_value.argmax(axis=1)
        ok = np.isfinite(now_value[everyone, best])
        found[ok, position] = at[everyone, best][ok]
        value[everyone[ok], best[ok]] = -np.inf
        if variety > 0:
            for code, weight in codes:
                mine = code[everyone, best]
                same = (code == mine[:, None]) & (mine >= 0)[:, None] & ok[:, None]
                close = np.where(same, np.maximum(close, weight), close)
        for (_, code, _), count in zip(limited, held, strict=True):
            mine = code[everyone, best]
            count += (code == mine[:, None]) & (mine >= 0)[:, None] & ok[:, None]
    _say_limits(pool, at, value, found, limited, held)
    row, rank = np.nonzero(found >= 0)
    # Positions may be left open where a pinned product waited; ranks close up.
    filled = np.cumsum(found >= 0, axis=1) - 1
    return found[row, rank], filled[row, rank]


def _say_limits(
    pool: Pool,
    at: Integers,
    value: Reals,
    found: Integers,
    limited: Sequence[tuple[Limit, Integers, Bools]],
    held: Sequence[Integers],
) -> None:
    short = (found < 0).any(axis=1)
    for (limit, _, heeding), count in zip(limited, held, strict=True):
        over = np.isfinite(value) & (count >= limit.at_most) & (heeding & short)[:, None]
        where = np.zeros(len(pool.item), dtype=bool)
        where[at[over]] = True
        pool.drop(where, f"the list holds enough of its kind ({limit.name})")


def limits_of(rules: Sequence[object], now: Snapshot, people: People) -> list[Limit]:
    """The limits among marketing's rules."""
    codes = {
        "category": now.catalogue.family,
        "type": now.catalogue.group,
        "manufacturer": now.catalogue.maker,
    }
    out = []
    for rule in rules:
        if isinstance(rule, LimitRule):
            out.append(Limit(rule.name, codes[rule.by], rule.at_most, heeds(rule, people)))
        elif isinstance(rule, OneOfAFamily):
            out.append(Limit(rule.name, codes["type"], 1, heeds(rule, people)))
    return out


def as_ranked(pool: Pool, at: Integers, rank: Integers) -> Ranked:
    """Shown candidates as ranked lists."""
    return Ranked(pool.customer[at], pool.item[at], pool.score[at], rank)

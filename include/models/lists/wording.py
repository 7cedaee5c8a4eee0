"""Why a product is shown, in words that the customer may read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from include.features.arrays import Bools, Integers
from include.features.signals import KINDS
from include.models.lists.candidates import own_items
from include.models.products.pool import (
    ALS,
    BROWSE,
    NEIGHBOURS,
    POPULAR,
    REPEAT,
    RULE,
    SIMILAR,
    SOURCES,
    People,
    Pool,
)
from include.models.products.rules import chosen
from include.models.products.snapshot import Snapshot
from include.policy.recommendations import Include, Pin, Rule

_DID = {
    "browse": "you looked at this",
    "cart": "you put this into your cart",
    "follow": "you follow this",
    "wishlist": "on your wish list",
}


def reasons(
    now: Snapshot,
    people: People,
    pool: Pool,
    at: Integers,
    because: Integers,
    rules: Sequence[Rule],
    hidden: Bools,
) -> tuple[list[str], list[str]]:
    """Source and reason of the shown candidates `at` of a pool; no reason names a `hidden` item."""
    source = pool.source[at].copy()
    near = _nearest_bought(now, pool.customer[at], pool.item[at], source < 0, hidden)
    value = now.als.scores(now.factors, pool.customer[at], pool.item[at])
    group = now.catalogue.group
    alike = (near >= 0) & (value > 0)
    same = alike & (group[pool.item[at]] >= 0) & (group[pool.item[at]] == group[near])
    open_ = source < 0
    source[open_] = np.where(same, SIMILAR, np.where(alike, ALS, POPULAR))[open_]
    because = np.where(open_, near, because)
    texts: list[str] = [""] * len(at)
    for code, words in ((REPEAT, _repeat), (BROWSE, _browse), (POPULAR, _popular)):
        mine = np.flatnonzero(source == code)
        found = words(now, people, pool.customer[at[mine]], pool.item[at[mine]], because[mine])
        for k, text in zip(mine.tolist(), found, strict=True):
            texts[k] = text
    names = now.catalogue.names
    for k in np.flatnonzero(np.isin(source, (ALS, SIMILAR, NEIGHBOURS))).tolist():
        told = because[k] >= 0 and not hidden[because[k]]
        other = names[because[k]] if told else "what you buy"
        if source[k] == NEIGHBOURS:
            texts[k] = f"often bought together with {other}, which you buy"
        elif source[k] == ALS:
            texts[k] = f"often bought by customers who also buy {other}"
        elif open_[k]:
            texts[k] = f"same kind as {other}, which you buy"
        else:
            texts[k] = f"new, and much like {other}"
    _by_rule(now, pool, at, source, rules, texts)
    return [SOURCES[code] for code in source.tolist()], texts


def _repeat(
    now: Snapshot, people: People, customer: Integers, item: Integers, _: Integers
) -> list[str]:
    at = now.pairs.find(customer * now.n_items + item)
    days = now.pairs.days[at]
    since = now.cut - now.pairs.last[at]
    gap = (now.pairs.last - now.pairs.first)[at] / np.maximum(days - 1, 1)
    return [
        f"you buy this about every {_days(round(g))}; last {_ago(s)}"
        if d > 1
        else f"you bought this {_ago(s)}"
        for d, s, g in zip(days.tolist(), since.tolist(), gap.tolist(), strict=True)
    ]


def _browse(
    now: Snapshot, people: People, customer: Integers, item: Integers, row: Integers
) -> list[str]:
    signals = now.signals
    return [
        f"{_DID[KINDS[signals.kind[k]]]}; last {_ago(int(now.cut - signals.day[k]))}"
        for k in row.tolist()
    ]


def _popular(
    now: Snapshot, people: People, customer: Integers, item: Integers, _: Integers
) -> list[str]:
    guests = now.guests[28][item].astype(int)
    buyers = now.buyers[28][item].astype(int) - guests
    counts = zip(people.region[customer].tolist(), buyers.tolist(), guests.tolist(), strict=True)
    out = []
    for region, count, others in counts:
        place = (
            f"popular in region {people.regions[region]}" if region >= 0 else "popular in the shop"
        )
        who = f"{count} customers of the shop" + (f" and {others} guests" if others else "")
        out.append(f"{place}: {who} bought this in the last 28 days")
    return out


def _by_rule(
    now: Snapshot,
    pool: Pool,
    at: Integers,
    source: Integers,
    rules: Sequence[Rule],
    texts: list[str],
) -> None:
    """The words of rules that bring products up; their own where they have some."""
    for k in np.flatnonzero(source == RULE).tolist():
        texts[k] = "chosen for you by the shop"
    for rule in rules:
        if isinstance(rule, Include | Pin) and rule.reason and pool.name in rule.lists:
            mine = chosen(rule.products, now)[pool.item[at]] & (source == RULE)
            for k in np.flatnonzero(mine).tolist():
                texts[k] = rule.reason


def _days(days: int) -> str:
    return "day" if days <= 1 else f"{days} days"


def _ago(days: int) -> str:
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")


def _nearest_bought(
    now: Snapshot, customer: Integers, item: Integers, wanted: Bools, hidden: Bools
) -> Integers:
    """For each wanted pair, which of the customer's strongest items lies nearest; -1 without any."""
    out = np.full(len(item), -1, dtype=np.int64)
    rows = np.flatnonzero(wanted)
    if len(rows) == 0:
        return out
    own = own_items(now, hidden)
    norm = np.linalg.norm(now.als.item_factors_, axis=1)
    unit = now.als.item_factors_ / np.where(norm > 0, norm, 1)[:, None]
    step = 4096  # bounds memory: step x depth x factors float32
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        mine = own[customer[part]]
        likeness = np.einsum("kdf,kf->kd", unit[mine], unit[item[part]])
        likeness[(mine < 0) | (norm[mine] == 0)] = -np.inf
        nearest = likeness.argmax(axis=1)
        found = np.isfinite(likeness[np.arange(len(mine)), nearest])
        out[part] = np.where(found, mine[np.arange(len(mine)), nearest], -1)
    return out

"""Marketing's rules of `policy.yml`, applied to the candidates of one list.

Rules that bring products up (`wanted`) come before the pool is scored, the rest (`apply`) after. Limits
on how many of a kind one list may hold are kept while it is filled (`include.models.products.select`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from include.features.arrays import Bools, Integers, Reals
from include.features.purchases import Catalogue
from include.features.signals import KINDS, RETURN
from include.models.products.pool import RULE, People, Pool
from include.models.products.snapshot import Snapshot
from include.models.products.toplists import best_per_group
from include.policy.recommendations import (
    Boost,
    Cadence,
    Exclude,
    FavouriteBrand,
    Include,
    NotRatedLow,
    NotReturned,
    Pin,
    PriceBand,
    Products,
    Rule,
    Sensitive,
)

#: Products that one rule brings up for a customer, at most: the best sold of those it names.
BROUGHT_UP = 50


def of_list(rules: Sequence[Rule], name: str) -> list[Rule]:
    """The rules that are for a list."""
    return [rule for rule in rules if name in rule.lists]


def heeds(rule: Rule, people: People) -> Bools:
    """Whether a rule is for a customer; one entry a customer."""
    if rule.audience == "all":
        return np.ones(len(people.customer_ids), dtype=bool)
    return np.isin(people.segment.astype("U"), rule.audience)


def chosen(products: Products, now: Snapshot) -> Bools:
    """The items that a rule names; one entry an item."""
    catalogue = now.catalogue
    out = np.ones(now.n_items, dtype=bool)
    if products.product_ids is not None:
        out &= np.isin(catalogue.item_ids, products.product_ids)
    for names, code, wanted in (
        (catalogue.group_names, catalogue.group, products.types),
        (catalogue.family_names, catalogue.family, products.categories),
        (catalogue.maker_names, catalogue.maker, products.manufacturers),
    ):
        if wanted is not None:
            codes = [k for k, name in enumerate(names.tolist()) if str(name) in wanted]
            out &= np.isin(code, codes)
    price = np.where(now.usual_price > 0, now.usual_price, np.nan)
    if products.minimum_price is not None:
        out &= price >= products.minimum_price
    if products.maximum_price is not None:
        out &= price <= products.maximum_price
    return out


def sensitive(rules: Sequence[Rule], now: Snapshot) -> Bools:
    """Items that no reason and no message may name; one entry an item."""
    out = np.zeros(now.n_items, dtype=bool)
    for rule in rules:
        if isinstance(rule, Sensitive):
            out |= chosen(rule.products, now)
    return out


def unknown(rules: Sequence[Rule], catalogue: Catalogue) -> Iterator[str]:
    """What rules name and the catalogue of the day does not hold, one sentence each."""
    for rule in rules:
        products = getattr(rule, "products", None)
        if products is None:
            continue
        for what, wanted, known in (
            ("product", products.product_ids, catalogue.item_ids),
            ("type", products.types, catalogue.group_names),
            ("category", products.categories, catalogue.family_names),
            ("manufacturer", products.manufacturers, catalogue.maker_names),
        ):
            for name in sorted(set(wanted or ()) - {str(k) for k in known.tolist()}):
                yield (
                    f"Rule {rule.name}: expected a {what} of the catalogue, found '{name}', which it does "
                    "not hold; the rule does nothing for it: correct the policy."
                )


def wanted(rules: Sequence[Rule], now: Snapshot, people: People, rows: Integers) -> Integers:
    """Pairs that rules bring up for the customers `rows`, as sorted keys customer * n_items + item."""
    parts: list[Integers] = [np.empty(0, dtype=np.int64)]
    for rule in rules:
        mine = rows[heeds(rule, people)[rows]]
        if isinstance(rule, Include | Pin):
            items = np.flatnonzero(chosen(rule.products, now) & now.catalogue.eligible)
            order = np.lexsort((items, -now.buyers[91][items]))[:BROUGHT_UP]
            items = items[order]
            parts.append(np.repeat(mine * now.n_items, len(items)) + np.tile(items, len(mine)))
        elif isinstance(rule, FavouriteBrand):
            parts.append(_new_of_favourites(rule, now, mine))
    return np.unique(np.concatenate(parts))


def _favourites(now: Snapshot, brands: int) -> tuple[Integers, Integers]:
    """Customer and maker of each customer's most bought makers."""
    width = int(now.catalogue.maker.max(initial=-1)) + 1
    if width == 0 or len(now.makers.keys) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    customer, maker = now.makers.keys // width, now.makers.keys % width
    best, _ = best_per_group(customer, now.makers.decayed[112], maker, brands)
    return customer[best], maker[best]


def is_new(now: Snapshot, within_days: int) -> Bools:
    """Items first recorded or, where that is longer ago, first sold within some days."""
    first = np.full(now.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, now.pair_item, now.pairs.first.astype(np.int64))
    opened = int(now.purchases.day.min(initial=now.cut))
    # At the opening everything is new; that says nothing about a product.
    sold = (first > now.cut - within_days) & (first <= now.cut) & (opened < now.cut - within_days)
    recorded = now.catalogue.known_from > max(now.cut - within_days, opened)
    out: Bools = recorded | sold
    return out


def _new_of_favourites(rule: FavouriteBrand, now: Snapshot, rows: Integers) -> Integers:
    fresh = is_new(now, rule.within_days) & now.catalogue.eligible & (now.catalogue.maker >= 0)
    items = np.flatnonzero(fresh)
    items = items[np.lexsort((items, -now.buyers[91][items], now.catalogue.maker[items]))]
    maker = now.catalogue.maker[items]
    starts = np.searchsorted(maker, maker)
    items = items[np.arange(len(items)) - starts < BROUGHT_UP // rule.brands]
    maker = now.catalogue.maker[items]
    customer, favourite = _favourites(now, rule.brands)
    mine = np.isin(customer, rows)
    customer, favourite = customer[mine], favourite[mine]
    low, high = np.searchsorted(maker, favourite), np.searchsorted(maker, favourite, side="right")
    size = high - low
    offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    keys: Integers = np.repeat(customer * now.n_items, size) + items[np.repeat(low, size) + offset]
    return keys


def apply(pool: Pool, now: Snapshot, people: People, rules: Sequence[Rule]) -> None:
    """Drop, move and pin candidates as each rule says."""
    for rule in rules:
        heeded = heeds(rule, people)[pool.customer]
        if isinstance(rule, Include | Exclude | Sensitive | Boost | Pin):
            _apply_to_products(pool, rule, heeded & chosen(rule.products, now)[pool.item])
        elif isinstance(rule, PriceBand):
            pool.drop(heeded & _off_price(pool, now, rule), f"outside the price band ({rule.name})")
        elif isinstance(rule, Cadence):
            pool.drop(heeded & _too_early(pool, now, rule.after), f"not due yet ({rule.name})")
        elif isinstance(rule, FavouriteBrand):
            _favour(pool, now, rule, heeded)
        elif isinstance(rule, NotReturned):
            came_back = _keys(now, RETURN, now.cut - rule.within_days)
            pool.drop(heeded & _among(pool, now, came_back), f"returned ({rule.name})")
        elif isinstance(rule, NotRatedLow):
            low = heeded & _among(pool, now, _rated_low(now, rule.at_most))
            pool.drop(low, f"rated low by the customer ({rule.name})")


def _apply_to_products(
    pool: Pool, rule: Include | Exclude | Sensitive | Boost | Pin, where: Bools
) -> None:
    if isinstance(rule, Exclude):
        pool.drop(where, f"excluded ({rule.name})")
    elif isinstance(rule, Sensitive):
        pool.drop(where, f"sensitive ({rule.name})")
    elif isinstance(rule, Boost):
        pool.moved[where] += np.log(rule.factor)
        pool.touch(f"{rule.name} multiplied its odds by {rule.factor:g}", where)
    elif isinstance(rule, Include):
        pool.touch(f"{rule.name} brought it up", where)
    else:
        pool.pinned[where & (pool.pinned == 0)] = rule.position
        pool.touch(f"{rule.name} asks for position {rule.position}", where)


def _favour(pool: Pool, now: Snapshot, rule: FavouriteBrand, heeded: Bools) -> None:
    customer, maker = _favourites(now, rule.brands)
    width = int(now.catalogue.maker.max(initial=-1)) + 1
    code = now.catalogue.maker[pool.item]
    favourite = np.isin(pool.customer * width + code, customer * width + maker) & (code >= 0)
    where = heeded & favourite & is_new(now, rule.within_days)[pool.item]
    pool.moved[where] += np.log(rule.factor)
    pool.touch(f"{rule.name} multiplied its odds by {rule.factor:g}", where)


def _off_price(pool: Pool, now: Snapshot, rule: PriceBand) -> Bools:
    """Outside the band around the mean price a day that the customer pays in the item's category."""
    p, family = now.purchases, now.catalogue.family
    width = int(family.max(initial=-1)) + 1
    known = (family[p.item] >= 0) & (p.sales > 0)
    key = p.customer[known] * width + family[p.item[known]]
    keys, at = np.unique(key, return_inverse=True)
    if len(keys) == 0:
        return np.zeros(len(pool.item), dtype=bool)
    usual = np.bincount(at, weights=p.sales[known]) / np.bincount(at)
    code = family[pool.item]
    wanted_key = np.where(code >= 0, pool.customer * width + code, -1)
    found = np.minimum(np.searchsorted(keys, wanted_key), len(keys) - 1)
    price = now.usual_price[pool.item]
    ratio: Reals = price / usual[found]
    outside: Bools = (keys[found] == wanted_key) & (price > 0)
    return outside & ((ratio < rule.lowest) | (ratio > rule.highest))


def _too_early(pool: Pool, now: Snapshot, after: float) -> Bools:
    """Bought more than once, and less than `after` of the customer's own mean gap ago."""
    at = now.pairs.find(pool.customer * now.n_items + pool.item)
    if len(now.pairs.keys) == 0:
        return np.zeros(len(at), dtype=bool)
    pairs, at_ = now.pairs, np.maximum(at, 0)
    gap = (pairs.last - pairs.first)[at_] / np.maximum(pairs.days[at_] - 1, 1)
    return (at >= 0) & (pairs.days[at_] > 1) & (now.cut - pairs.last[at_] < after * gap)


def _keys(now: Snapshot, kind: int, after: int) -> Integers:
    rows = now.signals.where((now.signals.kind == kind) & (now.signals.day > after))
    return rows.customer * now.n_items + rows.item


def _rated_low(now: Snapshot, at_most: int) -> Integers:
    """Pairs whose newest rating is `at_most` or less."""
    rows = now.signals.where(now.signals.kind == KINDS.index("review"))
    keys = rows.customer * now.n_items + rows.item
    order = np.lexsort((rows.rating, rows.day, keys))
    last = np.r_[keys[order][1:] != keys[order][:-1], True] if len(order) else order.astype(bool)
    newest = order[last]
    return keys[newest][rows.rating[newest] <= at_most]


def _among(pool: Pool, now: Snapshot, keys: Integers) -> Bools:
    return np.isin(pool.customer * now.n_items + pool.item, keys)


def brought_up(pool: Pool, now: Snapshot, keys: Integers) -> None:
    """Name rules as the source of what nothing else brought up."""
    pool.source[_among(pool, now, keys) & (pool.source < 0)] = RULE

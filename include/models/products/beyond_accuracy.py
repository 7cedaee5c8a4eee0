"""What accuracy does not say of lists: how varied, how new, how popular, how much of the catalogue they show.

Intra-list diversity is one less the mean cosine of a list's items by what they are (Ziegler et al., 2005);
novelty the mean self-information of an item, -log2 of the share of live customers who bought it lately
(Zhou et al., 2010); popularity bias how much more popular a list is than what the customer buys, as the
difference of mean log buyers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.features.arrays import Integers, Reals
from include.models.products.content import Content
from include.models.products.snapshot import Snapshot
from include.models.products.toplists import Ranked

#: Figures of one customer's list, in the order in which they are told.
FIGURES = ("diversity", "novelty", "popularity_bias", "repeat_share")


@dataclass(frozen=True)
class Beyond:
    """Figures of each customer with a list; arrays of one length."""

    customers: Integers
    diversity: Reals  # 0 all alike, 1 nothing in common; NaN for a list of one
    novelty: Reals  # bits
    popularity_bias: Reals  # log buyers; 0 as popular as what the customer buys
    repeat_share: Reals  # of the list, bought before


def beyond(ranked: Ranked, now: Snapshot, content: Content, n: int = 10) -> Beyond:
    """Figures of the first `n` of each list."""
    top = ranked.rank < n
    order = np.lexsort((ranked.rank[top], ranked.customer[top]))
    customer, item = ranked.customer[top][order], ranked.item[top][order]
    customers, at = np.unique(customer, return_inverse=True)
    size = np.bincount(at, minlength=len(customers))
    live = max(len(np.unique(now.purchases.customer[now.purchases.day > now.cut - 28])), 1)
    # Half a buyer for an item that nobody bought lately: rare, and not infinitely so.
    information = -np.log2(np.clip((now.buyers[28] + 0.5) / (live + 1), 1e-12, 1))
    log_buyers = np.log1p(now.buyers[28])

    def mean(values: Reals) -> Reals:
        out: Reals = np.bincount(at, weights=values, minlength=len(customers)) / np.maximum(size, 1)
        return out

    own_days = now.pairs.days.astype(float)
    own = np.bincount(now.pair_customer, minlength=now.purchases.n_customers, weights=own_days)
    usual = np.bincount(
        now.pair_customer,
        minlength=now.purchases.n_customers,
        weights=own_days * log_buyers[now.pair_item],
    )
    return Beyond(
        customers,
        _diversity(at, item, size, content),
        mean(information[item]),
        mean(log_buyers[item]) - (usual / np.maximum(own, 1))[customers],
        mean((now.pairs.find(customer * now.n_items + item) >= 0).astype(float)),
    )


def _diversity(at: Integers, item: Integers, size: Integers, content: Content) -> Reals:
    """One less the mean cosine of all pairs of each list; lists lie one after the other."""
    left, right, whose = [], [], []
    for step in range(1, int(size.max(initial=0))):
        same = at[step:] == at[:-step]
        left.append(item[:-step][same])
        right.append(item[step:][same])
        whose.append(at[step:][same])
    out = np.full(len(size), np.nan)
    if not left:
        return out
    cosine = content.similarity(np.concatenate(left), np.concatenate(right))
    total = np.bincount(np.concatenate(whose), weights=cosine, minlength=len(size))
    pairs = size * (size - 1) / 2
    np.divide(total, pairs, out=out, where=pairs > 0)
    return 1 - out


def coverage(ranked: Ranked, sellable: int, n: int = 10) -> float:
    """Share of what could be shown that is in at least one list."""
    return len(np.unique(ranked.item[ranked.rank < n])) / max(sellable, 1)


def coverage_interval(
    ranked: Ranked, sellable: int, n: int = 10, *, seed: int, groups: int = 20
) -> tuple[float, float]:
    """95% interval of the coverage, by leaving out each of `groups` random groups of customers in turn.

    A bootstrap would not do: a sample with repeats shows fewer different lists than there are. What is
    left out shrinks the coverage a little in every turn alike, which the jackknife's spread leaves out.
    """
    whole = coverage(ranked, sellable, n)
    customers, at = np.unique(ranked.customer, return_inverse=True)
    groups = min(groups, len(customers))
    if groups < 2:
        return whole, whole
    group = np.random.default_rng(seed).permutation(len(customers))[at] % groups
    parts = [coverage(ranked.where(group != g), sellable, n) for g in range(groups)]
    variance = (groups - 1) / groups * float(((np.asarray(parts) - np.mean(parts)) ** 2).sum())
    half = 1.96 * float(np.sqrt(variance))
    return whole - half, whole + half

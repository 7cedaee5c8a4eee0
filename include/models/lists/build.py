"""The lists that customers are shown: candidates, what may be shown, marketing's rules, and the filling.

A *replenish* list holds things bought before, a *discover* list others. A list is never padded: where too
little may be shown it ends early, and its summary says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.features.arrays import Bools, Integers, Reals
from include.models.lists import eligibility, wording
from include.models.lists.candidates import Found, Sources, new_products
from include.models.lists.eligibility import Shelf
from include.models.neighbours import RatingNeighbours
from include.models.products import rules as list_rules
from include.models.products import select
from include.models.products.content import Content
from include.models.products.pool import (
    BROWSE,
    NEIGHBOURS,
    POPULAR,
    REPEAT,
    RULE,
    SIMILAR,
    People,
    Pool,
)
from include.models.products.recommender import Recommender
from include.models.products.snapshot import Snapshot
from include.policy.recommendations import Recommendations

LISTS = ("replenish", "discover")

#: Popular products looked at for customers without purchases, and for lists that ended short.
COLD_DEPTH, SHORT_DEPTH = 100, 600

#: Reviews that ratings are predicted from, at least.
ENOUGH_REVIEWS = 50


@dataclass(frozen=True)
class Made:
    """One list of every customer: its candidates, which of them are shown at which rank, and why."""

    pool: Pool
    shown: Integers  # positions in the pool
    rank: Integers  # from 0
    because: Integers  # item or signal row that each shown product rests on, -1 without


class ListMaker:
    """Makes both lists as of a snapshot.

    Parameters
    ----------
    model : Recommender
    now : Snapshot
    people : People
        One entry a customer code of the snapshot.
    shelf : Shelf
    asked : Recommendations
        The policy's section; its sizes and weights of the model are not read here.
    """

    def __init__(
        self,
        model: Recommender,
        now: Snapshot,
        people: People,
        shelf: Shelf,
        asked: Recommendations,
    ) -> None:
        self.model, self.now, self.people, self.shelf, self.asked = model, now, people, shelf, asked
        rows = np.flatnonzero(people.listed)
        bought = np.zeros(now.purchases.n_customers, dtype=bool)
        bought[now.pair_customer] = True
        self.warm, self.cold = rows[bought[rows]], rows[~bought[rows]]
        self.sensitive = list_rules.sensitive(asked.rules, now)
        self._new_items = np.zeros(now.n_items, dtype=bool)
        self._new = Found(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        if asked.new_products.slots:
            content = Content(now.catalogue)
            self._new, self._new_items = new_products(
                now, content, asked.new_products.within_days, self.warm
            )
        self._ratings = _rating_model(now, asked.reviews.neighbours)

    def replenish(self) -> Made:
        """Things bought before."""
        now = self.now
        found = now.repeat_candidates(
            self.model.settings.repeat_depth, np.ones(now.n_items, dtype=bool)
        )
        score = self.model.score_repeats(found)
        mine = np.isin(found.customer, self.warm)
        source = np.full(int(mine.sum()), REPEAT)
        pool = Pool("replenish", found.customer[mine], found.item[mine], score[mine], source)
        at, rank = self._fill(pool)
        return Made(pool, at, rank, np.full(len(at), -1, dtype=np.int64))

    def discover(self) -> Made:
        """Things new to the customer."""
        made = self._discover(self.warm, self.cold, self.model.settings.popular_depth)
        short = self._short(made)
        if len(short) == 0:
            return made
        # Too much of the first choice may not be shown: look further down what is popular.
        mine = np.isin(short, self.cold)
        deeper = self._discover(short[~mine], short[mine], SHORT_DEPTH)
        return _joined(made, deeper, short)

    def _short(self, made: Made) -> Integers:
        rows = np.r_[self.warm, self.cold]
        size = np.bincount(made.pool.customer[made.shown], minlength=self.now.purchases.n_customers)
        return np.sort(rows[size[rows] < self.asked.list_length])

    def _discover(self, warm: Integers, cold: Integers, depth: int) -> Made:
        now, eligible = self.now, self.now.catalogue.eligible
        rows = np.sort(np.r_[warm, cold])
        sources = Sources(now, self.people, rows, self.sensitive)
        settings = replace(self.model.settings, popular_depth=depth)
        base = now.new_keys(settings, eligible, warm)
        with_signals = cold[np.abs(now.factors[cold]).sum(axis=1) > 0]
        base = np.union1d(
            base, now.new_keys(replace(settings, popular_depth=0), eligible, with_signals)
        )
        popular = np.union1d(
            _of(now, sources.popular(depth, eligible), warm),
            _of(now, sources.popular(max(depth, COLD_DEPTH), eligible), cold),
        )
        rules = list_rules.of_list(self.asked.rules, "discover")
        ruled = list_rules.wanted(rules, now, self.people, rows)
        ruled = ruled[now.pairs.find(ruled) < 0]
        fresh = self._new.keys[np.isin(self._new.keys // now.n_items, rows)]
        keys = np.unique(
            np.concatenate(
                [base, popular, sources.together.keys, sources.browsed.keys, fresh, ruled]
            )
        )
        found = now.describe_new(keys, self.model.settings)
        score = self.model.score_new(found)
        is_cold = np.isin(found.customer, cold)
        score[is_cold] = self._cold_chance(found.customer[is_cold], found.item[is_cold], sources)
        # The model's chance and that of the customer's own signal, as two independent ones.
        score = 1 - (1 - score) * (1 - sources.browse_chance(keys))
        source = np.full(len(keys), -1)
        for code, brought in (
            (BROWSE, sources.browsed.keys),
            (SIMILAR, fresh),
            (NEIGHBOURS, sources.together.keys),
        ):
            source[(source < 0) & np.isin(keys, brought)] = code
        only_ruled = (source < 0) & np.isin(keys, ruled) & ~np.isin(keys, np.union1d(base, popular))
        source[only_ruled] = RULE
        source[(source < 0) & is_cold & ~np.isin(keys, base)] = POPULAR
        pool = Pool("discover", found.customer, found.item, score, source)
        at, rank = self._fill(pool)
        because = _because(keys[at], pool.source[at], sources, self._new)
        return Made(pool, at, rank, because)

    def _cold_chance(self, customer: Integers, item: Integers, sources: Sources) -> Reals:
        """Share of the region's customers who bought an item, times how much likelier this one is to.

        How much likelier is the ALS score from what the customer looked at over the mean customer's,
        between a fifth and five; 1 where nothing is known.
        """
        now = self.now
        share = sources.shares[self.people.region[customer], item].astype(np.float64)
        buyers = np.unique(now.pair_customer)
        if len(buyers) == 0:
            return share
        usual = now.als.item_factors_ @ now.factors[buyers].mean(axis=0)
        known = np.abs(now.factors[customer]).sum(axis=1) > 0
        # Both as shares of their own lengths: few signals make small factors, not small wishes.
        norm = np.linalg.norm(now.factors[customer], axis=1)
        typical = float(np.linalg.norm(now.factors[buyers], axis=1).mean())
        own = now.als.scores(now.factors, customer, item) * typical / np.maximum(norm, 1e-9)
        likelier = np.clip((own + 1e-4) / (np.abs(usual[item]) + 1e-4), 0.2, 5.0)
        chance: Reals = np.clip(np.where(known, share * likelier, share), 1e-6, 0.99)
        return chance

    def _fill(self, pool: Pool) -> tuple[Integers, Integers]:
        """What is shown of a pool: eligible, as the rules say, the best first."""
        rules = list_rules.of_list(self.asked.rules, pool.name)
        eligibility.apply(pool, self.now, self.people, self.shelf, self.asked.eligibility)
        list_rules.apply(pool, self.now, self.people, rules)
        self._rate(pool)
        limits = self.limits(pool.name)
        return select.select(pool, self.now, self.asked.list_length, self.asked.variety, limits)

    def limits(self, name: str) -> list[select.Limit]:
        """How many of a kind one list may hold: by marketing's rules, and of new products."""
        rules = list_rules.of_list(self.asked.rules, name)
        limits = select.limits_of(rules, self.now, self.people)
        if name == "discover" and self._new_items.any():
            code = np.where(self._new_items, 0, -1)
            everybody = np.ones(len(self.people.customer_ids), dtype=bool)
            slots = self.asked.new_products.slots
            limits.append(select.Limit("new_products.slots", code, slots, everybody))
        return limits

    def _rate(self, pool: Pool) -> None:
        """Expected ratings of reviewed products, and what they move."""
        if self._ratings is None:
            return
        model, reviewed = self._ratings
        known = np.flatnonzero(reviewed[pool.item])
        pool.rating[known] = model.predict(pool.customer[known], pool.item[known])
        if self.asked.reviews.weight:
            pool.moved[known] += self.asked.reviews.weight * (pool.rating[known] - model.mean_)


def _rating_model(now: Snapshot, k: int) -> tuple[RatingNeighbours, Bools] | None:
    rows = now.signals.of("review")
    if len(rows.day) < ENOUGH_REVIEWS:
        return None
    reviewed = np.zeros(now.n_items, dtype=bool)
    reviewed[rows.item] = True
    return RatingNeighbours(k).fit(rows.customer, rows.item, rows.rating), reviewed


def _of(now: Snapshot, keys: Integers, rows: Integers) -> Integers:
    return keys[np.isin(keys // now.n_items, rows)]


def _because(keys: Integers, source: Integers, sources: Sources, new: Found) -> Integers:
    out = np.full(len(keys), -1, dtype=np.int64)
    for code, found in ((BROWSE, sources.browsed), (NEIGHBOURS, sources.together), (SIMILAR, new)):
        mine = source == code
        out[mine] = found.of(keys[mine])
    return out


def _joined(first: Made, second: Made, rows: Integers) -> Made:
    """The first lists, those of customers `rows` from the second."""
    left = ~np.isin(first.pool.customer, rows)
    a, b = first.pool, second.pool
    pool = Pool(
        a.name,
        np.r_[a.customer[left], b.customer],
        np.r_[a.item[left], b.item],
        np.r_[a.score[left], b.score],
        np.r_[a.source[left], b.source],
    )
    for name in ("moved", "pinned", "rating"):
        setattr(pool, name, np.r_[getattr(a, name)[left], getattr(b, name)])
    pool.reasons = list(dict.fromkeys(a.reasons + b.reasons))
    position = np.asarray([pool.reasons.index(r) for r in b.reasons] + [-1], dtype=np.int64)
    pool.dropped = np.r_[a.dropped[left], position[b.dropped]]
    nothing_a, nothing_b = np.zeros(left.sum(), dtype=bool), np.zeros(len(b.item), dtype=bool)
    pool.effects = [(what, np.r_[where[left], nothing_b]) for what, where in a.effects]
    pool.effects += [(what, np.r_[nothing_a, where]) for what, where in b.effects]
    moved = np.cumsum(left) - 1
    kept = left[first.shown]
    return Made(
        pool,
        np.r_[moved[first.shown[kept]], second.shown + left.sum()],
        np.r_[first.rank[kept], second.rank],
        np.r_[first.because[kept], second.because],
    )


def frame(maker: ListMaker, made: Made) -> pd.DataFrame:
    """A list as rows of ml.recommendations, without the columns of the day and the run."""
    pool, now, at = made.pool, maker.now, made.shown
    source, reason = wording.reasons(
        now, maker.people, pool, at, made.because, maker.asked.rules, maker.sensitive
    )
    out = pd.DataFrame(
        {
            "customer_id": maker.people.customer_ids[pool.customer[at]],
            "list": pool.name,
            "rank": made.rank + 1,
            "product_id": now.catalogue.item_ids[pool.item[at]],
            "name": now.catalogue.names[pool.item[at]],
            "score": np.round(np.clip(pool.score[at], 0, 1), 6),
            "source": source,
            "reason": reason,
            "expected_rating": np.round(pool.rating[at], 2),
            "sensitive": maker.sensitive[pool.item[at]],
        }
    )
    return out.sort_values(["customer_id", "rank"], ignore_index=True)


def summary(maker: ListMaker, made: Made) -> pd.DataFrame:
    """One row a customer: customer_id, list, products, candidates, why_short (empty where it is full)."""
    pool, n = made.pool, maker.asked.list_length
    rows = np.flatnonzero(maker.people.listed)
    size = len(maker.people.customer_ids)
    shown = np.bincount(pool.customer[made.shown], minlength=size)[rows]
    looked = np.bincount(pool.customer, minlength=size)[rows]
    table = np.zeros((size, len(pool.reasons)), dtype=np.int64)
    out_ = pool.dropped >= 0
    np.add.at(table, (pool.customer[out_], pool.dropped[out_]), 1)
    why: NDArray[np.object_] = np.full(len(rows), None, dtype=object)
    for k in np.flatnonzero(shown < n).tolist():
        why[k] = _why_short(pool, int(shown[k]), n, int(looked[k]), table[rows[k]])
    return pd.DataFrame(
        {
            "customer_id": maker.people.customer_ids[rows],
            "list": pool.name,
            "products": shown,
            "candidates": looked,
            "why_short": why,
        }
    )


def _why_short(pool: Pool, shown: int, wanted: int, looked: int, counts: Integers) -> str:
    if looked == 0:
        nothing = (
            "the customer has bought nothing yet"
            if pool.name == "replenish"
            else "nothing is for sale that the customer has not bought"
        )
        return f"{shown} of {wanted}: {nothing}"
    parts = [
        f"{counts[k]} {pool.reasons[k]}"
        for k in np.lexsort((np.arange(len(counts)), -counts)).tolist()
        if counts[k]
    ]
    if not parts:
        only = "bought" if pool.name == "replenish" else "found"
        return f"{shown} of {wanted}: only {looked} different products {only}"
    return f"{shown} of {wanted}: of {looked} products, {', '.join(parts)}"


def lists(maker: ListMaker) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both lists of every customer who gets them, and the summary of each list.

    Returns
    -------
    rows, summaries : DataFrame
        As `frame` and `summary` say, ordered by customer, list and rank.
    """
    made = [maker.replenish(), maker.discover()]
    rows = pd.concat([frame(maker, m) for m in made], ignore_index=True)
    summaries = pd.concat([summary(maker, m) for m in made], ignore_index=True)
    return (
        rows.sort_values(["customer_id", "list", "rank"], ignore_index=True),
        summaries.sort_values(["customer_id", "list"], ignore_index=True),
    )

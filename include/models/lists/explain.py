"""What became of one customer's candidates, in lines to read: who was shown, moved, limited or left out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from include.features.arrays import Integers
from include.models.lists import build
from include.models.lists.build import ListMaker, Made
from include.models.products.pool import SOURCES

#: Products named for each reason to leave out, the likeliest first.
NAMED = 3

#: What each list is, for its headline.
_WHAT = {"replenish": "bought before", "discover": "new to the customer"}


def explain(maker: ListMaker) -> list[str]:
    """Both lists of the one customer that `maker` is for."""
    lines: list[str] = []
    for made in (maker.replenish(), maker.discover()):
        lines += _list(maker, made)
    return lines


def _list(maker: ListMaker, made: Made) -> list[str]:
    pool = made.pool
    summary = build.summary(maker, made).iloc[0]
    lines = [
        "",
        f"{pool.name} ({_WHAT[pool.name]}): {summary['products']} shown of "
        f"{summary['candidates']} products looked at",
    ]
    if summary["why_short"]:
        lines.append(f"  short: {summary['why_short']}")
    lines += _shown(maker, made)
    lines += _left_out(maker, made)
    return lines


def _shown(maker: ListMaker, made: Made) -> Iterator[str]:
    """Each product that is shown: its chance and why, and below it what moved it."""
    pool, names = made.pool, maker.now.catalogue.names
    rows = build.frame(maker, made)
    if rows.empty:
        return
    position = dict(zip(pool.item[made.shown].tolist(), made.shown.tolist(), strict=True))
    items = {str(i): k for k, i in enumerate(maker.now.catalogue.item_ids)}
    before = _ranks_by_chance(made)
    told = [f"{names[items[p]]} [{p}]" for p in rows["product_id"]]
    wide = min(max(len(text) for text in told), 60)
    yield f"  rank  chance  {'product':<{wide}}  from        reason"
    for name, row in zip(told, rows.to_dict("records"), strict=True):
        at = position[items[str(row["product_id"])]]
        yield (
            f"  {row['rank']:>4}  {row['score']:>6.1%}  {name:<{wide}}  {row['source']:<10}  "
            f"{row['reason']}"
        )
        notes = [f"rule {what}" for what, where in pool.effects if where[at]]
        if maker.asked.reviews.weight and np.isfinite(row["expected_rating"]):
            notes.append(f"expected rating {row['expected_rating']:.1f} of 5")
        if before[at] != row["rank"]:
            notes.insert(0, f"number {before[at]} by chance alone")
        if notes:
            yield f"                {'; '.join(notes)}"


def _left_out(maker: ListMaker, made: Made) -> Iterator[str]:
    """What may not be shown, by reason; and what was passed over while the list was filled."""
    pool = made.pool
    for code, reason in enumerate(pool.reasons):
        yield from _group(maker, made, f"left out, {reason}", np.flatnonzero(pool.dropped == code))
    for reason, at in _passed_over(maker, made).items():
        yield from _group(maker, made, f"passed over, {reason}", np.asarray(at, dtype=np.int64))


def _group(maker: ListMaker, made: Made, title: str, at: Integers) -> Iterator[str]:
    if len(at) == 0:
        return
    pool, now = made.pool, maker.now
    yield f"  {title}: {len(at)}"
    for k in at[np.argsort(-pool.score[at], kind="stable")][:NAMED].tolist():
        source = SOURCES[pool.source[k]] if pool.source[k] >= 0 else "model"
        name = f"{now.catalogue.names[pool.item[k]]} [{now.catalogue.item_ids[pool.item[k]]}]"
        yield f"        {pool.score[k]:>6.1%}  {name}, from {source}"
    if len(at) > NAMED:
        yield "                ..."


def _passed_over(maker: ListMaker, made: Made) -> dict[str, list[int]]:
    """Candidates with better odds than the last one shown, by what put them off."""
    pool = made.pool
    found: dict[str, list[int]] = {}
    if len(made.shown) == 0:
        return found
    odds, items = pool.odds(), pool.item[made.shown]
    rest = pool.kept & (odds > odds[made.shown].min())
    rest[made.shown] = False
    for k in np.flatnonzero(rest).tolist():
        reason = f"variety {maker.asked.variety:g}: too like what is shown, or bought by everybody"
        for limit in maker.limits(pool.name):
            code = limit.code[pool.item[k]]
            full = code >= 0 and int((limit.code[items] == code).sum()) >= limit.at_most
            if full and limit.heeds[pool.customer[k]]:
                reason = f"the list holds enough of its kind ({limit.name})"
                break
        found.setdefault(reason, []).append(k)
    return found


def _ranks_by_chance(made: Made) -> Integers:
    """Each candidate's rank by chance alone, from 1."""
    order = np.lexsort((made.pool.item, -made.pool.score))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    return rank

"""What became of one customer's candidates, in lines to read: who was shown, moved, limited or left out."""

from __future__ import annotations

import numpy as np

from include.models import lists
from include.models.lists import ListMaker, Made
from include.models.pool import SOURCES

#: Products named for each reason to leave out, the likeliest first.
NAMED = 3


def explain(maker: ListMaker) -> list[str]:
    """Both lists of the one customer that `maker` is for."""
    lines: list[str] = []
    for made in (maker.replenish(), maker.discover()):
        lines += _list(maker, made)
    return lines


def _list(maker: ListMaker, made: Made) -> list[str]:
    pool, names = made.pool, maker.now.catalogue.names
    summary = lists.summary(maker, made).iloc[0]
    lines = [
        "",
        f"{pool.name}: {summary['products']} shown of {summary['candidates']} products looked at",
    ]
    if summary["why_short"]:
        lines.append(f"  short: {summary['why_short']}")
    rows = lists.frame(maker, made)
    position = dict(zip(pool.item[made.shown].tolist(), made.shown.tolist(), strict=True))
    items = {str(i): k for k, i in enumerate(maker.now.catalogue.item_ids)}
    before = _ranks_by_chance(made)
    for row in rows.to_dict("records"):
        item = items[str(row["product_id"])]
        at = position[item]
        lines.append(
            f"  {row['rank']:>2}. {names[item]} ({row['product_id']}): chance {row['score']:.1%}, "
            f"{before[at]}. by chance, from {row['source']}; {row['reason']}"
        )
        lines += [f"      rule: {what}" for what, where in pool.effects if where[at]]
        if maker.asked.reviews.weight and np.isfinite(row["expected_rating"]):
            lines.append(f"      expected rating {row['expected_rating']:.1f} of 5")
    for code, reason in enumerate(pool.reasons):
        out = np.flatnonzero(pool.dropped == code)
        if len(out) == 0:
            continue
        best = out[np.argsort(-pool.score[out], kind="stable")[:NAMED]]
        named = ", ".join(
            f"{names[pool.item[k]]} (chance {pool.score[k]:.1%}, {_source(pool.source[k])})"
            for k in best.tolist()
        )
        lines.append(
            f"  left out, {reason}: {len(out)}; {named}{', ...' if len(out) > NAMED else ''}"
        )
    return lines


def _source(code: int) -> str:
    return SOURCES[code] if code >= 0 else "model"


def _ranks_by_chance(made: Made) -> np.ndarray:
    """Each candidate's rank by chance alone, from 1."""
    order = np.lexsort((made.pool.item, -made.pool.score))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    return rank

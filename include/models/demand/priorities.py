"""How much of each product to keep where, when a sale to one customer is worth more than to another.

Two kinds of customers want the same goods. A sale lost to one of low value costs its margin m; lost to one of
high value it costs w times that, because later purchases go with it. A piece left over costs h. With D the
demand of all and H that of high-value customers, the q-th piece kept is worth

    v(q) = m [(w - 1) P(H >= q) + P(D >= q)] - h P(D < q),

since it is sold to a high-value customer if H >= q, who come first where pieces are reserved for them, and
otherwise to anybody if D >= q. For w = 1 the pieces worth keeping are the newsvendor's: as many as the
smallest q with P(D <= q) >= m / (m + h) (Arrow, Harris and Marschak 1951, Econometrica 19). Pieces are
reserved for high-value customers as long as P(H >= y) is at least a chance that the policy names:
Littlewood's rule (1972) for two classes of one good, by which it would be 1 / w if turning somebody away who
stands there cost no more than their margin.

Demand is negative binomial: its variance is the mean plus `dispersion` times the mean squared.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from include.features.arrays import Floats, Ints

#: No more pieces than this multiple of the expected demand, and this many on top, are ever looked at.
_MOST, _MORE = 4, 8


@dataclass(frozen=True)
class Costs:
    """Money behind the rule, for each product and region or one figure for all.

    Attributes
    ----------
    margin
        Lost with a sale, in money.
    holding
        Of a piece left over at the end of the period, in money.
    high_weight
        How many margins a sale lost to a high-value customer costs; 1 makes no difference between customers.
    """

    margin: Floats
    holding: Floats
    high_weight: float


def dispersion(expected: Floats, came: Floats) -> float:
    """The negative binomial's dispersion by moments, from forecasts and what came; at least 0.01."""
    squares = float((expected**2).sum())
    if squares <= 0:
        return 0.01
    return max(0.01, float((((came - expected) ** 2) - expected).sum()) / squares)


def at_least(mean: Floats, spread: float | Floats, pieces: Floats) -> Floats:
    """P(demand >= pieces)."""
    size = 1.0 / spread
    found: Floats = stats.nbinom.sf(np.ceil(pieces) - 1, size, size / (size + mean))
    return np.where(pieces <= 0, 1.0, found)


def shortage(mean: Floats, spread: float, stock: Floats) -> Floats:
    """Expected units wanted and not there: E[(demand - stock)+]."""
    size = 1.0 / spread
    chance = size / (size + mean)
    held = np.floor(stock)
    # E[D; D > s] is the mean times P(D' >= s), D' being demand with one more in its size.
    short = mean * stats.nbinom.sf(held - 1, size + 1, chance)
    short -= stock * stats.nbinom.sf(held, size, chance)
    found: Floats = np.maximum(short, 0.0)
    return found


def reserve(high: Floats, spread: float | Floats, chance: float) -> Ints:
    """Pieces to keep for high-value customers: the last y with P(H >= y) >= chance (Littlewood)."""
    kept = np.zeros(np.shape(high), dtype=np.int64)
    every = np.broadcast_to(np.asarray(spread, dtype=np.float64), np.shape(high))
    open_ = np.flatnonzero(high > 0)
    while len(open_):
        next_ = (kept[open_] + 1).astype(np.float64)
        open_ = open_[at_least(high[open_], every[open_], next_) >= chance]
        kept[open_] += 1
    return kept


def worth(high: Floats, low: Floats, spread: float, costs: Costs) -> tuple[Ints, Floats]:
    """What every further piece is worth: the place it is kept at, and v(q), for q = 1, 2, ... of each place.

    Pieces are listed as long as a place could want them; the worth falls from piece to piece.
    """
    demand = high + low
    limit = np.ceil(_MOST * demand + _MORE).astype(np.int64)
    places, values = [], []
    open_ = np.arange(len(demand))
    q = 0
    while len(open_):
        q += 1
        any_ = at_least(demand[open_], spread, np.full(len(open_), float(q)))
        high_ = at_least(high[open_], spread, np.full(len(open_), float(q)))
        value = costs.margin[open_] * ((costs.high_weight - 1) * high_ + any_)
        value -= costs.holding[open_] * (1 - any_)
        places.append(open_)
        values.append(value)
        open_ = open_[(value > -0.9 * costs.holding[open_]) & (q < limit[open_])]
    return np.concatenate(places), np.concatenate(values)


def keep(high: Floats, low: Floats, spread: float, costs: Costs) -> Ints:
    """Pieces worth keeping of each product: the newsvendor's quantity, with customer value in it."""
    places, values = worth(high, low, spread, costs)
    return np.bincount(places[values >= 0], minlength=len(high))


def keep_best(
    high: Floats, low: Floats, spread: float, costs: Costs, size: Floats, room: float
) -> Ints:
    """The best stock over all products that takes no more than `room`.

    Piece by piece, where a further one is worth most for the room it takes: `size` is 1 where pieces count,
    or what a piece costs where money does. As v falls from piece to piece that is the optimum but for the
    last piece (a knapsack filled by density). Without customer value and with room for as many pieces as
    `keep` keeps it keeps the same; with it, stock shifts from what only low-value customers are expected to
    want to what high-value ones will.
    """
    places, values = worth(high, low, spread, costs)
    taken = np.maximum(size[places], 1e-9)
    best = np.argsort(-values / taken, kind="stable")
    fits = np.cumsum(taken[best]) <= room * (1 + 1e-9)
    return np.bincount(places[best[fits]], minlength=len(high))


@dataclass(frozen=True)
class Rules:
    """What the policy says: money of `Costs`, and what is worth doing."""

    high_weight: float
    reserve_chance: float
    overstock_days: float
    minimum_worth: float
    cover_days: int


def prioritise(places: pd.DataFrame, spread: float, rules: Rules) -> pd.DataFrame:
    """What to do about each product and region.

    Parameters
    ----------
    places
        A row a product and region: region; units_high_value and units_other, expected within the cover days;
        on_hand and on_order (NaN where not counted); unit_price, unit_margin; holding, the cost of a piece
        left over.

    Returns
    -------
    DataFrame
        The rows with the columns of `marketing.stock_priorities` that follow, the most urgent first.
    """
    high = places["units_high_value"].to_numpy(dtype=np.float64)
    low = places["units_other"].to_numpy(dtype=np.float64)
    demand = high + low
    counted = places["on_hand"].notna().to_numpy()
    hand = places["on_hand"].fillna(0.0).to_numpy(dtype=np.float64)
    there = hand + places["on_order"].fillna(0.0).to_numpy(dtype=np.float64)
    margin = places["unit_margin"].to_numpy(dtype=np.float64)
    holding = places["holding"].to_numpy(dtype=np.float64)
    piece = places["unit_price"].to_numpy(dtype=np.float64) - margin
    kept = _kept(places["region"].to_numpy(dtype="U"), high, low, spread, margin, holding, rules)

    short = shortage(demand, spread, there)
    mix = high / np.maximum(demand, 1e-9)
    # Without a reserve, customers come as they come: what is missing is missed in proportion.
    running_out = short * margin * (1 + (rules.high_weight - 1) * mix)
    left = there - demand + short
    spared = short * mix * margin * (rules.high_weight - 1)
    held_back = np.minimum(reserve(high, spread, rules.reserve_chance), np.floor(hand))
    held_back = np.where(counted & (spared >= rules.minimum_worth), held_back, 0)
    missing = np.where(counted, np.maximum(kept - np.floor(there), 0), 0)
    surplus = np.where(counted, np.maximum(np.floor(there) - kept, 0), 0)
    surplus = np.where(surplus * piece >= rules.minimum_worth, surplus, 0)
    cover = np.where(
        counted & (demand > 0), rules.cover_days * hand / np.maximum(demand, 1e-9), np.nan
    )
    too_much = (surplus > 0) & ((cover > rules.overstock_days) | (demand <= 0))

    out = places.drop(columns="holding").assign(
        days_of_cover=np.minimum(cover, 9999.0),
        p_run_out=np.where(counted, 1 - at_most(demand, spread, there), np.nan),
        units_to_keep=kept,
        units_to_reserve=held_back.astype(np.int64),
        units_to_order=missing.astype(np.int64),
        units_reducible=surplus.astype(np.int64),
        cost_of_running_out=np.where(counted, running_out, np.nan),
        cost_of_holding=np.where(counted, holding * left, np.nan),
        promote_to=np.where(
            held_back > 0, "high_value", np.where(too_much, "clear", "everybody")
        ),
        cover_days=rules.cover_days,
    )  # fmt: skip
    out["action"] = [
        _action(*row)
        for row in zip(counted, missing > 0, held_back > 0, surplus > 0, strict=True)
    ]  # fmt: skip
    nowhere = not counted.any()
    out["reason"] = [_reason(row, rules, nowhere) for row in out.itertuples(index=False)]
    # What nobody has counted costs nothing that is known: it ranks by what will be wanted, after the rest.
    out = out.assign(need=np.where(counted, 0.0, demand)).sort_values(
        ["cost_of_running_out", "need", "region", "product_id"],
        ascending=[False, False, True, True], kind="stable",
    ).drop(columns="need").reset_index(drop=True)  # fmt: skip
    return out.assign(priority_rank=np.arange(1, len(out) + 1))


def at_most(mean: Floats, spread: float, pieces: Floats) -> Floats:
    """P(demand <= pieces)."""
    return 1.0 - at_least(mean, spread, np.floor(pieces) + 1)


def _kept(
    region: NDArray[np.str_],
    high: Floats,
    low: Floats,
    spread: float,
    margin: Floats,
    holding: Floats,
    rules: Rules,
) -> Ints:
    """Pieces to keep: in each region as many as the plain newsvendor's, placed by customer value."""
    kept = np.zeros(len(region), dtype=np.int64)
    for name in np.unique(region):
        at = np.flatnonzero(region == name)
        plain = Costs(margin[at], holding[at], 1.0)
        room = float(keep(high[at], low[at], spread, plain).sum())
        valued = replace(plain, high_weight=rules.high_weight)
        kept[at] = keep_best(high[at], low[at], spread, valued, np.ones(len(at)), room)
    return kept


def _action(counted: np.bool_, order: np.bool_, hold: np.bool_, reduce: np.bool_) -> str:
    if not counted:
        return "count"
    if order and hold:
        return "order and reserve"
    return "order" if order else "reserve" if hold else "reduce" if reduce else "keep"


def _reason(row: Any, rules: Rules, nowhere: bool) -> str:
    """The row in a sentence or two; `nowhere`: the shop has no count of anything."""
    high, low = row.units_high_value, row.units_other
    days = rules.cover_days
    wanted = f"{high + low:.1f} wanted in {days} days, {high:.1f} of them by high-value customers"
    if row.action == "count" and nowhere:
        return f"{wanted}; stock is not counted anywhere, so this ranks by what will be wanted."
    if row.action == "count":
        return f"{wanted}; no new count says what is there."
    there = f"{row.on_hand:g} on hand, {row.on_order:g} on order"
    chance = f"{row.p_run_out:.0%} chance of running out"
    if row.action == "reduce":
        why = "only low-value customers" if high < low else "hardly anybody"
        if high + low < 0.05:
            why = "nobody"
        return f"{wanted}; {there}: {why} would miss {row.units_reducible:g} of them."
    parts = []
    if row.units_to_reserve:
        parts.append(f"keep {row.units_to_reserve:g} for high-value customers")
    if row.units_to_order:
        parts.append(f"order {row.units_to_order:g}")
    done = f"; {' and '.join(parts)}" if parts else ""
    return f"{wanted}; {there}: {chance}{done}."

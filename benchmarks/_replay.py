"""Weeks 46 to 53 once more: the stock rule with and without customer value, sale by sale.

At the end of week 45 demand is forecast and customers are called of high value by the value model, both from
what was known then. For each fourteen days (the policy's cover) both rules place as many pieces, `equal
stock`, over the same products, each by its own reckoning; then the real purchases come in their real order.
What is not there is lost. With customer value, pieces are reserved as the policy says; the reserve is worked
out again every day from the days that are left and what high-value customers have taken so far. Nobody is
turned away without it.

Lost margin is lost units at the product's mean price, times the policy's margin share: no generated figure is
in it but the regions of the stores. Settings:

* `region`: places as the table tells them, products in a region of which two pieces or more are expected in
  the fourteen days; the required figure is read here,
* `all regions`: the shop as one place, every product that sold within 13 weeks; nothing generated at all,
* `region, equal money`: as `region`, with the same money in stock instead of the same pieces,
* `region, reserve only`: the same stock of every product; customer value reserves, and does nothing else.

`lost_margin_high` is told for those called of high value at week 45 (`called`) and for the fifth that spent
most in the eight weeks (`turned out`). `holding` is what was left over, at the cost of holding it.
"""

import sys
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from benchmarks._lines import show
from include import policy, warehouse
from include.features.arrays import Bools, Floats, Ints
from include.features.demand_panel import HORIZON, Settings
from include.features.panels import top_share
from include.models.demand.cadence import Cadence
from include.models.demand.forecast import forecast, origins_needed
from include.models.demand.priorities import (
    Costs,
    dispersion,
    keep,
    keep_best,
    reserve,
)
from include.models.demand.split import shares
from include.steps import features, stock
from include.steps.training import panels
from include.warehouse import Connection

ORIGIN = 45
#: Places of which fewer pieces are expected within the cover are not told singly by the table either.
LEAST_UNITS = stock.UNCOUNTED_UNITS


@dataclass(frozen=True)
class Place:
    """Products where they are sold.

    Attributes
    ----------
    high, low
        Expected units of each week, (HORIZON, places).
    price
        Of a piece, (places,).
    spread, spread_high
        Dispersion of all demand and of high-value customers', as tested before the origin.
    """

    high: Floats
    low: Floats
    price: Floats
    spread: float
    spread_high: float


def day_of(week: int) -> date:
    """The last day of a week of the data, a Sunday."""
    return date(2017, 1, 1) + timedelta(days=7 * (week - 1))


def called_high(conn: Connection, day: str, customers: pd.Series) -> Bools:
    """Who is of high value by the value model of the day: the fifth with the best chance."""
    from include.models.value.model import ValueModel

    settings = panels.settings()
    past = panels.Panels(conn, settings.horizon_days).matured(day)
    model = ValueModel(settings).fit_high_value(past)
    known = features.customers(conn, day)
    known = known[known["customer_id"].isin(customers)].reset_index(drop=True)
    chance = pd.Series(model.predict_high_value(known), index=known["customer_id"])
    found = chance.reindex(customers).fillna(0.0).to_numpy(dtype=np.float64)
    return top_share(found, settings.high_value_share).astype(bool)


def purchases(conn: Connection, first: date, last: date) -> pd.DataFrame:
    """Every sale of the days, in order: customer_id, product_id, region, day, units, sales."""
    return warehouse.frame(
        conn,
        """
        SELECT l.customer_id, l.product_id, coalesce(s.region, '') AS region,
            l.business_day - %(first)s::date AS day, l.quantity::double precision AS units,
            l.sales::double precision AS sales
        FROM core.order_lines AS l
        LEFT JOIN core.stores AS s ON l.store_id = s.store_id AND s.valid_to IS NULL
        WHERE l.is_unit AND l.quantity > 0 AND l.business_day BETWEEN %(first)s AND %(last)s
        ORDER BY l.ordered_at, l.order_id, l.line_number
        """,
        {"first": first, "last": last},
    )


def sell(
    sales: pd.DataFrame, stocked: Ints, place: Place, weeks: slice, chance: float | None
) -> tuple[Floats, Floats]:
    """Units lost of each sale, and pieces left of each place.

    Parameters
    ----------
    sales
        place, day (from 0), is_high and units of each sale in its order.
    chance
        That of `reserve`; None, and nothing is reserved.
    """
    days = 7 * (weeks.stop - weeks.start)
    left = stocked.astype(np.float64)
    held = np.zeros(len(left))
    taken = np.zeros(len(left))
    high = place.high[weeks].sum(axis=0)
    lost = np.zeros(len(sales))
    size, today = 1.0 / place.spread_high, -1
    columns = (sales[name].to_numpy() for name in ("place", "day", "is_high", "units"))
    for row, (at, day, is_high, units) in enumerate(zip(*columns, strict=True)):
        if chance is not None and day != today:
            today = day
            gone = day / days
            # Gamma-Poisson: the rate as it looks after what was taken in the days gone.
            rate = (size + taken) / (size + high * gone)
            held = np.minimum(reserve(high * (1 - gone) * rate, place.spread_high, chance), left)
        free = left[at] if is_high else left[at] - held[at]
        sold = min(units, max(free, 0.0))
        left[at] -= sold
        lost[row] = units - sold
        if is_high:
            taken[at] += units
            held[at] = max(held[at] - sold, 0.0)
    return lost, left


def replay(conn: Connection, origin: int = ORIGIN) -> None:
    """Print how customer value changes what is lost."""
    print(f"Replaying the eight weeks after week {origin} ...", file=sys.stderr)
    day = day_of(origin)
    known, customers = stock.known(conn, day.isoformat())
    is_high = called_high(conn, day.isoformat(), customers["customer_id"])
    due = Cadence(HORIZON).fit(known.bought, origins_needed(known.panel.weeks)).expected_
    found = forecast(known.panel, due, Settings())
    sales = purchases(conn, day + timedelta(days=1), day + timedelta(days=7 * HORIZON))
    who = pd.Index(customers["customer_id"]).get_indexer(pd.Index(sales["customer_id"]))
    best = sales.groupby("customer_id")["sales"].sum()
    fifth = best[top_share(best.to_numpy(dtype=np.float64), 0.2).astype(bool)].index
    sales["is_high"] = np.where(who >= 0, is_high[np.maximum(who, 0)], False)
    sales["turned_out"] = sales["customer_id"].isin(fifth)
    number = np.full(len(known.products), -1)
    number[found.rows] = np.arange(len(found.rows))
    product = pd.Index(known.products["product_id"]).get_indexer(pd.Index(sales["product_id"]))
    sales["product"] = np.where(product >= 0, number[np.maximum(product, 0)], -1)
    sales["region_code"] = pd.Index(known.regions).get_indexer(pd.Index(sales["region"]))
    sales = sales[(sales["product"] >= 0) & (sales["region_code"] >= 0)].reset_index(drop=True)

    split = shares(known, is_high)[found.rows]
    weekly = found.units.T[:, :, None, None] * split
    price = known.price[found.rows]
    spread = stock.spread(known, found, is_high)
    regions = len(known.regions)
    cover = float(stock.cover_weights().sum())
    enough = weekly.mean(axis=0).sum(axis=2).ravel() * cover >= LEAST_UNITS
    in_regions = sales.assign(place=sales["product"] * regions + sales["region_code"])
    in_regions = in_regions[enough[in_regions["place"]]].reset_index(drop=True)
    tiers = weekly.reshape(HORIZON, -1, 2) * enough[:, None]
    regional = Place(tiers[..., 1], tiers[..., 0], np.repeat(price, regions), spread, spread)
    whole = weekly.sum(axis=2)
    test = found.tested[0]
    weeks = round(cover)
    shop_spread = dispersion(test.units[:, :weeks].sum(axis=1), test.truth[:, :weeks].sum(axis=1))
    together = Place(whole[..., 1], whole[..., 0], price, shop_spread, shop_spread)
    at_once = sales.assign(place=sales["product"])
    compare("region", regional, in_regions)
    compare("all regions", together, at_once)
    compare("region, equal money", regional, in_regions, money=True)
    compare("region, reserve only", regional, in_regions, move=False)


def compare(
    setting: str, place: Place, sales: pd.DataFrame, *, money: bool = False, move: bool = True
) -> None:
    """Lost margin with customer value beside the same rule without it."""
    rules = policy.load().stock
    cover = round((rules.lead_days + rules.review_days) / 7)
    piece = place.price * (1 - rules.margin_share)
    margin = place.price * rules.margin_share
    totals = {name: np.zeros(5) for name in ("ours", "peer")}
    for first in range(0, HORIZON, cover):
        weeks = slice(first, min(first + cover, HORIZON))
        length = weeks.stop - weeks.start
        high, low = place.high[weeks].sum(axis=0), place.low[weeks].sum(axis=0)
        plain = Costs(margin, piece * rules.holding_share_per_week * length, 1.0)
        without = keep(high, low, place.spread, plain)
        size = piece if money else np.ones(len(piece))
        valued = replace(plain, high_weight=rules.high_value_weight)
        room = float((size * without).sum())
        with_value = keep_best(high, low, place.spread, valued, size, room) if move else without
        now = sales[(sales["day"] >= 7 * first) & (sales["day"] < 7 * weeks.stop)]
        now = now.assign(day=now["day"] - 7 * first)
        for name, stocked, chance in (
            ("ours", with_value, rules.reserve_chance),
            ("peer", without, None),
        ):
            units, left = sell(now, stocked, place, weeks, chance)
            cost = units * margin[now["place"].to_numpy()]
            totals[name] += (
                cost.sum(),
                cost[now["is_high"].to_numpy()].sum(),
                cost[now["turned_out"].to_numpy()].sum(),
                float((left * plain.holding).sum()),
                float(stocked.sum()),
            )
    for metric, at, who in (
        ("lost_margin", 0, ""),
        ("lost_margin_high", 1, ", called"),
        ("lost_margin_high", 2, ", turned out"),
        ("holding", 3, ""),
        ("pieces", 4, ""),
    ):
        show(
            "demand", metric, f"replay, {setting}{who}", float(totals["ours"][at]),
            float(totals["peer"][at]), "newsvendor without customer value",
            unit="pieces" if metric == "pieces" else policy.load().shop.currency, n=len(sales),
        )  # fmt: skip

"""Forecast demand, and say of each product and region what to keep, to reserve and to reduce."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, policy, publication, warehouse
from include.errors import BadInput
from include.warehouse import Connection

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from include.features.demand import Known
    from include.models.demand.forecast import Forecast

log = logging.getLogger(__name__)

DATASET = "stock_priorities"
#: Where the code of a forecast begins (`include.models.code`).
MADE_BY = ("include.steps.stock",)

#: Weeks of history that are read; a year tells the season's turn, and more would only cost memory.
HISTORY_WEEKS = 60
#: A shop younger than this has no forecast.
MINIMUM_WEEKS = 4
#: Products that sold in fewer weeks of the last 13 are told together, as the rest of their type.
ROW_WEEKS = 2
#: A product that nobody counted in a region is told there when at least so many units are expected.
UNCOUNTED_UNITS = 2.0
#: Dispersion of demand where the history is too short to measure it.
USUAL_SPREAD = 0.3
#: Digits kept: more would be noise, and would tell two equal days apart.
_DIGITS = 6

_PLAN = {"work_mem": "128MB", "jit": "off"}


def build(run: Mapping[str, Any]) -> dict[str, Any]:
    """Stage the forecast and the priorities of a day.

    A shop with less than `MINIMUM_WEEKS` whole weeks behind it gets no rows and a warning: no failure.

    Returns
    -------
    dict
        The batch, with the rows of each table.
    """
    day = run["as_of"]
    with publication.new_batch(DATASET, dict(run) | {"since": day}) as (conn, batch):
        frames: dict[str, pd.DataFrame] = {}
        if _weeks(day) >= MINIMUM_WEEKS:
            frames = tables(conn, day)
        else:
            log.warning(
                "No demand forecast for %s: expected %s whole weeks since the shop opened, found %s.",
                day,
                MINIMUM_WEEKS,
                _weeks(day),
            )
        counts = dict.fromkeys(frames, 0)
        for contract in contracts.of_dataset(DATASET):
            table = publication.stage(conn, batch, contract)
            frame = frames.get(contract.name)
            if frame is not None and len(frame):
                counts[contract.name] = warehouse.copy_frame(conn, frame, table)
    log.info("Stock of %s: %s", day, counts)
    return batch.as_dict() | {"rows": counts}


def tables(conn: Connection, day: str) -> "dict[str, pd.DataFrame]":
    """The rows of `ml.demand_forecasts` and `marketing.stock_priorities` of a day."""
    from include.features.demand_panel import HORIZON, Settings
    from include.models.demand.cadence import Cadence
    from include.models.demand.forecast import forecast, origins_needed
    from include.models.demand.split import shares

    found, customers = known(conn, day)
    if customers["is_high"].isna().all():
        raise BadInput(
            f"Expected segments for {day} in marketing.customer_segments, found none: run regulars_score for "
            "the day first."
        )
    counts = _counts(conn, day)
    settings = Settings(seed=policy.load().models.seed)
    weeks = found.panel.weeks
    due = Cadence(HORIZON).fit(found.bought, origins_needed(weeks)).expected_
    expected = forecast(found.panel, due, settings)
    version = _version(day, found, settings)
    is_high = high_value(customers)
    split = shares(found, is_high)
    split, places = at_places(found, split, _served(conn, day))
    rows = priorities(
        found, expected, split, spread(found, expected, is_high), counts, places=places
    )
    rules = policy.load()
    common = {"as_of": day, "model_version": version}
    return {
        "ml.demand_forecasts": forecasts(found, expected, counts).assign(**common),
        "marketing.stock_priorities": rows.assign(
            **common, policy_hash=rules.hash, currency=rules.shop.currency
        )[contracts.load("marketing", "stock_priorities").content],
    }


def known(conn: Connection, day: str) -> "tuple[Known, pd.DataFrame]":
    """What is known of demand at the end of a day, and the customers behind it.

    Returns
    -------
    Known
        Of whole weeks since the shop opened, `HISTORY_WEEKS` at most.
    DataFrame
        customer_id and is_high (empty without a segment of the day), in the order of the customers' codes;
        the last row, of no customer, is for what was sold without one.
    """
    from include.features.demand import assemble

    for name, value in _PLAN.items():
        warehouse.execute(conn, f"SET LOCAL {name} = '{value}'")
    weeks = min(HISTORY_WEEKS, _weeks(day))
    asked = _asked(day) | {"weeks": weeks}
    frames = {
        name: warehouse.frame(conn, statement, asked)
        for name, statement in (
            ("sales", warehouse.sql("queries/demand/sales")),
            ("products", warehouse.sql("queries/demand/products")),
            ("mailers", warehouse.sql("queries/demand/mailers")),
            ("customers", warehouse.sql("queries/demand/customers")),
        )
    }
    customers = frames.pop("customers")
    found = assemble(
        **frames,
        day=as_of.parse(day),
        weeks=weeks,
        n_customers=len(customers),
        nobody=len(customers) - 1,
        holidays=policy.load().stock.holidays,
    )
    return found, customers


def high_value(customers: "pd.DataFrame") -> "NDArray[np.bool_]":
    """Whether each customer is of high value; nobody is without a segment."""
    high: NDArray[np.bool_] = (
        customers["is_high"].astype("boolean").fillna(value=False).to_numpy(dtype=bool)
    )
    return high


def _asked(day: str) -> dict[str, Any]:
    timezone = policy.load().shop.timezone
    return {"as_of": day, "end": as_of.window(day, day, timezone)[1]}


def _weeks(day: str) -> int:
    return ((as_of.parse(day) - policy.load().shop.opened_on).days + 1) // 7


def _counts(conn: Connection, day: str) -> "pd.DataFrame":
    """The newest counts of the shelves: region, product_id, on_hand, on_order, counted_on."""
    asked = _asked(day) | {"max_age_days": policy.load().stock.count_max_age_days}
    return warehouse.frame(conn, warehouse.sql("queries/demand/counts"), asked)


def _served(conn: Connection, day: str) -> dict[str, list[str]]:
    """The warehouses that serve each region; a region without one is not in it."""
    served: dict[str, list[str]] = {}
    for region, place in warehouse.rows(
        conn, warehouse.sql("queries/demand/places"), {"end": _asked(day)["end"]}
    ):
        served.setdefault(region, []).append(place)
    return served


def at_places(
    found: "Known", split: "NDArray[np.float64]", served: Mapping[str, list[str]]
) -> "tuple[NDArray[np.float64], dict[str, int]]":
    """What is wanted where goods are kept: the demand of regions, gathered at the warehouses that serve them.

    Parameters
    ----------
    split
        The share of each region and tier in what is wanted of each product, (products, regions, 2).
    served
        The warehouses of each region; several share its demand evenly, and one without any is its own.

    Returns
    -------
    ndarray
        The same by place, (products, places, 2).
    dict
        The number of each place by its name, and by the name of each region: its first warehouse's.
    """
    import numpy as np

    kept_at = [served.get(region) or [region] for region in found.regions]
    names = sorted({place for places in kept_at for place in places})
    share = np.zeros((len(found.regions), len(names)))
    for region, places in enumerate(kept_at):
        for place in places:
            share[region, names.index(place)] = 1 / len(places)
    number = {name: at for at, name in enumerate(names)}
    of_regions = {
        region: number[places[0]] for region, places in zip(found.regions, kept_at, strict=True)
    }
    # A warehouse may be called as a region is: then the name is the warehouse's.
    apart = {region: at for region, at in of_regions.items() if region not in number}
    return np.einsum("prt,rl->plt", split, share), apart | number


def cover_weights() -> "NDArray[np.float64]":
    """How much of each week ahead falls within the days that stock must last."""
    import numpy as np

    from include.features.demand_panel import HORIZON

    rules = policy.load().stock
    weeks = (rules.lead_days + rules.review_days) / 7
    return np.clip(weeks - np.arange(HORIZON), 0.0, 1.0)


def spread(found: "Known", expected: "Forecast", is_high: "NDArray[np.bool_]") -> float:
    """How much more the demand of a product and region varies than chance alone would make it.

    Measured where the forecast was tested: on the weeks that stock must last, after the oldest origin.
    """
    import numpy as np

    from include.models.demand.priorities import dispersion
    from include.models.demand.split import shares, sold

    if not expected.tested:
        return USUAL_SPREAD
    test = expected.tested[0]
    weeks = min(test.units.shape[1], max(1, int(np.ceil(cover_weights().sum()))))
    regional = shares(found, is_high, test.origin, with_due=False).sum(axis=2)[test.rows]
    units = test.units[:, :weeks].sum(axis=1, keepdims=True) * regional
    came = sold(found, is_high, test.origin, test.origin + weeks).sum(axis=2)[test.rows]
    return dispersion(units, came)


def forecasts(found: "Known", expected: "Forecast", counts: "pd.DataFrame") -> "pd.DataFrame":
    """Rows of `ml.demand_forecasts`; products that seldom sell and are not counted go into the rest."""
    import numpy as np
    import pandas as pd

    from include.features.demand_panel import summed
    from include.models.demand.methods import NAMES

    panel, rows = found.panel, expected.rows
    number = found.products["product_id"].to_numpy(dtype=object)[rows]
    single = (panel.sold_weeks(panel.weeks, rows) >= ROW_WEEKS) | np.isin(
        number, counts["product_id"].to_numpy(dtype=object)
    )
    units, ends = expected.units.round(_DIGITS), expected.ends.round(_DIGITS)
    kinds = np.asarray(panel.kind_names, dtype=object)
    gathered = summed(units[~single], panel.kind[rows[~single]], panel.n_kinds)
    rest = (expected.rest + gathered).round(_DIGITS)
    total = (rest + summed(units[single], panel.kind[rows[single]], panel.n_kinds)).round(_DIGITS)
    shown = np.flatnonzero(total.sum(axis=1) > 0)
    nothing = np.full((len(shown), *ends.shape[1:]), np.nan)
    named = np.asarray(NAMES, dtype=object)[expected.method[single]]
    of_kind = kinds[panel.kind[rows[single]]]
    levels = (
        ("product", number[single], of_kind, units[single], ends[single], named),
        ("rest", kinds[shown], kinds[shown], rest[shown], nothing, "sum"),
        ("type", kinds[shown], kinds[shown], total[shown], expected.kind_ends[shown], "sum"),
    )
    steps = units.shape[1]
    starts = [found.day + timedelta(days=1 + 7 * step) for step in range(steps)]
    tall = []
    for level, series, kind, values, bounds, method in levels:
        low_95, low_80, high_80, high_95 = bounds.reshape(-1, 4).T
        tall.append(
            pd.DataFrame(
                {
                    "level": level,
                    "series": np.repeat(series, steps),
                    "type": np.repeat(kind, steps),
                    "step": np.tile(np.arange(1, steps + 1), len(series)),
                    "starts_on": np.tile(np.array(starts, dtype="datetime64[D]"), len(series)),
                    "units": values.ravel(),
                    "low_80": low_80.round(_DIGITS),
                    "high_80": high_80.round(_DIGITS),
                    "low_95": low_95.round(_DIGITS),
                    "high_95": high_95.round(_DIGITS),
                    "method": np.repeat(method, steps) if level == "product" else method,
                }
            )
        )
    return pd.concat(tall, ignore_index=True)


def priorities(
    found: "Known",
    expected: "Forecast",
    split: "NDArray[np.float64]",
    spread: float,
    counts: "pd.DataFrame",
    places: Mapping[str, int] | None = None,
) -> "pd.DataFrame":
    """Rows of `marketing.stock_priorities`, but for what is the same in all of them.

    Parameters
    ----------
    split
        Shares by place and tier, as `at_places` gives them.
    places
        The number of each place by the names that a count may give it; the regions where not given.
    """
    import numpy as np
    import pandas as pd

    from include.models.demand.priorities import Rules, prioritise

    rules = policy.load().stock
    days = rules.lead_days + rules.review_days
    units = np.zeros(len(found.products))
    units[expected.rows] = expected.units @ cover_weights()
    wanted = units[:, None, None] * split
    counted = counts[counts["product_id"].isin(found.products["product_id"])]
    number = places or {name: at for at, name in enumerate(found.regions)}
    names = {at: name for name, at in number.items()}  # a warehouse's own name, which comes last
    counted = counted.assign(at=counted["region"].map(number)).dropna(subset=["at"])
    # Counts by region of what a warehouse keeps for several are added up.
    counted = counted.groupby(["at", "product_id"], as_index=False, sort=False).agg(
        on_hand=("on_hand", "sum"), on_order=("on_order", "sum"), counted_on=("counted_on", "min")
    )
    region = counted["at"].to_numpy(dtype=np.int64)
    place = pd.Index(found.products["product_id"]).get_indexer(pd.Index(counted["product_id"]))
    more = wanted.sum(axis=2) >= UNCOUNTED_UNITS
    more[place, region] = False
    place = np.concatenate([place, np.nonzero(more)[0]])
    region = np.concatenate([region, np.nonzero(more)[1]])
    about = found.products.iloc[place].reset_index(drop=True)
    price = found.price[place]
    share = about["unit_margin"].fillna(rules.margin_share).to_numpy(dtype=np.float64)
    frame = pd.DataFrame(
        {
            "region": np.asarray([names[at] for at in range(len(names))], dtype=object)[region],
            "product_id": about["product_id"],
            "name": about["name"].where(about["name"] != "", about["product_id"]),
            "type": about["type"],
            "category": about["category"],
            "units_high_value": wanted[place, region, 1].round(3),
            "units_other": wanted[place, region, 0].round(3),
            "on_hand": counted["on_hand"].reset_index(drop=True).reindex(range(len(place))),
            "on_order": counted["on_order"].reset_index(drop=True).reindex(range(len(place))),
            "counted_on": counted["counted_on"].reset_index(drop=True).reindex(range(len(place))),
            "unit_price": price.round(4),
            "unit_margin": (price * share).round(4),
            "holding": price * (1 - share) * rules.holding_share_per_week * days / 7,
        }
    )
    return prioritise(
        frame,
        spread,
        Rules(
            high_weight=rules.high_value_weight,
            reserve_chance=rules.reserve_chance,
            overstock_days=rules.overstock_days,
            minimum_worth=rules.minimum_worth,
            cover_days=days,
        ),
    ).round(
        {"p_run_out": _DIGITS, "cost_of_running_out": 4, "cost_of_holding": 4, "days_of_cover": 1}
    )


def _version(day: str, found: "Known", settings: Any) -> str:
    """The name of a forecast: its day, and a hash of data, settings and code."""
    from include.models import registry
    from include.steps.training import recipes

    data = hashlib.sha256()
    for part in (found.panel.units, found.panel.sales, found.panel.mailer, found.bought.customer):
        data.update(part.tobytes())
    made_by = recipes.method(MADE_BY, asdict(settings), ("numpy", "scikit-learn"))
    return registry.version("demand", day, made_by | {"data": data.hexdigest()})

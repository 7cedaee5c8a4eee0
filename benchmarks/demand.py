"""Weekly units of products, types and categories, eight weeks ahead of weeks 36, 40 and 44.

For each origin the forecast is made by the functions that the DAG calls, from what was known by then, and
compared with the eight weeks that followed, beside baselines of the same run. A series is judged where it
sold in at least 7 of the last 13 weeks: on these the baselines come out as they are quoted elsewhere
(product: MA8 0.690), so the required figures are read on the settings `category`, `type` and `product`. All
series that sold at all within the 13 weeks stand beside them (`... all`).

* `wape`: absolute errors over units; `bias`: units expected too many, over units; `coverage_80/95`: share of
  weeks within the interval. `ours_95` and `difference_95` are bootstrap intervals over series.
* seasonal naive needs the same weeks of the year before: of one year there are none, so its figures are null.
* Mailers are real rows. That those of the coming weeks are known eight weeks ahead is assumed: a mailer is
  planned before it is printed. `product, no mailer plan` is the figure of a shop that plans none.
* `product, customers due` compares with a forecast that never looks at who is due to buy what.

Settings were chosen on origins 24 and 28, whose weeks end by week 36. The replay of weeks 46 to 53 stands in
`_replay.py`, its weights chosen on weeks 29 to 36.

    bin/regulars bench demand [--origins 36 40 44] [--only accuracy replay speed]
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from benchmarks._lines import show
from benchmarks._replay import replay
from benchmarks._year import LAST_DAY, whole_year
from include import warehouse
from include.features.arrays import Bools, Floats, Ints
from include.features.demand import Known
from include.features.demand_panel import HORIZON, REGULAR_WEEKS, WINDOW, Panel, Settings, summed
from include.models import evaluate
from include.models.demand import methods, smoothing
from include.models.demand.cadence import Cadence
from include.models.demand.forecast import (
    Forecast,
    forecast,
    origins_needed,
    rest_of,
)
from include.steps import stock
from include.warehouse import Connection

ORIGINS = (36, 40, 44)
#: Weeks that can be origins: there is something to learn from, and eight weeks of truth follow.
FIRST, LAST = 13, 45
PARTS = ("accuracy", "replay", "speed")
#: Series of the timed runs.
SIZES = (2000, 4000, 8000)
SEED = 20170101
REPEATS = 200


def day_of(week: int) -> str:
    """The last day of a week of the data, a Sunday."""
    return (date(2017, 1, 1) + timedelta(days=7 * (week - 1))).isoformat()


def wape(truth: Floats, units: Floats) -> float:
    """Absolute errors over units."""
    return float(np.abs(truth - units).sum() / truth.sum())


def bias(truth: Floats, units: Floats) -> float:
    """Units expected too many, over units."""
    return float((units - truth).sum() / truth.sum())


@dataclass(frozen=True)
class Level:
    """Series of one level: what came, what was expected, and their history."""

    truth: Floats
    ours: Floats
    history: Floats
    ends: Floats | None = None

    @property
    def sold_weeks(self) -> Ints:
        return (self.history[:, -WINDOW:] > 0).sum(axis=1)

    def of(self, kept: Bools) -> "Level":
        ends = None if self.ends is None else self.ends[kept]
        return Level(self.truth[kept], self.ours[kept], self.history[kept], ends)

    def baselines(self) -> dict[str, Floats | None]:
        """The forecasts of every simple method; None where the history is too short for it."""
        found: dict[str, Floats | None] = {
            name: method(self.history)[:, None].repeat(HORIZON, axis=1)
            for name, method in methods.STEADY.items()
        }
        naive = smoothing.seasonal_naive(self.history, HORIZON)
        return found | {"seasonal_naive": None if np.isnan(naive).any() else naive}


def expect(known: Known, settings: Settings, *, with_due: bool = True) -> Forecast:
    """The forecast as the DAG makes it."""
    weeks = known.panel.weeks
    due = Cadence(HORIZON).fit(known.bought, origins_needed(weeks)).expected_ if with_due else {}
    return forecast(known.panel, due, settings)


def levels(known: Known, found: Forecast, year: Known) -> dict[str, Level]:
    """Products, types and categories of one origin; what a new product sells counts in both of the latter."""
    panel = known.panel
    names, category = np.unique(known.products["category"].to_numpy(dtype="U"), return_inverse=True)
    category, count = category.astype(np.int64), len(names)
    expected = summed(found.units, category[found.rows], count)
    expected += rest_of(panel, panel.weeks, category, count, Settings())
    products = known.products["product_id"].to_numpy(dtype="U")
    return {
        "category": Level(
            following(known, year, "category", names),
            expected,
            summed(panel.units, category, count),
        ),
        "type": Level(
            following(known, year, "type", panel.kind_names),
            found.kinds,
            panel.by_kind(panel.units),
            found.kind_ends,
        ),
        "product": Level(
            following(known, year, "product_id", products)[found.rows],
            found.units,
            panel.units[found.rows],
            found.ends,
        ),
    }


def following(known: Known, year: Known, column: str, names: NDArray[np.str_]) -> Floats:
    """Units of the eight weeks after an origin, added up by a column of the products, (names, HORIZON)."""
    first = year.panel.weeks - (year.day - known.day).days // 7
    units = year.panel.units[:, first : first + HORIZON]
    place = {name: row for row, name in enumerate(names)}
    group = np.array([place.get(name, -1) for name in year.products[column]])
    kept = group >= 0
    return summed(units[kept], group[kept], len(names))


def report(setting: str, origins: Mapping[int, Level]) -> None:
    """A line for each origin, metric and baseline, and their means."""
    figures: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for origin, level in origins.items():
        for name, units in level.baselines().items():
            for metric, of in (("wape", wape), ("bias", bias)):
                ours = of(level.truth, level.ours)
                peer = float("nan") if units is None else of(level.truth, units)
                figures.setdefault((metric, name), []).append((ours, peer))
                show(
                    "demand", metric, f"{setting} origin={origin}", ours, none_if_nan(peer), name,
                    unit="share of units", n=len(level.truth),
                )  # fmt: skip
        if level.ends is not None:
            for nominal, (low, high) in ((80, (1, 2)), (95, (0, 3))):
                inside = (level.truth >= level.ends[..., low]) & (
                    level.truth <= level.ends[..., high]
                )
                figures.setdefault((f"coverage_{nominal}", "nominal"), []).append(
                    (float(inside.mean()), nominal / 100)
                )
                show(
                    "demand", f"coverage_{nominal}", f"{setting} origin={origin}",
                    float(inside.mean()), nominal / 100, "nominal", unit="share of weeks",
                    n=inside.size,
                )  # fmt: skip
    for (metric, name), pairs in figures.items():
        ours, peer = np.mean(pairs, axis=0)
        more: dict[str, list[float] | float] = {}
        if metric == "wape" and not np.isnan(peer):
            more = {
                "ours_95": interval(origins, None),
                "difference_95": interval(origins, name),
            }
        elif metric == "bias":
            more = {"absolute": round(float(np.mean([abs(a) for a, _ in pairs])), 6)}
        show(
            "demand", metric, setting, float(ours), none_if_nan(float(peer)), name,
            unit="share of units" if name != "nominal" else "share of weeks", n=len(pairs), **more,
        )  # fmt: skip


def none_if_nan(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return None if np.isnan(value) else value


def interval(origins: Mapping[int, Level], peer: str | None) -> list[float]:
    """95% bootstrap interval over series of our mean WAPE, or of its difference to a baseline's."""
    ends: list[tuple[float, float]] = []
    for level in origins.values():
        sold = level.truth.sum(axis=1)
        missed = np.abs(level.truth - level.ours).sum(axis=1)
        if peer is not None:
            other = level.baselines()[peer]
            if other is None:
                return []
            missed = missed - np.abs(level.truth - other).sum(axis=1)

        def of(drawn: Ints, missed: Floats = missed, sold: Floats = sold) -> float:
            return float(missed[drawn].sum() / sold[drawn].sum())

        ends.append(evaluate.bootstrap(of, len(sold), seed=SEED, repeats=REPEATS))
    return [round(float(np.mean(side)), 4) for side in zip(*ends, strict=True)]


def accuracy(conn: Connection, origins: Sequence[int], year: Known) -> None:
    """Every level beside every baseline, and what the mailers and the customers add."""
    found: dict[str, dict[int, Level]] = {}
    for origin in origins:
        known, _ = stock.known(conn, day_of(origin))
        print(f"Forecasting from week {origin} ...", file=sys.stderr)
        ours = expect(known, Settings())
        for name, level in levels(known, ours, year).items():
            found.setdefault(name, {})[origin] = level.of(level.sold_weeks >= REGULAR_WEEKS)
            found.setdefault(f"{name} all", {})[origin] = level.of(level.sold_weeks > 0)
        unplanned = replace(known, panel=replace(known.panel, planned=0))
        variants = {
            "no mailer plan": expect(unplanned, Settings()),
            "nobody due": expect(known, Settings(), with_due=False),
            "booster": replace(ours, units=ours.boosted),
        }
        for name, other in variants.items():
            level = levels(known, other, year)["product"]
            kept = level.sold_weeks >= REGULAR_WEEKS
            found.setdefault(name, {})[origin] = level.of(kept)
        chosen, counts = np.unique(ours.method, return_counts=True)
        taken = {methods.NAMES[m]: int(c) for m, c in zip(chosen, counts, strict=True)}
        print(f"Methods of week {origin}: {taken}", file=sys.stderr)
    for name in ("category", "type", "product", "category all", "type all", "product all"):
        report(name, found[name])
    for setting, ours_name, peer_name, words in (
        ("product, no mailer plan", "no mailer plan", "product", "mailers known ahead"),
        ("product, customers due", "product", "nobody due", "nobody's purchases looked at"),
        ("product, choice of method", "product", "booster", "booster for every series"),
    ):
        pairs = [
            [wape(found[name][o].truth, found[name][o].ours) for name in (ours_name, peer_name)]
            for o in origins
        ]
        a, b = np.mean(pairs, axis=0)
        show(
            "demand", "wape", setting, float(a), float(b), words, unit="share of units",
            n=len(pairs),
        )  # fmt: skip


def speed(known: Known) -> None:
    """CPU seconds of the whole forecast of so many series, and how they grow."""
    active = known.panel.active(known.panel.weeks)
    regular = active[known.panel.sold_weeks(known.panel.weeks, active) >= REGULAR_WEEKS]
    first = 0.0
    for size in SIZES:
        part = only(known, regular[:size])
        started = time.process_time()
        expect(part, Settings())
        seconds = time.process_time() - started
        first = first or seconds * 1000 / size
        show(
            "demand", "seconds", f"series={size}", seconds, first * size / 1000,
            f"{SIZES[0]} series, scaled", unit="CPU seconds", n=size,
        )  # fmt: skip


def only(known: Known, rows: Ints) -> Known:
    """A shop that sells nothing but some of the products."""
    panel, bought = known.panel, known.bought
    place = np.full(len(panel.units), -1)
    place[rows] = np.arange(len(rows))
    kept = place[bought.product] >= 0
    names, kind = np.unique(panel.kind[rows], return_inverse=True)
    mine: Panel = replace(
        panel,
        **{
            name: getattr(panel, name)[rows]
            for name in ("units", "sales", "discount", "department", "brand", "mailer", "front")
        },
        kind=kind.astype(np.int64),
        kind_names=panel.kind_names[names],
    )
    lines = replace(
        bought,
        customer=bought.customer[kept],
        product=place[bought.product[kept]],
        week=bought.week[kept],
        units=bought.units[kept],
        n_products=len(rows),
    )
    return replace(
        known,
        panel=mine,
        bought=lines,
        products=known.products.iloc[rows].reset_index(drop=True),
        region=known.region[kept],
        sales=known.sales[kept],
    )


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--origins", nargs="+", type=int, default=ORIGINS, help=f"weeks, {FIRST}-{LAST}"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    if not all(FIRST <= origin <= LAST for origin in options.origins):
        parser.error(f"expected weeks {FIRST} to {LAST}, which eight weeks of truth follow")
    with whole_year(), warehouse.connect() as conn:
        year, _ = stock.known(conn, LAST_DAY)
        if "accuracy" in options.only:
            accuracy(conn, options.origins, year)
        if "replay" in options.only:
            replay(conn)
        if "speed" in options.only:
            speed(stock.known(conn, day_of(max(options.origins)))[0])


if __name__ == "__main__":
    main()

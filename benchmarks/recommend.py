"""How well the next purchases are listed: the four weeks after weeks 41, 45 and 49, all of them unseen.

For each cut the recommender is trained on what was known by then, by the functions that the DAGs call, and
its lists are compared with what was bought in the next four weeks: NDCG@10 and Recall@10 over households
with history and at least one purchase, coverage of the catalogue, at product and at product-type level, for
all purchases and for those new to the household. Products never sold before stay in the denominator. The
baselines are computed in the same run:

* popularity: what most households bought in the last four weeks, the strongest of several windows,
* repeat_count: what the household bought on most days, repeat_decay: each day counting half after 112 days.

Only real columns are used: whether a product is listed for sale is generated, so everything sold by the
piece is eligible here. Settings were chosen on labels that end by week 40.

    bin/regulars bench recommend [--cuts 41 45 49] [--levels product type]
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from benchmarks._lines import show
from benchmarks._year import LAST_DAY, whole_year
from include import warehouse
from include.models import backtest
from include.models.purchases import Catalogue, Floats, Ints, Purchases, one_day
from include.models.recommend import HORIZON_DAYS, Recommender, Settings
from include.steps import recommend

CUTS = (41, 45, 49)
LEVELS = ("product", "type")
METRICS = ("ndcg_at_10", "recall_at_10")


@dataclass
class Figures:
    """Per-household figures of one list at one cut."""

    customers: Ints
    ndcg_at_10: Floats
    recall_at_10: Floats
    coverage: float


def day_of(week: int) -> date:
    """The last day of a week of the data, a Sunday."""
    return date(2017, 1, 1) + timedelta(days=7 * (week - 1))


def settings(level: str) -> Settings:
    """The champion's own recipe; types are fewer and bought more often, so ALS is smaller there."""
    champion = recommend.settings()
    if level == "product":
        return champion
    return replace(champion, als=replace(champion.als, factors=32, regularization=20.0))


def load(level: str) -> tuple[Purchases, Catalogue]:
    """Purchases of the whole year by product or type; what a cut may know is cut out later."""
    with warehouse.connect() as conn:
        products = warehouse.frame(
            conn, warehouse.sql("ml/recommendations_catalogue"), recommend.until(LAST_DAY)
        )
        bought = recommend.interactions(conn, LAST_DAY)
    known = Catalogue.from_frame(recommend.items(products.assign(active=True), level))
    if level == "type":
        kind = products.set_index("product_id")["type"]
        bought = bought.assign(product_id=bought["product_id"].map(kind)).dropna()
        by = ["customer_id", "product_id", "business_day"]
        bought = bought.groupby(by, as_index=False)[["sales", "discount"]].sum()
    return Purchases.from_frame(bought, known), known


def at_cut(
    level: str, purchases: Purchases, known: Catalogue, week: int
) -> dict[str, dict[str, Figures]]:
    """Setting -> list -> figures, `ours` among the lists."""
    cut = one_day(day_of(week).isoformat())
    model = Recommender(settings(level)).fit(purchases, known, cut)
    now = model.snapshot(purchases, known, cut)
    # The catalogue of a cut is what had been sold by then.
    sellable = len(np.unique(now.pair_item))
    out: dict[str, dict[str, Figures]] = {}
    for setting, ours, baselines in backtest.compared(model, now, 10):
        truth = backtest.Truth.after(purchases, now, cut + HORIZON_DAYS, new_only=setting == "new")
        lists = {"ours": ours} | baselines
        out[f"{level}/{setting}"] = {
            name: Figures(truth.customers, found.ndcg, found.recall, found.coverage)
            for name, found in (
                (name, backtest.score(ranked, truth, 10, sellable))
                for name, ranked in lists.items()
            )
        }
    return out


def report(level: str, found: dict[int, dict[str, dict[str, Figures]]]) -> None:
    """One line a metric, baseline and setting: each cut in its own key, intervals over households."""
    for setting in next(iter(found.values())):
        cuts = {week: lists[setting] for week, lists in found.items()}
        names = [name for name in next(iter(cuts.values())) if name != "ours"]
        for name in names:
            for metric in METRICS:
                ours = [getattr(lists["ours"], metric) for lists in cuts.values()]
                peer = [getattr(lists[name], metric) for lists in cuts.values()]
                a, b = mean(ours), mean(peer)
                whose = np.concatenate([lists["ours"].customers for lists in cuts.values()])
                pooled = np.concatenate(ours), np.concatenate(peer)
                ends = backtest.interval(whose, *pooled, seed=20170101)
                show(
                    "recommend", metric, setting, a, b, name,
                    unit="share", n=sum(map(len, ours)),
                    ratio_by_cut={
                        w: round(float(o.mean() / p.mean()), 4)
                        for w, o, p in zip(cuts, ours, peer, strict=True)
                    },
                    ours_95=rounded(ends["ours"]), ratio_95=rounded(ends["ratio"]),
                    difference_95=rounded(ends["difference"]),
                )  # fmt: skip
            a = float(np.mean([lists["ours"].coverage for lists in cuts.values()]))
            b = float(np.mean([lists[name].coverage for lists in cuts.values()]))
            count = sum(len(lists["ours"].ndcg_at_10) for lists in cuts.values())
            show("recommend", "coverage", setting, a, b, name, unit="share", n=count)


def mean(parts: Iterable[Any]) -> float:
    """The mean of the cuts' means, each cut counting the same."""
    return float(np.mean([part.mean() for part in parts]))


def rounded(ends: tuple[float, float]) -> list[float]:
    """An interval for print."""
    return [round(end, 5) for end in ends]


def main() -> None:
    """Print every figure of every level."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cuts", type=int, nargs="+", default=CUTS, help="weeks, 10 to 49")
    parser.add_argument("--levels", nargs="+", default=LEVELS, choices=LEVELS)
    options = parser.parse_args()
    if not all(10 <= week <= 49 for week in options.cuts):
        raise SystemExit(f"Expected weeks from 10 to 49, found {options.cuts}: choose others.")
    with whole_year():
        for level in options.levels:
            purchases, known = load(level)
            report(level, {week: at_cut(level, purchases, known, week) for week in options.cuts})


if __name__ == "__main__":
    main()

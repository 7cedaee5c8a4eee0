"""How well the next purchases are listed: the four weeks after weeks 41, 45 and 49, all of them unseen.

For each cut the recommender is trained on what was known by then, by the functions that the DAGs call, and
its lists are compared with what was bought in the next four weeks: NDCG@10 and Recall@10 over households
with history and at least one purchase, at product and at product-type level, for all purchases, for those new
to the household and for repeats. Beside them what accuracy does not say: coverage of the catalogue, diversity
within a list, novelty, popularity bias, share of repeats. `all variety=V` is the blend with the policy's dial
at V; `as shown` are the published lists, after eligibility and marketing's rules. Products never sold before
stay in the denominator. The rivals that are listed (`include/models/products/rivals.py`) are computed in the
same run:

* popularity: what most households bought in the last four weeks, the strongest of several windows,
* repeat_count: what the household bought on most days, repeat_decay: each day counting half after 112 days.

Only real columns are used: whether a product is listed for sale is generated, so everything sold by the
piece is eligible here. Settings were chosen on labels that end by week 36
(`bench choices` shows those of the policy).

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
from include import policy, warehouse
from include.features.arrays import Integers, Reals
from include.features.purchases import Catalogue, Purchases, one_day
from include.features.signals import KINDS
from include.models.lists.build import ListMaker
from include.models.lists.eligibility import Shelf
from include.models.products import backtest
from include.models.products.als import AlsSettings
from include.models.products.beyond_accuracy import (
    FIGURES,
    Beyond,
    beyond,
    coverage,
    coverage_interval,
)
from include.models.products.content import Content
from include.models.products.pool import People
from include.models.products.recommender import Recommender
from include.models.products.select import as_ranked
from include.models.products.snapshot import HORIZON_DAYS, Settings, Snapshot
from include.models.products.toplists import Ranked
from include.models.products.tuning import tune
from include.policy.recommendations import Recommendations
from include.steps import product_rows
from include.steps.training import recommender

CUTS = (41, 45, 49)
LEVELS = ("product", "type")
METRICS = ("ndcg_at_10", "recall_at_10")
UNITS = {"diversity": "1 - cosine", "novelty": "bits", "popularity_bias": "log buyers"}

#: Positions of the policy's dial at which the blend is shown.
VARIETIES = (0.0, 0.3, 1.0)


@dataclass
class Figures:
    """Figures of one list at one cut: of each household with truth, and of each with a list."""

    customers: Integers
    ndcg_at_10: Reals
    recall_at_10: Reals
    other: Beyond
    coverage: float
    coverage_95: tuple[float, float]


def day_of(week: int) -> date:
    """The last day of a week of the data, a Sunday."""
    return date(2017, 1, 1) + timedelta(days=7 * (week - 1))


def settings(level: str) -> Settings:
    """The champion's own recipe; types are fewer and bought more often, so ALS is smaller there.

    Events and reviews are generated: no figure rests on them.
    """
    champion = recommender.settings()
    no_events = dict.fromkeys(KINDS, 0.0)
    own = {"factors": 32, "regularization": 20.0} if level == "type" else {}

    def real(als: AlsSettings) -> AlsSettings:
        return replace(als, **no_events, **own)  # type: ignore[arg-type]

    if level == "type":
        # Two types of a category are no more alike than two products of a type: the dial is for products.
        return replace(champion, als=real(champion.als), alternatives=(), variety=0.0)
    others = tuple(real(als) for als in champion.alternatives)
    return replace(champion, als=real(champion.als), alternatives=others)


def load(level: str) -> tuple[Purchases, Catalogue]:
    """Purchases of the whole year by product or type; what a cut may know is cut out later."""
    with warehouse.connect() as conn:
        products = warehouse.frame(
            conn, warehouse.sql("queries/recommend/catalogue"), product_rows.until(LAST_DAY)
        )
        bought = product_rows.interactions(conn, LAST_DAY)
    known = Catalogue.from_frame(product_rows.items(products.assign(active=True), level))
    if level == "type":
        kind = products.set_index("product_id")["type"]
        bought = bought.assign(product_id=bought["product_id"].map(kind)).dropna()
        by = ["customer_id", "product_id", "business_day"]
        bought = bought.groupby(by, as_index=False)[["sales", "discount", "quantity"]].sum()
    return Purchases.from_frame(bought, known), known


def at_cut(
    level: str, purchases: Purchases, known: Catalogue, week: int
) -> dict[str, dict[str, Figures]]:
    """Setting -> list -> figures, `ours` among the lists."""
    cut = one_day(day_of(week).isoformat())
    tuned, _ = tune(purchases, known, cut, settings(level))
    model = Recommender(tuned).fit(purchases, known, cut)
    now = model.snapshot(purchases, known, cut)
    content = Content(known)
    compared = backtest.compared(model, now, 10)
    everything = compared[0]
    compared += [
        (f"all variety={variety:g}", model.varied(now, 10, variety), everything[2])
        for variety in VARIETIES
    ]
    if level == "product":
        compared += shown(model, now, compared)
    out: dict[str, dict[str, Figures]] = {}
    for setting, ours, baselines in compared:
        truth = backtest.truth_of(setting.split()[0], purchases, now, cut + HORIZON_DAYS)
        lists = {"ours": ours} | baselines
        out[f"{level}/{setting}"] = {
            name: judged(ranked, truth, now, content) for name, ranked in lists.items()
        }
    return out


def judged(ranked: Ranked, truth: backtest.Truth, now: Snapshot, content: Content) -> Figures:
    """Every figure of one list."""
    # The catalogue of a cut is what had been sold by then.
    sellable = len(np.unique(now.pair_item))
    found = backtest.score(ranked, truth, 10)
    mine = np.isin(ranked.customer, truth.customers)
    judged = ranked.where(mine)
    return Figures(
        truth.customers,
        found.ndcg,
        found.recall,
        beyond(ranked, now, content),
        coverage(judged, sellable),
        coverage_interval(judged, sellable, seed=20170101),
    )


def shown(
    model: Recommender, now: Snapshot, compared: list[tuple[str, Ranked, dict[str, Ranked]]]
) -> list[tuple[str, Ranked, dict[str, Ranked]]]:
    """The published lists, beside the baselines of the same setting."""
    baselines = {setting: peers for setting, _, peers in compared}
    lists = shown_lists(model, now, policy.load().recommendations)
    return [
        (f"{setting} as shown", ranked, baselines[setting]) for setting, ranked in lists.items()
    ]


def shown_lists(model: Recommender, now: Snapshot, asked: Recommendations) -> dict[str, Ranked]:
    """The lists as customers are shown them: eligible, by the policy's rules, from every real source.

    Margins, stock, regions and reviews are generated and stay out.
    """
    limits = asked.eligibility.model_copy(update={"minimum_margin": -1.0})
    ids = now.purchases.customer_ids
    people = People(
        customer_ids=ids,
        listed=np.ones(len(ids), dtype=bool),
        region=np.full(len(ids), -1),
        regions=np.empty(0, dtype="U"),
        segment=np.full(len(ids), "", dtype=object),
        low_value=np.zeros(len(ids), dtype=bool),
    )
    maker = ListMaker(
        model,
        now,
        people,
        Shelf.unknown(0, now.n_items),
        asked.model_copy(update={"eligibility": limits}),
    )
    made = {"repeat": maker.replenish(), "new": maker.discover()}
    return {name: as_ranked(one.pool, one.shown, one.rank) for name, one in made.items()}


def report(level: str, found: dict[int, dict[str, dict[str, Figures]]]) -> None:
    """One line a metric, baseline and setting: each cut in its own key, intervals over households."""
    for setting in next(iter(found.values())):
        cuts = {week: lists[setting] for week, lists in found.items()}
        names = [name for name in next(iter(cuts.values())) if name != "ours"]
        for name in names:
            for metric in METRICS:
                tell(
                    metric, setting, name, "share", list(cuts),
                    [(f["ours"].customers, getattr(f["ours"], metric)) for f in cuts.values()],
                    [(f[name].customers, getattr(f[name], metric)) for f in cuts.values()],
                )  # fmt: skip
            for metric in FIGURES:
                tell(
                    metric, setting, name, UNITS.get(metric, "share"), list(cuts),
                    [told(f["ours"].other, metric) for f in cuts.values()],
                    [told(f[name].other, metric) for f in cuts.values()],
                )  # fmt: skip
            a = float(np.mean([lists["ours"].coverage for lists in cuts.values()]))
            b = float(np.mean([lists[name].coverage for lists in cuts.values()]))
            count = sum(len(lists["ours"].ndcg_at_10) for lists in cuts.values())
            ends = [lists["ours"].coverage_95 for lists in cuts.values()]
            show(
                "recommend", "coverage", setting, a, b, name, unit="share", n=count,
                ours_95_by_cut={w: rounded(e) for w, e in zip(cuts, ends, strict=True)},
            )  # fmt: skip


def told(other: Beyond, metric: str) -> tuple[Integers, Reals]:
    """Households and their figures, without lists too short to have one."""
    values = getattr(other, metric)
    known = ~np.isnan(values)
    return other.customers[known], values[known]


def tell(
    metric: str,
    setting: str,
    name: str,
    unit: str,
    weeks: list[int],
    ours: list[tuple[Integers, Reals]],
    peer: list[tuple[Integers, Reals]],
) -> None:
    """Print one figure beside a baseline's, over the households that both have it for."""
    both = [
        (c[np.isin(c, d)], x[np.isin(c, d)], y[np.isin(d, c)])
        for (c, x), (d, y) in zip(ours, peer, strict=True)
    ]
    a, b = mean([x for _, x, _ in both]), mean([y for _, _, y in both])
    whose, mine, theirs = (np.concatenate(parts) for parts in zip(*both, strict=True))
    ends = backtest.interval(whose, mine, theirs, seed=20170101)
    show(
        "recommend", metric, setting, a, b, name,
        unit=unit, n=len(whose),
        ratio_by_cut={
            w: round(float(x.mean() / y.mean()), 4) if y.mean() else None
            for w, (_, x, y) in zip(weeks, both, strict=True)
        },
        ours_95=rounded(ends["ours"]), ratio_95=rounded(ends["ratio"]),
        difference_95=rounded(ends["difference"]),
    )  # fmt: skip


def mean(parts: Iterable[Any]) -> float:
    """The mean of the cuts' means, each cut counting the same."""
    return float(np.mean([part.mean() for part in parts]))


def rounded(ends: tuple[float, float]) -> list[float | None]:
    """An interval for print."""
    return [round(end, 5) if np.isfinite(end) else None for end in ends]


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

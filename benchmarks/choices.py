"""What each choice of the policy costs the product lists in accuracy, or brings: the grounds of its settings.

On cuts whose labels end by week 36, before every cut that `bench recommend` is judged on: NDCG@10 of the
lists as customers are shown them, by products bought before (`repeat`) and by new ones (`new`), beside the
same lists with one choice changed:

* `replacement_share=S`: eligibility holds a product back for this share of the usual days between purchases,
* `without NAME`: one of marketing's rules left out,
* `variety=V`: the dial, also for the blend of both lists (`all`), which no rule touches.

And a choice that was not taken: `popular by GROUP` lists what is bought most among customers of one age,
income, number of children or quarter of spend, beside what is bought most in the whole shop, as for
customers of whom nothing else is known.

`ratio` above 1 says that what was changed costs accuracy as it stands; a rule may be worth its price. A list
beside what the household bought on most days (`repeat_count`) says what all choices together leave of the
models' lead. Only real columns are used, as in `bench recommend`.

    bin/regulars bench choices [--cuts 24 28 32]
"""

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks._lines import show
from benchmarks._year import whole_year
from benchmarks.recommend import day_of, load, rounded, settings, shown_lists
from include import policy, warehouse
from include.features.arrays import Integers, Reals
from include.features.purchases import Catalogue, Purchases, one_day
from include.models.products import backtest, rivals
from include.models.products.recommender import Recommender
from include.models.products.snapshot import HORIZON_DAYS, Snapshot
from include.models.products.toplists import Ranked
from include.models.products.tuning import tune
from include.policy.recommendations import Recommendations

CUTS = (24, 28, 32)

#: The last week whose purchases may say anything about a setting.
LAST_WEEK = 36

SHARES = (0.0, 0.05, 0.1, 0.15, 0.25, 0.5)
VARIETIES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)


def changed(asked: Recommendations) -> Iterator[tuple[str, Recommendations]]:
    """The policy's section with one choice changed at a time, and what was changed."""
    for share in SHARES:
        limits = asked.eligibility.model_copy(update={"replacement_share": share})
        yield f"replacement_share={share:g}", asked.model_copy(update={"eligibility": limits})
    for variety in VARIETIES:
        yield f"variety={variety:g}", asked.model_copy(update={"variety": variety})
    for rule in asked.rules:
        others = [other for other in asked.rules if other is not rule]
        yield f"without {rule.name}", asked.model_copy(update={"rules": others})


def at_cut(
    purchases: Purchases, known: Catalogue, week: int, asked: Recommendations
) -> tuple[Snapshot, dict[str, tuple[backtest.Truth, Ranked, dict[str, Ranked]]]]:
    """List -> what it is judged by, as the policy stands, and by each changed choice."""
    cut = one_day(day_of(week).isoformat())
    tuned, _ = tune(purchases, known, cut, settings("product"))
    model = Recommender(tuned).fit(purchases, known, cut)
    now = model.snapshot(purchases, known, cut)
    stands = shown_lists(model, now, asked)
    others = {name: shown_lists(model, now, other) for name, other in changed(asked)}
    others["repeat_count"] = {"repeat": rivals.repeat_count(now, 10)}
    blends = {f"variety={v:g}": model.varied(now, 10, v) for v in VARIETIES}
    out = {
        name: (
            _truth(name, purchases, now),
            stands[name],
            {choice: lists[name] for choice, lists in others.items() if name in lists},
        )
        for name in stands
    }
    out["all"] = (_truth("all", purchases, now), model.varied(now, 10, asked.variety), blends)
    return now, out


def groups(now: Snapshot) -> dict[str, Integers]:
    """Which group each customer is in, -1 where it is not known."""
    ids, p = now.purchases.customer_ids, now.purchases
    with warehouse.connect() as conn:
        told = warehouse.frame(
            conn,
            "SELECT DISTINCT ON (customer_id) customer_id, age_band, income_band, kids_count "
            "FROM core.customers ORDER BY customer_id, valid_from DESC",
        ).set_index("customer_id")
    out: dict[str, Integers] = {}
    out |= {str(name): pd.factorize(told[name].reindex(ids))[0] for name in told.columns}
    spend = np.bincount(p.customer, weights=p.sales, minlength=len(ids))
    known = spend > 0
    ends = np.quantile(spend[known], [0.25, 0.5, 0.75])
    return out | {"quarter of spend": np.where(known, np.digitize(spend, ends), -1)}


def popular(now: Snapshot, group: Integers, customers: Integers, *, whole: bool) -> Ranked:
    """What is bought most in four weeks, in each customer's group or in the whole shop.

    A group's shares are pulled toward the shop's as if 30 customers more had them.
    """
    p, n = now.purchases, now.n_items
    keys = p.pairs_between(now.cut - HORIZON_DAYS, now.cut)
    customer, item = keys // n, keys % n
    shop = np.bincount(item, minlength=n) / max(len(np.unique(customer)), 1)
    found = np.empty((len(customers), 10), dtype=np.int64)
    for code in np.unique(group[customers]):
        here = group[customer] == code
        size = len(np.unique(customer[here]))
        share = (np.bincount(item[here], minlength=n) + 30 * shop) / (size + 30)
        best = np.argsort(-(shop if whole else share), kind="stable")[:10]
        found[group[customers] == code] = best
    rank = np.tile(np.arange(10), len(customers))
    return Ranked(np.repeat(customers, 10), found.ravel(), np.zeros(found.size), rank)


def report_groups(purchases: Purchases, snapshots: dict[int, Snapshot]) -> None:
    """NDCG of the popular lists by group, over the customers whose group is known."""
    for name in groups(next(iter(snapshots.values()))):
        mine: list[Reals] = []
        peer: list[Reals] = []
        whose: list[Integers] = []
        for now in snapshots.values():
            group, truth = groups(now)[name], _truth("all", purchases, now)
            known = truth.customers[group[truth.customers] >= 0]
            for found, whole in ((mine, False), (peer, True)):
                ndcg = backtest.score(popular(now, group, known, whole=whole), truth).ndcg
                found.append(ndcg[np.isin(truth.customers, known)])
            whose.append(known)
        ours, theirs = np.concatenate(mine), np.concatenate(peer)
        ends = backtest.interval(np.concatenate(whose), ours, theirs, seed=20170101)
        show(
            "choices", "ndcg_at_10", f"all popular by {name}",
            float(np.mean([x.mean() for x in mine])), float(np.mean([x.mean() for x in peer])),
            "popular in the whole shop", unit="share", n=sum(map(len, whose)),
            ratio_95=rounded(ends["ratio"]),
        )  # fmt: skip


def _truth(name: str, purchases: Purchases, now: Snapshot) -> backtest.Truth:
    return backtest.truth_of(name, purchases, now, now.cut + HORIZON_DAYS)


def main() -> None:
    """Print one line a list and changed choice."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cuts", type=int, nargs="+", default=CUTS, help="weeks, 10 to 32")
    cuts = parser.parse_args().cuts
    last = LAST_WEEK - HORIZON_DAYS // 7
    if not all(10 <= week <= last for week in cuts):
        raise SystemExit(f"Expected weeks from 10 to {last}, found {cuts}: choose others.")
    asked = policy.load().recommendations
    with whole_year():
        purchases, known = load("product")
        found = {week: at_cut(purchases, known, week, asked) for week in cuts}
        report_groups(purchases, {week: now for week, (now, _) in found.items()})
    for name, (_, _, others) in found[cuts[0]][1].items():
        for choice in others:
            report(name, choice, {week: lists[name] for week, (_, lists) in found.items()})


def report(
    name: str, choice: str, cuts: dict[int, tuple[backtest.Truth, Ranked, dict[str, Ranked]]]
) -> None:
    """NDCG and coverage of a list with one choice changed, beside the policy as it stands."""
    scored = {
        week: (truth, backtest.score(others[choice], truth), backtest.score(stands, truth))
        for week, (truth, stands, others) in cuts.items()
    }
    mine = [a.ndcg for _, a, _ in scored.values()]
    peer = [b.ndcg for _, _, b in scored.values()]
    whose = np.concatenate([truth.customers for truth, _, _ in scored.values()])
    ends = backtest.interval(whose, np.concatenate(mine), np.concatenate(peer), seed=20170101)
    show(
        "choices", "ndcg_at_10", f"{name} {choice}",
        float(np.mean([x.mean() for x in mine])), float(np.mean([x.mean() for x in peer])),
        "the policy as it stands", unit="share", n=len(whose),
        ratio_by_cut={
            week: round(float(a.ndcg.mean() / b.ndcg.mean()), 4)
            for week, (_, a, b) in scored.items()
        },
        ratio_95=rounded(ends["ratio"]),
        different_products=[len(np.unique(others[choice].item)) for _, _, others in cuts.values()],
        rows=[len(others[choice].item) for _, _, others in cuts.values()],
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""What each choice of the policy costs the product lists in accuracy, or brings: the grounds of its settings.

On cuts whose labels end by week 36, before every cut that `bench recommend` is judged on: NDCG@10 of the
lists as customers are shown them, by products bought before (`repeat`) and by new ones (`new`), beside the
same lists with one choice changed:

* `replacement_share=S`: eligibility holds a product back for this share of the usual days between purchases,
* `without NAME`: one of marketing's rules left out,
* `variety=V`: the dial, also for the blend of both lists (`all`), which no rule touches.

`ratio` above 1 says that what was changed costs accuracy as it stands; a rule may be worth its price. A list
beside what the household bought on most days (`repeat_count`) says what all choices together leave of the
models' lead. Only real columns are used, as in `bench recommend`.

    bin/regulars bench choices [--cuts 24 28 32]
"""

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks._lines import show
from benchmarks._year import whole_year
from benchmarks.recommend import day_of, load, rounded, settings, shown_lists
from include import policy
from include.models import backtest
from include.models.purchases import Catalogue, Purchases, one_day
from include.models.ranked import Ranked
from include.models.recommend import Recommender
from include.models.snapshot import HORIZON_DAYS, Snapshot
from include.models.tuning import tune
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
) -> dict[str, tuple[backtest.Truth, Ranked, dict[str, Ranked]]]:
    """List -> what it is judged by, as the policy stands, and by each changed choice."""
    cut = one_day(day_of(week).isoformat())
    tuned, _ = tune(purchases, known, cut, settings("product"))
    model = Recommender(tuned).fit(purchases, known, cut)
    now = model.snapshot(purchases, known, cut)
    stands = shown_lists(model, now, asked)
    others = {name: shown_lists(model, now, other) for name, other in changed(asked)}
    others["repeat_count"] = {"repeat": backtest.repeat_count(now, 10)}
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
    return out


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
    for name, (_, _, others) in next(iter(found.values())).items():
        for choice in others:
            report(name, choice, {week: lists[name] for week, lists in found.items()})


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

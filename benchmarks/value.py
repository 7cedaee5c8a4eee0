"""What customers were worth, against what was said of them: 13 weeks after weeks 36, 38 and 40.

For each cut the champion's own recipe is fitted on what was known by then, by the functions that the DAGs
call, and its predictions are compared with the orders after the cut, beside naive rules on the same
households (all with an order up to the cut):

* high value (the top fifth by spend in the next 13 weeks): every baseline that is listed
  (`include/models/value/baselines.py`), a line each; the one with the best mean of the cuts is marked
  `"strongest": true`. Lines with the setting `rival=...` show the other algorithms at the mean of the cuts
  beside spend in the last 13 weeks,
* spend: the same amounts (`bias` without its sign, its strongest the one nearest to 0); for intervals, the
  quantiles of what spend in the last 13 weeks missed on the training cuts,
* high value in the next 4 weeks: spend in the last 13 weeks (stronger there than that of the last 4),
* churn (no order within 28 days; weeks 40, 44 and 48): days with an order in the last 4 weeks,
* next order (households that bought within 28 days; the same weeks): the last order plus the median gap,
  capped at 28 days like the truth.

Generated columns are left out, as the champion does anyway. Settings were chosen on labels that end by
week 36. `ours_95` and `difference_95` are bootstrap intervals over households.

    bin/regulars bench value [--cuts 36 38 40] [--churn-cuts 40 44 48]
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lines import show
from benchmarks._year import LAST_DAY, whole_year
from include import warehouse
from include.features.arrays import Floats, Ints
from include.features.panels import CHURN_DAYS, high_value
from include.models import evaluate
from include.models.evaluate import Metric
from include.models.value import contest, search
from include.models.value import model as value
from include.models.value.algorithms import STANDING
from include.models.value.baselines import BASELINES, USUAL
from include.steps.training import panels as training
from include.steps.training.panels import Panels
from include.warehouse import Connection

CUTS = (36, 38, 40)
CHURN_CUTS = (40, 44, 48)
REPEATS = 200
SEED = 20170101

Known = dict[str, pd.DataFrame]


class Scored:
    """Truth, prediction and baseline of the households of one cut."""

    def __init__(self, customers: Iterable[str], truth: Floats, ours: Floats, peer: Floats) -> None:
        self.customers = np.array(list(customers), dtype="U")
        self.truth, self.ours, self.peer = truth, ours, peer


def day_of(week: int) -> str:
    """The last day of a week of the data, a Sunday."""
    return (date(2017, 1, 1) + timedelta(days=7 * (week - 1))).isoformat()


def report(
    metric: str,
    found: Mapping[int, Scored],
    measure: Metric,
    peer_name: str,
    *,
    unit: str = "share",
    with_peer: bool = True,
    setting: str | None = None,
    **more: Any,
) -> None:
    """One line a cut and one for their mean, with bootstrap intervals over households."""

    def figure(weeks: Mapping[int, Scored], whose: str, rows: Mapping[int, Any]) -> float:
        return float(
            np.mean(
                [measure(s.truth[rows[w]], getattr(s, whose)[rows[w]]) for w, s in weeks.items()]
            )
        )

    for weeks in [{w: s} for w, s in found.items()] + [dict(found)]:
        if setting and len(weeks) < len(found):
            continue
        every = {w: slice(None) for w in weeks}
        ours = figure(weeks, "ours", every)
        peer = figure(weeks, "peer", every) if with_peer else None
        drawn = [(figure(weeks, "ours", d), figure(weeks, "peer", d)) for d in draws(weeks)]
        show(
            "value",
            metric,
            setting
            or (f"cut={next(iter(weeks))}" if len(weeks) == 1 and len(found) > 1 else "mean"),
            ours,
            peer,
            peer_name,
            unit=unit,
            n=sum(len(s.truth) for s in weeks.values()),
            ours_95=ends([o for o, _ in drawn]),
            difference_95=ends([o - p for o, p in drawn]) if with_peer else None,
            **more,
        )


def draws(weeks: Mapping[int, Scored]) -> list[dict[int, Ints]]:
    """Households drawn with replacement, the same ones at every cut; the rows of each draw."""
    everybody = np.unique(np.concatenate([s.customers for s in weeks.values()]))
    place = {w: np.searchsorted(everybody, s.customers) for w, s in weeks.items()}
    random = np.random.default_rng(SEED)
    found = []
    for _ in range(REPEATS):
        times = np.bincount(
            random.integers(0, len(everybody), len(everybody)), minlength=len(everybody)
        )
        found.append({w: np.repeat(np.arange(len(p)), times[p]) for w, p in place.items()})
    return found


def ends(drawn: Sequence[float]) -> list[float]:
    """A 95% interval."""
    return [round(float(end), 5) for end in np.quantile(drawn, [0.025, 0.975])]


def tuned(panels: Panels, settings: value.Settings, week: int) -> value.Settings:
    """As the champion of the week is tuned: on outcomes that had matured by its judge day, a horizon before.

    Where there are none, which is before week 31, the settings that the search starts from stand.
    """
    judge_day = (
        date.fromisoformat(day_of(week)) - timedelta(days=settings.horizon_days)
    ).isoformat()
    if not training.matured_cuts(judge_day, settings.horizon_days):
        return settings
    return replace(settings, tuning=search.search(settings, panels.matured(judge_day))[0])


def classified(panels: Panels, later: Mapping[int, pd.DataFrame]) -> None:
    """Every algorithm of "high value", the champion's line by line."""
    found: dict[str, dict[int, Scored]] = {}
    for week, rows in later.items():
        settings = tuned(panels, training.settings(), week)
        truth = high_value(rows, settings.high_value_share)
        for name, model in contest.rivals(settings, panels.matured(day_of(week))).items():
            ours = model.predict_high_value(rows)
            found.setdefault(name, {})[week] = scored(rows, truth, ours)
    for name, weeks in found.items():
        for metric, measure in evaluate.CLASSIFICATION.items():
            if name == STANDING and metric not in evaluate.PROBABILITY:
                beside_each(metric, weeks, later, measure)
                continue
            report(
                metric,
                weeks,
                measure,
                USUAL,
                with_peer=metric not in evaluate.PROBABILITY,
                setting=None if name == STANDING else f"rival={name}",
            )


#: Of which figures less is better; a baseline's bias is as good as it is near to 0.
LESS_IS_BETTER = ("misjudged", "mae", "wape", "bias")


def beside_each(
    metric: str,
    found: Mapping[int, Scored],
    later: Mapping[int, pd.DataFrame],
    measure: Metric,
    unit: str = "share",
) -> None:
    """The lines of a metric beside each baseline, the strongest of them marked as such."""
    beside = {
        name: {
            week: Scored(one.customers, one.truth, one.ours, baseline.amounts(later[week]))
            for week, one in found.items()
        }
        for name, baseline in BASELINES.items()
    }
    reached = {
        name: float(np.mean([measure(one.truth, one.peer) for one in weeks.values()]))
        for name, weeks in beside.items()
    }
    best = min if metric in LESS_IS_BETTER else max
    strongest = best(reached, key=lambda name: reached[name])
    for name, weeks in beside.items():
        more: dict[str, Any] = {"strongest": True} if name == strongest else {}
        report(metric, weeks, measure, name, unit=unit, **more)


def spend(panels: Panels, later: Mapping[int, pd.DataFrame]) -> None:
    """Spend in the horizon: the amount, its order and its interval."""
    settings, usual = training.settings(), BASELINES[USUAL]
    found: dict[int, Scored] = {}
    inside: dict[int, Scored] = {}
    deciles, widths = [], []
    for week, rows in later.items():
        matured, recent = panels.matured(day_of(week)), panels.recent(day_of(week))
        said = value.ValueModel(settings).fit(matured, recent).predict(rows)
        truth = rows["spend"].to_numpy(np.float64)
        ours, low, high = (
            said[f"predicted_value{end}"].to_numpy(np.float64) for end in ("", "_low", "_high")
        )
        found[week] = scored(rows, truth, ours)
        naive = usual.amounts(rows)
        missed = matured["spend"].to_numpy(np.float64) - usual.amounts(matured)
        below, above = np.quantile(missed, [value.INTERVAL_TAIL, 1 - value.INTERVAL_TAIL])
        lower = np.maximum(naive + below, 0)
        within = [
            ((truth >= a) & (truth <= b)).astype(np.float64)
            for a, b in ((low, high), (lower, naive + above))
        ]
        inside[week] = Scored(found[week].customers, truth, *within)
        widths.append(float(np.mean(high - low) / np.mean(naive + above - lower)))
        deciles.append(evaluate.mean_by_decile(within[0], ours))
    measures = dict(evaluate.SPEND) | {"bias": lambda t, p: abs(evaluate.bias(t, p))}
    for metric, measure in measures.items():
        unit = "currency" if metric == "mae" else "share"
        beside_each(metric, found, later, measure, unit)
    report(
        "coverage_80",
        inside,
        lambda _, hit: float(hit.mean()),
        "quantiles of the naive rule's misses",
        by_decile=[round(float(c), 4) for c in np.mean(deciles, axis=0)],
        width_ratio=round(float(np.mean(widths)), 4),
    )


def four_weeks(conn: Connection, cuts: Sequence[int], known: Known) -> None:
    """High value in the next four weeks, by the same recipe."""
    settings = replace(training.settings(), horizon_days=28)
    panels = Panels(conn, settings.horizon_days, known)
    found = {}
    for week in cuts:
        later = panels.judged(day_of(week), LAST_DAY)
        truth = high_value(later, settings.high_value_share)
        chosen = tuned(panels, settings, week)
        model = value.ValueModel(chosen).fit_high_value(panels.matured(day_of(week)))
        found[week] = scored(later, truth, model.predict_high_value(later))
    report("roc_auc_4w", found, evaluate.roc_auc, USUAL)


def churn(conn: Connection, cuts: Sequence[int], known: Known) -> None:
    """No order within 28 days, and the day of the next one."""
    settings = training.settings()
    past = Panels(conn, settings.horizon_days, known)
    following_weeks = Panels(conn, CHURN_DAYS, known)
    everybody, active, following = {}, {}, {}
    for week in cuts:
        later = following_weeks.judged(day_of(week), LAST_DAY)
        model = value.ValueModel(settings).fit_recent(past.recent(day_of(week)))
        ours, days = model.predict_recent(later)
        after = later["days_to_next_order"].to_numpy(np.float64)
        gone = (~(after <= CHURN_DAYS)).astype(np.float64)
        visits = -later["order_days_4w"].to_numpy(np.float64)
        everybody[week] = scored(later, gone, ours, visits)
        bought = (later["recency_days"] < CHURN_DAYS).to_numpy()
        active[week] = scored(later[bought], gone[bought], ours[bought], visits[bought])
        truth = np.where(after <= CHURN_DAYS, after, CHURN_DAYS)
        naive = (later["gap_median_days"] - later["recency_days"]).to_numpy(np.float64)
        naive = np.clip(np.nan_to_num(naive, nan=CHURN_DAYS), 1, CHURN_DAYS)
        following[week] = scored(later[bought], truth[bought], days[bought], naive[bought])
    visited = "days with an order in the last 4 weeks"
    report("churn_roc_auc", everybody, evaluate.roc_auc, visited)
    report("churn_roc_auc_active", active, evaluate.roc_auc, visited)
    report("churn_ece", everybody, evaluate.ece, visited, with_peer=False)
    report(
        "next_order_mae_days",
        following,
        evaluate.mae,
        "last order plus median gap",
        unit="days",
    )


def scored(rows: pd.DataFrame, truth: Floats, ours: Floats, peer: Floats | None = None) -> Scored:
    """The cut's households; the baseline is their spend in the last 13 weeks unless given."""
    naive = BASELINES[USUAL].amounts(rows) if peer is None else peer
    return Scored(rows["customer_id"].tolist(), truth, ours, naive)


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cuts", type=int, nargs="+", default=CUTS, help="weeks, 23 to 40")
    parser.add_argument(
        "--churn-cuts", type=int, nargs="+", default=CHURN_CUTS, help="weeks, to 49"
    )
    options = parser.parse_args()
    if not all(23 <= week <= 40 for week in options.cuts):
        raise SystemExit(f"Expected cuts from week 23 to 40, found {options.cuts}: choose others.")
    if not all(14 <= week <= 49 for week in options.churn_cuts):
        raise SystemExit(f"Expected churn cuts from week 14 to 49, found {options.churn_cuts}.")
    known: Known = {}
    steps: list[Callable[[Connection], None]] = [
        lambda conn: value_figures(conn, options.cuts, known),
        lambda conn: four_weeks(conn, options.cuts, known),
        lambda conn: churn(conn, options.churn_cuts, known),
    ]
    with whole_year(), warehouse.connect() as conn:
        for step in steps:
            step(conn)


def value_figures(conn: Connection, cuts: Sequence[int], known: Known) -> None:
    """The figures of the 13 weeks after each cut."""
    panels = Panels(conn, training.settings().horizon_days, known)
    later = {week: panels.judged(day_of(week), LAST_DAY) for week in cuts}
    classified(panels, later)
    spend(panels, later)


if __name__ == "__main__":
    main()

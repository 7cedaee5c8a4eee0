"""Who redeems: household x campaign, on campaigns that start after a day, none of them seen before.

For each cut-off day the redemption model is fitted on the campaigns that had ended by it, by the functions
that the DAGs call, and asked about every campaign that started later, with what was known before that
campaign's first day. The truth is whether the household redeemed a coupon of it by the end of the data; for
campaigns that go on after the data ends some redemptions are not seen, so the same figures stand once more
over the campaigns that ended (`... ended`). Baselines of the same run:

* past redemption rate: of the campaigns sent to the household before, the share redeemed,
* smoothed past rate: the same, drawn to the rate of all as if ten campaigns had been seen at it.

Intervals are 95% bootstrap intervals over households. Only real columns are used: who was sent what, when
campaigns started, coupons, redemptions, purchases. Features and settings were chosen on campaigns that
started before 2017-08-01 and ended by 2017-09-03.

    bin/regulars bench coupons [--cuts 2017-08-01 2017-09-01 2017-10-15]
"""

import argparse
from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks._lines import show
from benchmarks._year import LAST_DAY, whole_year
from include import as_of, warehouse
from include.features.arrays import Floats, Ints
from include.models import evaluate
from include.models.campaigns.redemption import (
    METRICS,
    RedemptionModel,
    past_rate,
    smoothed_rate,
)
from include.steps.training import redemption

CUTS = ("2017-08-01", "2017-09-01", "2017-10-15")
PEERS = ("past redemption rate", "smoothed past rate")
SEED = 20170101

#: Truth, our scores, and each baseline's scores, of one set of exposures; and whose they are.
Scored = tuple[Floats, Floats, dict[str, Floats], Ints]


def scored(model: RedemptionModel, later: pd.DataFrame) -> Scored:
    """Our scores of later exposures beside the baselines'."""
    peers = dict(zip(PEERS, (past_rate(later), smoothed_rate(later, model.rate_)), strict=True))
    _, household = np.unique(later["customer_id"].to_numpy(dtype=str), return_inverse=True)
    truth = later["is_redeemed"].to_numpy(dtype=np.float64)
    return truth, model.predict(later), peers, household.astype(np.int64)


def drawn_rows(
    household: Ints,
) -> Callable[[Ints], Ints]:
    """From households drawn with replacement to the rows of their campaigns."""
    order = np.argsort(household, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(household))[:-1])
    return lambda drawn: np.concatenate([parts[h] for h in drawn])


def report(setting: str, found: Scored) -> dict[tuple[str, str], tuple[float, float]]:
    """Print a line for each metric and baseline; (metric, baseline) -> ours and the baseline's."""
    truth, ours, peers, household = found
    rows = drawn_rows(household)
    count = int(household.max()) + 1
    figures = {}
    for metric, of in METRICS.items():
        for name, peer in peers.items():
            # The plain rate is a share of campaigns, most of them 0: no probability to be calibrated.
            without = metric == "ece" and name == PEERS[0]
            a, b = of(truth, ours), None if without else of(truth, peer)

            def mine(drawn: Ints, of: evaluate.Metric = of) -> float:
                chosen = rows(drawn)
                return of(truth[chosen], ours[chosen])

            def gained(drawn: Ints, of: evaluate.Metric = of, peer: Floats = peer) -> float:
                chosen = rows(drawn)
                return of(truth[chosen], ours[chosen]) - of(truth[chosen], peer[chosen])

            figures[metric, name] = (a, float("nan") if b is None else b)
            extra = (
                {}
                if without
                else {"difference_95": rounded(evaluate.bootstrap(gained, count, seed=SEED))}
            )
            show(
                "coupons", metric, setting, a, b, name, unit="share", n=len(truth),
                positives=int(truth.sum()), households=count,
                ours_95=rounded(evaluate.bootstrap(mine, count, seed=SEED)), **extra,
            )  # fmt: skip
    return figures


def rounded(ends: tuple[float, float]) -> list[float]:
    """An interval for print."""
    return [round(end, 4) for end in ends]


def main() -> None:
    """Print every figure of every cut, and their means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cuts", nargs="+", default=CUTS, help="days, YYYY-MM-DD")
    options = parser.parse_args()
    cuts = [as_of.parse(cut).isoformat() for cut in options.cuts]
    with whole_year(), warehouse.connect() as conn:
        every = redemption.exposures(conn, LAST_DAY)
    collected = []
    for cut in cuts:
        model = RedemptionModel().fit(redemption.ended_by(every, cut))
        later = every[every["starts_on"] > pd.Timestamp(cut)].reset_index(drop=True)
        collected.append(report(f"from={cut}", scored(model, later)))
        closed = redemption.ended_by(later, LAST_DAY).reset_index(drop=True)
        report(f"from={cut} ended", scored(model, closed))
    for metric, name in collected[0]:
        a, b = np.mean([figures[metric, name] for figures in collected], axis=0)
        show(
            "coupons", metric, "mean", float(a), None if np.isnan(b) else float(b), name,
            unit="share", n=len(cuts),
        )  # fmt: skip


if __name__ == "__main__":
    main()

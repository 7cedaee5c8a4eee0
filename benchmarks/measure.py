"""Whether the intervals of lift hold: a simulation with known truth, through the DAG's own function.

SIMULATION: no campaign of ours has run yet. People are real households drawn with replacement, with what they
really spent in the 91 days up to a day and in the 28 days after it, zeros included; chance holds back 5% as
control. In half of the runs the campaign adds a known amount: some of those who are sent it spend more, by
amounts of a skewed distribution. `include.models.campaigns.lift.summarise`, which `regulars_measure` calls,
sees what it would see of a campaign, and its interval either holds the known average or not. In the other
half nothing is added, and the campaign is called significant or not.

* coverage: share of the 95% intervals that hold the truth; peer: the usual interval on plain means with a
  variance for each arm (Welch), on the same runs,
* false_positives: share of campaigns without effect called significant, likewise,
* width: half the width of the interval, in money a person.

Settings: everybody (`all`), and only the fifth of the households that spent least before, as a win-back
campaign would reach (`lapsed`); `people` is how many, control included.

    bin/regulars bench measure [--runs 1000] [--people 2400] [--cut 2017-10-01]
"""

import argparse
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._lines import show
from benchmarks._year import whole_year
from include import as_of, warehouse
from include.features.arrays import Floats
from include.models.campaigns import lift
from include.steps import measure

SEED = 20170101
CONTROL_SHARE = 0.05

#: What a campaign with an effect does: this share of the treated spends more, by a gamma of shape 2.
RESPONDING, SCALE = 0.10, 12.5
TRUTH = RESPONDING * 2 * SCALE

#: The lowest fifth by spend before stands for whom a win-back campaign reaches.
LAPSED = 0.2


@dataclass
class Population:
    """What each household spent before and after the day."""

    before: Floats
    after: Floats

    def lapsed(self) -> "Population":
        """The part that spent least before."""
        kept = self.before <= np.quantile(self.before, LAPSED)
        return Population(self.before[kept], self.after[kept])


def load(cut: str) -> Population:
    """Every household with a purchase by the day."""
    with whole_year(), warehouse.connect() as conn:
        found = warehouse.frame(
            conn,
            """
            SELECT
                o.customer_id,
                coalesce(sum(o.sales) FILTER (
                    WHERE o.business_day <= %(cut)s::date
                    AND o.business_day > %(cut)s::date - %(before)s::integer
                ), 0)::double precision AS before,
                coalesce(sum(o.sales) FILTER (
                    WHERE o.business_day > %(cut)s::date
                    AND o.business_day <= %(cut)s::date + %(after)s::integer
                ), 0)::double precision AS after
            FROM core.order_lines AS o
            GROUP BY o.customer_id
            HAVING min(o.business_day) <= %(cut)s::date
            ORDER BY o.customer_id
            """,
            {"cut": cut, "before": measure.BEFORE_DAYS, "after": measure.WINDOW_DAYS},
        )
    return Population(found["before"].to_numpy(), found["after"].to_numpy())


def campaign(
    who: Population, people: int, effect: bool, random: np.random.Generator
) -> pd.DataFrame:
    """One simulated campaign, as rows of ml.campaign_outcomes."""
    drawn = random.integers(0, len(who.after), people)
    treated = random.random(people) >= CONTROL_SHARE
    added = np.where(random.random(people) < RESPONDING, random.gamma(2, SCALE, people), 0.0)
    after = who.after[drawn] + np.where(treated & effect, added, 0.0)
    return pd.DataFrame(
        {
            "customer_id": np.arange(people),
            "campaign": "simulated",
            "decided_on": "2017-10-01",
            "is_treated": treated,
            "propensity": 1 - CONTROL_SHARE,
            "is_sent": treated,
            "is_redeemed": False,
            "is_bounced": False,
            "is_opted_out": False,
            "is_complained": False,
            "discount_given": 0.0,
            "cost_expected": 0.0,
            "cost": 0.0,
            "spend_before": who.before[drawn],
            "spend_after": after,
            "margin_after": 0.3 * after,
        }
    )


def welch(rows: pd.DataFrame) -> tuple[float, float]:
    """The usual interval of a difference of means, each arm with its own variance."""
    spend, treated = rows["spend_after"].to_numpy(), rows["is_treated"].to_numpy()
    found = stats.ttest_ind(spend[treated], spend[~treated], equal_var=False).confidence_interval(
        lift.LEVEL
    )
    return float(found.low), float(found.high)


def ours(rows: pd.DataFrame) -> tuple[float, float]:
    """The interval of the DAG."""
    found = lift.summarise(rows, "USD")
    mine = found.loc[found["campaign"] == "simulated", ["lift_low", "lift_high"]].to_numpy(float)
    return float(mine[0, 0]), float(mine[0, 1])


def report(setting: str, who: Population, people: int, runs: int) -> None:
    """Simulate and print a line for each figure."""
    random = np.random.default_rng(SEED)
    ends = {
        effect: np.array(
            [
                [*ours(rows), *welch(rows)]
                for rows in (campaign(who, people, effect, random) for _ in range(runs))
            ]
        )
        for effect in (True, False)
    }
    holds = [_inside(ends[True][:, k : k + 2], TRUTH) for k in (0, 2)]
    alarms = [1 - _inside(ends[False][:, k : k + 2], 0.0) for k in (0, 2)]
    widths = [(ends[True][:, k + 1] - ends[True][:, k]).mean() / 2 for k in (0, 2)]
    for metric, (a, b), unit in (
        ("coverage", holds, "share"),
        ("false_positives", alarms, "share"),
        ("width", widths, "money"),
    ):
        show(
            "measure", metric, setting, float(a), float(b), "plain means, Welch", unit=unit, n=runs,
            people=people, control_share=CONTROL_SHARE, truth=TRUTH, basis="simulation",
        )  # fmt: skip


def _inside(ends: Floats, truth: float) -> float:
    return float(np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])))


def main() -> None:
    """Print every figure of every setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--people", type=int, nargs="+", default=[1200, 2400])
    parser.add_argument("--cut", default="2017-10-01", help="day, YYYY-MM-DD")
    options = parser.parse_args()
    everybody = load(as_of.parse(options.cut).isoformat())
    for people in options.people:
        if people * CONTROL_SHARE < 2 * lift.MINIMUM_ARM:
            least = int(2 * lift.MINIMUM_ARM / CONTROL_SHARE)
            raise SystemExit(f"Expected at least {least} people, found {people}: raise --people.")
        report(f"all, people={people}", everybody, people, options.runs)
        report(f"lapsed, people={people}", everybody.lapsed(), people, options.runs)


if __name__ == "__main__":
    main()

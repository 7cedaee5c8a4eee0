"""Choosing within budgets: seconds, distance from the best, and peak memory, up to millions of candidates.

SIMULATION: candidates are drawn by a seeded generator, five for each customer out of eight campaigns, worth
and cost skewed like money is. Budgets are short: one over all and one for each campaign, and with `--days`
one for each day; about half of them bind. Two peers on the same instance:

* scipy's linear program (HiGHS, by its interior-point method, which is the fastest of its methods here) for
  the bound and the time; `--peer-seconds` is its limit, and its figure is null where it had not finished,
* taking the candidate of the highest gain first, as far as the budgets go, for the value.

`gap` is the share by which the value may lie below the best there is, by the bound of the same call.

    bin/regulars bench allocate [--customers 40000 200000] [--days 1] [--peer-seconds 600]
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd
from scipy import optimize, sparse

from benchmarks._lines import show
from include.offers.allocate import Allocation, allocate

EACH, CAMPAIGNS, SEED = 5, 8, 20170101

Limits = tuple[float, dict[str, float], float | None]


def instance(customers: int, days: int) -> tuple[pd.DataFrame, Limits]:
    """Candidates and budgets: total, per campaign, per day."""
    random = np.random.default_rng(SEED)
    n = customers * EACH
    kind = np.argsort(random.random((customers, CAMPAIGNS)), axis=1)[:, :EACH].ravel()
    readiness = np.repeat(random.gamma(2.0, 1.0, customers), EACH)
    names = [f"campaign_{k}" for k in range(CAMPAIGNS)]
    found = pd.DataFrame(
        {
            "customer_id": np.repeat(np.arange(customers), EACH),
            "campaign": np.array(names)[kind],
            "day": np.repeat(random.integers(0, days, customers), EACH),
            "cost": (random.gamma(3.0, 0.2, n) * (1 + kind / 4)).round(4),
            "value": (readiness * random.gamma(2.0, 0.4, n) * (1 + kind / 6) - 0.1).round(4),
        }
    )
    total = 0.2 * float(found["cost"].sum()) / EACH
    per_campaign = {f"campaign_{k}": total * 0.115 * (1 + 0.5 * (k % 3)) for k in range(CAMPAIGNS)}
    return found, (total, per_campaign, 0.8 * total / days if days > 1 else None)


def linear_program(
    candidates: pd.DataFrame, limits: Limits, seconds: float
) -> tuple[float | None, float]:
    """The value of the relaxation by scipy, or None where the time was over; the seconds it took."""
    total, per_campaign, per_day = limits
    kept = candidates[candidates["value"] > 0]
    n, cost = len(kept), kept["cost"].to_numpy()
    place = np.arange(n)
    owner, people = pd.factorize(kept["customer_id"])
    rows = [sparse.csr_matrix((np.ones(n), (owner, place)), (len(people), n))]
    ends = [1.0] * len(people) + [total, *per_campaign.values()]
    rows.append(sparse.csr_matrix(cost))
    group = pd.Categorical(kept["campaign"], list(per_campaign)).codes
    rows.append(sparse.csr_matrix((cost, (group, place)), (len(per_campaign), n)))
    if per_day is not None:
        day, names = pd.factorize(kept["day"])
        rows.append(sparse.csr_matrix((cost, (day, place)), (len(names), n)))
        ends += [per_day] * len(names)
    start = time.perf_counter()
    found = optimize.linprog(
        -kept["value"].to_numpy(), A_ub=sparse.vstack(rows).tocsc(), b_ub=ends,
        bounds=(0, None), method="highs-ipm", options={"time_limit": seconds},
    )  # fmt: skip
    taken = time.perf_counter() - start
    return (-float(found.fun) if found.status == 0 else None), taken


def highest_first(candidates: pd.DataFrame, limits: Limits) -> float:
    """The value of taking the highest gain first, one a customer, as far as the budgets go."""
    total, per_campaign, per_day = limits
    left_of = dict(per_campaign)
    left_on = {} if per_day is None else dict.fromkeys(candidates["day"].unique(), per_day)
    served: set[int] = set()
    value = 0.0
    ordered = candidates[candidates["value"] > 0].sort_values(
        "value", ascending=False, kind="stable"
    )
    columns = (
        ordered[name].tolist() for name in ("customer_id", "campaign", "day", "cost", "value")
    )
    for customer, campaign, day, cost, gain in zip(*columns, strict=True):
        fits = cost <= total and cost <= left_of[campaign] and cost <= left_on.get(day, cost)
        if customer in served or not fits:
            continue
        served.add(customer)
        value += gain
        total -= cost
        left_of[campaign] -= cost
        if per_day is not None:
            left_on[day] -= cost
    return value


def check(candidates: pd.DataFrame, limits: Limits, found: Allocation) -> None:
    """Stop where a promise is broken: a budget overspent, a customer served twice."""
    total, per_campaign, per_day = limits
    chosen = candidates[found.chosen]
    spent = chosen.groupby("campaign", observed=True)["cost"].sum()
    assert chosen["customer_id"].is_unique
    assert chosen["cost"].sum() <= total + 1e-6
    assert all(spent.get(name, 0.0) <= limit + 1e-6 for name, limit in per_campaign.items())
    assert per_day is None or (chosen.groupby("day")["cost"].sum() <= per_day + 1e-6).all()


def report(customers: int, days: int, seconds: float) -> None:
    """Print a line for each figure of one size."""
    candidates, limits = instance(customers, days)
    start = time.perf_counter()
    found = allocate(candidates, *limits)
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    check(candidates, limits, found)
    n = len(candidates)
    setting = f"candidates={n}" if days == 1 else f"candidates={n}, days={days}"
    binding = sum(price > 0 for price in found.prices.values())
    more = {"budgets": len(found.prices), "binding": binding, "basis": "simulation"}
    greedy = highest_first(candidates, limits)
    optimum, peer_taken = linear_program(candidates, limits, seconds) if seconds else (None, 0.0)
    show("allocate", "gap", setting, found.gap, None, "bound", unit="share", n=n, **more)
    show("allocate", "bound", setting, found.bound, optimum, "scipy LP", unit="money", n=n, **more)
    show("allocate", "value", setting, found.value, greedy, "highest gain first",
         unit="money", n=n, **more)  # fmt: skip
    show("allocate", "seconds", setting, taken, peer_taken or None, "scipy LP", unit="s", n=n,
         peer_finished=optimum is not None, **more)  # fmt: skip
    show("allocate", "peak_rss_mib", setting, peak, None, "", unit="MiB", n=n, **more)


def main() -> None:
    """Print every figure of every size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--customers", type=int, nargs="+", default=[40_000, 200_000])
    parser.add_argument("--days", type=int, nargs="+", default=[1])
    parser.add_argument("--peer-seconds", type=float, default=600.0, help="0 leaves the LP out")
    options = parser.parse_args()
    for days in options.days:
        for customers in options.customers:
            report(customers, days, options.peer_seconds)


if __name__ == "__main__":
    main()

"""Choosing within budgets: never more than there is, never far from the best, bounds that hold."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from include.errors import BadInput
from include.offers.allocate import allocate


def instance(customers, each=3, campaigns=4, seed=0, days=1):
    random = np.random.default_rng(seed)
    n = customers * each
    campaign = np.argsort(random.random((customers, campaigns)), axis=1)[:, :each].ravel()
    return pd.DataFrame(
        {
            "customer_id": np.repeat([f"p{k}" for k in range(customers)], each),
            "campaign": [f"c{k}" for k in campaign],
            "day": np.repeat(random.integers(0, days, customers), each).astype(str),
            "cost": random.gamma(3, 0.3, n).round(2),
            "value": (random.gamma(2, 0.7, n) - 0.2).round(2),
        }
    )


def limits(candidates, share):
    total = share * candidates["cost"].sum() / 3
    names = sorted(candidates["campaign"].unique())
    return total, dict.fromkeys(names, total * 0.3)


def spent(candidates, found, column=None):
    chosen = candidates[found.chosen]
    return chosen["cost"].sum() if column is None else chosen.groupby(column)["cost"].sum()


def relaxed(candidates, total, per_campaign, per_day=None):
    """The linear relaxation by scipy's HiGHS."""
    kept = candidates[candidates["value"] > 0]
    rows, ends = [], []
    for _, place in kept.groupby("customer_id").indices.items():
        rows.append(np.isin(np.arange(len(kept)), place).astype(float))
        ends.append(1.0)
    cost = kept["cost"].to_numpy()
    rows.append(cost)
    ends.append(total)
    for name, limit in per_campaign.items():
        rows.append(cost * (kept["campaign"] == name).to_numpy())
        ends.append(limit)
    if per_day is not None:
        for name in sorted(kept["day"].unique()):
            rows.append(cost * (kept["day"] == name).to_numpy())
            ends.append(per_day)
    found = optimize.linprog(
        -kept["value"].to_numpy(), A_ub=np.array(rows), b_ub=ends, method="highs"
    )
    return -found.fun


def best_of_all(candidates, total, per_campaign):
    """Every choice there is, tried."""
    parts = [[None, *part.index] for _, part in candidates.groupby("customer_id")]
    cost, value = candidates["cost"].to_dict(), candidates["value"].to_dict()
    campaign = candidates["campaign"].to_dict()
    best = 0.0
    for choice in itertools.product(*parts):
        taken = [i for i in choice if i is not None]
        left = dict(per_campaign)
        for i in taken:
            left[campaign[i]] -= cost[i]
        if sum(cost[i] for i in taken) <= total + 1e-9 and min(left.values()) >= -1e-9:
            best = max(best, sum(value[i] for i in taken))
    return best


def test_without_budgets_everybody_gets_their_best():
    candidates = instance(200)
    found = allocate(candidates)
    best = candidates.groupby("customer_id")["value"].max()
    assert found.value == pytest.approx(best[best > 0].sum())
    assert found.gap == pytest.approx(0, abs=1e-12)
    assert candidates[found.chosen]["customer_id"].is_unique


@pytest.mark.parametrize("seed", range(6))
def test_a_small_choice_is_near_the_best_of_all_and_its_bound_holds(seed):
    candidates = instance(6, seed=seed)
    total, per_campaign = limits(candidates, 0.5)
    found = allocate(candidates, total, per_campaign)
    best = best_of_all(candidates, total, per_campaign)
    assert found.value <= best + 1e-9 <= found.bound + 2e-9
    assert found.value >= 0.8 * best


@pytest.mark.parametrize(("seed", "days"), [(0, 1), (1, 1), (2, 5)])
def test_the_bound_is_that_of_the_linear_relaxation(seed, days):
    candidates = instance(400, seed=seed, days=days)
    total, per_campaign = limits(candidates, 0.4)
    per_day = 0.8 * total / days if days > 1 else None
    found = allocate(candidates, total, per_campaign, per_day)
    best = relaxed(candidates, total, per_campaign, per_day)
    assert found.bound == pytest.approx(best, rel=2e-5)
    assert found.bound >= best * (1 - 1e-9)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.6])
def test_no_budget_is_overspent_and_nobody_gets_two(share):
    candidates = instance(3000, days=4, seed=3)
    total, per_campaign = limits(candidates, share)
    found = allocate(candidates, total, per_campaign, per_day=total * 0.3)
    assert candidates[found.chosen]["customer_id"].is_unique
    assert spent(candidates, found) <= total + 1e-6
    assert (spent(candidates, found, "campaign") <= total * 0.3 + 1e-6).all()
    assert (spent(candidates, found, "day") <= total * 0.3 + 1e-6).all()
    assert found.value == pytest.approx(candidates["value"][found.chosen].sum())
    assert 0 <= found.gap < 0.01
    for name, amount in spent(candidates, found, "campaign").items():
        assert found.spent[f"campaign {name}"] == pytest.approx(amount)


def test_many_that_are_all_alike_fill_the_budgets_to_the_last_cent():
    n = 30_000
    candidates = pd.DataFrame(
        {
            "customer_id": np.repeat(np.arange(n), 2),
            "campaign": ["a", "b"] * n,
            "cost": [0.5, 0.3] * n,
            "value": [1.0, 1.0] * n,
        }
    )
    found = allocate(candidates, 4000.0, {"a": 1000.0, "b": 2400.0})
    assert found.spent["campaign a"] == pytest.approx(1000)
    assert found.spent["campaign b"] == pytest.approx(2400)
    assert found.gap == pytest.approx(0, abs=1e-9)


def test_better_than_taking_the_highest_first():
    # A dear offer of slightly more value to each starves the cheap ones, if taken by value alone.
    candidates = pd.DataFrame(
        {
            "customer_id": np.repeat(np.arange(100), 2),
            "campaign": ["dear", "cheap"] * 100,
            "cost": [5.0, 1.0] * 100,
            "value": [3.0, 2.0] * 100,
        }
    )
    found = allocate(candidates, total=100.0)
    assert found.value == pytest.approx(200)
    assert set(candidates["campaign"][found.chosen]) == {"cheap"}
    assert found.prices["total"] > 0


def test_a_price_says_what_more_money_would_bring():
    candidates = instance(3000, seed=5)
    total, _ = limits(candidates, 0.3)
    tight, wide = allocate(candidates, total), allocate(candidates, total + 10)
    assert (wide.bound - tight.bound) / 10 == pytest.approx(tight.prices["total"], rel=0.02)
    assert allocate(candidates, candidates["cost"].sum()).prices["total"] == 0


def test_the_order_of_candidates_changes_nothing():
    candidates = instance(500, seed=7)
    total, per_campaign = limits(candidates, 0.3)
    first = allocate(candidates, total, per_campaign)
    again = allocate(candidates, total, per_campaign)
    assert (first.chosen == again.chosen).all()
    shuffled = candidates.sample(frac=1, random_state=1)
    other = allocate(shuffled, total, per_campaign)
    assert other.value == pytest.approx(first.value, rel=5e-3)
    assert other.bound == pytest.approx(first.bound, rel=1e-4)


def test_nothing_to_choose_is_no_fault():
    candidates = instance(5)
    assert allocate(candidates.iloc[:0], 10.0, {"c0": 5.0}).value == 0
    none = allocate(candidates.assign(value=-1.0), 10.0)
    assert not none.chosen.any()
    assert none.bound == 0
    broke = allocate(candidates.assign(cost=1.0), 0.0)
    assert not broke.chosen.any()


@pytest.mark.parametrize("column", ["cost", "value"])
def test_what_is_no_number_is_refused(column):
    candidates = instance(5)
    candidates.loc[3, column] = np.nan
    with pytest.raises(BadInput, match="Expected a finite value and a cost"):
        allocate(candidates, 10.0)


def test_a_negative_budget_is_refused():
    with pytest.raises(BadInput, match="Expected budgets of 0 or more"):
        allocate(instance(5), -1.0)


def test_customers_who_are_all_alike_are_split_as_the_budgets_ask():
    """A price turns all of a group in or out together; the choice must not."""
    customers = 5000
    campaigns = {"a": (0.6, 1.0), "b": (0.4, 0.75), "c": (0.35, 0.7)}
    found = pd.DataFrame(
        [
            (f"p{k}", name, cost, value * (1.0 if k % 2 else 1.5))
            for k in range(customers)
            for name, (cost, value) in campaigns.items()
        ],
        columns=["customer_id", "campaign", "cost", "value"],
    )
    chosen = allocate(found, 0.3 * customers, dict.fromkeys(campaigns, 0.13 * customers))
    assert chosen.gap <= 0.001
    assert spent(found, chosen) <= 0.3 * customers + 1e-6
    assert (spent(found, chosen, "campaign") <= 0.13 * customers + 1e-6).all()

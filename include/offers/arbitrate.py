"""From what may be sent to what is sent: one offer a customer, the most gain, within the budgets."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from include.features.arrays import Bools, Floats, Ints
from include.offers import control
from include.offers.allocate import Allocation, allocate
from include.offers.inputs import Inputs, coded, first_that_holds
from include.policy import Policy

#: What is decided about a candidate.
DECISIONS = ("send", "hold", "suppress", "control")

#: Reasons beside those of the guard.
SEND, EXPLORE, CONTROL = "best_offer", "exploration", "control_group"
BETTER, NO_GAIN, SPENT = "better_offer", "no_expected_gain", "budget_spent"
STALE, COPY = "stale", "copy_failed"
REASONS = (SEND, EXPLORE, CONTROL, BETTER, NO_GAIN, SPENT, STALE, COPY)

#: Budgets that belong to no campaign.
DAY, TOTAL = "day", "total"


@dataclass(frozen=True)
class Limits:
    """What may be spent on a day: by all campaigns together, and by each of them."""

    day: float
    total: float | None
    campaigns: dict[str, float]

    @classmethod
    def of(cls, inputs: Inputs, policy: Policy, as_of: date) -> "Limits":
        """The day's limits, less what other days have spent of those that span days."""
        overall = policy.budgets.total
        total = None
        if overall is not None and overall.covers(as_of):
            total = max(0.0, overall.amount - inputs.spent.get(None, 0.0))
        campaigns = {}
        for campaign in policy.campaigns:
            most = campaign.budget_per_day
            if campaign.budget_total is not None:
                left = campaign.budget_total - inputs.spent.get(campaign.name, 0.0)
                most = min(most, max(0.0, left))
            campaigns[campaign.name] = most
        return cls(policy.budgets.per_day, total, campaigns)

    @property
    def binding(self) -> float:
        """The most that all campaigns together may spend."""
        return self.day if self.total is None else min(self.day, self.total)

    def less(self, cost: Floats, campaign: pd.Series) -> "Limits":
        """What is left once some candidates are paid."""
        by_name = pd.Series(cost).groupby(campaign.astype("str").to_numpy()).sum()
        spent = float(cost.sum())
        return Limits(
            max(0.0, self.day - spent),
            None if self.total is None else max(0.0, self.total - spent),
            {
                name: max(0.0, most - float(by_name.get(name, 0.0)))
                for name, most in self.campaigns.items()
            },
        )


def arbitrate(
    guarded: pd.DataFrame, inputs: Inputs, policy: Policy, as_of: date
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decide every candidate of a day.

    First the few whose offer is left to chance get theirs. For the others the candidates are chosen that
    gain most within the budgets, at most one a customer, by `include.offers.allocate`.

    Parameters
    ----------
    guarded
        As made by `include.offers.guard`.
    inputs, policy, as_of
        What is known, the rules, the day.

    Returns
    -------
    decided
        The candidates with `decision`, `decision_reason` and `choice_propensity`: the chance with which
        the draw of the day picked this candidate among the customer's open ones. The control group is
        drawn later, from what this sends.
    budgets
        One row per budget (the day's, the total one, each campaign's): budget, amount, spent, price (gain
        that one more unit of money would bring) and, in the day's row, expected_gain, gain_bound and gap.
    """
    found = guarded.copy(deep=False)
    allowed = found["refusal"].isna().to_numpy()
    value = found["expected_incremental_value"].to_numpy()
    cost = found["cost_expected"].to_numpy()
    customer = found["customer"].to_numpy(dtype=np.int64)
    limits = Limits.of(inputs, policy, as_of)
    explorer = control.explorers(customer, inputs.customers, policy.control, as_of)
    random = allowed & explorer & _one_of_each(customer, allowed, inputs, policy, as_of)
    within = _affordable(random, cost, found["campaign"], limits)
    explored = random & within
    rest = limits.less(cost[explored], found["campaign"][explored])
    least = policy.activation.minimum_expected_value
    open_ = allowed & ~explorer & (value > 0) & (value >= least)
    chosen = _allocated(found, open_, rest)
    best = np.zeros(len(found), dtype=bool)
    best[np.flatnonzero(open_)[chosen.chosen]] = True

    served = np.zeros(len(inputs.customers), dtype=np.float64)
    served[customer[best]] = value[best]
    has = np.zeros(len(inputs.customers), dtype=bool)
    has[customer[best | explored]] = True
    told = (
        (EXPLORE, explored),
        (SEND, best),
        (SPENT, random),  # the budgets cannot pay what chance picked
        (EXPLORE, has[customer] & explorer),  # chance picked another one
        (BETTER, has[customer] & (value <= served[customer])),
        (NO_GAIN, (value <= 0) | (value < least)),
    )
    reason = first_that_holds(told, REASONS, otherwise=REASONS.index(SPENT))
    names = [*REASONS, *guarded["refusal"].cat.categories]
    refused = guarded["refusal"].cat.codes.to_numpy().astype(np.int16) + len(REASONS)
    found["decision_reason"] = coded(np.where(allowed, reason.astype(np.int16), refused), names)
    decision = np.where(best | explored, 0, np.where(allowed, 1, 2)).astype(np.int8)
    found["decision"] = coded(decision, DECISIONS)
    found["choice_propensity"] = _choice(found, chosen, best | explored, allowed, policy)
    return found, _budgets(chosen, limits, found, best | explored, value)


def _allocated(found: pd.DataFrame, open_: Bools, limits: Limits) -> Allocation:
    few = pd.DataFrame(
        {
            "customer_id": found["customer"].to_numpy()[open_],
            "campaign": found["campaign"].astype("str").to_numpy()[open_],
            "cost": found["cost_expected"].to_numpy()[open_],
            "value": found["expected_incremental_value"].to_numpy()[open_],
        }
    )
    present = set(few["campaign"])
    per_campaign = {name: most for name, most in limits.campaigns.items() if name in present}
    return allocate(few, limits.binding, per_campaign)


def _one_of_each(
    customer: Ints, allowed: Bools, inputs: Inputs, policy: Policy, as_of: date
) -> Bools:
    """Of each customer's open candidates one, each with the same chance; a flag for each candidate."""
    row = np.flatnonzero(allowed)
    found = np.zeros(len(customer), dtype=bool)
    if policy.control.exploration_share == 0 or not len(row):
        return found
    start = np.flatnonzero(np.r_[True, customer[row][1:] != customer[row][:-1]])
    size = np.diff(np.r_[start, len(row)])
    owner = customer[row[start]]
    drawn = control.explorers(owner, inputs.customers, policy.control, as_of)
    start, size, owner = start[drawn], size[drawn], owner[drawn]
    place = control.places(
        inputs.customers["person_id"].iloc[owner], f"{policy.control.salt}|offer|{as_of}"
    )
    found[row[start + np.minimum((place * size).astype(np.int64), size - 1)]] = True
    return found


def _affordable(random: Bools, cost: Floats, campaign: pd.Series, limits: Limits) -> Bools:
    """Which of the candidates that chance picked the budgets can pay, in the order in which they stand."""
    found = np.zeros(len(random), dtype=bool)
    left, by_name = limits.binding, dict(limits.campaigns)
    for row in np.flatnonzero(random).tolist():
        name = str(campaign.iloc[row])
        if cost[row] <= left and cost[row] <= by_name[name]:
            found[row] = True
            left -= cost[row]
            by_name[name] -= cost[row]
    return found


def _choice(
    found: pd.DataFrame, chosen: Allocation, sent: Bools, allowed: Bools, policy: Policy
) -> Floats:
    """The chance with which each candidate that is sent was picked among its customer's open ones.

    A share of customers gets any of the k open candidates with the same chance; the others get the best at
    the day's prices. So the best has (1 - share) + share / k, any other share / k.
    """
    share = policy.control.exploration_share
    result = np.full(len(found), np.nan)
    if share == 0:
        result[sent] = 1.0
        return result
    customer = found["customer"].to_numpy(dtype=np.int64)
    count = np.bincount(customer[allowed], minlength=int(customer.max(initial=-1)) + 1)
    price = np.full(len(found), chosen.prices.get("total", 0.0))
    by_name = (
        found["campaign"]
        .astype("str")
        .map(
            {key.removeprefix("campaign "): p for key, p in chosen.prices.items() if key != "total"}
        )
    )
    price += by_name.fillna(0.0).to_numpy(dtype=np.float64)
    value = found["expected_incremental_value"].to_numpy()
    left = np.where(allowed, value - price * found["cost_expected"].to_numpy(), -np.inf)
    most = np.full(len(count), -np.inf)
    np.maximum.at(most, customer, left)
    is_best = (left == most[customer]) & (left > 0)
    is_best |= sent & (found["decision_reason"] == SEND).to_numpy()
    chance = share / np.maximum(count[customer], 1) + (1 - share) * is_best
    result[sent] = chance[sent]
    return result


def _budgets(
    chosen: Allocation, limits: Limits, found: pd.DataFrame, sent: Bools, value: Floats
) -> pd.DataFrame:
    cost = found["cost_expected"].to_numpy()
    by_name = pd.Series(cost[sent]).groupby(found["campaign"][sent].astype("str").to_numpy()).sum()
    scarce = chosen.prices.get("total", 0.0)
    day_binds = limits.total is None or limits.day <= limits.total
    rows = [(DAY, limits.day, float(cost[sent].sum()), scarce if day_binds else 0.0)]
    if limits.total is not None:
        rows.append((TOTAL, limits.total, float(cost[sent].sum()), 0.0 if day_binds else scarce))
    for name, most in limits.campaigns.items():
        price = chosen.prices.get(f"campaign {name}", 0.0)
        rows.append((name, most, float(by_name.get(name, 0.0)), price))
    result = pd.DataFrame(rows, columns=["budget", "amount", "spent", "price"])
    explored = float(value[sent].sum()) - chosen.value
    result["expected_gain"] = np.where(result["budget"] == DAY, chosen.value + explored, np.nan)
    result["gain_bound"] = np.where(result["budget"] == DAY, chosen.bound + explored, np.nan)
    result["gap"] = np.where(result["budget"] == DAY, chosen.gap, np.nan)
    return result


def hold_stale(decided: pd.DataFrame, as_of: date, newest: date, max_age_days: int) -> pd.DataFrame:
    """What would be sent for a day that is too old is written as history and never sent.

    Parameters
    ----------
    decided
        As made by `arbitrate`.
    as_of
        The business day that is decided.
    newest
        The newest business day the warehouse knows.
    max_age_days
        From the policy.
    """
    if (newest - as_of).days <= max_age_days:
        return decided
    return held(decided, (decided["decision"] == "send").to_numpy(), STALE)


def held(decided: pd.DataFrame, rows: Bools, reason: str) -> pd.DataFrame:
    """Some rows turned from send to hold, for a reason."""
    found = decided.copy(deep=False)
    for name, code in (("decision", "hold"), ("decision_reason", reason)):
        changed = found[name].copy()
        changed[rows] = code
        found[name] = changed
    return found


def draw_control(decided: pd.DataFrame, inputs: Inputs, policy: Policy) -> pd.DataFrame:
    """Hold back the control groups, last of all, from what would have been sent.

    Their budget and place are given to nobody else, so that treated and control are alike. `propensity`
    is the chance of being sent where chance decided, and missing elsewhere.
    """
    found = decided.copy(deep=False)
    chosen = (found["decision"] == "send").to_numpy()
    row = np.flatnonzero(chosen)
    customer = found["customer"].to_numpy(dtype=np.int64)[row]
    drawn, chance = control.drawn(
        inputs.customers["person_id"].to_numpy(dtype=object)[customer],
        found["campaign"].astype("str").to_numpy(dtype=object)[row],
        inputs.accounts,
        policy,
    )
    propensity = np.full(len(found), np.nan)
    propensity[row] = 1 - chance
    found["propensity"] = propensity
    rows = np.zeros(len(found), dtype=bool)
    rows[row[drawn]] = True
    for name, code in (("decision", "control"), ("decision_reason", CONTROL)):
        changed = found[name].copy()
        changed[rows] = code
        found[name] = changed
    return found


def awaiting_approval(
    decided: pd.DataFrame, released: frozenset[str], policy: Policy, customers: int
) -> set[str]:
    """The campaigns whose messages of the day wait for a person.

    All of them where the day's expected cost is above `approvals.spend_above`, or its messages above
    `caps.per_day`; where `approvals.first_run` asks for it, those of which nothing has been let through.

    Parameters
    ----------
    decided
        As made by `draw_control`.
    released
        Campaigns of which offers of other days were let through.
    policy
        The rules.
    customers
        How many there are in all.
    """
    sent = decided[(decided["decision"] == "send").to_numpy()]
    campaigns = set(sent["campaign"].astype("str"))
    limit = policy.approvals.spend_above
    if limit is not None and float(sent["cost_expected"].sum()) > limit:
        return campaigns
    if policy.caps.exceeded(len(sent), customers):
        return campaigns
    if policy.approvals.first_run:
        return campaigns - released
    return set()

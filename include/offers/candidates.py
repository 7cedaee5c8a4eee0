"""Which customers each campaign would like to reach on a business day, before anything is refused."""

from datetime import date, timedelta
from functools import partial

import numpy as np
import pandas as pd

from include.offers.inputs import Inputs, coded
from include.offers.worth import valued
from include.policy import Policy
from include.policy.campaigns import Campaign
from include.policy.finding import Day, Found

#: What `candidates` returns. Frames of millions of rows: positions and categories instead of texts.
COLUMNS = {
    "customer": "int32",
    "campaign": "category",
    "period": "category",
    "priority": "int16",
    "last_day": "datetime64[s]",
    "signal": "int32",
    "p_redeem": "float64",
    "cost_expected": "float64",
    "expected_incremental_value": "float64",
    "is_experiment": "bool",
}


def candidates(inputs: Inputs, policy: Policy, as_of: date) -> pd.DataFrame:
    """Every (customer, campaign) that fits audience and trigger.

    Parameters
    ----------
    inputs
        What is known at the end of the day.
    policy
        The rules.
    as_of
        The business day D. Messages leave from D + 1, which is the day that periods are named after.

    Returns
    -------
    pd.DataFrame
        `COLUMNS`, ordered by customer, priority and campaign: `customer` is the position in
        `inputs.customers`, `signal` that in `inputs.signals` of what the message is about (-1: nothing),
        `last_day` the last day on which it makes sense. The cost of a message depends on its channel and
        is added by the guard.
    """
    parts = [
        part
        for campaign in policy.campaigns
        if campaign.runs_on(as_of)
        for part in [_of_campaign(campaign, inputs, policy, as_of)]
        if len(part)
    ]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
    names = sorted({name for part in parts for name in part["period"].cat.categories})
    for part in parts:
        part["period"] = part["period"].cat.set_categories(names)
    found = pd.concat(parts, ignore_index=True)
    order = np.lexsort(
        (found["campaign"].cat.codes, found["priority"].to_numpy(), found["customer"].to_numpy())
    )
    return found.take(order).reset_index(drop=True)


def _of_campaign(campaign: Campaign, inputs: Inputs, policy: Policy, as_of: date) -> pd.DataFrame:
    customers = inputs.customers
    own = np.flatnonzero(inputs.signals["campaign"] == campaign.name)
    rows = inputs.signals.iloc[own]
    day = Day(customers, inputs.products, rows, partial(inputs.positions, missing=-1), as_of)
    trigger = campaign.trigger
    # Of a query without rows not even the columns are known.
    found = day.nobody() if trigger.query and rows.empty else trigger.find(day)
    if campaign.audience != "all":
        fits = customers["segment"].isin(campaign.audience).to_numpy(dtype=bool)
        found = found.only(fits[found.customer])
    count = len(found.customer)
    about = np.full(count, -1) if found.row is None else own[found.row]
    never = np.full(count, np.datetime64("NaT"), dtype="datetime64[s]")
    names = sorted(other.name for other in policy.campaigns)
    worth = valued(campaign, found.customer, inputs, policy)
    return pd.DataFrame(
        {
            "customer": found.customer.astype(np.int32),
            "campaign": coded(np.full(count, names.index(campaign.name)), names),
            "period": _periods(campaign, found, as_of),
            "priority": np.full(count, campaign.priority, dtype=np.int16),
            "last_day": never if found.last_day is None else found.last_day.astype(never.dtype),
            "signal": about.astype(np.int32),
            "p_redeem": worth.p_redeem,
            "cost_expected": worth.cost,
            "expected_incremental_value": worth.value,
            "is_experiment": worth.is_experiment,
        }
    )


def _periods(campaign: Campaign, found: Found, as_of: date) -> "pd.Categorical[str]":
    own = campaign.repeat == "each" or campaign.trigger.has_own_period
    if own and found.key is not None:
        codes, names = pd.factorize(found.key.astype(str))
        return coded(codes, names)
    name = period_of(campaign.repeat, as_of + timedelta(days=1))
    return coded(np.zeros(len(found.customer), dtype=np.int8), [name])


def period_of(repeat: str, day: date) -> str:
    """What a campaign is sent at most once in: `once`, `2017`, `2017-Q4`, `2017-10`."""
    if repeat == "once":
        return "once"
    if repeat == "year":
        return f"{day.year}"
    if repeat == "quarter":
        return f"{day.year}-Q{(day.month + 2) // 3}"
    return f"{day.year}-{day.month:02d}"

"""Which customers each campaign would like to reach on a business day, before anything is refused."""

import calendar
from datetime import date, timedelta

import numpy as np
import pandas as pd

from include.policy import Campaign, OnBirthday, OnRegistration, Policy

COLUMNS = [
    "customer_id",
    "campaign",
    "period",
    "segment",
    "offer",
    "priority",
    "occasion",
    "p_redeem",
    "cost_expected",
    "expected_incremental_value",
]


def candidates(customers: pd.DataFrame, policy: Policy, as_of: date) -> pd.DataFrame:
    """Every (customer, campaign) that fits audience and trigger.

    Parameters
    ----------
    customers
        One row per customer as of the day: customer_id, segment, registered_at (a day, may be missing),
        birth_date (may be missing), predicted_value and predicted_orders (money and orders over the
        horizon, may be missing).
    policy
        The rules.
    as_of
        The business day D. Messages leave from D + 1, which is the day that periods are named after.

    Returns
    -------
    pd.DataFrame
        `COLUMNS`, ordered by campaign and customer; `occasion` is the birthday a message is for. One
        message's cost depends on its channel and is added by the guard.
    """
    parts = [
        _of_campaign(customers, campaign, policy, as_of)
        for campaign in policy.campaigns
        if campaign.runs_on(as_of)
    ]
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame({name: [] for name in COLUMNS})
    return pd.concat(parts, ignore_index=True)


def _of_campaign(
    customers: pd.DataFrame, campaign: Campaign, policy: Policy, as_of: date
) -> pd.DataFrame:
    fits = np.ones(len(customers), dtype=bool)
    if campaign.audience != "all":
        fits &= customers["segment"].isin(campaign.audience).to_numpy()
    sending = as_of + timedelta(days=1)
    occasion = pd.Series(pd.NaT, index=customers.index, dtype="datetime64[s]")
    period = pd.Series(period_of(campaign.repeat, sending), index=customers.index, dtype="str")
    trigger = campaign.trigger
    if isinstance(trigger, OnRegistration):
        registered = pd.to_datetime(customers["registered_at"])
        age = (pd.Timestamp(as_of) - registered).dt.days
        fits &= ((age >= 0) & (age <= trigger.within_days)).to_numpy()
    elif isinstance(trigger, OnBirthday):
        occasion = next_birthday(customers["birth_date"], sending, trigger.leap_day)
        ahead = (occasion - pd.Timestamp(sending)).dt.days
        fits &= (ahead <= trigger.lead_days).to_numpy()
        period = occasion.dt.year.astype("Int64").astype("str")
    chosen = customers.loc[fits, ["customer_id", "segment", "predicted_value", "predicted_orders"]]
    offer = policy.offer(campaign.offer)
    # Whoever redeems has spent the offer's minimum.
    basket = expected_basket(chosen, campaign.assumed.basket).clip(lower=offer.minimum_spend)
    cost = basket.map(offer.cost)
    believed = campaign.assumed
    gain = believed.incremental_share * believed.margin_share * basket - cost
    found = pd.DataFrame(
        {
            "customer_id": chosen["customer_id"],
            "campaign": campaign.name,
            "period": period[fits],
            "segment": chosen["segment"],
            "offer": offer.name,
            "priority": campaign.priority,
            "occasion": occasion[fits],
            "p_redeem": believed.p_redeem,
            "cost_expected": believed.p_redeem * cost,
            "expected_incremental_value": believed.p_redeem * gain,
        }
    )
    return found.sort_values("customer_id", ignore_index=True)[COLUMNS]


#: A predicted basket may differ from the campaign's assumed one by at most this factor.
BASKET_FACTOR = 3.0


def expected_basket(customers: pd.DataFrame, assumed: float) -> pd.Series:
    """The money a customer is expected to leave in one order.

    Predicted spend over predicted orders where both are known, within a factor of what the campaign
    assumes (a customer with a hundredth of an order ahead has no basket to speak of); what the campaign
    assumes otherwise.
    """
    orders = pd.to_numeric(customers["predicted_orders"])
    basket = pd.to_numeric(customers["predicted_value"]) / orders.where(orders > 0)
    return basket.clip(assumed / BASKET_FACTOR, assumed * BASKET_FACTOR).fillna(assumed)


def period_of(repeat: str, day: date) -> str:
    """The name of the period that a day lies in: `once`, `2017`, `2017-Q4` or `2017-10`."""
    if repeat == "once":
        return "once"
    if repeat == "year":
        return f"{day.year}"
    if repeat == "quarter":
        return f"{day.year}-Q{(day.month + 2) // 3}"
    return f"{day.year}-{day.month:02d}"


def next_birthday(birth_dates: pd.Series, today: date, leap_day: str) -> pd.Series:
    """The first birthday on or after a day.

    Somebody born on 29 February keeps the birthday on `leap_day` ("02-28" or "03-01") in years without
    one. Missing birth dates stay missing.
    """
    born = pd.to_datetime(birth_dates)
    this_year = _birthday_in(born, today.year, leap_day)
    next_year = _birthday_in(born, today.year + 1, leap_day)
    return this_year.where(this_year >= pd.Timestamp(today), next_year)


def _birthday_in(born: pd.Series, year: int, leap_day: str) -> pd.Series:
    month, day = born.dt.month, born.dt.day
    if not calendar.isleap(year):
        missing = (month == 2) & (day == 29)
        kept_month, kept_day = (int(part) for part in leap_day.split("-"))
        month, day = month.mask(missing, kept_month), day.mask(missing, kept_day)
    return pd.to_datetime(
        pd.DataFrame({"year": year, "month": month, "day": day}, index=born.index), errors="coerce"
    ).astype("datetime64[s]")

"""Whom each trigger of a campaign finds on a business day.

Every trigger is a function of the day's inputs; it answers with `Found`: positions in the frame of
customers, and what the message is for.
"""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.offers.inputs import Inputs
from include.policy.campaigns import Campaign
from include.policy.triggers import (
    OnAbandoned,
    OnBirthday,
    OnFirstOrder,
    OnMemberEvent,
    OnOverstock,
    OnPriceDrop,
    OnRegistration,
    OnReplenish,
    OnReview,
    OnSegment,
)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """Whom a trigger finds, one entry a customer.

    Attributes
    ----------
    customer : array of shape (n,)
        Positions in the frame of customers.
    key : array of shape (n,) of text, or None
        The one thing that the message is about, for campaigns that repeat with each.
    last_day : array of shape (n,) of datetime64, or None
        The last day on which the message makes sense.
    signal : array of shape (n,), or None
        Positions in the frame of signals (or, for member events, of events).
    """

    customer: Ints
    key: npt.NDArray[Any] | None = None
    last_day: npt.NDArray[np.datetime64] | None = None
    signal: Ints | None = None


def find(campaign: Campaign, inputs: Inputs, as_of: date) -> Found:
    """The customers that a campaign's trigger finds, whatever their segment."""
    trigger: Any = campaign.trigger
    return _FINDERS[type(trigger)](trigger, inputs, as_of)


def _on_registration(trigger: OnRegistration, inputs: Inputs, as_of: date) -> Found:
    age = _days_since(inputs.customers["registered_at"], as_of)
    return Found(np.flatnonzero((age >= 0) & (age <= trigger.within_days)))


def _on_first_order(trigger: OnFirstOrder, inputs: Inputs, as_of: date) -> Found:
    age = _days_since(inputs.customers["first_order_day"], as_of)
    only = (inputs.customers["orders_total"] == 1).to_numpy(dtype=bool, na_value=False)
    return Found(np.flatnonzero(only & (age >= trigger.after_days) & (age <= trigger.within_days)))


def _on_replenish(trigger: OnReplenish, inputs: Inputs, as_of: date) -> Found:
    customers, lists = inputs.customers, inputs.products
    limit = as_of + timedelta(days=1 + trigger.lead_days)
    ahead = -_days_since(customers["expected_next_order_date"], limit)
    regular = (lists["list"] == "replenish") & (lists["score"] >= trigger.minimum_score)
    buys = np.zeros(len(customers), dtype=bool)
    buys[inputs.positions(lists.loc[regular.to_numpy(dtype=bool), "customer_id"])] = True
    return Found(np.flatnonzero(buys & (ahead <= 0)))


def _on_segment(_: OnSegment, inputs: Inputs, __: date) -> Found:
    return Found(np.arange(len(inputs.customers)))


def _on_birthday(trigger: OnBirthday, inputs: Inputs, as_of: date) -> Found:
    sending = as_of + timedelta(days=1)
    day = next_birthday(inputs.customers["birth_date"], sending, trigger.leap_day)
    ahead = (day - pd.Timestamp(sending)).dt.days
    chosen = np.flatnonzero((ahead <= trigger.lead_days).to_numpy())
    days = day.to_numpy()[chosen]
    return Found(chosen, pd.DatetimeIndex(days).year.astype(str).to_numpy(dtype=object), days)


def _on_member_event(trigger: OnMemberEvent, inputs: Inputs, as_of: date) -> Found:
    """The event of the region, or of all, that starts first."""
    events = inputs.events
    ahead = -_days_since(events["starts_on"], as_of)
    near = np.flatnonzero((ahead >= trigger.at_least_days) & (ahead <= trigger.lead_days))
    order = near[np.lexsort((events["event_id"].to_numpy(dtype=str)[near], ahead[near]))]
    regions = inputs.customers["region"].to_numpy(dtype=object)
    chosen = np.full(len(regions), -1, dtype=np.int64)
    for event in order[::-1]:  # the first one to start is set last
        region = events["region"].iloc[event]
        here = np.ones(len(regions), dtype=bool) if pd.isna(region) else regions == region
        chosen[here] = event
    customer = np.flatnonzero(chosen >= 0)
    event = chosen[customer]
    eve = pd.to_datetime(events["starts_on"]) - pd.Timedelta(days=1)
    last = eve.to_numpy(dtype="datetime64[s]")[event]
    return Found(customer, events["event_id"].to_numpy(dtype=object)[event], last, event)


def _on_abandoned(trigger: OnAbandoned, inputs: Inputs, as_of: date) -> Found:
    signals = inputs.signals
    fits = _within(signals, trigger.event, as_of, trigger.within_days)
    fits &= (signals["number"] >= trigger.at_least).to_numpy(dtype=bool, na_value=False)
    return _newest(inputs, fits)


def _on_price_drop(trigger: OnPriceDrop, inputs: Inputs, as_of: date) -> Found:
    signals = inputs.signals
    fits = _within(signals, "price_drop", as_of, trigger.followed_days)
    drop = 1 - signals["price_now"].to_numpy(float) / signals["price_before"].to_numpy(float)
    fits &= drop >= trigger.minimum_drop - 1e-9
    # A product may become cheaper again in another month, and is news then.
    return _by_month(_newest(inputs, fits, first=-drop), as_of)


def _on_overstock(trigger: OnOverstock, inputs: Inputs, as_of: date) -> Found:
    signals = inputs.signals
    fits = _within(signals, "overstock", as_of, trigger.within_days)
    fits &= (signals["number"] >= trigger.at_least).to_numpy(dtype=bool, na_value=False)
    often = signals["number"].to_numpy(dtype=float)
    return _by_month(_newest(inputs, fits, first=-often), as_of)


def _on_review(trigger: OnReview, inputs: Inputs, as_of: date) -> Found:
    signals = inputs.signals
    fits = _within(signals, "review", as_of, trigger.within_days)
    fits &= signals["number"].isin(trigger.ratings).to_numpy(dtype=bool)
    return _newest(inputs, fits)


_FINDERS: dict[type, Callable[[Any, Inputs, date], Found]] = {
    OnRegistration: _on_registration,
    OnFirstOrder: _on_first_order,
    OnReplenish: _on_replenish,
    OnSegment: _on_segment,
    OnBirthday: _on_birthday,
    OnMemberEvent: _on_member_event,
    OnAbandoned: _on_abandoned,
    OnPriceDrop: _on_price_drop,
    OnOverstock: _on_overstock,
    OnReview: _on_review,
}


def _by_month(found: Found, as_of: date) -> Found:
    """The same, about a product of this month, not of every month."""
    keys = [] if found.key is None else [f"{key}/{as_of:%Y-%m}" for key in found.key]
    return Found(found.customer, np.array(keys, dtype=object), None, found.signal)


def _days_since(days: pd.Series, as_of: date) -> npt.NDArray[np.float64]:
    """Days from each day to `as_of`; NaN where it is missing, which no comparison holds for."""
    gone = (pd.Timestamp(as_of) - pd.to_datetime(days)).dt.days
    return np.asarray(gone.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _within(signals: pd.DataFrame, signal: str, as_of: date, days: int) -> Flags:
    age = _days_since(signals["happened_on"], as_of)
    same = np.asarray(signals["signal"] == signal, dtype=bool)
    return np.asarray((age >= 0) & (age <= days) & same)


def _newest(inputs: Inputs, fits: Flags, first: npt.NDArray[np.float64] | None = None) -> Found:
    """One signal a customer: in stock before out of it, then `first`, the newest, the key."""
    signals = inputs.signals
    row = np.flatnonzero(fits)
    customer = inputs.positions(signals["customer_id"].iloc[row], missing=-1)
    row, customer = row[customer >= 0], customer[customer >= 0]
    day = pd.to_datetime(signals["happened_on"]).to_numpy(dtype="datetime64[D]").astype(np.int64)
    keys = signals["key"].to_numpy(dtype=object)
    out = ~signals["in_stock"].to_numpy(dtype=bool, na_value=True)
    rank = np.zeros(len(row)) if first is None else first[row]
    order = np.lexsort((keys[row].astype(str), -day[row], rank, out[row], customer))
    row, customer = row[order], customer[order]
    leading = np.r_[True, customer[1:] != customer[:-1]] if len(customer) else np.zeros(0, bool)
    row, customer = row[leading], customer[leading]
    return Found(customer, keys[row], None, row)


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

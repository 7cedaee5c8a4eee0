"""The one place that says who must not be sent something. Nothing that is sent goes around it.

Each refusal is a reason. Deciding runs `guard` over the day's candidates; sending runs `refusal_now` over
what it is about to send, because a consent may be withdrawn in between.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.policy import Cap, Policy

#: Why a channel is closed to a customer, the first that applies.
CHANNEL_REASONS = ("on_suppression_list", "no_consent", "no_contact_point", "contact_not_verified")


def guard(
    candidates: pd.DataFrame,
    customers: pd.DataFrame,
    permissions: pd.DataFrame,
    history: pd.DataFrame,
    policy: Policy,
    as_of: date,
) -> pd.DataFrame:
    """The candidates with the channel each may use, or the reason why it must not be sent.

    Parameters
    ----------
    candidates
        As made by `include.offers.candidates`.
    customers
        customer_id, birth_date (may be missing) and is_birthday_faulty: whether the shop gave one that
        nobody can read or have, so that the customer may be of any age.
    permissions
        One row per customer and channel: customer_id, channel, granted (consent to marketing), has_contact,
        verified, suppressed (booleans). A missing row permits nothing.
    history
        Every decision of *other* days, earlier and later, that was sent or would have been (control):
        customer_id, as_of, campaign, period.
    policy
        The rules.
    as_of
        The business day.

    Returns
    -------
    pd.DataFrame
        The candidates with `channel` (None where none is open) and `refusal` (None where allowed); the
        message's cost is added to `cost_expected` and taken from `expected_incremental_value`.
    """
    found = candidates.reset_index(drop=True).copy()
    channel, refusal = _channels(found, permissions, policy)
    minors = _minors(found["customer_id"], customers, policy, as_of)
    ageless = _ageless(found["customer_id"], customers, policy)
    repeated = _repeated(found, history)
    soon = _too_soon(found, history, policy, as_of)
    capped = _capped(found, history, policy, as_of)
    # Later assignments win: from the mildest reason to the one that matters most.
    refusal[capped] = "frequency_cap"
    refusal[soon] = "too_soon"
    refusal[repeated] = "already_in_period"
    refusal[ageless] = "age_unknown"
    refusal[minors] = "minor"
    found["channel"], found["refusal"] = channel, refusal
    costs = policy.budgets.message_cost.model_dump()
    message = found["channel"].map(costs).astype(float).fillna(0.0)
    found["cost_expected"] = found["cost_expected"].astype(float) + message
    found["expected_incremental_value"] = (
        found["expected_incremental_value"].astype(float) - message
    )
    return found


@dataclass(frozen=True)
class Permission:
    """What is known about a customer on one channel."""

    granted: bool
    has_contact: bool
    verified: bool
    suppressed: bool


def refusal_of(permission: Permission, *, verified_only: bool) -> str | None:
    """Why a channel is closed to a customer, or None where it is open."""
    if permission.suppressed:
        return "on_suppression_list"
    if not permission.granted:
        return "no_consent"
    if not permission.has_contact:
        return "no_contact_point"
    if verified_only and not permission.verified:
        return "contact_not_verified"
    return None


def is_minor(birth_date: date | None, today: date, minimum_age: int) -> bool:
    """Whether somebody has not reached the minimum age; an unknown birth date is no refusal."""
    if birth_date is None:
        return False
    years = (
        today.year
        - birth_date.year
        - ((today.month, today.day) < (birth_date.month, birth_date.day))
    )
    return years < minimum_age


@dataclass(frozen=True)
class Person:
    """What is known about a customer's age.

    Attributes
    ----------
    birth_date
        None where it is not known.
    is_birthday_faulty
        Whether the shop gave a birthday that nobody can read or have: the customer may be of any age.
    """

    birth_date: date | None
    is_birthday_faulty: bool


def refusal_now(
    permission: Permission | None,
    person: Person,
    sent_days: Iterable[date],
    today: date,
    policy: Policy,
    *,
    capped: bool,
) -> str | None:
    """Why a message that was decided must not be sent now, or None where it may.

    Parameters
    ----------
    permission
        What is known by now about the customer on the message's channel; None where nothing is.
    person
        What is known by now about the customer's age.
    sent_days
        The days on which other marketing messages left for the customer, or are leaving.
    today
        The day of sending, in the customer's time zone.
    policy
        The rules.
    capped
        Whether the caps apply to the message.
    """
    minimum = policy.activation.minimum_age
    if is_minor(person.birth_date, today, minimum):
        return "minor"
    if person.birth_date is None and person.is_birthday_faulty and minimum > 0:
        return "age_unknown"
    known = permission or Permission(False, False, False, False)
    closed = refusal_of(known, verified_only=policy.activation.verified_contacts_only)
    if closed:
        return closed
    if capped and is_capped(sent_days, today, policy.caps.marketing):
        return "frequency_cap"
    return None


def is_capped(sent_days: Iterable[date], today: date, cap: Cap) -> bool:
    """Whether one more message today would be a second one of the day, or one too many for the cap.

    Days of sending count, not the days that messages were decided for: a pause may hold back several days
    and let them go at once.

    Parameters
    ----------
    sent_days
        The days on which other messages left; days ahead (a clock set back, a day sent twice over) count
        as those behind do.
    today
        The day on which one more is wanted.
    cap
        At most `messages` in any `window_days` consecutive days.
    """
    offsets = [(day - today).days for day in sent_days]
    if 0 in offsets:
        return True
    width = cap.window_days
    fullest = max(
        sum(start <= offset < start + width for offset in offsets) for start in range(1 - width, 1)
    )
    return fullest + 1 > cap.messages


def _channels(
    found: pd.DataFrame, permissions: pd.DataFrame, policy: Policy
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """The first open channel of each candidate's campaign, or the reason of its first channel."""
    channel = np.full(len(found), None, dtype=object)
    refusal = np.full(len(found), None, dtype=object)
    campaigns = found["campaign"].to_numpy()
    tables = {
        name: _channel_refusals(found["customer_id"], permissions, name, policy)
        for name in sorted({c for campaign in policy.campaigns for c in campaign.channels})
    }
    for campaign in policy.campaigns:
        rows = campaigns == campaign.name
        undecided = rows.copy()
        for position, name in enumerate(campaign.channels):
            closed = tables[name]
            if position == 0:
                refusal[rows] = closed[rows]
            is_open = undecided & np.array([reason is None for reason in closed], dtype=bool)
            channel[is_open], refusal[is_open] = name, None
            undecided &= ~is_open
    return channel, refusal


def _channel_refusals(
    customer_ids: pd.Series, permissions: pd.DataFrame, channel: str, policy: Policy
) -> NDArray[np.object_]:
    of_channel = permissions[permissions["channel"] == channel].set_index("customer_id")
    flags = {
        name: customer_ids.map(of_channel[name])
        .astype("boolean")
        .fillna(False)
        .to_numpy(dtype=bool)
        for name in ("granted", "has_contact", "verified", "suppressed")
    }
    closed = np.full(len(customer_ids), None, dtype=object)
    if policy.activation.verified_contacts_only:
        closed[~flags["verified"]] = "contact_not_verified"
    closed[~flags["has_contact"]] = "no_contact_point"
    closed[~flags["granted"]] = "no_consent"
    closed[flags["suppressed"]] = "on_suppression_list"
    return closed


def _minors(
    customer_ids: pd.Series, customers: pd.DataFrame, policy: Policy, as_of: date
) -> NDArray[np.bool_]:
    sending = as_of + timedelta(days=1)
    born = pd.to_datetime(customers.set_index("customer_id")["birth_date"])
    minimum = policy.activation.minimum_age
    # Born after this day: not of age on the day of sending.
    latest = pd.Timestamp(sending) - pd.DateOffset(years=minimum)
    young = born > latest
    return customer_ids.map(young).astype("boolean").fillna(False).to_numpy(dtype=bool)


def _ageless(customer_ids: pd.Series, customers: pd.DataFrame, policy: Policy) -> NDArray[np.bool_]:
    known = customers.set_index("customer_id")
    faulty = (
        known["is_birthday_faulty"].astype("boolean").fillna(False) & known["birth_date"].isna()
    )
    if policy.activation.minimum_age == 0:
        faulty[:] = False
    return customer_ids.map(faulty).astype("boolean").fillna(False).to_numpy(dtype=bool)


def _repeated(found: pd.DataFrame, history: pd.DataFrame) -> NDArray[np.bool_]:
    """Already decided on another day of the same campaign and period."""
    keys = ["customer_id", "campaign", "period"]
    standing = pd.MultiIndex.from_frame(history[keys].astype("str"))
    return pd.MultiIndex.from_frame(found[keys].astype("str")).isin(standing)


def _too_soon(
    found: pd.DataFrame, history: pd.DataFrame, policy: Policy, as_of: date
) -> NDArray[np.bool_]:
    """Another period of the same campaign less than its `gap_days` away, before or after."""
    gaps = {campaign.name: campaign.gap_days for campaign in policy.campaigns}
    away = (pd.to_datetime(history["as_of"]) - pd.Timestamp(as_of)).dt.days.abs()
    close = history[away < history["campaign"].map(gaps).astype(float).fillna(0.0)]
    keys = ["customer_id", "campaign"]
    standing = pd.MultiIndex.from_frame(close[keys].astype("str"))
    return pd.MultiIndex.from_frame(found[keys].astype("str")).isin(standing)


def _capped(
    found: pd.DataFrame, history: pd.DataFrame, policy: Policy, as_of: date
) -> NDArray[np.bool_]:
    """Whether one more message on the day would break the cap in any window that holds the day."""
    free = {c.name for c in policy.campaigns if c.cap_class == "transactional"}
    limited: NDArray[np.bool_] = ~found["campaign"].isin(free).to_numpy(dtype=bool)
    cap = policy.caps.marketing
    if cap.messages == 0:
        return limited
    past = history[~history["campaign"].isin(free)]
    full = capped_customers(past["customer_id"], past["as_of"], cap, as_of)
    return limited & found["customer_id"].isin(full).to_numpy(dtype=bool)


def capped_customers(customer_ids: pd.Series, days: pd.Series, cap: Cap, as_of: date) -> set[str]:
    """Customers with messages near `as_of` for whom one more on that day would exceed a cap.

    Every window of `window_days` consecutive days that holds `as_of` is looked at, whether it reaches
    back or ahead, so that days may be decided in any order and the cap still holds.

    Parameters
    ----------
    customer_ids, days
        The messages of other days, aligned.
    cap
        At most `messages` in any `window_days` consecutive days.
    as_of
        The day on which one more is wanted.
    """
    width = cap.window_days
    offset = (pd.to_datetime(days) - pd.Timestamp(as_of)).dt.days.to_numpy() + width - 1
    near = (offset >= 0) & (offset <= 2 * width - 2)
    codes, names = pd.factorize(customer_ids[near])
    counts = np.zeros((len(names), 2 * width - 1), dtype=np.int32)
    np.add.at(counts, (codes, offset[near].astype(int)), 1)
    sums = np.concatenate([np.zeros((len(names), 1), np.int64), counts.cumsum(axis=1)], axis=1)
    windows = sums[:, width:] - sums[:, :width]
    full = windows.max(axis=1, initial=0) + 1 > cap.messages
    return {str(name) for name in names[full]}

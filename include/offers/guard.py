"""The one place that says who must not be sent something. Nothing that is sent goes around it.

Each refusal is a reason. Deciding runs `guard` over the day's candidates; sending runs `refusal_now` over
what it is about to send, because a consent may be withdrawn in between.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.features.arrays import Bools, Ints
from include.offers.inputs import Inputs, coded, first_that_holds
from include.policy import Policy
from include.policy.limits import Cap

#: Why a channel is closed to a customer, the first that applies.
CHANNEL_REASONS = ("on_suppression_list", "no_consent", "no_contact_point", "contact_not_verified")

#: Every reason for which a candidate is refused. Of several that hold, the first is told: the order says
#: which matters most.
REFUSALS = (
    "minor",
    "age_unknown",
    "recent_complaint",
    "open_return",
    "already_in_period",
    "too_late",
    "too_soon",
    "frequency_cap",
    "out_of_stock",
    "kept_for_high_value",
    *CHANNEL_REASONS,
)


def guard(candidates: pd.DataFrame, inputs: Inputs, policy: Policy, as_of: date) -> pd.DataFrame:
    """The candidates with the channel each may use, or the reason why it must not be sent.

    Parameters
    ----------
    candidates
        As made by `include.offers.candidates`.
    inputs
        What is known. Of its `permissions`: one row per customer and channel, with granted (consent to
        marketing), has_contact, verified, suppressed (booleans); a missing row permits nothing. Of its
        `history`: every decision of *other* days, earlier and later, that was sent or would have been
        (control), so that treated and control are held back alike.
    policy
        The rules.
    as_of
        The business day.

    Returns
    -------
    pd.DataFrame
        The candidates with `channel` (missing where none is open) and `refusal` (missing where allowed);
        the most that the message may cost is added to `cost_expected` and taken from
        `expected_incremental_value`.
    """
    found = candidates.copy(deep=False)
    customer = found["customer"].to_numpy(dtype=np.int64)
    channel, closed = _channels(found, inputs, policy)
    past = _Past.of(found, inputs, as_of)
    limited = ~_of_campaigns(
        found, {c.name for c in policy.campaigns if not _counts(policy, c.name)}
    )
    patient = ~_of_campaigns(found, {c.name for c in policy.campaigns if c.after_complaint})
    complaints, people = policy.activation.complaints, inputs.customers
    complained = _within(people["complained_on"], complaints.days, as_of)
    returned = _within(people["returned_on"], complaints.return_days, as_of)
    holds = {
        "minor": _minors(people, policy, as_of)[customer],
        "age_unknown": _ageless(people, policy)[customer],
        "recent_complaint": patient & complained[customer],
        "open_return": patient & returned[customer],
        "already_in_period": _repeated(found, past),
        "too_late": _over(found, as_of),
        "too_soon": _too_soon(found, past, policy),
        "frequency_cap": limited & _capped(customer, past, policy),
        "out_of_stock": _out_of_stock(found, inputs),
        "kept_for_high_value": _kept_back(found, inputs),
    }
    refusal = _first_refusal(holds, otherwise=closed)

    names = sorted(policy.budgets.message_cost.model_dump())
    found["channel"] = coded(channel, names)
    found["refusal"] = coded(refusal, REFUSALS)
    costs = [getattr(policy.budgets.message_cost, name) for name in names] + [0.0]
    # The words are written after the choice: a budget must hold whatever parts they turn out to take.
    costs[names.index("sms")] *= policy.caps.sms_parts
    message = np.array(costs)[channel]  # -1, no channel, is the last one: nothing
    found["cost_expected"] = found["cost_expected"].to_numpy() + message
    found["expected_incremental_value"] = found["expected_incremental_value"].to_numpy() - message
    return found


def _first_refusal(
    holds: Mapping[str, Bools], otherwise: NDArray[np.int8] | int = -1
) -> NDArray[np.int8]:
    """Of each row the place in `REFUSALS` of the first that holds."""
    ordered = [(reason, holds[reason]) for reason in REFUSALS if reason in holds]
    return first_that_holds(ordered, REFUSALS, otherwise)


def _within(last: pd.Series, days: int, as_of: date) -> Bools:
    """Whether something happened on the day or less than so many days before it; a customer each."""
    gone = (pd.Timestamp(as_of) - pd.to_datetime(last)).dt.days
    return np.asarray(((gone >= 0) & (gone < days)).to_numpy(dtype=bool, na_value=False))


def _counts(policy: Policy, campaign: str) -> bool:
    """Whether messages of a campaign count towards the caps; those of an unknown one do."""
    return campaign not in {c.name for c in policy.campaigns if c.cap_class == "transactional"}


def _of_campaigns(found: pd.DataFrame, names: set[str]) -> Bools:
    return np.asarray(found["campaign"].isin(list(names)), dtype=bool)


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
    """What is known about a customer, whatever the channel.

    Attributes
    ----------
    birth_date
        None where it is not known.
    is_birthday_faulty
        Whether the shop gave a birthday that nobody can read or have: the customer may be of any age.
    complained_on, returned_on
        When the customer last complained, and last brought something back; None where not lately.
    """

    birth_date: date | None
    is_birthday_faulty: bool
    complained_on: date | None = None
    returned_on: date | None = None


def refusal_now(
    permission: Permission | None,
    person: Person,
    sent_days: Iterable[date],
    today: date,
    policy: Policy,
    *,
    capped: bool,
    patient: bool = True,
) -> str | None:
    """Why a message that was decided must not be sent now, or None where it may.

    Parameters
    ----------
    permission
        What is known by now about the customer on the message's channel; None where nothing is.
    person
        What is known by now about the customer.
    sent_days
        The days on which other marketing messages left for the customer, or are leaving.
    today
        The day of sending, in the customer's time zone.
    policy
        The rules.
    capped
        Whether the caps apply to the message.
    patient
        Whether the message has to wait after a complaint or a return.
    """
    minimum = policy.activation.minimum_age
    if is_minor(person.birth_date, today, minimum):
        return "minor"
    if person.birth_date is None and person.is_birthday_faulty and minimum > 0:
        return "age_unknown"
    complaints = policy.activation.complaints
    for reason, last, days in (
        ("recent_complaint", person.complained_on, complaints.days),
        ("open_return", person.returned_on, complaints.return_days),
    ):
        # One that is dated after the clock counts too: what is known is known.
        if patient and last is not None and (today - last).days < days:
            return reason
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
    found: pd.DataFrame, inputs: Inputs, policy: Policy
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The first open channel of each candidate's campaign, or the reason of its first channel; codes."""
    names = sorted(policy.budgets.message_cost.model_dump())
    closed = {name: _closed(inputs, name, policy) for name in names}
    customer = found["customer"].to_numpy(dtype=np.int64)
    channel = np.full(len(found), -1, dtype=np.int8)
    refusal = np.full(len(found), -1, dtype=np.int8)
    for campaign in policy.campaigns:
        row = np.flatnonzero(found["campaign"] == campaign.name)
        refusal[row] = closed[campaign.channels[0]][customer[row]]
        for name in campaign.channels:
            reached = row[closed[name][customer[row]] < 0]
            channel[reached], refusal[reached] = names.index(name), -1
            row = row[closed[name][customer[row]] >= 0]
    return channel, refusal


def _closed(inputs: Inputs, channel: str, policy: Policy) -> NDArray[np.int8]:
    """Of each customer, the code of the reason why a channel is closed, or -1 where it is open."""
    permissions = inputs.permissions
    rows = permissions[(permissions["channel"] == channel).to_numpy(dtype=bool)]
    place = inputs.positions(rows["customer_id"], missing=-1)
    known = place >= 0
    flags = {}
    for name in ("granted", "has_contact", "verified", "suppressed"):
        flags[name] = np.zeros(len(inputs.customers), dtype=bool)
        flags[name][place[known]] = rows[name].to_numpy(dtype=bool, na_value=False)[known]
    return _first_refusal(
        {
            "on_suppression_list": flags["suppressed"],
            "no_consent": ~flags["granted"],
            "no_contact_point": ~flags["has_contact"],
            "contact_not_verified": ~flags["verified"] & policy.activation.verified_contacts_only,
        }
    )


def _minors(customers: pd.DataFrame, policy: Policy, as_of: date) -> Bools:
    sending = as_of + timedelta(days=1)
    # Born after this day: not of age on the day of sending.
    latest = pd.Timestamp(sending) - pd.DateOffset(years=policy.activation.minimum_age)
    born = pd.to_datetime(customers["birth_date"])
    return (born > latest).to_numpy(dtype=bool, na_value=False)


def _ageless(customers: pd.DataFrame, policy: Policy) -> Bools:
    faulty = customers["is_birthday_faulty"].to_numpy(dtype=bool, na_value=False)
    unknown = customers["birth_date"].isna().to_numpy(dtype=bool)
    return np.asarray(faulty & unknown & (policy.activation.minimum_age > 0))


def _out_of_stock(found: pd.DataFrame, inputs: Inputs) -> Bools:
    """Whether the product that the message is about is known to be sold out where the customer shops."""
    sold_out = ~inputs.signals["in_stock"].to_numpy(dtype=bool, na_value=True)
    signal = found["signal"].to_numpy(dtype=np.int64)
    return np.asarray((signal >= 0) & np.append(sold_out, False)[signal])


def _kept_back(found: pd.DataFrame, inputs: Inputs) -> Bools:
    """Whether the product that the message is about is reserved for customers of a higher value."""
    kept = inputs.signals["kept_back"].to_numpy(dtype=bool, na_value=False)
    signal = found["signal"].to_numpy(dtype=np.int64)
    return np.asarray((signal >= 0) & np.append(kept, False)[signal])


@dataclass(frozen=True)
class _Past:
    """Decisions of other days about today's customers, as numbers that compare with the candidates'."""

    customer: Ints
    days: Ints
    campaign: pd.Series
    period: pd.Series

    @classmethod
    def of(cls, found: pd.DataFrame, inputs: Inputs, as_of: date) -> "_Past":
        history = inputs.history
        place = inputs.positions(history["customer_id"], missing=-1)
        wanted = np.zeros(len(inputs.customers) + 1, dtype=bool)
        wanted[found["customer"].to_numpy(dtype=np.int64)] = True
        rows = np.flatnonzero((place >= 0) & wanted[place])
        kept = history.iloc[rows]
        days = (pd.to_datetime(kept["as_of"]) - pd.Timestamp(as_of)).dt.days
        offsets = np.asarray(days.to_numpy(dtype=np.int64), dtype=np.int64)
        return cls(place[rows], offsets, kept["campaign"], kept["period"])

    def keys(self, found: pd.DataFrame, *, with_period: bool) -> tuple[Ints, Ints]:
        """One number for each customer and campaign (and period): of the past, and of the candidates."""
        past = self._codes(self.campaign, found["campaign"])
        theirs = np.asarray(found["campaign"].cat.codes, dtype=np.int64)
        size = len(found["campaign"].cat.categories) + 1
        standing = self.customer * size + past
        wanted = np.asarray(found["customer"], dtype=np.int64) * size + theirs
        if with_period:
            size = len(found["period"].cat.categories) + 1
            standing = standing * size + self._codes(self.period, found["period"])
            wanted = wanted * size + np.asarray(found["period"].cat.codes, dtype=np.int64)
        return standing, wanted

    @staticmethod
    def _codes(values: pd.Series, like: pd.Series) -> Ints:
        """The category of each value; one past the last where it is none of them."""
        names = pd.Index(like.cat.categories.astype("str"))
        codes = names.get_indexer(pd.Index(values.astype("str"))).astype(np.int64)
        return np.where(codes < 0, len(names), codes)


def _repeated(found: pd.DataFrame, past: _Past) -> Bools:
    """Already decided on another day of the same campaign and period."""
    standing, wanted = past.keys(found, with_period=True)
    return np.isin(wanted, standing)


def _too_soon(found: pd.DataFrame, past: _Past, policy: Policy) -> Bools:
    """Another period of the same campaign less than its `gap_days` away, before or after."""
    gaps = {campaign.name: campaign.gap_days for campaign in policy.campaigns}
    near = np.abs(past.days) < past.campaign.map(gaps).astype(float).fillna(0.0).to_numpy()
    standing, wanted = past.keys(found, with_period=False)
    return np.isin(wanted, standing[near])


def _over(found: pd.DataFrame, as_of: date) -> Bools:
    """Whether the last day on which the message makes sense is over when messages begin to leave."""
    sending = pd.Timestamp(as_of + timedelta(days=1))
    return np.asarray(found["last_day"] < sending, dtype=bool)


def _capped(customer: Ints, past: _Past, policy: Policy) -> Bools:
    """Whether one more message on the day would break the cap in any window that holds the day."""
    cap = policy.caps.marketing
    if cap.messages == 0:
        return np.ones(len(customer), dtype=bool)
    counted = np.array([_counts(policy, str(name)) for name in past.campaign], dtype=bool)
    full = capped_customers(past.customer[counted], past.days[counted], cap)
    return np.isin(customer, full)


def capped_customers(customer: Ints, days: Ints, cap: Cap) -> Ints:
    """Customers with messages near a day for whom one more on that day would exceed a cap.

    Every window of `window_days` consecutive days that holds the day is looked at, whether it reaches
    back or ahead, so that days may be decided in any order and the cap still holds.

    Parameters
    ----------
    customer : array of shape (n_messages,)
    days : array of shape (n_messages,)
        How many days after the day each other message was decided for; below 0 for earlier ones.
    cap
        At most `messages` in any `window_days` consecutive days.
    """
    width = cap.window_days
    offset = days + width - 1
    near = (offset >= 0) & (offset <= 2 * width - 2)
    names, codes = np.unique(customer[near], return_inverse=True)
    counts = np.zeros((len(names), 2 * width - 1), dtype=np.int32)
    np.add.at(counts, (codes, offset[near]), 1)
    sums = np.concatenate([np.zeros((len(names), 1), np.int64), counts.cumsum(axis=1)], axis=1)
    windows = sums[:, width:] - sums[:, :width]
    return np.asarray(names[windows.max(axis=1, initial=0) + 1 > cap.messages])

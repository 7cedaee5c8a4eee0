"""The limits of the policy: caps, budgets, control groups, and when nobody may be messaged."""

from collections.abc import Iterator, Sequence
from datetime import date, time
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from include.policy.base import Money, Place, Section, Text, TimeOfDay

if TYPE_CHECKING:
    from include.policy.campaigns import Campaign


class Cap(Section):
    """At most `messages` in any `window_days` consecutive days."""

    messages: Annotated[int, Field(ge=0)]
    window_days: Annotated[int, Field(ge=1, le=366)]


class PerDay(Section):
    """What a day may send without a question: so many messages, and to so large a part of the customers."""

    messages: Annotated[int, Field(ge=1)] | None = None
    share_of_customers: Annotated[float, Field(gt=0, le=1)] | None = None


class Caps(Section):
    """The most a customer may be sent, over all campaigns and channels, and the longest text message.

    Attributes
    ----------
    per_day
        A brake for a slip of the pen: a day that would send more waits for a person. None: no such brake.
    """

    marketing: Cap
    per_day: PerDay | None = None
    sms_parts: Annotated[int, Field(ge=1, le=10)]

    def exceeded(self, messages: int, customers: int) -> str | None:
        """What of `per_day` a day's messages exceed, as the part of a sentence; None where nothing."""
        brake = self.per_day or PerDay()
        if brake.messages is not None and messages > brake.messages:
            return f"{messages:,} messages, above caps.per_day.messages ({brake.messages:,})"
        share = brake.share_of_customers
        if share is not None and messages > share * customers:
            return (
                f"{messages:,} messages to {customers:,} customers, above "
                f"caps.per_day.share_of_customers ({share:.0%})"
            )
        return None


class MessageCost(Section):
    """What one message costs; by SMS, each part of it."""

    email: Money
    sms: Money
    push: Money = 0.0


class TotalBudget(Section):
    """Expected cost that all days from `starts_on` to `ends_on` may reach together."""

    amount: Money
    starts_on: date
    ends_on: date

    def covers(self, day: date) -> bool:
        """Whether a business day draws on it."""
        return self.starts_on <= day <= self.ends_on


class Budgets(Section):
    """Expected cost that a day, and all days together, may reach, and what messages cost."""

    per_day: Money
    total: TotalBudget | None
    message_cost: MessageCost


class Control(Section):
    """Who is left to chance: a control group that is sent nothing, and offers picked at random.

    Attributes
    ----------
    share
        Of those who would be sent something, the part who are never sent anything.
    exploration_share
        Of those who could be sent something, the part whose offer is picked at random each day.
    salt
        What the draws depend on, beside the customer.
    """

    share: Annotated[float, Field(ge=0, lt=1)]
    exploration_share: Annotated[float, Field(ge=0, lt=1)]
    salt: Text


class ClockWindow(Section):
    """From `start` until `end`, wall-clock times in the customer's zone; may pass midnight."""

    start: TimeOfDay
    end: TimeOfDay

    def covers(self, moment: time) -> bool:
        """Whether a time of day lies in the window (start included, end not)."""
        if self.start <= self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


class Complaints(Section):
    """What counts as a complaint, and for how long nothing is advertised after one.

    Attributes
    ----------
    days
        Business days, that of the complaint included, without marketing; 0 for none.
    rating
        A review of this rating or a worse one is a complaint.
    sentiment
        So is a mention on a social network in this mood (-1 to 1) or a worse one.
    return_days
        Days without marketing after goods were brought back; 0 for none.
    """

    days: Annotated[int, Field(ge=0, le=366)]
    rating: Annotated[int, Field(ge=0, le=5)]
    sentiment: Annotated[float, Field(ge=-1, le=0)]
    return_days: Annotated[int, Field(ge=0, le=366)]


class Activation(Section):
    """When messages may go out, and to whom never."""

    max_age_days: Annotated[int, Field(ge=0, le=366)]
    send_window: ClockWindow
    quiet_hours: ClockWindow
    send_within_days: Annotated[int, Field(ge=1, le=60)]
    minimum_age: Annotated[int, Field(ge=0, le=120)]
    verified_contacts_only: bool
    minimum_expected_value: Money
    complaints: Complaints


def contradictions(
    caps: Caps, activation: Activation, budgets: Budgets, campaigns: Sequence["Campaign"]
) -> Iterator[tuple[Place, str]]:
    """Limits that cannot hold together."""
    on = [c.name for c in campaigns if c.enabled and c.cap_class == "marketing"]
    if caps.marketing.messages == 0 and on:
        yield (
            ("caps", "marketing", "messages"),
            (
                f"expected at least 1 while campaigns are enabled ({', '.join(on)}), found 0; raise it, or "
                "switch them off."
            ),
        )
    total = budgets.total
    if total is not None and total.ends_on < total.starts_on:
        yield (
            ("budgets", "total", "ends_on"),
            (
                f"expected a day on or after starts_on ({total.starts_on}), found {total.ends_on}; "
                "correct one of the two."
            ),
        )
    yield from _hours(activation)


def _hours(rules: Activation) -> Iterator[tuple[Place, str]]:
    window, quiet = rules.send_window, rules.quiet_hours
    if window.start == window.end:
        yield (
            ("activation", "send_window"),
            (f"expected a start before the end, found {window.start:%H:%M} for both; widen it."),
        )
    elif window.start > window.end:
        yield (
            ("activation", "send_window"),
            (
                f"expected a start before the end, found {window.start:%H:%M} to {window.end:%H:%M}; a send "
                "window stays within one day."
            ),
        )
    elif not any(not quiet.covers(minute) for minute in _minutes(window.start, window.end)):
        yield (
            ("activation", "quiet_hours"),
            (
                f"expected some of the send window ({window.start:%H:%M} to {window.end:%H:%M}) outside, "
                "found "
                f"quiet hours {quiet.start:%H:%M} to {quiet.end:%H:%M} over all of it; shorten them."
            ),
        )


def _minutes(start: time, end: time) -> Iterator[time]:
    for minute in range(start.hour * 60 + start.minute, end.hour * 60 + end.minute):
        yield time(minute // 60, minute % 60)

"""What the shop's clock shows, and which messages wait for it.

Delivery alone goes by this clock (`shop.clock` of the policy): the wall clock in a shop that lives, a moment
that stands still in the demo, whose data ends in 2017.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from include import warehouse
from include.policy import Policy
from include.warehouse import Connection


@dataclass(frozen=True)
class Clock:
    """The shop's clock, and the messages that have yet to leave by it.

    Attributes
    ----------
    moment
        What the clock shows, in the shop's zone.
    stands
        Whether it stands still: a moment in the policy rather than the wall clock.
    due
        Approved messages whose time has come; they leave at the next delivery inside the send window.
    later
        Approved messages whose time is yet to come, and `next_at` the first such time.
    missed
        Messages whose last moment lies before the clock: delivery cancels them.
    """

    moment: datetime
    timezone: str
    stands: bool
    due: int
    later: int
    next_at: datetime | None
    missed: int


def read(conn: Connection, rules: Policy, now: datetime | None = None) -> Clock:
    """The clock of a policy, and what waits for it; `now` is the wall clock when left out."""
    fixed = rules.shop.fixed_clock()
    moment = (fixed or now or datetime.now(UTC)).astimezone(rules.shop.zone)
    due, later, next_at, missed = warehouse.rows(
        conn,
        """
        SELECT
            count(*) FILTER (
                WHERE m.send_not_before <= %(moment)s AND m.send_not_after >= %(moment)s
            ),
            count(*) FILTER (WHERE m.send_not_before > %(moment)s),
            min(m.send_not_before) FILTER (WHERE m.send_not_before > %(moment)s),
            count(*) FILTER (WHERE m.send_not_after < %(moment)s)
        FROM marketing.messages AS m
        JOIN marketing.coupon_triggers AS t USING (trigger_id)
        WHERE m.status IN ('pending', 'failed') AND t.status = 'approved'
        """,
        {"moment": moment},
    )[0]
    return Clock(
        moment,
        rules.shop.timezone,
        fixed is not None,
        int(due),
        int(later),
        next_at.astimezone(rules.shop.zone) if next_at else None,
        int(missed),
    )


def told(clock: Clock) -> list[str]:
    """The clock in sentences, what waits for it, and how to move one that stands still."""
    sentences = [
        f"The shop's clock stands still at {_said(clock.moment)} ({clock.timezone})."
        if clock.stands
        else f"The shop's clock is the wall clock: {_said(clock.moment)} ({clock.timezone})."
    ]
    if clock.due:
        sentences.append(
            f"{_messages(clock.due)} due and {'leaves' if clock.due == 1 else 'leave'} at the next "
            "delivery inside the send window."
        )
    if clock.later and clock.next_at:
        first = f"the first at {_said(clock.next_at)}" if clock.later > 1 else _said(clock.next_at)
        sentences.append(f"{_messages(clock.later)} yet to come: {first}.")
        if clock.stands:
            sentences.append(
                "None of them leaves before the clock is moved, for instance with "
                f"`bin/regulars clock {clock.next_at:%Y-%m-%dT%H:%M}`."
            )
    if clock.missed:
        sentences.append(f"{_messages(clock.missed)} past the last moment and will be cancelled.")
    if not (clock.due or clock.later or clock.missed):
        sentences.append("No message waits for it.")
    return sentences


def _messages(number: int) -> str:
    return f"{number:,} message{' is' if number == 1 else 's are'}"


def _said(moment: datetime) -> str:
    return f"{moment:%A}, {moment.day} {moment:%B %Y, %H:%M}"

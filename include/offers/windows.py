"""When messages may be sent: wall-clock windows in the shop's zone, turned into moments.

Twice a year the wall clock jumps. A time of day that the spring gap leaves out stands for the moment the
gap ends. A time that the autumn overlap shows twice opens a window at its first and closes one at its
second showing, so that a window holds every moment at which the wall clock reads a time inside it.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from include.policy.limits import Activation

_MINUTES = [time(minute // 60, minute % 60) for minute in range(24 * 60)]


def moment(day: date, at: time, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """The moment (UTC) at which the wall clock of a zone reads a time of day.

    Parameters
    ----------
    day, at, zone
        The wall clock's reading.
    last
        Which of two showings counts when the clock is set back: the second, instead of the first.
    """
    local = datetime.combine(day, at, tzinfo=zone)
    found = local.replace(fold=int(last)).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return found
    # In a gap the two folds lie on either side of the jump: look for the jump between them.
    before, after = sorted(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def is_open(now: datetime, rules: Activation, zone: ZoneInfo) -> bool:
    """Whether a message may leave at a moment: inside the send window and outside quiet hours."""
    reading = now.astimezone(zone).time()
    return rules.send_window.covers(reading) and not rules.quiet_hours.covers(reading)


def daily_bounds(rules: Activation) -> tuple[time, time]:
    """The first minute of the day at which a message may leave, and the end of the last."""
    usable = [
        m for m in _MINUTES if rules.send_window.covers(m) and not rules.quiet_hours.covers(m)
    ]
    end = (datetime.combine(date.min, usable[-1]) + timedelta(minutes=1)).time()
    return usable[0], end


def send_between(as_of: date, rules: Activation, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The earliest and the latest moment (UTC) for what was decided for a business day.

    It may leave from the day after, for `send_within_days` days.
    """
    first, end = daily_bounds(rules)
    last_day = as_of + timedelta(days=rules.send_within_days)
    return moment(as_of + timedelta(days=1), first, zone), moment(last_day, end, zone, last=True)

"""Business days out of stamps in UTC, worked out by a server that need not know any time zone.

Few servers have their tables of time zones filled, and CONVERT_TZ answers NULL without them. So the changes
of the shop's clock stand in the statement itself.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

#: Before and after these years the shop's clock is taken to go as it did at their ends.
FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)


def of(stamp: datetime | date, timezone: str) -> date:
    """The business day of a stamp in UTC without a zone; a day is its own."""
    if not isinstance(stamp, datetime):
        return stamp
    try:
        return stamp.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()
    except OverflowError:  # at the ends of the calendar, where "never" is written
        return stamp.date()


def local(moment: datetime, timezone: str) -> datetime:
    """What the shop's clock shows at a moment, without a zone; the ends of the calendar stay as they are."""
    if not FIRST.year <= moment.year < LAST.year:
        return moment.replace(tzinfo=None)
    return moment.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)


def expression(stamp: str, timezone: str, start: datetime, end: datetime) -> str:
    """SQL for the business day of an expression that is a stamp in UTC.

    Parameters
    ----------
    start, end
        The window in which stamps lie, for the most part: beyond it the clock goes as at its ends.
    """
    zone = ZoneInfo(timezone)
    start, end = max(start, FIRST), min(end, LAST)
    steps = changes(zone, start, end)
    last = _offset(zone, end)
    cases = " ".join(
        f"WHEN {stamp} < '{at:%Y-%m-%d %H:%M:%S}' THEN {before}" for at, before in steps
    )
    seconds = f"CASE {cases} ELSE {last} END" if cases else str(last)
    return f"DATE({stamp} + INTERVAL {seconds} SECOND)"


def changes(zone: ZoneInfo, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """Each moment within a window at which a clock was changed, and its seconds ahead of UTC before."""
    found = []
    at = start
    while at < end:
        after = min(at + timedelta(days=7), end)
        before = _offset(zone, at)
        if _offset(zone, after) != before:
            low, high = at, after
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
            found.append((high.replace(microsecond=0), before))
        at = after
    return found


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0

"""Which days delivered files can be about, by what they say and by when they came."""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from include.errors import BadInput
from include.sources.file_mapping import Files
from include.sources.files.folder import Delivery
from include.sources.files.noticed import Span

#: Days without a line after which a few more lines are taken for mistakes of the year or the month.
LONGEST_GAP = 31

#: In place of the day on which a shop opened.
NOT_KNOWN = date.min

_TURN = date.min.toordinal() + date.max.toordinal()


def span(
    days: Counter[date],
    files: list[Delivery],
    form: Files,
    *,
    timezone: str,
    opened_on: date | None,
    place: str,
) -> Span | None:
    """The first and the last day that files of a form can be about.

    Three bounds, since each misses something. Nothing happened before the shop opened. Nothing is told
    that has not happened: of the newest file's own time, a day more for clocks and zones that differ. But
    a file that is copied long afterwards has a time of its own, so what the files say counts too. Files
    that say only what is have the second bound alone: a customer or an article may be older than the
    shop, and records of warehouses lie years apart.

    Parameters
    ----------
    days
        How often each day stands in the column that dates a row.
    opened_on
        None for files that say only what is; `NOT_KNOWN` where nobody has said yet when the shop opened.
    place
        The mapping, as errors speak of it.

    Raises
    ------
    BadInput
        When there are dates and none lies within the first two.
    """
    delivered = max(file.path.stat().st_mtime for file in files)
    newest = datetime.fromtimestamp(delivered, ZoneInfo(timezone)).date()
    first, last = opened_on or date.min, newest + timedelta(days=1)
    possible = Counter({day: count for day, count in days.items() if first <= day <= last})
    if days and not possible:
        raise BadInput(
            f"Expected dates from {first} to {last} in {' or '.join(form.patterns)}, found all "
            f"{days.total()} outside: correct shop.opened_on in config/policy.yml, the formats in {place}, "
            "or the time that the newest file bears."
        )
    if not possible:
        return None
    begun = began(possible) if opened_on == NOT_KNOWN else min(possible)
    return begun, reached(possible) if opened_on else max(possible)


def began(days: Counter[date]) -> date:
    """The first day of files: the first one after a long gap where hardly anything comes before it."""
    # The same from the other end of time.
    turned = Counter({date.fromordinal(_TURN - day.toordinal()): n for day, n in days.items()})
    return date.fromordinal(_TURN - reached(turned).toordinal())


def reached(days: Counter[date]) -> date:
    """The newest day of files: the last one before a long gap where hardly anything comes after it.

    A year or a month that was mistyped dates a line or two far from the rest. A shop that opens again after
    months is different: it has as many lines as on its other days.
    """
    ordered = sorted(days)
    usual, beyond, newest = median(days.values()), 0, ordered[-1]
    for earlier, later in reversed(list(pairwise(ordered))):
        beyond += days[later]
        if beyond >= usual:
            break
        if (later - earlier).days > LONGEST_GAP:
            newest = earlier
    return newest

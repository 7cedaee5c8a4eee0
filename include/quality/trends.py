"""Is a day of a table as usual? Judged by the same table's days before it, not by fixed numbers.

Four things are looked at: how many rows (beside the same weekday), how old the newest stamp is, which
share of each column is empty, and how each column's values are distributed. A figure is unusual when it lies
further from the median of the past days than `SPREADS` times their median absolute deviation (scaled to a
standard deviation), with room for what a sample of that size does by chance. Distributions are compared by
the population stability index (`include.features.stability`), against all past days together; the past
days' own indices, each against the others, say what is usual.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from include.features.stability import stability_index
from include.quality import Result
from include.quality.profiles import Profile

#: How far back a day is compared, and how many days there must be for a verdict.
PAST_DAYS, LEAST_DAYS = 56, 14

#: Same weekdays that are enough to compare volumes with them alone.
LEAST_WEEKDAYS = 4

#: A robust distance at which a day is unusual: about one normal day in 16,000.
SPREADS = 4.0

#: The median absolute deviation of a normal distribution, as a share of its standard deviation.
_MAD_TO_SD = 1.4826

#: Below these a difference matters to nobody: a tenth of the rows, an hour, two rows in a hundred, and a
#: stability index of half of what is commonly called a small shift (0.1).
VOLUME_ROOM, HOURS_ROOM, SHARE_ROOM, INDEX_ROOM = 0.1, 1.0, 0.02, 0.05

#: Rows of a day below which shares and distributions say nothing.
LEAST_ROWS = 50


def judge(day: Profile, past: Sequence[Profile]) -> list[Result]:
    """Every trend of a day: passed or a warning; none where there is too little past.

    Parameters
    ----------
    past
        Earlier days of the same table.
    """
    if len(past) < LEAST_DAYS:
        return []
    results = _volume(day, past)
    if day.lag_hours is not None:
        results += _freshness(day, past)
    usual = [one for one in past if one.looked_at >= LEAST_ROWS]
    if day.looked_at >= LEAST_ROWS and len(usual) >= LEAST_DAYS:
        results += [_emptiness(day, usual, name) for name in day.empty]
        results += [
            found for name in day.counts if (found := _distribution(day, usual, name)) is not None
        ]
    return results


def _volume(day: Profile, past: Sequence[Profile]) -> list[Result]:
    """None for a table that is empty on most days: there is no usual number of rows."""
    same = [one for one in past if one.day.weekday() == day.day.weekday()]
    beside = same if len(same) >= LEAST_WEEKDAYS else past
    logs = [math.log1p(one.row_count) for one in beside]
    middle, spread = _usual(logs)
    if middle == 0:
        return []
    distance = abs(math.log1p(day.row_count) - middle)
    chance = 1 / math.sqrt(math.expm1(middle))
    return [
        _result(
            day,
            "volume_as_usual",
            distance <= SPREADS * max(spread, chance, VOLUME_ROOM / 2),
            str(day.row_count),
            f"about {math.expm1(middle):,.0f} rows",
            f"{day.row_count:,}",
        )
    ]


def _freshness(day: Profile, past: Sequence[Profile]) -> list[Result]:
    lags = [one.lag_hours for one in past if one.lag_hours is not None]
    if len(lags) < LEAST_DAYS or day.lag_hours is None:
        return []
    middle, spread = _usual(lags)
    fresh = day.lag_hours <= middle + max(SPREADS * spread, HOURS_ROOM)
    return [
        _result(
            day,
            "fresh_as_usual",
            fresh,
            f"{day.lag_hours:.2f}",
            f"the newest stamp about {middle:.1f} hours before the day's end",
            f"{day.lag_hours:.1f} hours",
        )
    ]


def _emptiness(day: Profile, past: Sequence[Profile], name: str) -> Result:
    middle, spread = _usual([one.empty.get(name, 1.0) for one in past])
    share = day.empty[name]
    chance = math.sqrt(max(middle * (1 - middle), 0.0) / day.looked_at)
    room = max(SPREADS * max(spread, chance), SHARE_ROOM)
    return _result(
        day,
        f"filled_as_usual({name})",
        abs(share - middle) <= room,
        f"{share:.4f}",
        f"{name} empty in about {middle:.1%} of the rows",
        f"{share:.1%}",
    )


def _distribution(day: Profile, past: Sequence[Profile], name: str) -> Result | None:
    known = [one for one in past if name in one.counts]
    if len(known) < LEAST_DAYS:
        return None
    together: Counter[str] = Counter()
    for one in known:
        together.update(one.counts[name])
    own = [index_of_counts(one.counts[name], together - Counter(one.counts[name])) for one in known]
    middle, spread = _usual(own)
    index = index_of_counts(day.counts[name], together)
    # By chance alone the index of a day is about its bins less one, divided by its rows.
    rows, usual_rows = day.looked_at, median(one.looked_at for one in known)
    chance = max(len(together) - 1, 1) * max(1 / rows - 1 / usual_rows, 0.0)
    limit = max(middle + SPREADS * max(spread, middle / 4) + 2 * chance, INDEX_ROOM)
    return _result(
        day,
        f"distributed_as_usual({name})",
        index <= limit,
        f"{index:.4f}",
        f"{name} distributed as before (a stability index up to {limit:.3f})",
        f"{index:.3f}",
    )


def index_of_counts(counts: Mapping[str, int], reference: Mapping[str, int]) -> float:
    """The population stability index of two counts over the same bins; 0 where they agree.

    Half a row is added to every bin, so that an empty one does not make it infinite.
    """
    bins = sorted(set(counts) | set(reference))

    def shares(of: Mapping[str, int]) -> list[float]:
        rows = sum(of.values()) + 0.5 * len(bins)
        return [(of.get(name, 0) + 0.5) / rows for name in bins]

    return stability_index(shares(counts), shares(reference))


def _usual(values: Sequence[float]) -> tuple[float, float]:
    """Median, and the median absolute deviation scaled to a standard deviation."""
    middle = median(values)
    return middle, _MAD_TO_SD * median(abs(value - middle) for value in values)


def _result(
    day: Profile, check: str, passed: bool, observed: str, expected: str, seen: str
) -> Result:
    return Result(
        table_name=day.table,
        check_name=check,
        severity="warning",
        passed=passed,
        observed=observed,
        unexpected_count=None,
        element_count=day.row_count,
        message=f"Expected {expected} in {day.table} of {day.day}, going by the days before it, found "
        f"{seen}: look at the source before trusting what is built on it.",
    )

"""A day is judged by the days before it: what is usual passes, what is not warns, whatever the level."""

from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest

from include.quality import trends
from include.quality.profiles import Profile

START = date(2017, 3, 1)


def usual(place: int, rows: int = 1000, weekend: float = 2.0, seed: int = 1) -> Profile:
    """A day of a shop that sells twice as much at weekends, with a little noise."""
    day = START + timedelta(days=place)
    random = Random(seed * 1000 + place)
    count = round(rows * (weekend if day.weekday() >= 5 else 1) * random.uniform(0.95, 1.05))
    left = round(count * random.uniform(0.58, 0.62))
    return Profile(
        "core.orders",
        day,
        count,
        looked_at=count,
        empty={"store": random.uniform(0.01, 0.02)},
        counts={"channel": {"web": left, "till": count - left}},
        lag_hours=random.uniform(1, 2),
    )


PAST = [usual(place) for place in range(42)]
TODAY = usual(42)


def failed(day: Profile, past: list[Profile] = PAST) -> set[str]:
    return {result.check_name for result in trends.judge(day, past) if not result.passed}


def test_usual_days_pass():
    assert trends.judge(TODAY, PAST)
    for place in range(42, 70):
        assert failed(usual(place)) == set()


@pytest.mark.parametrize("level", [60, 1000, 100_000])
@pytest.mark.parametrize("times", [0, 0.1, 10])
def test_a_day_far_smaller_or_larger_warns_at_any_level(level, times):
    past = [usual(place, level) for place in range(42)]
    today = usual(42, level)
    assert failed(today, past) == set()
    odd = replace(today, row_count=round(today.row_count * times))
    assert "volume_as_usual" in failed(odd, past)


def test_a_weekend_is_beside_weekends():
    saturday = next(usual(n) for n in range(42, 49) if usual(n).day.weekday() == 5)
    monday = next(usual(n) for n in range(42, 49) if usual(n).day.weekday() == 0)
    assert failed(saturday) == set()
    assert failed(replace(monday, row_count=saturday.row_count)) == {"volume_as_usual"}


def test_stale_stamps_empty_columns_and_moved_distributions_warn():
    assert failed(replace(TODAY, lag_hours=14.0)) == {"fresh_as_usual"}
    assert failed(replace(TODAY, lag_hours=0.1)) == set()  # fresher is no fault
    assert failed(replace(TODAY, empty={"store": 0.4})) == {"filled_as_usual(store)"}
    moved = {"channel": {"web": TODAY.looked_at, "till": 0}}
    assert failed(replace(TODAY, counts=moved)) == {"distributed_as_usual(channel)"}
    new = {"channel": {"web": TODAY.looked_at // 2, "app": TODAY.looked_at // 2}}
    assert failed(replace(TODAY, counts=new)) == {"distributed_as_usual(channel)"}


def test_warnings_say_what_was_expected_and_never_stop():
    (result,) = [r for r in trends.judge(replace(TODAY, row_count=9999), PAST) if not r.passed]
    assert result.severity == "warning"
    assert "Expected about 9" in result.message or "Expected about 1" in result.message
    assert "found 9,999" in result.message


def test_too_little_past_or_too_few_rows_give_no_verdict():
    assert trends.judge(TODAY, PAST[: trends.LEAST_DAYS - 1]) == []
    few = replace(TODAY, looked_at=trends.LEAST_ROWS - 1, empty={"store": 1.0})
    assert {r.check_name for r in trends.judge(few, PAST)} == {"volume_as_usual", "fresh_as_usual"}


def test_a_table_that_is_empty_on_most_days_has_no_usual_volume():
    past = [replace(one, row_count=0, looked_at=0, lag_hours=None) for one in PAST]
    assert trends.judge(TODAY, past) == []


def test_stability_index_is_that_of_the_definition():
    # Two bins, 60:40 against 50:50: (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5).
    found = trends.index_of_counts({"a": 600_000, "b": 400_000}, {"a": 500_000, "b": 500_000})
    assert found == pytest.approx(0.0405465, abs=1e-5)
    assert trends.index_of_counts({"a": 5}, {"a": 9}) == 0
    assert trends.index_of_counts({}, {}) == 0

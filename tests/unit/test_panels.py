"""Which past days a model may learn from and be judged at."""

from datetime import date, timedelta

import pytest

from include.steps.training import panels


def test_cuts_have_matured_and_lie_four_weeks_apart():
    cuts = panels.matured_cuts("2017-10-01", 91)
    assert cuts[0] == "2017-07-02"
    assert cuts[-1] >= "2017-01-29"
    days = [date.fromisoformat(cut) for cut in cuts]
    assert {a - b for a, b in zip(days, days[1:], strict=False)} == {timedelta(days=28)}


def test_a_history_of_many_years_gives_two_of_cuts_at_most():
    cuts = panels.matured_cuts("2031-10-05", 91)
    assert len(cuts) == panels.MAXIMUM_CUTS
    assert cuts[0] == "2031-07-06"


@pytest.mark.parametrize("day", ["2017-01-02", "2017-04-29"])
def test_a_history_shorter_than_the_horizon_gives_none(day: str):
    assert panels.matured_cuts(day, 91) == []


def test_there_are_six_origins_as_far_apart_as_the_history_allows():
    found = panels.origins("2017-07-02", 91)
    assert len(found) == panels.ORIGINS == 6
    assert found[0] == "2017-07-02"
    assert found[-1] == "2017-05-28"
    assert all(panels.matured_cuts(day, 91) for day in found)
    wide = panels.origins("2018-07-01", 91)
    assert wide[1] == "2018-06-03"
    assert len(panels.origins("2017-05-07", 91)) == 2

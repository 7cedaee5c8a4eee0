"""The business day of a run."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from include import as_of
from include.errors import BadInput


def context(params=None, key=None, conf=None):
    return {"params": params or {}, "dag_run": SimpleNamespace(partition_key=key, conf=conf or {})}


def test_the_parameter_comes_before_the_partition_key():
    assert as_of.business_day(context({"as_of": "2017-10-02"}, "2017-10-01")) == "2017-10-02"
    assert as_of.business_day(context({"as_of": None}, "2017-10-01")) == "2017-10-01"
    assert as_of.business_day(context(conf={"as_of": "2017-10-03"})) == "2017-10-03"


def test_a_run_with_neither_fails_and_never_asks_the_clock():
    with pytest.raises(BadInput, match="neither the parameter as_of nor a partition key"):
        as_of.business_day(context())


@pytest.mark.parametrize("text", ["2017-02-30", "20171001", "yesterday", "2017-10-01T00:00:00", ""])
def test_what_is_no_day_is_refused_by_name(text):
    with pytest.raises(BadInput, match="YYYY-MM-DD"):
        as_of.parse(text)


def test_a_window_is_whole_days_in_the_shops_zone_over_a_change_of_clocks():
    start, end = as_of.window("2017-03-12", "2017-03-12", "America/New_York")
    assert start.astimezone(UTC) == datetime(2017, 3, 12, 5, tzinfo=UTC)
    assert end.astimezone(UTC) == datetime(2017, 3, 13, 4, tzinfo=UTC)  # a day of 23 hours


def test_since_is_optional_and_named_where_it_is_no_day():
    assert as_of.since(context()) is None
    with pytest.raises(
        BadInput, match="^Expected since to be a business day as YYYY-MM-DD, found 'x'"
    ):
        as_of.since(context({"since": "x"}))
    assert as_of.since(context({"since": "2017-01-01"})) == "2017-01-01"

"""A run for a day that the dataset before it does not hold ends at once, in one sentence."""

from types import SimpleNamespace

import pytest

from include import warehouse
from include.errors import BadInput
from include.wiring import coverage, dag

DAY = "2017-03-02"


def context(day: str) -> dict[str, object]:
    run = SimpleNamespace(partition_key=None, conf={}, run_id="by-hand")
    return {"params": {"as_of": day}, "dag_run": run}


@pytest.fixture
def published(request):
    """core of two days."""
    request.getfixturevalue("warehouse")
    insert = """
        INSERT INTO ops.publications (table_name, partition, dataset, token, run_id, row_count, published_at)
        SELECT 'core.orders', day::date, 'core', 1, 'run', 0, now()
        FROM generate_series(%(day)s::date - 1, %(day)s::date, interval '1 day') AS day
    """
    with warehouse.connect() as conn:
        warehouse.execute(conn, "TRUNCATE ops.publications")
        warehouse.execute(conn, insert, {"day": DAY})
    yield
    with warehouse.connect() as conn:
        warehouse.execute(conn, "TRUNCATE ops.publications")


def test_a_day_that_is_held_goes_on(published):
    assert dag.run_of(context(DAY), needs="core")["as_of"] == DAY


@pytest.mark.parametrize("day", ["2017-02-28", "2017-03-03", "2019-01-01"])
def test_a_day_outside_is_refused_with_the_days_there_are(published, day):
    with pytest.raises(BadInput) as refused:
        dag.run_of(context(day), needs="core")
    assert str(refused.value) == (
        f"Expected core to hold the business day {day}, found days from 2017-03-01 to 2017-03-02, "
        "without it: run regulars_ingest for that day first, or give another as_of."
    )


def test_an_empty_warehouse_says_so(published):
    with pytest.raises(BadInput, match="found nothing published yet: run regulars_features"):
        coverage.require("features", DAY)


def test_without_a_need_nothing_is_asked():
    assert dag.run_of(context("2019-01-01"))["as_of"] == "2019-01-01"

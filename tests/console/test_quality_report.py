"""The report of data quality: sixty days, plotted, from what the console's role may read."""

import json
import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from include import warehouse
from include.errors import BadInput
from include.reports import quality

RESULTS = """
INSERT INTO ops.quality_results (token, table_name, check_name, dataset, as_of, run_id, severity, passed,
    observed, message, checked_at)
SELECT d, 'core.orders', name, 'core', date '2017-10-01' - d, 'run', severity, d % 7 <> 3, '0.12',
    'Expected <usual>, found odd.', now()
FROM generate_series(0, 70) AS d,
    (VALUES ('distributed_as_usual(channel)', 'warning'), ('rows_add_up', 'critical')) AS c (name, severity);
INSERT INTO ops.quality_results (token, table_name, check_name, dataset, as_of, run_id, severity, passed,
    message, checked_at)
VALUES (100, 'core.orders', 'rows_add_up', 'core', '2017-09-28', 'again', 'critical', true, 'Held.', now());
INSERT INTO ops.publications
SELECT 'core.orders', date '2017-10-01' - d, 'core', 1, 'run', 100 + d, now()
FROM generate_series(0, 70) AS d;
INSERT INTO ops.publications
SELECT 'core.stores', date '2017-10-01' - d, 'core', 1, 'run', 7, now()
FROM generate_series(0, 70) AS d;
INSERT INTO ops.row_counts
SELECT d, 'core.orders', date '2017-10-01' - d, date '2017-10-01' - d, 'run', 100, 98, 2, 0
FROM generate_series(0, 70) AS d;
INSERT INTO ops.source_columns VALUES ('s', 'public.orders', 'gift_wrap', 'boolean', true, now(), NULL);
"""


@pytest.fixture(scope="module")
def history(request):
    request.getfixturevalue("warehouse")
    with warehouse.connect() as conn:
        warehouse.execute(conn, RESULTS)


def test_without_a_check_it_says_what_to_do(request, tmp_path):
    request.getfixturevalue("warehouse")
    with pytest.raises(BadInput, match="Expected checks"):
        quality.write(tmp_path / "quality.html")


def test_sixty_days_are_plotted_and_failures_listed(history, tmp_path):
    path = tmp_path / "quality.html"
    quality.write(path)
    text = path.read_text()
    figures = [
        json.loads(one) for one in re.findall(r"application/json\">(.*?)</script>", text, re.S)
    ]
    assert len(figures) == 5
    # Every chart has the same sixty days, so that one is read below the other.
    spans = {tuple(figure["layout"]["xaxis"]["range"]) for figure in figures}
    assert spans == {("2017-08-02T12:00", "2017-10-01T12:00")}
    checks = figures[0]["data"]
    assert [trace["name"] for trace in checks] == ["passed", "warned", "stopped"]
    assert len(checks[0]["x"]) == quality.DAYS
    # A strip for each table, on an axis of its own: a small table is seen beside a large one.
    rows = next(f for f in figures if "yaxis2" in f["layout"])
    assert [(t["name"], t["yaxis"]) for t in rows["data"]] == [
        ("core.orders", "y"),
        ("core.stores", "y2"),
    ]
    assert rows["layout"]["yaxis2"]["ticktext"] == ["0", "7"]
    assert rows["layout"]["yaxis"]["domain"][0] > rows["layout"]["yaxis2"]["domain"][1]
    assert "public.orders.gift_wrap" in text
    assert "Expected &lt;usual&gt;, found odd." in text  # escaped
    assert "http://" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)


def test_a_single_day_is_bars_with_their_figures_and_no_days(history):
    with warehouse.connect("warehouse_console") as conn:
        found = quality.read(conn)
    day = date(2017, 9, 28)  # one on which a check warned

    def then(found: dict[str, dict[date, Any]]) -> dict[str, dict[date, Any]]:
        return {table: {day: days[day]} for table, days in found.items() if day in days}

    alone = replace(
        found,
        last=day,
        checks={day: found.checks[day]},
        rows=then(found.rows),
        warned=then(found.warned),
        indices=then(found.indices),
        rejected=then(found.rejected),
    )
    text = quality.render(alone)
    figures = [
        json.loads(one) for one in re.findall(r"application/json\">(.*?)</script>", text, re.S)
    ]
    assert [figure["data"][0]["type"] for figure in figures] == ["bar"] * 3
    warned, indices, rejected = (figure["data"][0] for figure in figures)
    assert (warned["x"], warned["texttemplate"]) == ([1], "%{x:,d}")
    assert (indices["x"], indices["texttemplate"]) == ([0.12], "%{x:.3f}")
    assert rejected["x"] == [2]
    assert "is the only business day that was checked so far" in text


def test_of_a_day_checked_twice_the_newest_counts(history):
    with warehouse.connect("warehouse_console") as conn:
        found = quality.read(conn)
    by_day = {day.isoformat(): counts for day, counts in found.checks.items()}
    assert by_day["2017-09-28"] == (1, 1, 0)  # the critical one held when it was run again
    assert by_day["2017-09-21"] == (0, 1, 1)
    assert found.rejected["core.orders"][found.last] == 2

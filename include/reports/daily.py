"""A day's result as one HTML file: tables, segments, models beside their baselines, decisions, quality.

    bin/regulars report day.html

The file holds its style, its script and its figures, so that it can be mailed and opened without a
network. What marketing reads is read with marketing's and the console's own roles; models and backtests,
which they may not see, with the pipeline's. Columns that say who a customer is are left out.
"""

from pathlib import Path

from include import contracts, policy, warehouse
from include.console import charts, data, document, stock_charts, view
from include.reports import backtests, came_true, samples

#: What the warehouse must hold.
EXPECTED = "a published day with segments"


def write(path: Path) -> None:
    """Write the report of the newest day that was published.

    Raises
    ------
    RegularsError
        When the warehouse cannot be reached, or holds nothing yet.
    """
    document.write(path, render, EXPECTED)


def render() -> str:
    """The report as text."""
    with data.reading() as conn:
        today = data.today(conn)
    if today.empty or today.segments_day is None:
        raise document.nothing_yet(EXPECTED)
    with data.reading("warehouse_marketing") as conn:
        shown = [
            samples.sample(conn, contract)
            for contract in contracts.all_contracts()
            if contract.schema_name == "marketing" and contract.table in samples.SHOWN
        ]
        urgent = stock_charts.scarce(conn, today.segments_day)
    with warehouse.connect() as conn:
        demand = stock_charts.demand(conn, today.segments_day)
        tests = backtests.backtests(conn, today.segments_day)
        weights = backtests.coefficients(conn, today.segments_day)
    after = came_true.look_ahead(today.segments_day)
    rivals = [
        (test.setting, test.ours, test.baseline, test.chosen)
        for test in tests
        if test.kind == "value" and test.metric == "roc_auc" and not test.is_beside
    ]
    figures = view.figures(today) | {
        "backtests": charts.against_baseline(rivals) if rivals else None,
        "coefficients": charts.coefficients(weights),
        "wanted": stock_charts.wanted(urgent),
        "demand": stock_charts.weeks(demand),
        "gains": charts.gains(after.gains) if after else None,
        "calibration": charts.calibration(after.calibration) if after else None,
        "outcome": charts.outcome(after.deciles, today.currency) if after else None,
    }
    return document.render(
        "report.html",
        today=today,
        verdict=view.verdict(today),
        decided=view.decided(today.decisions, today.currency),
        charts=figures,
        samples=shown,
        rivals=backtests.Comparison.of([test for test in tests if test.kind == "value"]),
        lists=backtests.ListComparison.of([test for test in tests if test.kind == "als"]),
        coupons=[test for test in tests if test.kind == "redemption"],
        weights=weights,
        demand=demand,
        truth=after,
        is_demo=policy.load().shop.is_demo,
    )

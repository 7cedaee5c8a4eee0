"""A day's result as one HTML file: tables, segments, models beside their baselines, decisions, quality.

    bin/regulars report day.html

The file holds its style, its script and its figures, so that it can be mailed and opened without a
network. What marketing reads is read with marketing's and the console's own roles; models and backtests,
which they may not see, with the pipeline's. Columns that say who a customer is are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from include import contracts, policy, warehouse
from include.console import charts, data, document, stock_charts, view
from include.contracts import Contract
from include.errors import RegularsError
from include.launcher import truth
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

#: What the warehouse must hold.
EXPECTED = "a published day with segments"

#: Rows of each table that are shown.
SAMPLE_ROWS = 5

#: Columns that are shown; none of them says who a customer is.
SHOWN = {
    "customer_segments": "segment lifecycle predicted_value p_high_value churn_probability "
    "expected_next_order_date reason_1",
    "product_recommendations": "list rank name source reason",
    "recommendation_lists": "list products candidates why_short",
    "decisions": "campaign offer channel decision decision_reason cost_expected "
    "expected_incremental_value",
    "coupon_triggers": "campaign offer_title channel valid_until send_not_before status",
    "budget_use": "budget amount spent price expected_gain gain_bound gap",
    "control_members": "scope is_member share",
    "messages": "campaign channel copy_source send_not_before send_not_after status",
    "segment_summary": "segment customers customer_share value_total value_share entered "
    "left_for_others",
    "segment_changes": "segment_from segment_to",
    "stock_priorities": "priority_rank region name action units_high_value units_other on_hand "
    "p_run_out units_to_reserve units_reducible cost_of_running_out reason",
    "approvals": "as_of reason messages cost_expected expected_incremental_value status",
    "campaign_results": "campaign people_treated people_control lift lift_low lift_high verdict",
}

#: Coefficients that are shown, the largest first.
COEFFICIENTS = 12

#: Metrics in the order in which they are told; those that are not here come after.
METRICS = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "lift_top_decile": "lift of the best tenth",
    "ece": "calibration error",
    "brier": "Brier score",
    "misjudged": "misjudged",
    "ndcg_at_10": "NDCG@10",
    "recall_at_10": "recall@10",
    "mae": "mean absolute error of spend",
    "gini": "Gini of spend",
    "spearman": "Spearman correlation of spend",
    "coverage_80": "coverage of the 80% interval",
}

#: What product lists are judged by, and the simple lists beside them.
LIST_SETTINGS = {
    "product/all": "all purchases",
    "product/new": "new to the customer",
    "product/repeat": "bought before",
}
LIST_BASELINES = {
    "popularity": "most popular",
    "repeat_count": "bought most often",
    "repeat_decay": "bought most often lately",
}


@dataclass(frozen=True)
class Sample:
    """A few rows of a table: those of its first keys, which are pseudonyms, so nearly any."""

    name: str
    description: str
    row_count: int
    columns: list[str]
    numeric: list[bool]
    rows: list[list[str]]


@dataclass(frozen=True)
class Backtest:
    """One figure of a champion on a later cut, beside the baseline's on the same customers."""

    kind: str
    algorithm: str
    chosen: bool
    cut: date
    metric: str
    setting: str
    ours: float | None
    baseline: float | None
    baseline_name: str
    customers: int

    @property
    def metric_words(self) -> str:
        return METRICS.get(self.metric, charts.words(self.metric))


@dataclass(frozen=True)
class Comparison:
    """Algorithms side by side: a column a metric, the baseline in the last row."""

    cut: date
    customers: int
    baseline_name: str
    metrics: list[str]
    algorithms: list[tuple[str, bool, list[float | None]]]
    baseline: list[float | None]

    @classmethod
    def of(cls, tests: Sequence[Backtest]) -> "Comparison | None":
        """The comparison of backtests on one cut; None of none."""
        if not tests:
            return None
        metrics = list(dict.fromkeys(test.metric for test in tests))
        found = {(test.setting, test.metric): test for test in tests}
        names = dict.fromkeys((test.setting, test.chosen) for test in tests)

        def line(setting: str) -> list[Backtest | None]:
            return [found.get((setting, metric)) for metric in metrics]

        first = tests[0]
        return cls(
            cut=first.cut,
            customers=first.customers,
            baseline_name=first.baseline_name,
            metrics=[METRICS.get(metric, charts.words(metric)) for metric in metrics],
            algorithms=[
                (name, chosen, [test.ours if test else None for test in line(name)])
                for name, chosen in names
            ],
            baseline=[test.baseline if test else None for test in line(first.setting)],
        )


@dataclass(frozen=True)
class ListFigure:
    """One figure of one kind of product list, and of each simple list that it is judged beside."""

    what: str
    metric: str
    ours: float | None
    baselines: list[float | None]


@dataclass(frozen=True)
class ListComparison:
    """Product lists beside simple ones: a column a baseline."""

    cut: date
    customers: int
    baselines: list[str]
    figures: list[ListFigure]

    @classmethod
    def of(cls, tests: Sequence[Backtest]) -> "ListComparison | None":
        """The comparison of the recommender's backtests; None without any.

        Which settings were tried at training stays out: that is no figure of what serves.
        """
        found = {
            (test.setting.partition(" beside ")[0], test.metric, test.baseline_name): test
            for test in tests
            if " beside " in test.setting
        }
        if not found:
            return None
        baselines = [name for name in LIST_BASELINES if any(key[2] == name for key in found)]
        figures = []
        for setting, what in LIST_SETTINGS.items():
            metrics = dict.fromkeys(metric for other, metric, _ in found if other == setting)
            for metric in metrics:
                line = [found.get((setting, metric, name)) for name in baselines]
                some = next(test for test in line if test)
                beside = [test.baseline if test else None for test in line]
                figures.append(ListFigure(what, some.metric_words, some.ours, beside))
        return cls(
            cut=next(iter(found.values())).cut,
            customers=next(iter(found.values())).customers,
            baselines=[LIST_BASELINES[name] for name in baselines],
            figures=figures,
        )


@dataclass(frozen=True)
class Truth:
    """What happened after the day, as the shop's own rows tell it; no model has seen it.

    Attributes
    ----------
    until
        The last day of the horizon.
    metrics
        Name, ours, the naive baseline's (None where it has none).
    calibration
        Per bin: mean predicted chance, observed share, customers.
    gains
        Share of customers, in order of the score -> share of the high-value ones among them, for us
        and for the naive baseline.
    deciles
        Decile -> mean predicted value, mean spend.
    """

    until: date
    customers: int
    metrics: list[tuple[str, float, float | None]]
    calibration: list[tuple[float, float, int]]
    gains: list[tuple[float, float, float]]
    deciles: list[tuple[int, float, float]]


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
        samples = [
            sample(conn, contract)
            for contract in contracts.all_contracts()
            if contract.schema_name == "marketing" and contract.table in SHOWN
        ]
        urgent = stock_charts.scarce(conn, today.segments_day)
    with warehouse.connect() as conn:
        demand = stock_charts.demand(conn, today.segments_day)
        tests = backtests(conn, today.segments_day)
        weights = coefficients(conn, today.segments_day)
    after = look_ahead(today.segments_day)
    rivals = [
        (test.setting, test.ours, test.baseline, test.chosen)
        for test in tests
        if test.kind == "value" and test.metric == "roc_auc"
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
        samples=samples,
        rivals=Comparison.of([test for test in tests if test.kind == "value"]),
        lists=ListComparison.of([test for test in tests if test.kind == "als"]),
        coupons=[test for test in tests if test.kind == "redemption"],
        weights=weights,
        demand=demand,
        truth=after,
        is_demo=policy.load().shop.source == "complete_journey",
    )


def sample(conn: Connection, contract: Contract) -> Sample:
    """A few rows of a marketing table's newest day."""
    source = f"marketing.current_{contract.table}" if contract.current else contract.name
    chosen = [contract.column(name) for name in SHOWN[contract.table].split()]
    names = ", ".join(f'"{column.name}"' for column in chosen)
    keys = ", ".join(f'"{name}"' for name in contract.keys)
    return Sample(
        name=contract.name,
        description=contract.description,
        row_count=int(warehouse.value(conn, f"SELECT count(*) FROM {source}")),
        columns=[column.name for column in chosen],
        numeric=[
            column.type.startswith(("numeric", "integer", "bigint", "smallint", "double"))
            for column in chosen
        ],
        rows=[
            [plain(cell) for cell in row]
            for row in warehouse.rows(
                conn, f"SELECT {names} FROM {source} ORDER BY {keys} LIMIT {SAMPLE_ROWS}"
            )
        ],
    )


def plain(value: Any) -> str:
    """A value as a reader wants it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    return str(value)


def backtests(conn: Connection, day: date) -> list[Backtest]:
    """How the day's champions and their rivals did on a later cut, beside the baseline."""
    order = {metric: place for place, metric in enumerate(METRICS)}
    found = [
        Backtest(kind, algorithm, algorithm == setting, cut, metric, setting, *figures)
        for kind, algorithm, setting, cut, metric, *figures in warehouse.rows(
            conn,
            """
            WITH champion AS (
                SELECT DISTINCT ON (kind) kind, model_version, algorithm, anchor
                FROM ml.models
                WHERE is_champion AND anchor <= %(day)s
                ORDER BY kind, anchor DESC, updated_at DESC
            ),
            judged AS (
                SELECT kind, model_version, algorithm FROM champion
                UNION ALL
                SELECT DISTINCT ON (m.kind, m.algorithm) m.kind, m.model_version, c.algorithm
                FROM champion AS c
                JOIN ml.models AS m USING (kind, anchor)
                WHERE NOT m.is_champion AND m.algorithm <> c.algorithm
                ORDER BY kind, algorithm, model_version
            )
            SELECT j.kind, j.algorithm, b.setting, b.cut, b.metric, b.ours, b.baseline,
                b.baseline_name, b.n
            FROM judged AS j
            JOIN ml.backtests AS b USING (model_version)
            WHERE b.setting NOT LIKE 'rolling%%'
            """,
            {"day": day},
        )
    ]
    return sorted(
        found,
        key=lambda test: (
            test.kind != "value",
            not test.chosen,
            test.setting,
            order.get(test.metric, len(order)),
            test.metric,
            test.baseline_name,
        ),
    )


def coefficients(conn: Connection, day: date) -> list[tuple[str, float]]:
    """The largest coefficients of the day's logistic regression, on standardised features."""
    explained = warehouse.value(
        conn,
        """
        SELECT manifest -> 'explained' -> 'coefficients'
        FROM ml.models
        WHERE kind = 'value' AND is_champion AND anchor <= %(day)s
        ORDER BY anchor DESC, updated_at DESC
        LIMIT 1
        """,
        {"day": day},
    )
    named = [
        (name, float(line["coefficient"]))
        for name, line in (explained or {}).items()
        if name != "intercept"
    ]
    return sorted(named, key=lambda pair: -abs(pair[1]))[:COEFFICIENTS]


def look_ahead(day: date) -> Truth | None:
    """Compare the day's predictions with what happened after it.

    Returns
    -------
    Truth or None
        None where the horizon is not over, or the shop cannot be read.
    """
    asked = day.isoformat()
    try:
        compared = truth.compare(asked)
        after = truth.spend_after(asked)
    except (RegularsError, psycopg2.Error):
        return None
    if compared is None or after is None:
        return None
    joined = truth.predictions(asked).merge(after, on="external_id", how="left")
    rules = policy.load().models
    return _truth(
        joined.fillna({"spend": 0.0}),
        day + timedelta(days=rules.horizon_days),
        rules.high_value_share,
        [
            (
                METRICS.get(figure.metric, charts.words(figure.metric)),
                figure.ours,
                None if math.isnan(figure.baseline) else figure.baseline,
            )
            for figure in compared[0]
        ],
    )


def _truth(
    joined: "pd.DataFrame",
    until: date,
    share: float,
    metrics: list[tuple[str, float, float | None]],
) -> Truth:
    """The curves of predictions, the naive baseline and what was spent, customer by customer."""
    import numpy as np

    from include.models import evaluate

    spend = joined["spend"].to_numpy(float)
    chance = joined["p_high_value"].to_numpy(float)
    value = joined["predicted_value"].to_numpy(float)
    naive = joined["naive"].to_numpy(float)
    high = evaluate.top_share(spend, share).astype(float)

    def bins(score: Any) -> list[Any]:
        return np.array_split(np.argsort(-score, kind="stable"), 10)

    calibration = [
        (float(chance[rows].mean()), float(high[rows].mean()), len(rows)) for rows in bins(chance)
    ]
    deciles = [
        (place, float(value[rows].mean()), float(spend[rows].mean()))
        for place, rows in enumerate(bins(value), start=1)
    ]

    def captured(score: Any) -> Any:
        found = np.cumsum(high[np.argsort(-score, kind="stable")]) / max(high.sum(), 1)
        return np.concatenate([[0.0], found])

    steps = np.unique(np.linspace(0, len(high), 51).astype(int))
    ours, theirs = captured(chance), captured(naive)
    gains = [(at / len(high), float(ours[at]), float(theirs[at])) for at in steps]
    return Truth(until, len(high), metrics, calibration, gains, deciles)

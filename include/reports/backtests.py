"""How the champions and their rivals were judged: backtests beside their baselines, and coefficients."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from include import warehouse
from include.console import charts
from include.models.products.rivals import RIVALS
from include.warehouse import Connection

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

#: What product lists are judged by.
LIST_SETTINGS = {
    "product/all": "all purchases",
    "product/new": "new to the customer",
    "product/repeat": "bought before",
}


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
    def is_beside(self) -> bool:
        """Whether the line repeats the champion's figure beside a further baseline."""
        return self.setting.startswith("beside ")

    @property
    def metric_words(self) -> str:
        return METRICS.get(self.metric, charts.spaced(self.metric))


@dataclass(frozen=True)
class Comparison:
    """Algorithms side by side: a column a metric, the baselines in the last rows."""

    cut: date
    customers: int
    metrics: list[str]
    algorithms: list[tuple[str, bool, list[float | None]]]
    baselines: list[tuple[str, list[float | None]]]

    @classmethod
    def of(cls, tests: Sequence[Backtest]) -> "Comparison | None":
        """The comparison of backtests on one cut; None of none."""
        if not tests:
            return None
        metrics = list(dict.fromkeys(test.metric for test in tests))
        found = {(test.setting, test.metric): test for test in tests}
        names = dict.fromkeys((test.setting, test.chosen) for test in tests if not test.is_beside)
        baselines = {test.baseline_name: test.setting for test in reversed(tests)}

        def line(setting: str) -> list[Backtest | None]:
            return [found.get((setting, metric)) for metric in metrics]

        first = tests[0]
        return cls(
            cut=first.cut,
            customers=first.customers,
            metrics=[METRICS.get(metric, charts.spaced(metric)) for metric in metrics],
            algorithms=[
                (name, chosen, [test.ours if test else None for test in line(name)])
                for name, chosen in names
            ],
            baselines=[
                (name, [test.baseline if test else None for test in line(baselines[name])])
                for name in dict.fromkeys(test.baseline_name for test in tests)
            ],
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
        baselines = [name for name in RIVALS if any(key[2] == name for key in found)]
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
            baselines=[RIVALS[name].label for name in baselines],
            figures=figures,
        )


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

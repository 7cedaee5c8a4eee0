"""What the console and the report show of the value model that serves."""

from dataclasses import dataclass
from datetime import date

from include import warehouse
from include.warehouse import Connection

#: Features of the drift chart, those that moved most.
DRIFTED = 12


@dataclass(frozen=True)
class Origin:
    """ROC AUC at one past day, with its interval, and the naive rule's."""

    cut: date
    ours: float
    low: float | None
    high: float | None
    baseline: float


@dataclass(frozen=True)
class Models:
    """Figures of `marketing.model_figures`.

    Attributes
    ----------
    gains
        Share of customers, the best first -> share of the high-value ones among them, for the model and for
        the naive rule, at the newest past day.
    calibration
        Per tenth of customers at that day: mean predicted chance, observed share, customers.
    importance
        Theme of features -> its share in what moves the predictions.
    drift
        Feature -> population stability index of the newest day, the largest first.
    """

    version: str
    judged: date
    rolling: list[Origin]
    gains: list[tuple[float, float, float]]
    calibration: list[tuple[float, float, int]]
    importance: list[tuple[str, float]]
    drift: list[tuple[str, float]]
    drift_limit: float


def read(conn: Connection) -> Models | None:
    """The figures of the model that serves, or None before the first one was judged."""
    if warehouse.value(conn, "SELECT to_regclass('marketing.model_figures')") is None:
        return None
    rows = warehouse.rows(
        conn,
        """
        SELECT figure, name, decile, cut, value, low, high, baseline, customers, model_version
        FROM marketing.model_figures
        ORDER BY figure, cut, decile, name
        """,
    )
    origins = [
        Origin(cut, value, low, high, baseline)
        for figure, name, _, cut, value, low, high, baseline, _, _ in rows
        if figure == "rolling" and name == "roc_auc"
    ]
    if not origins:
        return None
    newest = origins[-1].cut
    tenths = {
        (name, decile): (value, baseline, customers)
        for figure, name, decile, cut, value, _, _, baseline, customers, _ in rows
        if figure == "decile" and cut == newest
    }
    gains = [(0.0, 0.0, 0.0)]
    for decile in sorted(decile for name, decile in tenths if name == "lift"):
        ours, naive, _ = tenths["lift", decile]
        gains.append((decile / 10, gains[-1][1] + ours / 10, gains[-1][2] + naive / 10))
    moved = sorted(
        ((name, value) for figure, name, _, _, value, *_ in rows if figure == "drift"),
        key=lambda pair: -pair[1],
    )
    limits = [row[7] for row in rows if row[0] == "drift"]
    return Models(
        version=rows[0][9],
        judged=newest,
        rolling=origins,
        gains=gains,
        calibration=[
            (tenths["chance", d][0], tenths["observed", d][0], tenths["chance", d][2] // 10)
            for d in sorted(decile for name, decile in tenths if name == "chance")
        ],
        importance=sorted(
            ((name, value) for figure, name, _, _, value, *_ in rows if figure == "importance"),
            key=lambda pair: -pair[1],
        ),
        drift=moved[:DRIFTED],
        drift_limit=limits[0] if limits else 0.0,
    )

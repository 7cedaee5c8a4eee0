"""Charts of the value model, for the console and the report."""

from collections.abc import Sequence
from typing import Any

from include.console import charts
from include.console.charts import FRAME, Figure, figure, spaced
from include.console.models import Models, Origin

#: Height of a thin bar with the space around it, in pixels.
_THIN = 28


def of(found: Models | None) -> dict[str, Figure | None]:
    """Every chart by its name; None where there is nothing to draw yet."""
    names = ("rolling", "model_gains", "model_calibration", "importance", "drift")
    if found is None:
        return dict.fromkeys(names)
    drawn = (
        rolling(found.rolling),
        charts.gains(found.gains),
        charts.calibration(found.calibration),
        _bars(found.importance, "share in what moves the predictions", ".0%"),
        drift(found.drift, found.drift_limit) if found.drift else None,
    )
    return dict(zip(names, drawn, strict=True))


def rolling(found: Sequence[Origin]) -> Figure:
    """ROC AUC at each past day with its 95% interval, beside the naive rule's."""
    days = [origin.cut.isoformat() for origin in found]
    return figure(
        [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": "the model",
                "x": days,
                "y": [origin.ours for origin in found],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [charts.gap(origin.high, origin.ours, 4) for origin in found],
                    "arrayminus": [charts.gap(origin.ours, origin.low, 4) for origin in found],
                    "color": "--accent",
                    "thickness": 1.2,
                    "width": 4,
                },
                "line": {"color": "--accent", "width": 2},
                "marker": {"size": 8},
                "hovertemplate": "%{x|%-d %B %Y}: %{y:.4f}<extra>the model</extra>",
            },
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": "naive",
                "x": days,
                "y": [origin.baseline for origin in found],
                "line": {"color": "--second", "width": 1.5, "dash": "dash"},
                "marker": {"size": 6, "symbol": "diamond"},
                "hovertemplate": "%{x|%-d %B %Y}: %{y:.4f}<extra>naive</extra>",
            },
        ],
        height=320,
        showlegend=True,
        xaxis={"type": "date", "tickvals": days, "tickformat": "%-d %b", "showgrid": False},
        yaxis={"tickformat": ".3f"},
    )


def drift(found: Sequence[tuple[str, float]], limit: float) -> Figure:
    """Population stability index of the features that moved most, and the line of "another feature"."""
    line = {"color": "--second", "width": 1.5, "dash": "dash"}
    ends = {"x0": limit, "x1": limit, "y0": 0, "y1": 1, "yref": "paper"}
    shape = {"type": "line", "line": line} | ends
    return _bars(found, "population stability index", ".2f", shapes=[shape])


def _bars(found: Sequence[tuple[str, float]], title: str, form: str, **layout: Any) -> Figure:
    return figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [spaced(name) for name, _ in found],
                "x": [round(value, 4) for _, value in found],
                "marker": {"color": "--accent"},
                "hovertemplate": f"%{{y}}: %{{x:{form}}}<extra></extra>",
            }
        ],
        height=FRAME + _THIN * max(len(found), 1),
        xaxis={"title": {"text": title, "font": {"size": 12}}, "tickformat": form},
        yaxis={"autorange": "reversed", "showgrid": False},
        **layout,
    )

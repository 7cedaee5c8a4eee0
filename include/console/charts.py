"""The console's and the report's charts, as plain plotly figures.

A figure is a dictionary of plotly's own form, made without importing plotly: the page draws it with
the plotly.js that the plotly package brings. A colour is the name of a CSS property (`--accent`), which
the page's script replaces by its value, so that a chart follows the light or the dark theme.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from include.console.data import DayRows, Decile, Decision, Segment

Figure = dict[str, Any]

#: Decisions in the order in which they are told, each with its colour.
DECISIONS = {
    "send": "--accent",
    "control": "--second",
    "hold": "--third",
    "suppress": "--faint",
}

#: Height of a horizontal bar with the space around it, and of a chart's frame, in pixels.
_BAR, _FRAME = 34, 64


def figure(traces: list[dict[str, Any]], height: int, **layout: Any) -> Figure:
    """A figure in the house style; `layout` overrides it key by key."""
    axis = {"gridcolor": "--rule", "zeroline": False, "automargin": True, "fixedrange": True}
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 16, "t": 8, "b": 36, "pad": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "--ink", "size": 13},
        "bargap": 0.35,
        "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        "hoverlabel": {"bgcolor": "--paper", "bordercolor": "--rule", "font": {"color": "--ink"}},
        "dragmode": False,
    }
    for name in ("xaxis", "yaxis"):
        base[name] = axis | layout.pop(name, {})
    return {"data": traces, "layout": base | layout}


def segments(found: Sequence[Segment], currency: str) -> Figure:
    """Predicted value of each segment, the most valuable on top."""
    return figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [words(segment.name) for segment in found],
                "x": [round(segment.predicted_value) for segment in found],
                "customdata": [segment.customers for segment in found],
                "marker": {"color": "--accent"},
                "hovertemplate": f"%{{y}}: %{{x:,.0f}} {currency}, %{{customdata:,}} customers"
                "<extra></extra>",
            }
        ],
        height=_FRAME + _BAR * len(found),
        xaxis={"tickformat": "~s", "title": {"text": _money(currency), "font": {"size": 12}}},
        yaxis={"autorange": "reversed", "showgrid": False},
    )


def deciles(found: Sequence[Decile], currency: str) -> Figure:
    """Predicted value by decile, with the mean ends of the interval where there is one."""
    trace: dict[str, Any] = {
        "type": "bar",
        "x": [decile.decile for decile in found],
        "y": [round(decile.predicted_value, 2) for decile in found],
        "marker": {"color": "--accent"},
        "hovertemplate": f"decile %{{x}}: %{{y:,.0f}} {currency}<extra></extra>",
    }
    if found and all(decile.low is not None and decile.high is not None for decile in found):
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [_gap(decile.high, decile.predicted_value) for decile in found],
            "arrayminus": [_gap(decile.predicted_value, decile.low) for decile in found],
            "color": "--muted",
            "thickness": 1.2,
            "width": 4,
        }
    return figure(
        [trace],
        height=300,
        xaxis={
            "dtick": 1,
            "showgrid": False,
            "title": {"text": "decile of customers, 1 is the best", "font": {"size": 12}},
        },
        yaxis={"tickformat": "~s", "rangemode": "tozero"},
    )


def decisions(found: Sequence[Decision]) -> Figure:
    """Candidates of each campaign by decision, as stacked bars."""
    campaigns = sorted({decision.campaign for decision in found})
    known = [name for name in DECISIONS if any(d.decision == name for d in found)]
    known += sorted({d.decision for d in found} - set(DECISIONS))
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": [words(campaign) for campaign in campaigns],
            "x": [
                sum(d.customers for d in found if d.campaign == campaign and d.decision == name)
                for campaign in campaigns
            ],
            "marker": {"color": DECISIONS.get(name, "--muted")},
            "hovertemplate": "%{y}, " + name + ": %{x:,}<extra></extra>",
        }
        for name in known
    ]
    return figure(
        traces,
        height=_FRAME + 32 + _BAR * len(campaigns),
        barmode="stack",
        showlegend=True,
        xaxis={"tickformat": "~s", "title": {"text": "customers", "font": {"size": 12}}},
        yaxis={"autorange": "reversed", "showgrid": False},
    )


def rows_per_day(found: Iterable[DayRows]) -> Figure:
    """Rows of each table by business day, on a scale of powers of ten."""
    palette = ("--accent", "--second", "--third", "--fourth", "--muted", "--faint")
    found = list(found)
    days = sorted({row.day.isoformat() for row in found})
    traces = []
    for position, (table, group) in enumerate(groupby(found, key=lambda row: row.table)):
        history = list(group)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": words(table.partition(".")[2]),
                "x": [row.day.isoformat() for row in history],
                "y": [row.row_count for row in history],
                "line": {"color": palette[position % len(palette)], "width": 2},
                "marker": {"symbol": position, "size": 7},
                "hovertemplate": "%{fullData.name}, %{x|%-d %B %Y}: %{y:,}<extra></extra>",
            }
        )
    return figure(
        traces,
        height=340,
        showlegend=True,
        xaxis={
            "type": "date",
            "tickformat": "%-d %b",
            # Whole days only, and no more labels than fit.
            "dtick": 86_400_000 * max(len(days) // 8, 1),
            "tick0": max(days, default=None),
            "showgrid": False,
        },
        yaxis={"type": "log", "tickformat": "~s", "dtick": 1},
    )


def words(name: str) -> str:
    """A table's or campaign's name as it is read: `vip_at_risk` -> `vip at risk`."""
    return name.replace("_", " ")


def _gap(high: float | None, low: float | None) -> float:
    """The length of one arm of an error bar; never negative."""
    return round(max((high or 0.0) - (low or 0.0), 0.0), 2)


def _money(currency: str) -> str:
    return f"predicted value, {currency}" if currency else "predicted value"

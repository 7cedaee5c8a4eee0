"""The console's and the report's charts, as plain plotly figures.

A figure is a dictionary of plotly's own form, made without importing plotly: the page draws it with
the plotly.js that the plotly package brings. A colour is the name of a CSS property (`--accent`), which
the page's script replaces by its value, so that a chart follows the light or the dark theme.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from include.console.data import DayRows, Decision
from include.console.segments import Decile, Segment

Figure = dict[str, Any]

#: Decisions in the order in which they are told, each with its colour.
DECISIONS = {
    "send": "--accent",
    "control": "--second",
    "hold": "--third",
    "suppress": "--faint",
}

#: Height of a horizontal bar with the space around it, and of a chart's frame, in pixels.
BAR, FRAME = 34, 64


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
                "y": [spaced(segment.name) for segment in found],
                "x": [round(segment.predicted_value) for segment in found],
                "customdata": [segment.customers for segment in found],
                "marker": {"color": "--accent"},
                "hovertemplate": f"%{{y}}: %{{x:,.0f}} {currency}, %{{customdata:,}} customers"
                "<extra></extra>",
            }
        ],
        height=FRAME + BAR * len(found),
        xaxis={"tickformat": "~s", "title": {"text": _value_title(currency), "font": {"size": 12}}},
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
            "array": [gap(decile.high, decile.predicted_value) for decile in found],
            "arrayminus": [gap(decile.predicted_value, decile.low) for decile in found],
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
            "y": [spaced(campaign) for campaign in campaigns],
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
        height=FRAME + 32 + BAR * len(campaigns),
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
                "name": spaced(table.partition(".")[2]),
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


def spread(found: Sequence[Segment], currency: str) -> Figure:
    """Spread of predicted value within each segment, from percentiles 5, 25, 50, 75 and 95."""
    found = [segment for segment in found if segment.spread]
    low, first, middle, third, high = (
        [segment.spread[place] for segment in found] for place in range(5)
    )
    return figure(
        [
            {
                "type": "box",
                "orientation": "h",
                "y": [spaced(segment.name) for segment in found],
                "lowerfence": low,
                "q1": first,
                "median": middle,
                "q3": third,
                "upperfence": high,
                "line": {"color": "--accent", "width": 1.5},
                "fillcolor": "--wash",
                "whiskerwidth": 0.5,
                "hoverinfo": "x",
            }
        ],
        height=FRAME + BAR * len(found),
        xaxis={"tickformat": "~s", "title": {"text": _value_title(currency), "font": {"size": 12}}},
        yaxis={"autorange": "reversed", "showgrid": False},
    )


def against_baseline(
    found: Sequence[tuple[str, float | None, float | None, bool]], title: str = "ROC AUC"
) -> Figure:
    """One metric of several models as points, the baseline as a dashed line.

    Parameters
    ----------
    found
        Name, our figure, the baseline's, and whether it is the one that serves.
    title
        The metric's name.
    """
    known = [(name, ours, chosen) for name, ours, _, chosen in found if ours is not None]
    known.sort(key=lambda row: -row[1])
    baseline = next((theirs for _, _, theirs, _ in found if theirs is not None), None)
    shapes = []
    if baseline is not None:
        line = {"color": "--second", "width": 1.5, "dash": "dash"}
        shapes = [
            {"type": "line", "x0": baseline, "x1": baseline, "y0": 0, "y1": 1, "yref": "paper"}
            | {"line": line}
        ]
    return figure(
        [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [ours for _, ours, _ in known],
                "y": [spaced(name) for name, _, _ in known],
                "marker": {
                    "size": 11,
                    "color": ["--accent" if chosen else "--faint" for _, _, chosen in known],
                    "line": {"color": "--accent", "width": 1.5},
                },
                "hovertemplate": "%{y}: %{x:.4f}<extra></extra>",
            }
        ],
        height=FRAME + BAR * max(len(known), 1),
        shapes=shapes,
        xaxis={"title": {"text": title, "font": {"size": 12}}, "tickformat": ".3f", "nticks": 6},
        yaxis={"autorange": "reversed", "type": "category"},
    )


def coefficients(found: Sequence[tuple[str, float]]) -> Figure:
    """Coefficients of a linear model, the largest on top, those that lower the chance on the left."""
    return figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [spaced(name) for name, _ in found],
                "x": [round(weight, 4) for _, weight in found],
                "marker": {
                    "color": ["--accent" if weight >= 0 else "--second" for _, weight in found]
                },
                "hovertemplate": "%{y}: %{x:+.3f}<extra></extra>",
            }
        ],
        height=FRAME + 28 * max(len(found), 1),
        xaxis={
            "title": {
                "text": "change of the log-odds for one standard deviation",
                "font": {"size": 12},
            }
        },
        yaxis={"autorange": "reversed", "showgrid": False},
    )


def gains(found: Sequence[tuple[float, float, float]]) -> Figure:
    """Share of the high-value customers found among the best so many, ours and the baseline's."""
    reached = [at for at, _, _ in found]
    lines = (
        ("the model", [ours for _, ours, _ in found], {"color": "--accent", "width": 2.5}),
        (
            "naive",
            [theirs for _, _, theirs in found],
            {"color": "--second", "width": 1.5, "dash": "dash"},
        ),
        ("chance", reached, {"color": "--faint", "width": 1.5}),
    )
    return figure(
        [
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": reached,
                "y": share,
                "line": line,
                "hovertemplate": "%{x:.0%} of customers: %{y:.0%}<extra>" + name + "</extra>",
            }
            for name, share, line in lines
        ],
        height=340,
        showlegend=True,
        margin={"l": 8, "r": 28, "t": 8, "b": 36, "pad": 4},
        xaxis={
            "tickformat": ".0%",
            "dtick": 0.2,
            "range": [0, 1],
            "title": {"text": "customers, the best first", "font": {"size": 12}},
        },
        yaxis={"tickformat": ".0%", "range": [0, 1.02]},
    )


def calibration(found: Sequence[tuple[float, float, int]]) -> Figure:
    """Predicted chance against observed share in ten groups of equal size."""
    return figure(
        [
            {
                "type": "scatter",
                "mode": "lines",
                "x": [0, 1],
                "y": [0, 1],
                "line": {"color": "--faint", "width": 1.5},
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": [round(predicted, 4) for predicted, _, _ in found],
                "y": [round(observed, 4) for _, observed, _ in found],
                "customdata": [number for _, _, number in found],
                "marker": {"size": 10, "color": "--accent"},
                "hovertemplate": "predicted %{x:.1%}, observed %{y:.1%}, %{customdata} customers"
                "<extra></extra>",
            },
        ],
        height=340,
        xaxis={
            "tickformat": ".0%",
            "range": [-0.03, 1.03],
            "title": {"text": "predicted chance", "font": {"size": 12}},
        },
        yaxis={"tickformat": ".0%", "range": [-0.03, 1.03]},
    )


def outcome(found: Sequence[tuple[int, float, float]], currency: str) -> Figure:
    """Predicted and actual spend of each decile."""
    names = [place for place, _, _ in found]
    pairs = (
        ("predicted", [round(value, 2) for _, value, _ in found], "--accent"),
        ("spent", [round(spent, 2) for _, _, spent in found], "--second"),
    )
    return figure(
        [
            {
                "type": "bar",
                "name": name,
                "x": names,
                "y": amounts,
                "marker": {"color": colour},
                "hovertemplate": f"decile %{{x}}, {name}: %{{y:,.0f}} {currency}<extra></extra>",
            }
            for name, amounts, colour in pairs
        ],
        height=320,
        barmode="group",
        bargap=0.25,
        showlegend=True,
        xaxis={
            "dtick": 1,
            "showgrid": False,
            "title": {"text": "decile by predicted value, 1 is the best", "font": {"size": 12}},
        },
        yaxis={"tickformat": "~s", "rangemode": "tozero"},
    )


def spaced(name: str) -> str:
    """A table's or campaign's name as it is read: `vip_at_risk` -> `vip at risk`."""
    return name.replace("_", " ")


def gap(high: float | None, low: float | None, digits: int = 2) -> float:
    """The length of one arm of an error bar; never negative."""
    return round(max((high or 0.0) - (low or 0.0), 0.0), digits)


def _value_title(currency: str) -> str:
    return f"predicted value, {currency}" if currency else "predicted value"

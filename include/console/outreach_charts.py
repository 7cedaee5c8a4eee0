"""Charts of what was sent and what it changed, for the console and the weekly report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from include.console.charts import BAR, FRAME, Figure, figure, gap, spaced
from include.console.outreach import Result


def lift(found: Sequence[Result], currency: str) -> Figure | None:
    """Lift a person of each campaign with its 95% interval; None where nothing has an interval yet."""
    known = [r for r in found if r.lift is not None and r.low is not None and r.high is not None]
    if not known:
        return None
    return figure(
        [
            {
                "type": "scatter",
                "mode": "markers",
                "y": [spaced(result.campaign) for result in known],
                "x": [result.lift for result in known],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [gap(result.high, result.lift or 0.0) for result in known],
                    "arrayminus": [gap(result.lift, result.low or 0.0) for result in known],
                    "color": "--accent",
                    "thickness": 2,
                    "width": 6,
                },
                "marker": {"color": "--accent", "size": 9},
                "hovertemplate": f"%{{y}}: %{{x:,.2f}} {currency} a person<extra></extra>",
            }
        ],
        height=FRAME + 16 + BAR * len(known),
        shapes=[
            {
                "type": "line",
                "x0": 0,
                "x1": 0,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": "--muted", "dash": "dot", "width": 1},
            }
        ],
        xaxis={"title": {"text": f"{currency} a person", "font": {"size": 12}}},
        yaxis={"autorange": "reversed", "showgrid": False, "type": "category"},
    )


def treated_and_control(found: Sequence[Result], currency: str) -> Figure:
    """Mean spend of the treated and of the control group after the decision, campaign by campaign."""
    names = [spaced(result.campaign) for result in found]
    return figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "y": names,
                "x": amounts,
                "marker": {"color": colour},
                "hovertemplate": f"%{{y}}, {name}: %{{x:,.2f}} {currency}<extra></extra>",
            }
            for name, amounts, colour in (
                ("treated", [result.revenue_treated for result in found], "--accent"),
                ("control", [result.revenue_control for result in found], "--second"),
            )
        ],
        height=FRAME + 32 + int(1.5 * BAR) * len(found),
        barmode="group",
        showlegend=True,
        xaxis={"title": {"text": f"{currency} a person", "font": {"size": 12}}},
        yaxis={"autorange": "reversed", "showgrid": False},
    )


def movement(found: Sequence[tuple[str, int, int]]) -> Figure:
    """Customers of each segment a week earlier and now."""
    names = [spaced(name) for name, *_ in found]
    return figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "name": when,
                "y": names,
                "x": [row[place] for row in found],
                "marker": {"color": colour},
                "hovertemplate": f"%{{y}}, {when}: %{{x:,}}<extra></extra>",
            }
            for when, place, colour in (("a week earlier", 1, "--faint"), ("now", 2, "--accent"))
        ],
        height=FRAME + 32 + int(1.4 * BAR) * len(found),
        barmode="group",
        showlegend=True,
        xaxis={"tickformat": "~s", "title": {"text": "customers", "font": {"size": 12}}},
        yaxis={"autorange": "reversed", "showgrid": False},
    )


def sent_per_day(found: Mapping[date, Mapping[str, int]]) -> Figure:
    """Offers decided to be sent, by business day, stacked by campaign; a colour stands for one alone.

    Where there are more campaigns than colours, the smaller ones are added up as `others`.
    """
    palette = ("--accent", "--second", "--third", "--fourth", "--muted")
    total: Counter[str] = Counter()
    for by_campaign in found.values():
        total.update(by_campaign)
    most = sorted(total, key=lambda name: (-total[name], name))
    kept = most if len(most) <= len(palette) else most[: len(palette) - 1]
    days = sorted(found)
    stacks = {spaced(name): [found[day].get(name, 0) for day in days] for name in sorted(kept)}
    if len(kept) < len(most):
        stacks["others"] = [
            sum(number for name, number in found[day].items() if name not in kept) for day in days
        ]
    return figure(
        [
            {
                "type": "bar",
                "name": name,
                "x": [f"{day:%a} {day.day} {day:%b}" for day in days],
                "y": numbers,
                "marker": {"color": colour},
                "hovertemplate": "%{fullData.name}, %{x}: %{y:,}<extra></extra>",
            }
            for (name, numbers), colour in zip(stacks.items(), palette, strict=False)
        ],
        height=320,
        barmode="stack",
        showlegend=True,
        xaxis={"type": "category", "showgrid": False},
        yaxis={"tickformat": "~s"},
    )

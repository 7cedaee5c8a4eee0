"""Charts of demand and stock for the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from include import warehouse
from include.console.charts import BAR, FRAME, Figure, figure
from include.warehouse import Connection

#: Places and weeks of history that are drawn.
PLACES, HISTORY_WEEKS = 12, 13


@dataclass(frozen=True)
class Scarce:
    """A product in a region: what is wanted, what is there, what running out is expected to cost."""

    place: str
    high: float
    other: float
    there: float
    cost: float


@dataclass(frozen=True)
class Demand:
    """Weekly units of one product type: sold so far, and forecast with the 80% interval."""

    name: str
    sold: list[tuple[date, float]]
    ahead: list[tuple[date, float, float | None, float | None]]


def scarce(conn: Connection, day: date) -> list[Scarce]:
    """The most urgent places of a day, as marketing's role reads them."""
    return [
        Scarce(f"{name} {number}, {region}", high, other, there, cost)
        for name, number, region, high, other, there, cost in warehouse.rows(
            conn,
            """
            SELECT name, product_id, region, units_high_value::float8, units_other::float8,
                (on_hand + on_order)::float8, cost_of_running_out::float8
            FROM marketing.stock_priorities
            WHERE as_of = %(day)s AND on_hand IS NOT NULL
            ORDER BY priority_rank LIMIT %(places)s
            """,
            {"day": day, "places": PLACES},
        )
    ]


def demand(conn: Connection, day: date) -> Demand | None:
    """The type that sells most, by the pipeline's role; None without a forecast for the day."""
    ahead = warehouse.rows(
        conn,
        """
        WITH most AS (
            SELECT series FROM ml.demand_forecasts
            WHERE as_of = %(day)s AND level = 'type'
            GROUP BY series ORDER BY sum(units) DESC, series LIMIT 1
        )
        SELECT f.series, f.starts_on, f.units, f.low_80, f.high_80
        FROM ml.demand_forecasts AS f INNER JOIN most AS m ON f.series = m.series
        WHERE f.as_of = %(day)s AND f.level = 'type'
        ORDER BY f.step
        """,
        {"day": day},
    )
    if not ahead:
        return None
    name = ahead[0][0]
    sold = warehouse.rows(
        conn,
        """
        SELECT
            %(day)s::date - 6 - 7 * ((%(day)s::date - l.business_day) / 7) AS starts_on,
            sum(l.quantity - coalesce(l.cancelled_quantity, 0))::float8 AS units
        FROM core.order_lines AS l
        INNER JOIN core.products AS p ON l.product_id = p.product_id AND p.valid_to IS NULL
        WHERE l.is_unit AND p.type = %(name)s
            AND l.business_day BETWEEN %(day)s::date - 7 * %(weeks)s + 1 AND %(day)s
        GROUP BY 1 ORDER BY 1
        """,
        {"day": day, "name": name, "weeks": HISTORY_WEEKS},
    )
    return Demand(name, [(week, units) for week, units in sold], [row[1:] for row in ahead])


def wanted(found: Sequence[Scarce]) -> Figure | None:
    """Bars of what high-value and other customers want, a mark at what is there; None without counts."""
    if not found:
        return None
    places = [one.place for one in found]
    bars = (
        ("wanted by high-value customers", [one.high for one in found], "--accent"),
        ("wanted by others", [one.other for one in found], "--faint"),
    )
    return figure(
        [
            *(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": name,
                    "x": units,
                    "y": places,
                    "marker": {"color": colour},
                    "hovertemplate": f"%{{y}}: %{{x:.1f}} {name}<extra></extra>",
                }
                for name, units, colour in bars
            ),
            {
                "type": "scatter",
                "mode": "markers",
                "name": "on hand and on order",
                "x": [one.there for one in found],
                "y": places,
                "marker": {"symbol": "line-ns", "size": 18, "line": {"width": 3, "color": "--ink"}},
                "hovertemplate": "%{y}: %{x:.0f} on hand and on order<extra></extra>",
            },
        ],
        height=FRAME + 32 + BAR * len(found),
        barmode="stack",
        showlegend=True,
        xaxis={"title": {"text": "pieces", "font": {"size": 12}}},
        yaxis={"autorange": "reversed", "showgrid": False, "type": "category"},
    )


def weeks(found: Demand | None) -> Figure | None:
    """Weekly units of a type, sold and expected, with the 80% interval; None without a forecast."""
    if found is None:
        return None
    known = [row for row in found.ahead if row[2] is not None and row[3] is not None]
    band = [(day, high) for day, _, _, high in known]
    band += [(day, low) for day, _, low, _ in known[::-1]]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "fill": "toself",
            "name": "80% interval",
            "x": [day.isoformat() for day, _ in band],
            "y": [units for _, units in band],
            "line": {"width": 0, "color": "--faint"},
            "fillcolor": "--rule",
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "sold",
            "x": [day.isoformat() for day, _ in found.sold],
            "y": [units for _, units in found.sold],
            "line": {"color": "--accent", "width": 2},
            "hovertemplate": "week of %{x|%-d %B}: %{y:,.0f} sold<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "expected",
            "x": [row[0].isoformat() for row in found.ahead],
            "y": [row[1] for row in found.ahead],
            "line": {"color": "--second", "width": 2, "dash": "dot"},
            "hovertemplate": "week of %{x|%-d %B}: %{y:,.0f} expected<extra></extra>",
        },
    ]
    return figure(
        traces,
        height=320,
        showlegend=True,
        xaxis={"type": "date", "tickformat": "%-d %b", "showgrid": False},
        yaxis={"rangemode": "tozero", "title": {"text": "pieces a week", "font": {"size": 12}}},
    )

"""The last sixty business days of data quality as one HTML file, plotted.

    bin/regulars report --quality quality.html

Read with the console's own role from `ops` alone, which holds counts and shares and never a value of a row.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from include import warehouse
from include.console import charts, data, document
from include.warehouse import Connection

DAYS = 60

#: Width of a day's bar in milliseconds, which is what plotly counts days in.
BAR_WIDTH = 0.8 * 86_400_000

#: What the warehouse must hold.
EXPECTED = "checks in ops.quality_results"

#: Failed checks that are listed, the newest first.
LISTED = 40


@dataclass(frozen=True)
class Failed:
    """A check that did not hold."""

    day: date
    table: str
    check: str
    severity: str
    message: str


@dataclass(frozen=True)
class History:
    """What is plotted.

    Attributes
    ----------
    rows
        Table -> day -> rows of core that stand.
    checks
        Day -> passed, warned and stopped checks of its newest audit.
    warned
        Table -> day -> checks that did not hold.
    indices
        Table -> day -> largest stability index of its columns.
    rejected
        Table -> day -> rows set aside.
    """

    last: date
    rows: dict[str, dict[date, int]]
    checks: dict[date, tuple[int, int, int]]
    warned: dict[str, dict[date, int]]
    indices: dict[str, dict[date, float]]
    rejected: dict[str, dict[date, int]]
    failed: list[Failed]
    new_columns: list[tuple[str, str]]

    @property
    def first(self) -> date:
        return self.last - timedelta(days=DAYS - 1)

    @property
    def axis(self) -> dict[str, Any]:
        """The axis of days, the same in every chart, however few of them have something to show."""
        return {
            "type": "date",
            "range": [f"{self.first - timedelta(days=1)}T12:00", f"{self.last}T12:00"],
            "tickformat": "%-d %b",
            "showgrid": False,
        }


def write(path: Path) -> None:
    """Write the report of the days up to the newest one that was checked.

    Raises
    ------
    RegularsError
        When the warehouse cannot be reached, or nothing was checked yet.
    """

    def make() -> str:
        with data.reading() as conn:
            return render(read(conn))

    document.write(path, make, EXPECTED)


def read(conn: Connection) -> History:
    """The history up to the newest business day that was checked."""
    last = warehouse.value(conn, "SELECT max(as_of) FROM ops.quality_results")
    if last is None:
        raise document.nothing_yet(EXPECTED)
    window = {"first": last - timedelta(days=DAYS - 1), "last": last}
    newest = """
        WITH newest AS (
            SELECT DISTINCT ON (as_of, table_name, check_name) *
            FROM ops.quality_results WHERE as_of BETWEEN %(first)s AND %(last)s
            ORDER BY as_of, table_name, check_name, token DESC
        )
    """
    checks = {
        day: (passed, warned, stopped)
        for day, passed, warned, stopped in warehouse.rows(
            conn,
            newest
            + """
            SELECT as_of, count(*) FILTER (WHERE passed),
                count(*) FILTER (WHERE NOT passed AND severity = 'warning'),
                count(*) FILTER (WHERE NOT passed AND severity = 'critical')
            FROM newest GROUP BY 1 ORDER BY 1
            """,
            window,
        )
    }
    failed = [
        Failed(*row)
        for row in warehouse.rows(
            conn,
            newest
            + "SELECT as_of, table_name, check_name, severity, coalesce(message, '') FROM newest "
            "WHERE NOT passed ORDER BY as_of DESC, severity, table_name, check_name",
            window,
        )
    ]
    warned: dict[str, dict[date, int]] = {}
    for (table, day), count in Counter((one.table, one.day) for one in failed).items():
        warned.setdefault(table, {})[day] = count
    return History(
        last=last,
        rows=_by_table(
            conn,
            "SELECT table_name, partition, row_count FROM ops.publications "
            "WHERE dataset = 'core' AND table_name LIKE 'core.%%' "
            "AND partition BETWEEN %(first)s AND %(last)s ORDER BY 1, 2",
            window,
        ),
        checks=checks,
        warned=warned,
        indices=_by_table(
            conn,
            newest + "SELECT table_name, as_of, max(observed::double precision) FROM newest "
            "WHERE check_name LIKE 'distributed_as_usual%%' GROUP BY 1, 2 ORDER BY 1, 2",
            window,
        ),
        rejected=_by_table(
            conn,
            "SELECT DISTINCT ON (table_name, as_of) table_name, as_of, quarantined FROM ops.row_counts "
            "WHERE as_of BETWEEN %(first)s AND %(last)s ORDER BY table_name, as_of, token DESC",
            window,
        ),
        failed=failed,
        new_columns=[
            (relation, name)
            for relation, name in warehouse.rows(
                conn,
                "SELECT relation, column_name FROM ops.source_columns "
                "WHERE is_new AND gone_at IS NULL ORDER BY 1, 2",
            )
        ],
    )


def _by_table(
    conn: Connection, statement: str, window: dict[str, date]
) -> dict[str, dict[date, Any]]:
    found: dict[str, dict[date, Any]] = {}
    for table, day, figure in warehouse.rows(conn, statement, window):
        found.setdefault(table, {})[day] = figure
    return found


def render(history: History) -> str:
    """The report as text."""
    total = sum(map(sum, history.checks.values()))
    stopped = sum(counts[2] for counts in history.checks.values())
    warned = sum(counts[1] for counts in history.checks.values())
    figures = {
        "rows": _rows(history),
        "checks": _stacked(history),
        "warned": _grid(history, history.warned, "checks that did not hold"),
        "indices": _grid(history, history.indices, "stability index"),
        "rejected": _grid(history, history.rejected, "rows set aside"),
    }
    return document.render(
        "quality.html",
        history=history,
        headline=f"{total:,} checks: {warned:,} warned, {stopped:,} stopped.",
        charts=figures,
        failed=history.failed[:LISTED],
    )


def _stacked(history: History) -> charts.Figure | None:
    """Checks of each day; None of a single day, whose numbers stand in the headline."""
    if len(history.checks) < 2:
        return None
    names = (("passed", "--accent"), ("warned", "--third"), ("stopped", "--bad"))
    return charts.figure(
        [
            {
                "type": "bar",
                "name": name,
                "x": [day.isoformat() for day in history.checks],
                "y": [counts[place] for counts in history.checks.values()],
                "width": BAR_WIDTH,
                "marker": {"color": colour},
                "hovertemplate": "%{x|%-d %B %Y}, " + name + ": %{y:,}<extra></extra>",
            }
            for place, (name, colour) in enumerate(names)
        ],
        height=300,
        barmode="stack",
        showlegend=True,
        xaxis=history.axis,
        yaxis={"tickformat": ",d"},
    )


def _rows(history: History) -> charts.Figure | None:
    """A strip for each table, on a scale of its own: it is judged beside its own past."""
    tables = [table for table, days in sorted(history.rows.items()) if len(days) > 1]
    if not tables:
        return None
    days = [history.first + timedelta(days=place) for place in range(DAYS)]
    axes: dict[str, Any] = {}
    traces = []
    for place, table in enumerate(tables, 1):
        top = 1 - (place - 1) / len(tables)
        most = max(history.rows[table].values())
        axes[f"yaxis{place if place > 1 else ''}"] = {
            "domain": [top - 0.97 / len(tables), top - 0.32 / len(tables)],
            "range": [0, 1.1 * most or 1],
            "tickvals": [0, most],
            "ticktext": ["0", f"{most:,}"],
            "title": {"text": ""},
            "gridcolor": "--rule",
            "zeroline": False,
            "automargin": True,
            "fixedrange": True,
        }
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": table,
                "x": [day.isoformat() for day in days],
                "y": [history.rows[table].get(day) for day in days],
                "yaxis": f"y{place if place > 1 else ''}",
                "line": {"color": "--accent", "width": 2, "shape": "hvh"},
                "fill": "tozeroy",
                "fillcolor": "rgba(31, 95, 139, 0.12)",
                "hovertemplate": table + ", %{x|%-d %B %Y}: %{y:,}<extra></extra>",
            }
        )
    return charts.figure(
        traces,
        height=60 + 64 * len(tables),
        xaxis=history.axis | {"anchor": "free", "position": 0},
        annotations=[
            {
                "text": table,
                "xref": "paper",
                "yref": "paper",
                "x": 0,
                "y": 1 - place / len(tables),
                "xanchor": "left",
                "yanchor": "top",
                "showarrow": False,
                "font": {"size": 12},
            }
            for place, table in enumerate(tables)
        ],
        **axes,
    )


def _grid(history: History, found: dict[str, dict[date, Any]], what: str) -> charts.Figure | None:
    """Tables down, days across, darker for more; a bar a table where there is one day, None without any."""
    tables = sorted(table for table, days in found.items() if any(days.values()))
    if not tables:
        return None
    if len({day for days in found.values() for day in days}) == 1:
        return _bars({table: next(iter(found[table].values())) for table in tables}, what)
    days = [history.first + timedelta(days=place) for place in range(DAYS)]
    cells = [found[table] for table in tables]
    whole = all(isinstance(figure, int) for table in cells for figure in table.values())
    return charts.figure(
        [
            {
                "type": "heatmap",
                "x": [day.isoformat() for day in days],
                "y": tables,
                "z": [[found[table].get(day) for day in days] for table in tables],
                "colorscale": [[0, "#e8eef2"], [1, "#1f5f8b"]],
                # From nothing upwards: one is little also where there is no more.
                "zmin": 0,
                "zmax": max(3 if whole else 0.1, *(max(days.values()) for days in cells)),
                "colorbar": {"tickformat": ",d", "nticks": 4} if whole else {"nticks": 5},
                "xgap": 1,
                "ygap": 1,
                "hovertemplate": "%{y}, %{x|%-d %B %Y}: %{z} " + what + "<extra></extra>",
            }
        ],
        height=80 + 22 * len(tables),
        xaxis=history.axis,
        yaxis={"showgrid": False, "autorange": "reversed"},
    )


def _bars(found: dict[str, Any], what: str) -> charts.Figure:
    """The figures of a single day, a bar a table."""
    whole = all(isinstance(figure, int) for figure in found.values())
    written = "%{x:,d}" if whole else "%{x:.3f}"
    return charts.figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "x": list(found.values()),
                "y": list(found),
                "marker": {"color": "--accent"},
                "texttemplate": written,
                "textposition": "outside",
                "cliponaxis": False,
                "hovertemplate": "%{y}: " + written + f" {what}<extra></extra>",
            }
        ],
        height=charts.BAR * len(found) + 16,
        margin={"l": 8, "r": 48, "t": 8, "b": 8, "pad": 4},
        xaxis={"visible": False, "rangemode": "tozero"},
        yaxis={"showgrid": False, "autorange": "reversed"},
    )

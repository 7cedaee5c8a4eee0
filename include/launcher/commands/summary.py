"""What the demo ends with: the marketing tables as marketing sees them, the models, the times."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from include import contracts, policy, warehouse
from include.contracts import Contract
from include.launcher.servers.api import Run
from include.models.value import baselines
from include.reports import beyond_the_day

#: Rows of a table that are shown.
SAMPLE = 3
#: The metrics of accuracy, which fit a line; what else was measured stands in ml.backtests.
ACCURACY = (
    "roc_auc",
    "pr_auc",
    "average_precision",
    "lift_top_decile",
    "misjudged",
    "ece",
    "brier",
    "ndcg_at_10",
    "recall_at_10",
)
#: What tells a reader of a sample nothing.
PLUMBING = {"as_of", "customer_id", "policy_hash", "model_version", "trigger_id", "message_id"}


def show(console: Console, day: str) -> None:
    """Print the marketing tables, read as the role marketing has, and the models' quality."""
    with warehouse.connect("warehouse_marketing") as conn:
        role = warehouse.value(conn, "SELECT current_user")
        console.print(f"\nWhat marketing reads for {day} (as the role {role}):")
        for contract in contracts.all_contracts():
            if contract.schema_name == "marketing" and not contract.view:
                _show_table(console, conn, contract, day)
    with warehouse.connect() as conn:
        _show_models(console, conn, day)
    _show_truth(console, day)


def _show_truth(console: Console, day: str) -> None:
    """The day's published scores against what the shop's customers did after it."""
    if not beyond_the_day.readable():
        console.print(
            "\nWhat came true is compared for the demo shop alone; regulars_measure reads it for any "
            "other, once a horizon has passed."
        )
        return
    compared = beyond_the_day.compare(day)
    if compared is None:
        return
    figures, customers = compared
    days = policy.load().models.horizon_days
    console.print(
        f"\nWhat came true in the {days} days after {day}, read from the shop by this comparison alone "
        f"({customers:,} customers; baseline: {baselines.USUAL}):"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("metric", "ours", "baseline"):
        table.add_column(title, justify="left" if title == "metric" else "right")
    for figure in figures:
        table.add_row(figure.metric, in_short(figure.ours), in_short(figure.baseline))
    console.print(table)


def show_times(console: Console, runs: Sequence[Run], seconds: float, peak: int) -> None:
    """Print how long each DAG took, the whole, and the memory of all processes at their peak."""
    table = Table(title="How long it took", title_justify="left", box=None, pad_edge=False)
    table.add_column("DAG")
    table.add_column("seconds", justify="right")
    for run in runs:
        table.add_row(run.dag, f"{run.seconds:.1f}" if run.seconds is not None else "-")
    console.print()
    console.print(table)
    console.print(
        f"In all {seconds:.0f} s; peak memory {peak / 2**30:.2f} GiB (summed PSS of the launcher, "
        "PostgreSQL and Airflow)."
    )


def _show_table(console: Console, conn: warehouse.Connection, contract: Contract, day: str) -> None:
    name = contract.name
    total = warehouse.value(conn, f"SELECT count(*) FROM {name}")
    columns = [
        column
        for column in contract.content
        if column not in PLUMBING and not _is_wide(contract, column)
    ]
    # Later days may stand beside this one, so the day is asked for rather than the newest.
    of_day = "WHERE as_of = %(day)s" if "as_of" in contract.column_names else ""
    found = warehouse.rows(
        conn,
        f"SELECT {', '.join(columns)} FROM {name} {of_day} "
        f"ORDER BY {', '.join(contract.keys)} LIMIT {SAMPLE}",
        {"day": day},
    )
    console.print(f"\n{name}: {total:,} rows. {contract.description}", markup=False, soft_wrap=True)
    if not found:
        return
    cells = [[in_short(value) for value in row] for row in found]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index in _fitting(columns, cells, console.width):
        table.add_column(columns[index], no_wrap=True)
    shown = len(table.columns)
    for row in cells:
        table.add_row(*map(Text, row[:shown]))
    console.print(table)


def _is_wide(contract: Contract, column: str) -> bool:
    return contract.column(column).type in ("jsonb", "bytea")


def _fitting(columns: list[str], cells: list[list[str]], room: int) -> range:
    """The first columns that fit side by side, and at least one."""
    used = 0
    for index, column in enumerate(columns):
        used += max(len(column), *(len(row[index]) for row in cells)) + 2
        if used > room and index:
            return range(index)
    return range(len(columns))


def _show_models(console: Console, conn: warehouse.Connection, day: str) -> None:
    """One table a champion and its rivals: a row for each setting, a cell for each metric.

    The rivals are those that were trained beside the champion, as far as they were judged like it.
    """
    found = warehouse.rows(
        conn,
        """
        WITH champions AS (
            SELECT DISTINCT ON (kind) kind, anchor, model_version, algorithm
            FROM ml.models
            WHERE is_champion AND anchor <= %(day)s
            ORDER BY kind, anchor DESC, updated_at DESC
        ),

        judged AS (
            SELECT
                c.kind, b.baseline_name, b.cut, b.n, b.metric, b.ours, b.baseline,
                m.model_version = c.model_version AS serves,
                b.setting || CASE
                    WHEN b.setting = c.algorithm THEN ' (serves)' ELSE ''
                END AS setting
            FROM champions AS c
            JOIN ml.models AS m ON c.kind = m.kind AND c.anchor = m.anchor
            JOIN ml.backtests AS b ON m.model_version = b.model_version
            WHERE
                b.setting NOT LIKE 'rolling%%'
                AND b.metric = ANY(%(accuracy)s)
                AND (m.model_version = c.model_version OR b.setting = m.algorithm)
        )

        SELECT kind, baseline_name, cut, n, setting, metric, ours, baseline
        FROM judged
        ORDER BY kind, cut, serves DESC, setting, metric
        """,
        {"day": day, "accuracy": list(ACCURACY)},
    )
    console.print("\nHow good the models are, on a later period whose truth was known by the day:")
    if not found:
        console.print("  none were trained")
    for kind in dict.fromkeys(row[0] for row in found):
        _show_champion(console, kind, [row[1:] for row in found if row[0] == kind])


def _show_champion(console: Console, kind: str, rows: list[tuple[Any, ...]]) -> None:
    """Rows of (baseline's name, cut, n, setting, metric, ours, baseline)."""
    # A setting such as "beside ..." names its own baseline.
    rows = [("" if row[0] in row[3] else row[0], *row[1:]) for row in rows]
    about = {
        title: [text for row in rows if (text := in_short(row[at]))]
        for at, title in enumerate(("baseline", "cut", "n"))
    }
    # What is the same for all stands above the table, which has to fit a line.
    same = [f"{title} {texts[0]}" for title, texts in about.items() if len(set(texts)) == 1]
    differing = [at for at, texts in enumerate(about.values()) if len(set(texts)) > 1]
    metrics = sorted({row[4] for row in rows})
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in ("ours / baseline", *metrics, *(list(about)[at] for at in differing)):
        table.add_column(title, no_wrap=True)
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = (row[3], *(in_short(row[at]) for at in differing))
        beside = f" / {in_short(row[6])}" if row[6] is not None else ""
        cells.setdefault(key, {})[row[4]] = in_short(row[5]) + beside
    for (setting, *others), values in cells.items():
        table.add_row(*map(Text, [setting, *(values.get(name, "") for name in metrics), *others]))
    console.print(f"\n{', '.join([kind, *same])}", markup=False)
    console.print(table)


def in_short(value: Any) -> str:
    """A value as a line of a terminal has room for it, the same on every machine."""
    if value is None or value != value:  # nothing, or not a number
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float | Decimal):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return ", ".join(map(in_short, value))
    return str(value).replace("\n", " ")[:48]

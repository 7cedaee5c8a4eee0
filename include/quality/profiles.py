"""What each day of a table looks like, in counts and shares: the memory that trends are judged by.

A profile is made of the staged rows, before they are published, and kept when they are. Rows are always
counted in full; distributions of large batches are those of a sample. Personal columns and keys are only
counted as filled or empty.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from include import policy, warehouse
from include.contracts import Column, Contract
from include.publication import Batch
from include.quality import switched_off
from include.warehouse import Connection

#: Rows of a batch that distributions are made from.
SAMPLE_ROWS = 20_000

_NUMBERS = ("smallint", "integer", "bigint", "numeric", "double")


@dataclass(frozen=True)
class Profile:
    """One business day of one table.

    Attributes
    ----------
    looked_at
        Rows in the sample; all where no distribution is kept.
    empty
        Column -> share of empty cells.
    counts
        Column -> bin -> rows of the sample; what a bin is depends on the column's type alone.
    lag_hours
        From the newest stamp to the end of the day; None where the table has no stamp.
    """

    table: str
    day: date
    row_count: int
    looked_at: int = 0
    empty: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    lag_hours: float | None = None


def of_batch(conn: Connection, batch: Batch, tables: Sequence[Contract]) -> list[Profile]:
    """The profiles of every day of the batch, for its tables that are kept by day."""
    return [
        profile
        for contract in tables
        if contract.partition and contract.write != "upsert"
        for profile in _of_table(conn, batch, contract)
    ]


def _of_table(conn: Connection, batch: Batch, contract: Contract) -> list[Profile]:
    table = warehouse.qualified(batch.table(contract)).as_string(conn)
    day = f'"{contract.partition}"'
    stamp = next((c.name for c in contract.columns if _is_stamp(c)), None)
    # What stands in for "never" is nobody's newest stamp.
    newest = f'max("{stamp}") FILTER (WHERE isfinite("{stamp}"))' if stamp else "NULL::timestamptz"
    passed_over = {contract.partition, *switched_off.columns(contract)}
    columns = [c for c in contract.columns if not c.run and c.name not in passed_over]
    counted = [column.name for column in columns if not _is_binned(contract, column)]
    filled_cells = "".join(f', count("{name}")' for name in counted)
    totals: dict[date, tuple[int, Any]] = {}
    empty: dict[date, dict[str, float]] = {}
    for found, count, lag, *filled in warehouse.rows(
        conn,
        f"""
        SELECT {day}, count(*),
            extract(epoch FROM ({day} + 1)::timestamp AT TIME ZONE %(timezone)s - {newest}) / 3600
            {filled_cells}
        FROM {table} WHERE {day} IS NOT NULL GROUP BY 1
        """,
        {"timezone": policy.load().shop.timezone},
    ):
        totals[found] = (count, lag)
        empty[found] = {
            name: 1 - cells / count for name, cells in zip(counted, filled, strict=True)
        }
    rows = sum(count for count, _ in totals.values())
    percent = min(100.0, 100.0 * SAMPLE_ROWS / max(rows, 1))
    sampled = "" if percent == 100 else f"TABLESAMPLE BERNOULLI ({percent:.4f}) REPEATABLE (1)"
    bins = {c.name: _bin(c) for c in columns if _is_binned(contract, c)}
    names = ", ".join(f"'{name}'" for name in bins)
    values = ", ".join(bins.values())
    counts: dict[date, dict[str, dict[str, int]]] = {}
    looked_at = {found: count for found, (count, _) in totals.items()}
    if bins:
        for found, name, bin_, count in warehouse.rows(
            conn,
            f"""
            SELECT day, name, bin, count(*)
            FROM (
                SELECT {day} AS day, unnest(ARRAY[{names}]) AS name, unnest(ARRAY[{values}]) AS bin
                FROM {table} {sampled} WHERE {day} IS NOT NULL
            ) AS cells
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """,
        ):
            counts.setdefault(found, {}).setdefault(name, {})[bin_ or ""] = count
    for found, by_column in counts.items():
        looked_at[found] = sum(next(iter(by_column.values())).values())
        empty[found] |= {
            name: by_bin.pop("", 0) / looked_at[found] for name, by_bin in by_column.items()
        }
        counts[found] = {name: by_bin for name, by_bin in by_column.items() if by_bin}
    days = warehouse.rows(
        conn,
        "SELECT d::date FROM generate_series(%(since)s::date, %(as_of)s::date, interval '1 day') AS d",
        batch.params,
    )
    return [
        Profile(
            contract.name,
            found,
            totals.get(found, (0, None))[0],
            looked_at.get(found, 0),
            empty.get(found, {}),
            counts.get(found, {}),
            None if totals.get(found, (0, None))[1] is None else round(float(totals[found][1]), 2),
        )
        for (found,) in days
    ]


def _is_stamp(column: Column) -> bool:
    """A stamp of what happened in the row, not of when we or the shop wrote it down."""
    return (
        column.type == "timestamptz"
        and not column.run
        and column.name not in ("known_at", "updated_at", "valid_from", "valid_to")
    )


def _is_binned(contract: Contract, column: Column) -> bool:
    """Whether the distribution of a column's values is kept, not only the share of empty cells."""
    if column.pii or column.name in contract.keys:
        return False
    return column.type in ("boolean", "text") or column.type.startswith(_NUMBERS)


def _bin(column: Column) -> str:
    """SQL for the bin of a cell: NULL where it is empty."""
    cell = f'"{column.name}"'
    if column.type == "boolean":
        return f"{cell}::text"
    if column.type == "text":
        return f"'#' || left(md5({cell}), 1)"
    if column.type.startswith("numeric"):
        # One of any size: PostgreSQL makes no double of what is beyond one, nor of what is nearly nothing.
        cell = f"least(greatest(round({cell}, 9), -1e300), 1e300)"
    # Half steps of the inverse hyperbolic sine: even near zero, by magnitude further out.
    return f"round((2 * asinh(10 * {cell}::double precision))::numeric)::text"


def store(conn: Connection, batch: Batch, profiles: Sequence[Profile]) -> None:
    """Remember the profiles of a batch that was published."""
    records = [
        {
            "table_name": profile.table,
            "business_day": profile.day.isoformat(),
            "row_count": profile.row_count,
            "looked_at": profile.looked_at,
            "empty_share": profile.empty,
            "counts": profile.counts,
            "lag_hours": profile.lag_hours,
        }
        for profile in profiles
    ]
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.table_profiles AS p (table_name, business_day, row_count, looked_at, empty_share,
            counts, lag_hours, token)
        SELECT r.table_name, r.business_day, r.row_count, r.looked_at, r.empty_share, r.counts, r.lag_hours,
            %(token)s
        FROM jsonb_to_recordset(%(records)s::jsonb) AS r (table_name text, business_day date,
            row_count bigint, looked_at bigint, empty_share jsonb, counts jsonb, lag_hours double precision)
        ON CONFLICT (table_name, business_day) DO UPDATE SET
            row_count = excluded.row_count, looked_at = excluded.looked_at,
            empty_share = excluded.empty_share, counts = excluded.counts,
            lag_hours = excluded.lag_hours, token = excluded.token
        WHERE excluded.token >= p.token
        """,
        {"records": json.dumps(records), "token": batch.token},
    )


def before(conn: Connection, batch: Batch, days: int) -> list[Profile]:
    """The remembered profiles of the days before the batch's first one, newest last."""
    found: list[tuple[Any, ...]] = warehouse.rows(
        conn,
        """
        SELECT table_name, business_day, row_count, looked_at, empty_share, counts, lag_hours
        FROM ops.table_profiles
        WHERE business_day < %(since)s AND business_day >= %(as_of)s::date - %(days)s::integer
        ORDER BY business_day
        """,
        batch.params | {"days": days},
    )
    return [Profile(*row) for row in found]

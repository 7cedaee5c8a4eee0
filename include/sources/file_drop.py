"""A shop that delivers files: a folder of CSV or Parquet files, mapped to the raw contracts by `files.yml`.

The files are streamed, a block at a time, into a scratch table of the batch; what the mapping says of each
source table then becomes one SELECT over it. Texts stay as delivered; a number or stamp that cannot be read
becomes empty, so that the contract of the table refuses the row with its reason and nothing is lost. So does
a stamp that cannot be true: before the shop opened, or beyond what was delivered.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
from psycopg2 import sql as pgsql

from include import contracts, warehouse
from include.contracts import Contract, words
from include.errors import BadInput
from include.sources import schema_drift
from include.sources.file_mapping import (
    MAPPING,
    FileColumn,
    Files,
    load,
)
from include.sources.file_reading import (
    Noticed,
    Span,
    inside,
    read,
)
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Days without a line after which a few more lines are taken for mistakes of the year or the month.
LONGEST_GAP = 31

_NO_DAY: Span = (date.max, date.min)


class FileSource:
    """A folder of files, read whole at the beginning of each extraction (`include.sources.shop.Source`)."""

    def __init__(self, source: str, timezone: str, opened_on: date) -> None:
        self._name, self._timezone, self._opened_on = source, timezone, opened_on
        self._mapping = load(source)
        self._end: datetime | None = None
        self._target: Connection | None = None
        self._scratch: dict[str, pgsql.Composed] = {}

    @property
    def place(self) -> str:
        return f"include/sql/extract/{self._name}/{MAPPING}"

    def folder(self) -> Path:
        """REGULARS_FILE_DROP, else the mapping's folder, else `drop` in the state folder."""
        named = os.environ.get("REGULARS_FILE_DROP") or self._mapping.folder
        path = Path(named) if named else warehouse.state_folder() / "drop"
        if not path.is_dir():
            raise BadInput(
                f"Expected the folder of delivered files at {path}, found none: make it, or say in "
                f"REGULARS_FILE_DROP or in {self.place} (folder) where it is."
            )
        return path

    def covered(self) -> tuple[date, date] | None:
        orders = self._mapping.tables.get("orders")
        if orders is None:
            raise BadInput(f"{self.place}: expected orders among the tables, found none.")
        return self._span(self._mapping.files[orders.files])

    def begin(self, target: Connection, schema: str, end: datetime) -> None:
        self._target, self._end = target, end
        for name, form in self._mapping.files.items():
            table = f"{schema}.file_{name}"
            self._scratch[name] = warehouse.qualified(table)
            shapes = pgsql.SQL(", ").join(
                pgsql.SQL("{} {}").format(
                    pgsql.Identifier(column),
                    pgsql.SQL("timestamp" if part.type == "stamp" else "text"),
                )
                for column, part in form.columns.items()
            )
            self._run("CREATE UNLOGGED TABLE {} (file integer, line bigint, {})", shapes, name=name)
            columns = ["file", "line", *form.columns]
            span = self._span(form) or _NO_DAY
            headers: dict[str, str] = {}
            for number, path in enumerate(self._paths(form), 1):
                noticed = Noticed()
                batches = _numbered(read(path, form, self._timezone, span, noticed), number)
                rows = warehouse.copy_batches(target, batches, table, columns)
                log.info("Read %s rows of %s", f"{rows:,}", path.name)
                _tell(path, noticed, span)
                headers |= noticed.headers
            schema_drift.note(target, self._name, name, headers)
            if form.key:
                self._run(
                    "DELETE FROM {} AS old USING (SELECT {key} AS k, max(file) AS newest FROM {table} "
                    "GROUP BY 1) AS n WHERE old.{key} = n.k AND old.file < n.newest",
                    name=name,
                    key=pgsql.Identifier(form.key),
                    table=self._scratch[name],
                )
            self._run("ANALYZE {}", name=name)

    def copy(self, contract: Contract, start: datetime | None, end: datetime, table: str) -> int:
        names = pgsql.SQL(", ").join(map(pgsql.Identifier, contract.content))
        statement = pgsql.SQL(
            "INSERT INTO {} ({}) SELECT {} FROM ({}) AS mapped WHERE _stamp IS NULL OR _stamp >= {}"
        ).format(
            warehouse.qualified(table),
            names,
            names,
            self._select(contract),
            pgsql.Literal(start or "-infinity"),
        )
        return self._answer(contract, statement)

    def whole(self, contract: Contract, columns: Sequence[str], table: str) -> bool:
        return False  # files of before may have been taken away

    def holds(self, contract: Contract) -> bool:
        return bool(self._answer(contract, self._select(contract) + pgsql.SQL(" LIMIT 1")))

    def late(self, start: datetime, end: datetime) -> list[tuple[str, int, date, date]]:
        return []  # files do not say when a row was recorded

    def outside(self, contract: Contract, start: datetime | None, end: datetime) -> None:
        return None  # dates before the opening, or beyond what was delivered, are unreadable

    def close(self) -> None:
        """Drop what was read; the staged tables have it now."""
        if self._target is not None and not self._target.closed:
            for name in self._scratch:
                self._run("DROP TABLE IF EXISTS {}", name=name)

    def _paths(self, form: Files) -> list[Path]:
        folder = self.folder()
        found = sorted({path for pattern in form.patterns for path in folder.glob(pattern)})
        if not found:
            raise BadInput(
                f"Expected files {' or '.join(form.patterns)} in {folder}, found none: deliver them, or "
                f"correct the patterns in {self.place}."
            )
        return found

    def _span(self, form: Files) -> Span | None:
        """The first and the last day that files of a form can be about.

        Three bounds, since each misses something. Nothing happened before the shop opened. Nothing is told
        that has not happened: of the newest file's own time, a day more for clocks and zones that differ. But
        a file that is copied long afterwards has a time of its own, so what the files say counts too. Files
        that say only what is have the second bound alone: a customer or an article may be older than the
        shop, and records of warehouses lie years apart.

        Raises
        ------
        BadInput
            When there are dates and none lies within the first two.
        """
        import pyarrow.compute as pc

        paths = self._paths(form)
        delivered = max(path.stat().st_mtime for path in paths)
        newest = datetime.fromtimestamp(delivered, ZoneInfo(self._timezone)).date()
        lasting = self._says_what_is(form)
        span = date.min if lasting else self._opened_on, newest + timedelta(days=1)
        days: Counter[date] = Counter()
        dated = 0
        for path in paths:
            for batch in read(path, form, self._timezone, only=form.stamp):
                stamps = batch[form.stamp]
                dated += len(stamps) - stamps.null_count
                possible = inside(stamps, span).drop_null().cast("date32")
                for pair in pc.value_counts(possible):
                    days[pair["values"].as_py()] += pair["counts"].as_py()
        if dated and not days:
            raise BadInput(
                f"Expected dates from {span[0]} to {span[1]} in {' or '.join(form.patterns)}, found all "
                f"{dated} outside: correct shop.opened_on in config/policy.yml, the formats in {self.place}, "
                "or the time that the newest file bears."
            )
        return (min(days), max(days) if lasting else reached(days)) if days else None

    def _says_what_is(self, form: Files) -> bool:
        """Whether files tell only of customers, articles and the like, and not of what happened."""
        tables = [
            contract
            for contract in contracts.of_dataset("raw")
            if contract.table in self._mapping.tables
            and self._mapping.files[self._mapping.tables[contract.table].files] is form
        ]
        return all(map(contracts.is_state, tables))

    def _select(self, contract: Contract) -> pgsql.Composed:
        """The rows of a source table up to the end of the window, with the stamp that dates each."""
        spec = self._mapping.tables.get(contract.table)
        if spec is None:
            raise BadInput(
                f"Expected {contract.table} in {self.place}, found no such table there: map it, or switch "
                f"the source off in config/policy.yml (ingest.sources.{contract.table}: false)."
            )
        content = [name for name in contract.content if name != "_partition"]
        if unknown := sorted(set(spec.columns) - set(content)):
            raise BadInput(
                f"{self.place}: tables.{contract.table}.columns: expected columns of "
                f"include/sql/raw/{contract.table}.yml, found {', '.join(unknown)}."
            )
        form = self._mapping.files[spec.files]
        values = pgsql.SQL(", ").join(
            pgsql.SQL("{} AS {}").format(
                _value(contract, name, spec.columns.get(name, "NULL")), pgsql.Identifier(name)
            )
            for name in content
        )
        stamp = pgsql.Identifier(form.stamp)
        first: pgsql.Composable = pgsql.SQL("")
        last: pgsql.Composable = pgsql.SQL("")
        if spec.one_per:
            # Composed, not formatted: an expression may hold braces of its own.
            one = pgsql.SQL(spec.one_per)
            first = pgsql.SQL("DISTINCT ON ({})").format(one)
            last = pgsql.SQL("ORDER BY {}, {} ASC NULLS LAST, file, line").format(one, stamp)
        return pgsql.SQL(
            "SELECT {first} ({stamp} AT TIME ZONE {zone})::date AS _partition, {stamp} AS _stamp, {values} "
            "FROM (SELECT file, line, {columns} FROM {scratch}) AS delivered "
            "WHERE ({stamp} IS NULL OR {stamp} < {end}) AND ({where}) {last}"
        ).format(
            first=first,
            last=last,
            stamp=stamp,
            end=pgsql.SQL("{}::timestamptz").format(pgsql.Literal(self._end)),
            zone=pgsql.Literal(self._timezone),
            values=values,
            columns=pgsql.SQL(", ").join(
                self._typed(name, part, form) for name, part in form.columns.items()
            ),
            scratch=self._scratch[spec.files],
            where=pgsql.SQL(spec.where),
        )

    def _typed(self, name: str, part: FileColumn, form: Files) -> pgsql.Composed:
        column = pgsql.Identifier(name)
        if part.type == "stamp":
            zone = pgsql.Literal(self._timezone)
            return pgsql.SQL("{} AT TIME ZONE {} AS {}").format(column, zone, column)
        text = pgsql.SQL("nullif(btrim({}), '')").format(column)
        if part.type == "text":
            return pgsql.SQL("{} AS {}").format(text, column)
        if form.decimal_comma:
            text = pgsql.SQL("replace(replace({}, '.', ''), ',', '.')").format(text)
        # A number so large that an expression over it would overflow is a mistake: one line must not stop a
        # file. Infinity and NaN overflow nothing, and the contracts know them.
        return pgsql.SQL(
            "CASE WHEN pg_input_is_valid({text}, 'numeric') THEN "
            "CASE WHEN abs({text}::numeric) >= 1e30 AND abs({text}::numeric) < 'Infinity' THEN NULL "
            "ELSE {text}::numeric END END AS {column}"
        ).format(text=text, column=column)

    def _answer(self, contract: Contract, statement: pgsql.Composed) -> int:
        if self._target is None:
            raise RuntimeError("a source copies after begin()")
        try:
            with self._target.cursor() as cursor:
                cursor.execute(statement)
                return cursor.rowcount
        except (psycopg2.ProgrammingError, psycopg2.DataError) as error:
            found = warehouse.without_values(error)
            raise BadInput(
                f"{self.place}: tables.{contract.table}: expected expressions over the columns of "
                f"'{self._mapping.tables[contract.table].files}', found: {found}."
            ) from None

    def _run(self, template: str, *parts: Any, name: str, **named: Any) -> None:
        if self._target is None:
            raise RuntimeError("a source copies after begin()")
        with self._target.cursor() as cursor:
            cursor.execute(pgsql.SQL(template).format(self._scratch[name], *parts, **named))


def _value(contract: Contract, name: str, expression: str) -> pgsql.Composable:
    """A column's expression in the column's type; an answer about consent is a yes only in so many words."""
    if (contract.table, name) == ("consents", "granted"):
        return pgsql.SQL(
            "coalesce(regexp_replace(lower(({})::text), '[^[:alnum:]]', '', 'g') = ANY({}), false)"
        ).format(pgsql.SQL(expression), pgsql.Literal(list(words.YES)))
    return pgsql.SQL("({})::{}").format(
        pgsql.SQL(expression), pgsql.SQL(contract.column(name).type)
    )


def reached(days: Counter[date]) -> date:
    """The newest day of files: the last one before a long gap where hardly anything comes after it.

    A year or a month that was mistyped dates a line or two far from the rest. A shop that opens again after
    months is different: it has as many lines as on its other days.
    """
    ordered = sorted(days)
    usual, beyond, newest = median(days.values()), 0, ordered[-1]
    for earlier, later in reversed(list(pairwise(ordered))):
        beyond += days[later]
        if beyond >= usual:
            break
        if (later - earlier).days > LONGEST_GAP:
            newest = earlier
    return newest


def _tell(path: Path, noticed: Noticed, span: Span) -> None:
    if noticed.outside:
        log.warning(
            "%s: %s dates count as unreadable, since they lie before the shop opened or beyond what was "
            "delivered (%s to %s).",
            path.name, f"{noticed.outside:,}", *span,
        )  # fmt: skip
    if noticed.nuls:
        log.warning(
            "%s: NUL characters were left out of %s values.", path.name, f"{noticed.nuls:,}"
        )


def _numbered(batches: Iterator[Any], file: int) -> Iterator[Any]:
    """The batches with the number of their file and the place of each row in it."""
    import pyarrow as pa

    done = 0
    for batch in batches:
        size = batch.num_rows
        places = pa.array(range(done + 1, done + size + 1), pa.int64())
        yield pa.RecordBatch.from_arrays(
            [pa.array([file] * size, pa.int32()), places, *batch.columns],
            names=["file", "line", *batch.schema.names],
        )
        done += size

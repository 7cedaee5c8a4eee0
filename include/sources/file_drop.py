"""A shop that delivers files: CSV, Parquet or workbooks, mapped to the raw contracts by `files.yml`.

The files are streamed, a block at a time, into a scratch table of the batch; what the mapping says of each
source table then becomes one SELECT over it. Texts stay as delivered; a number or stamp that cannot be read
becomes empty, so that the contract of the table refuses the row with its reason and nothing is lost. So does
a stamp that cannot be true: before the shop opened, or beyond what was delivered. What is not taken as it
stands is told and kept by its line (`files.findings`).
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
from psycopg2 import sql as pgsql

from include import contracts, warehouse
from include.contracts import Contract, words
from include.errors import BadInput
from include.sources import by_order, schema_drift
from include.sources.file_mapping import Files, load, place
from include.sources.file_reading import read
from include.sources.files import days as which_days
from include.sources.files import findings
from include.sources.files.findings import Finding
from include.sources.files.folder import Delivery, delivered
from include.sources.files.noticed import Noticed, Span
from include.warehouse import Connection

log = logging.getLogger(__name__)

_SCRATCH_TYPES = {"stamp": "timestamptz", "number": "numeric"}


class FileSource:
    """A folder of files, read whole at the beginning of each extraction (`include.sources.shop.Source`)."""

    def __init__(self, source: str, timezone: str, opened_on: date) -> None:
        self._name, self._timezone, self._opened_on = source, timezone, opened_on
        self._mapping = load(source)
        self._end: datetime | None = None
        self._target: Connection | None = None
        self._scratch: dict[str, pgsql.Composed] = {}
        self._spans: dict[str, Span | None] = {}
        self._told: list[Finding] = []

    @property
    def place(self) -> str:
        return place(self._name)

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
        form = self._mapping.files[orders.files]
        files = self._delivered()[0][orders.files]
        noticed = Noticed()
        for file in files:
            for _ in read(file, form, self._timezone, noticed, only=form.stamp):
                pass
        return self._span(form, files, noticed.days)

    def begin(self, target: Connection, schema: str, end: datetime) -> None:
        self._target, self._end, self._told = target, end, []
        by_form, left_out = self._delivered()
        findings.forget(target, self._name)
        for name, files in by_form.items():
            self._load(name, files, f"{schema}.file_{name}", left_out)
        self._told += findings.left_out(self._mapping, left_out, self.place)

    def _load(self, name: str, files: list[Delivery], table: str, left_out: list[str]) -> None:
        """Put the files of one form into its scratch table."""
        target, form = self._connection(), self._mapping.files[name]
        self._scratch[name] = warehouse.qualified(table)
        shapes = pgsql.SQL(", ").join(
            pgsql.SQL("{} {}").format(
                pgsql.Identifier(column), pgsql.SQL(_SCRATCH_TYPES.get(str(part.type), "text"))
            )
            for column, part in form.columns.items()
        )
        self._run("CREATE UNLOGGED TABLE {} (file integer, line bigint, {})", shapes, name=name)
        columns = ["file", "line", *form.columns]
        headers: dict[str, str] = {}
        days_of_file: dict[int, Counter[date]] = {}
        before = warehouse.value(target, "SELECT current_setting('timezone')")
        # A stamp without an offset is local time of the shop.
        _set_timezone(target, self._timezone)
        for number, file in enumerate(files, 1):
            noticed = Noticed()
            batches = _numbered(read(file, form, self._timezone, noticed), number)
            rows = warehouse.copy_batches(target, batches, table, columns)
            log.info("Read %s rows of %s", f"{rows:,}", file.name)
            self._told += findings.of_file(self._mapping, name, file.name, noticed)
            findings.keep(target, self._name, file.name, noticed)
            headers |= noticed.headers
            days_of_file[number] = noticed.days
            left_out += noticed.left_out
        _set_timezone(target, before)
        schema_drift.note(target, self._name, name, headers)
        self._spans[name] = self._span(form, files, sum(days_of_file.values(), Counter()))
        first, last = self._spans[name] or (date.max, date.min)
        self._tell_outside(
            name,
            {
                number: files[number - 1]
                for number, found in days_of_file.items()
                if any(not first <= day <= last for day in found)
            },
        )
        if form.key and len(files) > 1:
            self._replace(name, form.key)
        if form.fill_down:
            by_order.fill(target, table, form.fill_down)
        # Few rows are looked at: the SELECTs over it read it whole.
        warehouse.execute(target, "SET LOCAL default_statistics_target = 10")
        self._run("ANALYZE {}", name=name)
        warehouse.execute(target, "SET LOCAL default_statistics_target TO DEFAULT")

    def _replace(self, name: str, key: str) -> None:
        """Leave only the newest file's rows of each key."""
        replaced = self._run(
            "DELETE FROM {} AS old USING (SELECT {key} AS k, max(file) AS newest FROM {table} "
            "GROUP BY 1) AS n WHERE old.{key} = n.k AND old.file < n.newest",
            name=name,
            key=pgsql.Identifier(key),
            table=self._scratch[name],
        )
        if replaced:
            log.info("%s: %s rows were replaced by later files.", name, f"{replaced:,}")

    def _tell_outside(self, name: str, files: dict[int, Delivery]) -> None:
        """Tell of dates that cannot be true; `files` by number are those that hold some."""
        form, span = self._mapping.files[name], self._spans[name]
        stamp, header = pgsql.Identifier(form.stamp), form.columns[form.stamp].headers[0]
        for number, file in files.items():
            lines = self._line_numbers(
                "WHERE file = {} AND {} IS NOT NULL AND {} IS NULL ORDER BY line",
                pgsql.Literal(number), stamp, self._in_span(name, stamp), name=name,
            )  # fmt: skip
            first, last = span or (date.max, date.min)
            self._told.append(
                findings.outside(self._mapping, name, file.name, header, len(lines), first, last)
            )
            noticed = Noticed()
            noticed.note(header, "outside", lines)
            findings.keep(self._connection(), self._name, file.name, noticed)

    def _line_numbers(self, where: str, *parts: Any, name: str) -> list[int]:
        with self._connection().cursor() as cursor:
            statement = pgsql.SQL("SELECT line FROM {} " + where)
            cursor.execute(statement.format(self._scratch[name], *parts))
            return [line for (line,) in cursor]

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

    def told(self) -> list[Finding]:
        return self._told

    def _delivered(self) -> tuple[dict[str, list[Delivery]], list[str]]:
        """The files of each form, and the names of those that no pattern matches."""
        folder = self.folder()
        found, left_out = delivered(folder, self._mapping)
        for name, files in found.items():
            if not files:
                besides = f" beside {', '.join(left_out[:5])}" if left_out else ""
                raise BadInput(
                    f"Expected files {' or '.join(self._mapping.files[name].patterns)} in {folder}, found "
                    f"none{besides}: deliver them, or correct the patterns in {self.place}."
                )
        return found, left_out

    def _span(self, form: Files, files: list[Delivery], days: Counter[date]) -> Span | None:
        return which_days.span(
            days,
            files,
            form,
            timezone=self._timezone,
            opened_on=None if self._says_what_is(form) else self._opened_on,
            place=self.place,
        )

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
        stamp = pgsql.SQL(f"({spec.stamp}\n)") if spec.stamp else pgsql.Identifier(form.stamp)
        first: pgsql.Composable = pgsql.SQL("")
        last: pgsql.Composable = pgsql.SQL("")
        if spec.one_per:
            # Composed, not formatted: an expression may hold braces of its own.
            one = pgsql.SQL(spec.one_per)
            first = pgsql.SQL("DISTINCT ON ({})").format(one)
            last = pgsql.SQL("ORDER BY {}, {} ASC NULLS LAST, file, line").format(one, stamp)
        return pgsql.SQL(
            "SELECT {first} ({stamp} AT TIME ZONE {zone})::date AS _partition, {stamp} AS _stamp, {values} "
            "FROM ({lines}) AS delivered "
            "WHERE ({stamp} IS NULL OR {stamp} < {end}) AND ({where}\n) {last}"
        ).format(
            first=first,
            last=last,
            stamp=stamp,
            end=pgsql.SQL("{}::timestamptz").format(pgsql.Literal(self._end)),
            zone=pgsql.Literal(self._timezone),
            values=values,
            lines=by_order.with_more(self._lines(spec.files), form),
            where=pgsql.SQL(spec.where),
        )

    def _lines(self, name: str) -> pgsql.Composed:
        """What was read of the files of a form."""
        form = self._mapping.files[name]
        return pgsql.SQL("SELECT file, line, {columns} FROM {scratch}").format(
            columns=pgsql.SQL(", ").join(
                self._column(name, column, form) for column in form.columns
            ),
            scratch=self._scratch[name],
        )

    def _in_span(self, name: str, stamp: pgsql.Composable) -> pgsql.Composed:
        """A stamp, or nothing where it lies outside the days that the files can be about."""
        span, zone = self._spans[name], ZoneInfo(self._timezone)
        if span is None:
            return pgsql.SQL("(NULL::timestamptz)").format()
        first: datetime | str = "-infinity"
        if span[0] > date.min:
            first = datetime.combine(span[0], time.min, zone)
        beyond = datetime.combine(span[1] + timedelta(days=1), time.min, zone)
        return pgsql.SQL(
            "(CASE WHEN {stamp} >= {first}::timestamptz AND {stamp} < {beyond}::timestamptz THEN {stamp} END)"
        ).format(stamp=stamp, first=pgsql.Literal(first), beyond=pgsql.Literal(beyond))

    def _column(self, name: str, column: str, form: Files) -> pgsql.Composed:
        quoted = pgsql.Identifier(column)
        if column != form.stamp:
            return pgsql.SQL("{}").format(quoted)
        return pgsql.SQL("{} AS {}").format(self._in_span(name, quoted), quoted)

    def _connection(self) -> Connection:
        if self._target is None:
            raise RuntimeError("a source copies after begin()")
        return self._target

    def _answer(self, contract: Contract, statement: pgsql.Composed) -> int:
        try:
            with self._connection().cursor() as cursor:
                cursor.execute(statement)
                return cursor.rowcount
        except (psycopg2.ProgrammingError, psycopg2.DataError) as error:
            found = warehouse.without_values(error)
            raise BadInput(
                f"{self.place}: tables.{contract.table}: expected expressions over the columns of "
                f"'{self._mapping.tables[contract.table].files}', found: {found}."
            ) from None

    def _run(self, template: str, *parts: Any, name: str, **named: Any) -> int:
        with self._connection().cursor() as cursor:
            cursor.execute(pgsql.SQL(template).format(self._scratch[name], *parts, **named))
            return cursor.rowcount


def _set_timezone(conn: Connection, timezone: str) -> None:
    warehouse.value(
        conn, "SELECT set_config('timezone', %(timezone)s, true)", {"timezone": timezone}
    )


def _value(contract: Contract, name: str, expression: str) -> pgsql.Composable:
    """A column's expression in the column's type; an answer about consent is a yes only in so many words."""
    if (contract.table, name) == ("consents", "granted"):
        return pgsql.SQL(
            "coalesce(regexp_replace(lower(({}\n)::text), '[^[:alnum:]]', '', 'g') = ANY({}), false)"
        ).format(pgsql.SQL(expression), pgsql.Literal(list(words.YES)))
    return pgsql.SQL("({}\n)::{}").format(
        pgsql.SQL(expression), pgsql.SQL(contract.column(name).type)
    )


def _numbered(batches: Iterator[Any], file: int) -> Iterator[Any]:
    """The batches with the number of their file."""
    import pyarrow as pa

    for batch in batches:
        number = pa.repeat(pa.scalar(file, pa.int32()), batch.num_rows)
        yield pa.RecordBatch.from_arrays(
            [number, *batch.columns], names=["file", *batch.schema.names]
        )

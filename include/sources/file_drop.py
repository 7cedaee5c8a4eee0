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
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import psycopg2
from psycopg2 import sql as pgsql

from include import contracts, warehouse
from include.contracts import Contract, words
from include.errors import BadInput
from include.sources import by_order, schema_drift
from include.sources.file_mapping import Files, load, place
from include.sources.file_reading import read
from include.sources.file_scratch import Scratch
from include.sources.files import days as which_days
from include.sources.files import findings
from include.sources.files.findings import Finding
from include.sources.files.folder import Delivery, delivered
from include.sources.files.noticed import Noticed, Span
from include.warehouse import Connection

log = logging.getLogger(__name__)


class FileSource:
    """A folder of files, read whole at the beginning of each extraction (`include.sources.shop.Source`)."""

    def __init__(self, source: str, timezone: str, opened_on: date) -> None:
        self._name, self._timezone, self._opened_on = source, timezone, opened_on
        self._mapping = load(source)
        self._end: datetime | None = None
        self._target: Connection | None = None
        self._scratch: dict[str, Scratch] = {}
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
            self._load(name, files, schema)
            left_out += self._scratch[name].left_out
        self._told += findings.left_out(self._mapping, left_out, self.place)

    def _load(self, name: str, files: list[Delivery], schema: str) -> None:
        """Put the files of one form into a table of the batch."""
        target, form = self._connection(), self._mapping.files[name]
        scratch = Scratch(target, self._name, self._mapping, name, schema)
        self._scratch[name] = scratch
        scratch.load(files, self._timezone, lambda days: self._span(form, files, days))
        self._told += scratch.told
        schema_drift.note(target, self._name, name, scratch.headers)
        if form.fill_down:
            by_order.fill(target, scratch.table, form.fill_down)
        scratch.analyze()

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
            for scratch in self._scratch.values():
                scratch.run("DROP TABLE IF EXISTS {}")

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
            lines=by_order.with_more(self._scratch[spec.files].select(), form),
            where=pgsql.SQL(spec.where),
        )

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


def _value(contract: Contract, name: str, expression: str) -> pgsql.Composable:
    """A column's expression in the column's type; an answer about consent is a yes only in so many words."""
    if (contract.table, name) == ("consents", "granted"):
        return pgsql.SQL(
            "coalesce(regexp_replace(lower(({}\n)::text), '[^[:alnum:]]', '', 'g') = ANY({}), false)"
        ).format(pgsql.SQL(expression), pgsql.Literal(list(words.YES)))
    return pgsql.SQL("({}\n)::{}").format(
        pgsql.SQL(expression), pgsql.SQL(contract.column(name).type)
    )

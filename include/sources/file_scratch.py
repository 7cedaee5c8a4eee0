"""The files of one form as a table of a batch: loaded once, then read by one SELECT for each source table."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg2 import sql as pgsql

from include import warehouse
from include.sources.file_mapping import Files, Mapping
from include.sources.file_reading import parts, read
from include.sources.files import findings
from include.sources.files.findings import Finding
from include.sources.files.folder import Delivery
from include.sources.files.noticed import Noticed, Span
from include.warehouse import Connection

log = logging.getLogger(__name__)

_TYPES = {"stamp": "timestamptz", "number": "numeric"}


class Scratch:
    """A table with the columns of a form, `file` (the number of the file in its order) and `line`.

    Attributes
    ----------
    headers
        Headers that were met, with their types.
    told, left_out
        What is to be told of the files, and sheets that were not read.
    """

    def __init__(
        self, conn: Connection, source: str, mapping: Mapping, name: str, schema: str
    ) -> None:
        self._conn, self._source, self._mapping, self._name = conn, source, mapping, name
        self._plain = f"{schema}.file_{name}"
        self.headers: dict[str, str] = {}
        self.told: list[Finding] = []
        self.left_out: list[str] = []
        self._span: Span | None = None
        self._timezone = "UTC"

    @property
    def table(self) -> str:
        """Schema and table."""
        return self._plain

    @property
    def _form(self) -> Files:
        return self._mapping.files[self._name]

    def load(
        self, files: list[Delivery], timezone: str, span: Callable[[Counter[date]], Span | None]
    ) -> None:
        """Put the files into the table.

        Parameters
        ----------
        timezone
            Of the shop: a stamp without an offset is its local time.
        span
            Which days the files can be about, by how often each day stands in them.
        """
        form, self._timezone = self._form, timezone
        shapes = pgsql.SQL(", ").join(
            pgsql.SQL("{} {}").format(
                pgsql.Identifier(column), pgsql.SQL(_TYPES.get(str(part.type), "text"))
            )
            for column, part in form.columns.items()
        )
        self.run("CREATE UNLOGGED TABLE {} (file integer, line bigint, {})", shapes)
        before = warehouse.value(self._conn, "SELECT current_setting('timezone')")
        _set_timezone(self._conn, timezone)
        days: dict[int, Counter[date]] = {}
        pieces = [piece for file in files for piece in parts(file, form, self.left_out)]
        for number, piece in enumerate(pieces, 1):
            days[number] = self._load(piece, number)
        _set_timezone(self._conn, before)
        self._span = span(sum(days.values(), Counter()))
        first, last = self._span or (date.max, date.min)
        for number, found in days.items():
            if any(not first <= day <= last for day in found):
                self._tell_outside(number, pieces[number - 1], first, last)
        if form.key and len(pieces) > 1:
            self._replace(form.key)

    def _load(self, file: Delivery, number: int) -> Counter[date]:
        noticed = Noticed()
        batches = _numbered(read(file, self._form, self._timezone, noticed), number)
        columns = ["file", "line", *self._form.columns]
        rows = warehouse.copy_batches(self._conn, batches, self._plain, columns)
        log.info("Read %s rows of %s", f"{rows:,}", file.name)
        self.told += findings.of_file(self._mapping, self._name, file.name, noticed)
        findings.keep(self._conn, self._source, file.name, noticed)
        self.headers |= noticed.headers
        return noticed.days

    def _tell_outside(self, number: int, file: Delivery, first: date, last: date) -> None:
        """Tell of dates of a file that cannot be true."""
        stamp = pgsql.Identifier(self._form.stamp)
        header = self._form.columns[self._form.stamp].headers[0]
        with self._conn.cursor() as cursor:
            cursor.execute(
                pgsql.SQL(
                    "SELECT line FROM {} WHERE file = {} AND {} IS NOT NULL AND {} IS NULL ORDER BY line"
                ).format(
                    warehouse.qualified(self._plain),
                    pgsql.Literal(number),
                    stamp,
                    self._in_span(stamp),
                )
            )
            lines = [line for (line,) in cursor]
        self.told.append(
            findings.outside(self._mapping, self._name, file.name, header, len(lines), first, last)
        )
        noticed = Noticed()
        noticed.note(header, "outside", lines)
        findings.keep(self._conn, self._source, file.name, noticed)

    def _replace(self, key: str) -> None:
        """Leave only the newest file's rows of each key."""
        replaced = self.run(
            "DELETE FROM {} AS old USING (SELECT {key} AS k, max(file) AS newest FROM {table} "
            "GROUP BY 1) AS n WHERE old.{key} = n.k AND old.file < n.newest",
            key=pgsql.Identifier(key),
            table=warehouse.qualified(self._plain),
        )
        if replaced:
            log.info("%s: %s rows were replaced by later files.", self._name, f"{replaced:,}")

    def analyze(self) -> None:
        """Let the planner know how large it is; few rows are looked at, since SELECTs read it whole."""
        warehouse.execute(self._conn, "SET LOCAL default_statistics_target = 10")
        self.run("ANALYZE {}")
        warehouse.execute(self._conn, "SET LOCAL default_statistics_target TO DEFAULT")

    def select(self) -> pgsql.Composed:
        """What was read, without dates that cannot be true."""
        stamp = pgsql.Identifier(self._form.stamp)
        columns = [
            pgsql.SQL("{} AS {}").format(self._in_span(stamp), stamp)
            if column == self._form.stamp
            else pgsql.Identifier(column)
            for column in self._form.columns
        ]
        return pgsql.SQL("SELECT file, line, {columns} FROM {table}").format(
            columns=pgsql.SQL(", ").join(columns), table=warehouse.qualified(self._plain)
        )

    def _in_span(self, stamp: pgsql.Composable) -> pgsql.Composed:
        """A stamp, or nothing where it lies outside the days that the files can be about."""
        if self._span is None:
            return pgsql.SQL("(NULL::timestamptz)").format()
        zone = ZoneInfo(self._timezone)
        first: datetime | str = "-infinity"
        if self._span[0] > date.min:
            first = datetime.combine(self._span[0], time.min, zone)
        beyond = datetime.combine(self._span[1] + timedelta(days=1), time.min, zone)
        return pgsql.SQL(
            "(CASE WHEN {stamp} >= {first}::timestamptz AND {stamp} < {beyond}::timestamptz THEN {stamp} END)"
        ).format(stamp=stamp, first=pgsql.Literal(first), beyond=pgsql.Literal(beyond))

    def run(self, template: str, *values: Any, **named: Any) -> int:
        """A statement about the table, which is its first part; the rows that it touched."""
        with self._conn.cursor() as cursor:
            table = warehouse.qualified(self._plain)
            cursor.execute(pgsql.SQL(template).format(table, *values, **named))
            return cursor.rowcount


def _set_timezone(conn: Connection, timezone: str) -> None:
    warehouse.value(
        conn, "SELECT set_config('timezone', %(timezone)s, true)", {"timezone": timezone}
    )


def _numbered(batches: Iterator[Any], file: int) -> Iterator[Any]:
    """The batches with the number of their file."""
    import pyarrow as pa

    for batch in batches:
        number = pa.repeat(pa.scalar(file, pa.int32()), batch.num_rows)
        yield pa.RecordBatch.from_arrays(
            [number, *batch.columns], names=["file", *batch.schema.names]
        )

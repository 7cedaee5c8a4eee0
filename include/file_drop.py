"""A shop that delivers files: a folder of CSV or Parquet files, mapped to the raw contracts by `files.yml`.

The files are streamed, a block at a time, into a scratch table of the batch; what the mapping says of each
source table then becomes one SELECT over it. Texts stay as delivered; a number or stamp that cannot be read
becomes empty, so that the contract of the table refuses the row with its reason and nothing is lost. So does
a stamp that cannot be true: before the shop opened, or beyond what was delivered.
"""

import codecs
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import psycopg2
import yaml
from psycopg2 import sql as pgsql
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include import contracts, drift, warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.warehouse import Connection

log = logging.getLogger(__name__)

MAPPING = "files.yml"
#: Bytes of a CSV file, of which Arrow reads up to 32 blocks ahead, and rows of a Parquet file.
BLOCK_BYTES, BLOCK_ROWS = 2**20, 65_536
#: Days without a line after which a few more lines are taken for mistakes of the year or the month.
LONGEST_GAP = 31

#: First and last day that a line may be dated.
Span = tuple[date, date]
_NO_DAY: Span = (date.max, date.min)

Name = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileColumn(_Strict):
    """One column of the files: its headers, any of which may stand there, and what it holds."""

    headers: Annotated[list[str], Field(min_length=1)]
    type: Literal["text", "number", "stamp"] = "text"
    #: strptime formats of a stamp, tried in turn; local time of the shop.
    formats: list[str] = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]


class Files(_Strict):
    """Files of one form. `stamp` names the column that says to which day a row belongs.

    `key`: a later file's rows of a key replace an earlier file's, as when a month is delivered again.
    Files are taken in the order of their names.
    """

    patterns: Annotated[list[str], Field(min_length=1)]
    separator: str = ","
    encoding: str = "auto"
    decimal_comma: bool = False
    stamp: Name
    key: Name | None = None
    columns: dict[Name, FileColumn]


class Table(_Strict):
    """How one source table is read from files: SQL expressions over the files' columns.

    Besides those, `line` is a row's place in its file. `one_per` keeps the earliest row of each value.
    """

    files: Name = Field(alias="from")
    where: str = "true"
    one_per: str | None = None
    columns: dict[Name, str]


class Mapping(_Strict):
    """The whole of `files.yml`."""

    folder: str | None = None
    files: dict[Name, Files]
    tables: dict[Name, Table]


def is_one(source: str) -> bool:
    """Whether a source's folder of extraction holds a mapping of files."""
    return (warehouse.SQL_ROOT / "extract" / source / MAPPING).is_file()


def load(source: str) -> Mapping:
    """The mapping of a source.

    Raises
    ------
    BadInput
        When it breaks the form, or names what is not there.
    """
    path = warehouse.SQL_ROOT / "extract" / source / MAPPING
    place = f"include/sql/extract/{source}/{MAPPING}"
    try:
        found = Mapping(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise BadInput(f"Expected YAML in {place}, found {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{place}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    for name, table in found.tables.items():
        if table.files not in found.files:
            raise BadInput(
                f"{place}: tables.{name}.from: expected one of {', '.join(found.files)}, found "
                f"'{table.files}'."
            )
    for name, form in found.files.items():
        for role, column in (("stamp", form.stamp), ("key", form.key)):
            if column is not None and column not in form.columns:
                raise BadInput(
                    f"{place}: files.{name}.{role}: expected one of its columns, found '{column}'."
                )
    return found


class FileSource:
    """A folder of files, read whole at the beginning of each extraction (`include.sources.Source`)."""

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
            drift.note(target, self._name, name, headers)
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
        a file that is copied long afterwards has a time of its own, so what the files say counts too.

        Raises
        ------
        BadInput
            When there are dates and none lies within the first two.
        """
        import pyarrow.compute as pc

        paths = self._paths(form)
        delivered = max(path.stat().st_mtime for path in paths)
        newest = datetime.fromtimestamp(delivered, ZoneInfo(self._timezone)).date()
        span = self._first_day(form), newest + timedelta(days=1)
        days: Counter[date] = Counter()
        dated = 0
        for path in paths:
            for batch in read(path, form, self._timezone, only=form.stamp):
                stamps = batch[form.stamp]
                dated += len(stamps) - stamps.null_count
                inside = _inside(stamps, span).drop_null().cast("date32")
                for pair in pc.value_counts(inside):
                    days[pair["values"].as_py()] += pair["counts"].as_py()
        if dated and not days:
            raise BadInput(
                f"Expected dates from {span[0]} to {span[1]} in {' or '.join(form.patterns)}, found all "
                f"{dated} outside: correct shop.opened_on in config/policy.yml, the formats in {self.place}, "
                "or the time that the newest file bears."
            )
        return (min(days), reached(days)) if days else None

    def _first_day(self, form: Files) -> date:
        """The shop's first day, unless files say only what is: a customer or an article may be older."""
        tables = [
            contract
            for contract in contracts.of_dataset("raw")
            if contract.table in self._mapping.tables
            and self._mapping.files[self._mapping.tables[contract.table].files] is form
        ]
        return date.min if all(map(contracts.is_state, tables)) else self._opened_on

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
            pgsql.SQL("({})::{} AS {}").format(
                pgsql.SQL(spec.columns.get(name, "NULL")),
                pgsql.SQL(contract.column(name).type),
                pgsql.Identifier(name),
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


@dataclass
class Noticed:
    """What the reading of a file met beside its rows: headers with their types, and counts of values."""

    headers: dict[str, str] = field(default_factory=dict)
    outside: int = 0
    nuls: int = 0


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


def read(
    path: Path,
    form: Files,
    timezone: str,
    span: Span | None = None,
    noticed: Noticed | None = None,
    only: Name | None = None,
) -> Iterator[Any]:
    """A file as Arrow batches with the mapping's columns: texts, and stamps as local time of the shop.

    Parameters
    ----------
    span
        A stamp outside these days becomes empty; without them, none does.
    noticed
        Is filled in while the batches are taken.
    only
        The one column to read of those that must be there.

    Raises
    ------
    BadInput
        When a column is missing, a line has too many or too few fields, or the file holds no header.
    """
    import pyarrow as pa

    noticed = noticed or Noticed()
    parquet = path.suffix.lower() == ".parquet"
    names = [only] if only else list(form.columns)
    opened = (_parquet if parquet else _csv)(path, form, names, noticed)
    for headers, batch in opened:
        columns = {
            name: _column(batch[headers[name]], form.columns[name], timezone, noticed)
            for name in names
        }
        if span:
            stamps = columns[form.stamp]
            columns[form.stamp] = _inside(stamps, span)
            noticed.outside += columns[form.stamp].null_count - stamps.null_count
        yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _inside(stamps: Any, span: Span) -> Any:
    """The stamps on days of the span; the other ones empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = pa.scalar(datetime.combine(span[0], time.min), stamps.type)
    last = pa.scalar(datetime.combine(span[1], time.max), stamps.type)
    kept = pc.and_(pc.greater_equal(stamps, first), pc.less_equal(stamps, last))
    return pc.if_else(kept, stamps, pa.scalar(None, stamps.type))


def _headers(path: Path, form: Files, types: dict[str, str], noticed: Noticed) -> dict[Name, str]:
    """Which header of the file each column of the mapping is."""
    found = list(types)
    plain = {header.strip().lower(): header for header in found}
    if not any(
        header.lower() in plain for part in form.columns.values() for header in part.headers
    ):
        # The first line may be about a person: it is not quoted.
        raise BadInput(
            f"Expected a line of headers first in {path.name}, found none that {MAPPING} names: correct the "
            "file, or name its headers there."
        )
    chosen = {}
    for name, part in form.columns.items():
        match = next((plain[h.lower()] for h in part.headers if h.lower() in plain), None)
        if match is None:
            raise BadInput(
                f"Expected the column {' or '.join(part.headers)} in {path.name}, found "
                f"{', '.join(found)}: correct the file, or name its header in {MAPPING} ({name})."
            )
        chosen[name] = match
    noticed.headers |= {header: types[written] for header, written in plain.items()}
    return chosen


def _wanted(headers: dict[Name, str], names: list[Name]) -> list[str]:
    """The headers of some columns, each once."""
    return list(dict.fromkeys(headers[name] for name in names))


def _parquet(
    path: Path, form: Files, names: list[Name], noticed: Noticed
) -> Iterator[tuple[dict[Name, str], Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            types = {column.name: str(column.type) for column in file.schema_arrow}
            headers = _headers(path, form, types, noticed)
            for batch in file.iter_batches(BLOCK_ROWS, columns=_wanted(headers, names)):
                yield headers, batch
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _csv(
    path: Path, form: Files, names: list[Name], noticed: Noticed
) -> Iterator[tuple[dict[Name, str], Any]]:
    import pyarrow as pa
    from pyarrow import csv

    encoding = encoding_of(path) if form.encoding == "auto" else form.encoding
    # One thread: only then does Arrow know the number of a line that it cannot read.
    reading = csv.ReadOptions(block_size=BLOCK_BYTES, encoding=encoding, use_threads=False)
    parsing = csv.ParseOptions(delimiter=form.separator, newlines_in_values=True)
    try:
        with csv.open_csv(path, reading, parsing) as file:
            found = file.schema.names
        headers = _headers(path, form, dict.fromkeys(found, "text"), noticed)
        converting = csv.ConvertOptions(
            column_types=dict.fromkeys(found, pa.string()),
            include_columns=_wanted(headers, names),
            strings_can_be_null=False,
            check_utf8=True,
        )
        with csv.open_csv(path, reading, parsing, converting) as file:
            for batch in file:
                yield headers, batch
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> BadInput:
    # The library's message quotes the line, which may be about a person: only what it counts is told.
    counted = re.search(r"(Row #\d+: )?Expected \d+ columns, got \d+", str(error))
    reason = counted[0] if counted else type(error).__name__
    return BadInput(
        f"Expected a readable file {path.name}, found: {reason}. Nothing of it was taken; deliver it "
        "again, or move it out of the folder."
    )


def encoding_of(path: Path) -> str:
    """utf-8 (with or without its mark), utf-16 by its mark, and latin-1 for what is neither."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        try:
            while block := file.read(BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


def _column(values: Any, part: FileColumn, timezone: str, noticed: Noticed) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if part.type == "stamp":
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return _local(values, timezone)
        text = pc.utf8_trim_whitespace(values.cast(pa.string()))
        tried = [
            pc.strptime(text, format=form, unit="us", error_is_null=True) for form in part.formats
        ]
        return pc.coalesce(*tried)
    text = values.cast(pa.string())
    # PostgreSQL holds no NUL in a text; nobody typed one.
    if nuls := pc.sum(pc.match_substring(text, "\x00")).as_py():
        noticed.nuls += nuls
        text = pc.replace_substring(text, "\x00", "")
    return text


def _local(values: Any, timezone: str) -> Any:
    """Stamps of any unit in whole microseconds of the shop's time; empty outside the years 1 to 9999."""
    import pyarrow as pa
    import pyarrow.compute as pc

    zone = getattr(values.type, "tz", None) and timezone
    if getattr(values.type, "unit", "s") in ("s", "ms"):
        values = _inside(values, (date.min, date.max))
    options = pc.CastOptions(target_type=pa.timestamp("us", tz=zone), allow_time_truncate=True)
    stamps = pc.cast(values, options=options)
    return pc.local_timestamp(stamps) if zone else stamps


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

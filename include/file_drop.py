"""A shop that delivers files: a folder of CSV or Parquet files, mapped to the raw contracts by `files.yml`.

The files are streamed, a block at a time, into a scratch table of the batch; what the mapping says of each
source table then becomes one SELECT over it. Texts stay as delivered; a number or stamp that cannot be read
becomes empty, so that the contract of the table refuses the row with its reason and nothing is lost.
"""

import codecs
import logging
import os
import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg2
import yaml
from psycopg2 import sql as pgsql
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include import warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.warehouse import Connection

log = logging.getLogger(__name__)

MAPPING = "files.yml"
#: Bytes of a CSV file, of which Arrow reads up to 32 blocks ahead, and rows of a Parquet file.
BLOCK_BYTES, BLOCK_ROWS = 2**20, 65_536

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

    def __init__(self, source: str, timezone: str) -> None:
        self._name, self._timezone = source, timezone
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
        import pyarrow.compute as pc

        form = self._mapping.files[orders.files]
        spans = [
            pc.min_max(batch[form.stamp])
            for path in self._paths(form)
            for batch in read(path, form, self._timezone)
        ]
        stamps = [
            span[end].as_py() for span in spans for end in ("min", "max") if span[end].is_valid
        ]
        return (min(stamps).date(), max(stamps).date()) if stamps else None

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
            for number, path in enumerate(self._paths(form), 1):
                batches = _numbered(read(path, form, self._timezone), number)
                rows = warehouse.copy_batches(target, batches, table, columns)
                log.info("Read %s rows of %s", f"{rows:,}", path.name)
            if form.key:
                self._run(
                    "DELETE FROM {} AS old USING (SELECT {key} AS k, max(file) AS newest FROM {table} "
                    "GROUP BY 1) AS n WHERE old.{key} = n.k AND old.file < n.newest",
                    name=name,
                    key=pgsql.Identifier(form.key),
                    table=self._scratch[name],
                )
            self._run("ANALYZE {}", name=name)

    def copy(self, contract: Contract, start: datetime, end: datetime, table: str) -> int:
        names = pgsql.SQL(", ").join(map(pgsql.Identifier, contract.content))
        statement = pgsql.SQL(
            "INSERT INTO {} ({}) SELECT {} FROM ({}) AS mapped WHERE _stamp IS NULL OR _stamp >= {}"
        ).format(
            warehouse.qualified(table), names, names, self._select(contract), pgsql.Literal(start)
        )
        return self._answer(contract, statement)

    def holds(self, contract: Contract) -> bool:
        return bool(self._answer(contract, self._select(contract) + pgsql.SQL(" LIMIT 1")))

    def late(self, start: datetime, end: datetime) -> list[tuple[str, int, date, date]]:
        return []  # files do not say when a row was recorded

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
        return pgsql.SQL(
            "CASE WHEN pg_input_is_valid({text}, 'numeric') THEN {text}::numeric END AS {column}"
        ).format(text=text, column=column)

    def _answer(self, contract: Contract, statement: pgsql.Composed) -> int:
        if self._target is None:
            raise RuntimeError("a source copies after begin()")
        try:
            with self._target.cursor() as cursor:
                cursor.execute(statement)
                return cursor.rowcount
        except (psycopg2.ProgrammingError, psycopg2.DataError) as error:
            found = str(error).strip().splitlines()[0]
            raise BadInput(
                f"{self.place}: tables.{contract.table}: expected expressions over the columns of "
                f"'{self._mapping.tables[contract.table].files}', found: {found}."
            ) from error

    def _run(self, template: str, *parts: Any, name: str, **named: Any) -> None:
        if self._target is None:
            raise RuntimeError("a source copies after begin()")
        with self._target.cursor() as cursor:
            cursor.execute(pgsql.SQL(template).format(self._scratch[name], *parts, **named))


def read(path: Path, form: Files, timezone: str) -> Iterator[Any]:
    """A file as Arrow batches with the mapping's columns: texts, and stamps as local time of the shop.

    Raises
    ------
    BadInput
        When a column is missing, a line has too many or too few fields, or the file holds no header.
    """
    import pyarrow as pa

    opened = _parquet(path, form) if path.suffix.lower() == ".parquet" else _csv(path, form)
    for headers, batch in opened:
        columns = [
            _column(batch[header], part, timezone)
            for header, part in zip(headers, form.columns.values(), strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, names=list(form.columns))


def _headers(path: Path, form: Files, found: list[str]) -> list[str]:
    """Which header of the file each column of the mapping is."""
    plain = {header.strip().lower(): header for header in found}
    chosen = []
    for name, part in form.columns.items():
        match = next((plain[h.lower()] for h in part.headers if h.lower() in plain), None)
        if match is None:
            raise BadInput(
                f"Expected the column {' or '.join(part.headers)} in {path.name}, found "
                f"{', '.join(found)}: correct the file, or name its header in {MAPPING} ({name})."
            )
        chosen.append(match)
    if extra := sorted(set(found) - set(chosen)):
        log.info("%s has columns that nothing is read from: %s", path.name, ", ".join(extra))
    return chosen


def _parquet(path: Path, form: Files) -> Iterator[tuple[list[str], Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            headers = _headers(path, form, file.schema_arrow.names)
            for batch in file.iter_batches(BLOCK_ROWS, columns=sorted(set(headers))):
                yield headers, batch
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _csv(path: Path, form: Files) -> Iterator[tuple[list[str], Any]]:
    import pyarrow as pa
    from pyarrow import csv

    encoding = encoding_of(path) if form.encoding == "auto" else form.encoding
    # One thread: only then does Arrow know the number of a line that it cannot read.
    reading = csv.ReadOptions(block_size=BLOCK_BYTES, encoding=encoding, use_threads=False)
    parsing = csv.ParseOptions(delimiter=form.separator, newlines_in_values=True)
    try:
        with csv.open_csv(path, reading, parsing) as file:
            names = file.schema.names
        headers = _headers(path, form, names)
        converting = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=list(dict.fromkeys(headers)),
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


def _column(values: Any, part: FileColumn, timezone: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if part.type == "stamp":
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            if getattr(kind, "tz", None):
                return pc.local_timestamp(values.cast(pa.timestamp("us", tz=timezone)))
            return values.cast(pa.timestamp("us"))
        text = pc.utf8_trim_whitespace(values.cast(pa.string()))
        tried = [
            pc.strptime(text, format=form, unit="us", error_is_null=True) for form in part.formats
        ]
        return pc.coalesce(*tried)
    text = values.cast(pa.string())
    # PostgreSQL holds no NUL in a text; nobody typed one.
    if pc.any(pc.match_substring(text, "\x00")).as_py():
        text = pc.replace_substring(text, "\x00", "")
    return text


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

"""The only module that opens a connection to PostgreSQL, and the ways bulk data moves.

A connection has a name, which is also the name of its Airflow connection. Its address is looked for in
`AIRFLOW_CONN_<NAME>`, then in the file `connections.json` of the state folder (the embedded server), then
among Airflow's own connections.
"""

import csv
import io
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from psycopg2 import sql as pgsql

from include.errors import BadInput, Unreachable

if TYPE_CHECKING:
    import pandas as pd

Connection = psycopg2.extensions.connection
Params = Mapping[str, Any] | None

ROOT = Path(__file__).resolve().parent.parent
SQL_ROOT = Path(__file__).resolve().parent / "sql"

#: Frames up to this size stay in memory while they are copied; larger ones pass through a file.
SPOOL_BYTES = 64 * 2**20

#: A peer that is gone without a word is noticed after about a minute and a half.
KEEPALIVES: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 15,
    "keepalives_count": 4,
}

#: libpq's status of a connection that lives.
_CONNECTION_OK = 0

_INTEGERS = {20, 21, 23}
_FLOATS = {700, 701, 1700}
_BOOLEAN = 16
_DATE = 1082
_STAMPS = {1114, 1184}

psycopg2.extras.register_uuid()


def state_folder() -> Path:
    """The folder that holds the embedded server, keys and logs."""
    return Path(os.environ.get("REGULARS_HOME") or ROOT / ".regulars").resolve()


def url(name: str = "warehouse") -> str:
    """The address of a named connection, as `postgresql://user:password@host:port/database`.

    Raises
    ------
    BadInput
        When the name is known nowhere.
    """
    found = os.environ.get(f"AIRFLOW_CONN_{name.upper()}") or _embedded(name) or _airflow(name)
    if not found:
        raise BadInput(
            f"Expected a connection named '{name}', found none: set AIRFLOW_CONN_{name.upper()}, "
            "add it in Airflow under Admin > Connections, or start the embedded server with "
            "`bin/regulars up`."
        )
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", found)


def _embedded(name: str) -> str | None:
    path = state_folder() / "connections.json"
    if not path.exists():
        return None
    return json.loads(path.read_text()).get(name)


def _airflow(name: str) -> str | None:
    from airflow.sdk import Connection as AirflowConnection

    try:
        return AirflowConnection.get(name).get_uri()
    except Exception:  # outside a task Airflow answers with whatever its backend raises
        return None


@contextmanager
def connect(name: str = "warehouse") -> Iterator[Connection]:
    """One connection for one transaction: commits at the end, rolls back on an error, closes.

    The session's time zone is UTC and its encoding UTF-8, so that a stamp and a text read the same on every
    machine, whatever the server's own are.

    Raises
    ------
    Unreachable
        When the server does not answer or refuses the login, when the connection is cut, or when the
        server's disk is full.
    """
    address = url(name)
    try:
        conn = psycopg2.connect(
            address,
            application_name=f"regulars {name}",
            connect_timeout=10,
            options="-c timezone=UTC -c datestyle=ISO",
            client_encoding="UTF8",
            **KEEPALIVES,
        )
    except psycopg2.OperationalError as error:
        place = re.sub(r"//[^@]*@", "//", address)
        reason = str(error).strip().splitlines()[0].split("failed: ")[-1]
        raise Unreachable(
            f"Expected to reach the connection '{name}' at {place}, found: {reason}. "
            f"Check that the server is up and that AIRFLOW_CONN_{name.upper()} is right."
        ) from None
    try:
        yield conn
        conn.commit()
    except psycopg2.Error as error:
        told = None if _is_of_another(error, conn) else _told(error, conn, name)
        if told is None:
            raise
        raise told from None
    finally:
        # A server that is gone has nothing to roll back, and must not hide what went wrong.
        with suppress(psycopg2.Error):
            conn.rollback()
        conn.close()


def _is_of_another(error: psycopg2.Error, conn: Connection) -> bool:
    """Whether the error came up on another connection that is open beside this one, which will tell it."""
    return error.cursor is not None and error.cursor.connection is not conn


def _told(error: psycopg2.Error, conn: Connection, name: str) -> Exception | None:
    """What a person should read of a server's error, or None where it is a fault of ours."""
    if isinstance(error, psycopg2.errors.DiskFull):
        return Unreachable(
            f"Expected room on the disk of the connection '{name}', found it full "
            f"({_first_line(error)}). What stood before stands; make room, then clear the task."
        )
    if conn.closed or conn.info.status != _CONNECTION_OK:
        return Unreachable(
            f"Expected the connection '{name}' to last until the work was done, found it cut "
            f"({_first_line(error)}). What stood before stands; the task may be run again."
        )
    if isinstance(error, psycopg2.DataError):
        return BadInput(
            f"Expected data that the connection '{name}' can take, found: {without_values(error)}. "
            "Nothing was changed; mend the value where it comes from, or the statement that reads it."
        )
    return None


def _first_line(error: BaseException) -> str:
    """What a server says first; its further lines may quote a row."""
    return (str(error).strip().splitlines() or ["no reason given"])[0]


def without_values(error: psycopg2.Error) -> str:
    """What a server says of a value and where it met it, without the value: it may be personal."""
    said = re.sub(r'(: |value )"[^"]*"', r"\1...", _first_line(error))
    place = re.match(r"COPY \w+, line \d+(, column \w+)?", error.diag.context or "")
    return f"{said} ({place[0]})" if place else said


def execute(conn: Connection, statement: str, params: Params = None) -> int:
    """Run one statement; the number of rows it touched."""
    with conn.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.rowcount


def rows(conn: Connection, statement: str, params: Params = None) -> list[tuple[Any, ...]]:
    """Every row of a small result."""
    with conn.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall()


def value(conn: Connection, statement: str, params: Params = None) -> Any:
    """The first column of the first row, or None."""
    found = rows(conn, statement, params)
    return found[0][0] if found else None


@cache
def sql(name: str, **more: str) -> str:
    """The statement of `include/sql/<name>.sql`, together with its parts.

    Each file of a folder of the same name, `include/sql/<name>/<part>.sql`, is one SELECT that the statement,
    and the other parts, read as `<part>`; so is each of `more`, a file that stands elsewhere.
    """
    statement = _text(name)
    files = {part.stem: f"{name}/{part.stem}" for part in sorted((SQL_ROOT / name).glob("*.sql"))}
    parts = [f"{part} AS (\n{_text(file)})" for part, file in (files | more).items()]
    # RECURSIVE lets a part read another that stands after it.
    return f"WITH RECURSIVE {', '.join(parts)}\n{statement}" if parts else statement


def _text(name: str) -> str:
    path = SQL_ROOT / f"{name}.sql"
    if not path.exists():
        raise BadInput(f"Expected the SQL file include/sql/{name}.sql, found none: restore it.")
    return path.read_text(encoding="utf-8")


def qualified(table: str) -> pgsql.Composed:
    """`schema.table` as a quoted identifier."""
    return pgsql.SQL(".").join(map(pgsql.Identifier, table.split(".")))


def literal_query(conn: Connection, statement: str, params: Params) -> str:
    """The statement with its parameters bound by the driver: COPY takes none itself."""
    with conn.cursor() as cursor:
        bound: bytes = cursor.mogrify(statement, params)
    return bound.decode().strip().rstrip(";")


def frame(conn: Connection, statement: str, params: Params = None) -> "pd.DataFrame":
    """A query's result through COPY.

    Whole numbers become int64 (float64 where some are missing), numbers float64, dates and stamps
    datetime64 (stamps in UTC), everything else text.
    """
    import pandas as pd

    query = literal_query(conn, statement, params)
    with conn.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({query}) AS shape LIMIT 0")
        described = [(column.name, column.type_code) for column in cursor.description or ()]
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, NULL '\\N')", spool)
            spool.seek(0)
            text = {name: "str" for name, code in described if not _is_number(code)}
            found = pd.read_csv(
                spool,
                names=[name for name, _ in described],
                header=None,
                dtype=text | {name: "float64" for name, code in described if code in _FLOATS},
                keep_default_na=False,
                na_values=["\\N"],
            )
    for name, code in described:
        if code == _BOOLEAN:
            answer = found[name].map({"t": True, "f": False})
            found[name] = answer.astype("bool" if answer.notna().all() else "boolean")
        elif code == _DATE:
            found[name] = pd.to_datetime(found[name], format="%Y-%m-%d")
        elif code in _STAMPS:
            found[name] = pd.to_datetime(found[name], format="ISO8601", utc=True)
        elif code in _INTEGERS and found.empty:
            found[name] = found[name].astype("int64")
    return found


def _is_number(code: int) -> bool:
    return code in _INTEGERS or code in _FLOATS


def copy_frame(conn: Connection, data: "pd.DataFrame", table: str) -> int:
    """COPY a frame into an existing table, columns matched by name; the number of rows."""
    from pandas.api.types import is_object_dtype

    if all(_is_plain(data[name]) for name in data.columns):
        return _copy_plain(conn, data, table)
    shaped = data.copy(deep=False)
    for name in shaped.columns:
        if is_object_dtype(shaped[name]) and shaped[name].map(_is_nested).any():
            shaped[name] = shaped[name].map(_nested)
    with tempfile.SpooledTemporaryFile(
        max_size=SPOOL_BYTES, mode="w+", newline="", encoding="utf-8"
    ) as spool:
        shaped.to_csv(spool, index=False, header=False, na_rep="\\N", quoting=csv.QUOTE_MINIMAL)
        spool.seek(0)
        return _copy_in(conn, spool, table, list(shaped.columns), "FORMAT csv, NULL '\\N'")


def _is_plain(column: "pd.Series") -> bool:
    """Whether a column holds text, numbers or truth values alone, or nothing."""
    from pandas.api import types

    if types.is_object_dtype(column):
        return types.infer_dtype(column, skipna=True) in ("string", "empty")
    return bool(
        types.is_string_dtype(column)
        or types.is_numeric_dtype(column)
        or types.is_bool_dtype(column)
    )


def _copy_plain(conn: Connection, data: "pd.DataFrame", table: str) -> int:
    """The same by Arrow, ten times as fast: texts are quoted, so that what is empty and bare is NULL."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    written = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
        arrow_csv.write_csv(pyarrow.Table.from_pandas(data, preserve_index=False), spool, written)
        spool.seek(0)
        return _copy_in(conn, spool, table, list(data.columns), "FORMAT csv, NULL ''")


def _is_nested(cell: Any) -> bool:
    return isinstance(cell, list | tuple | dict)


def _nested(cell: Any) -> Any:
    """A list as a PostgreSQL array literal, a dictionary as JSON."""
    if isinstance(cell, dict):
        return json.dumps(cell, sort_keys=True)
    if isinstance(cell, list | tuple):
        return "{" + ",".join(json.dumps(str(item), ensure_ascii=False) for item in cell) + "}"
    return cell


def copy_rows(
    conn: Connection, records: Iterable[Sequence[Any]], table: str, columns: Sequence[str]
) -> int:
    """COPY records of plain values as they come, without holding them; the number of rows."""
    return _copy_in(conn, _TextReader(records), table, columns, "FORMAT text")


class _TextReader(io.TextIOBase):
    """Records as the lines of COPY's text format, made while they are read."""

    _ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

    def __init__(self, records: Iterable[Sequence[Any]]) -> None:
        self._lines = (
            "\t".join("\\N" if cell is None else str(cell).translate(self._ESCAPES) for cell in row)
            + "\n"
            for row in records
        )
        self._rest = ""

    def read(self, size: int | None = -1, /) -> str:
        parts = [self._rest]
        length = len(self._rest)
        while size is None or size < 0 or length < size:
            line = next(self._lines, "")
            if not line:
                break
            parts.append(line)
            length += len(line)
        text = "".join(parts)
        end = len(text) if size is None or size < 0 else size
        self._rest = text[end:]
        return text[:end]


def copy_batches(
    conn: Connection, batches: Iterable[Any], table: str, columns: Sequence[str]
) -> int:
    """COPY Arrow record batches as they come; the number of rows.

    What goes wrong where they come from is raised here, as by `copy_blocks`.
    """
    return copy_blocks(conn, _as_csv(batches), table, columns)


def _as_csv(batches: Iterable[Any]) -> Iterator[memoryview]:
    """Arrow record batches as CSV without a header, each written when it is asked for."""
    import pyarrow.csv

    for batch in batches:
        sink = io.BytesIO()
        pyarrow.csv.write_csv(batch, sink, pyarrow.csv.WriteOptions(include_header=False))
        yield sink.getbuffer()


def copy_blocks(
    conn: Connection, blocks: Iterable[bytes | memoryview], table: str, columns: Sequence[str]
) -> int:
    """COPY blocks of whole lines of CSV as they come; the number of rows.

    What goes wrong where they come from is raised here, and the transaction must not be committed.
    """
    reader = _BlockReader(blocks)
    try:
        return _copy_in(conn, reader, table, columns, "FORMAT csv")
    except psycopg2.Error:
        # The target only knows that it was given no more.
        if reader.failure is not None:
            raise reader.failure from None
        raise


class _BlockReader(io.RawIOBase):
    """Blocks of bytes as one stream, read as they are asked for."""

    def __init__(self, blocks: Iterable[bytes | memoryview]) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")
        self.failure: BaseException | None = None

    def read(self, size: int = -1, /) -> bytes:
        try:
            while not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    return b""
                self._rest = memoryview(block)
        except BaseException as error:
            self.failure = error
            raise
        end = len(self._rest) if size < 0 else size
        part, self._rest = self._rest[:end], self._rest[end:]
        return bytes(part)


class BatchReader(_BlockReader):
    """Arrow record batches as CSV without a header, written while they are read."""

    def __init__(self, batches: Iterable[Any]) -> None:
        super().__init__(_as_csv(batches))


def copy_between(
    source: Connection,
    target: Connection,
    select: str,
    params: Params,
    table: str,
    columns: Sequence[str],
) -> int:
    """Stream a query from one server into a table of another, in constant memory; the rows moved.

    The two servers work at once, joined by a pipe. When the source fails, the target's transaction
    must not be committed: the source's error is raised here.
    """
    query = literal_query(source, select, params)
    read_end, write_end = os.pipe()
    failure: list[BaseException] = []

    def pump() -> None:
        try:
            with os.fdopen(write_end, "wb", buffering=2**20) as sink, source.cursor() as cursor:
                cursor.copy_expert(f"COPY ({query}) TO STDOUT", sink, size=2**18)
        except BaseException as error:  # handed to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    try:
        with os.fdopen(read_end, "rb", buffering=2**20) as stream:
            moved = _copy_in(target, stream, table, columns, "FORMAT text")
    except psycopg2.Error:
        thread.join()
        # The target complains of a broken stream when it is the source that broke.
        if failure and not isinstance(failure[0], BrokenPipeError):
            raise failure[0] from None
        raise
    thread.join()
    if failure:
        raise failure[0]
    return moved


def _copy_in(
    conn: Connection, stream: Any, table: str, columns: Sequence[str], options: str
) -> int:
    statement = pgsql.SQL("COPY {} ({}) FROM STDIN ({})").format(
        qualified(table),
        pgsql.SQL(", ").join(map(pgsql.Identifier, columns)),
        pgsql.SQL(options),
    )
    with conn.cursor() as cursor:
        cursor.copy_expert(statement, stream, size=2**18)
        return cursor.rowcount

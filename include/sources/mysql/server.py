"""Connections to a MySQL or MariaDB server: where it is, how a session begins, and rows as they come.

The address is that of the named connection, as `include.warehouse.url` finds it:
`mysql://user:password@host:3306/database?prefix=wp_`, `mariadb://` being the same. After the question mark
may stand `prefix` (what the names of the shop's tables begin with), `ssl_ca` (a file: the server must prove
who it is; otherwise TLS is used where the server has it) and `unix_socket`.
"""

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pymysql
from pymysql.constants import CR, ER
from pymysql.cursors import SSCursor

from include import warehouse
from include.errors import BadInput, Unreachable

#: What WordPress calls its tables where nobody chose otherwise.
PREFIX = "wp_"
OPTIONS = ("prefix", "ssl_ca", "unix_socket")

#: One session for every server: stamps in UTC, texts in full UTF-8, zero dates as they are, nothing cut off,
#: and patience where the warehouse takes its time.
_SESSION = (
    "SET SESSION sql_mode = '', time_zone = '+00:00', group_concat_max_len = 16777216, "
    "net_write_timeout = 3600, wait_timeout = 28800"
)
_SNAPSHOT = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)

#: Errors of a connection or a server that went away, or of somebody who ended the session or the query.
_CUT = {
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    2055,  # lost while something was read
    ER.SERVER_SHUTDOWN,
    ER.QUERY_INTERRUPTED,
    ER.ABORTING_CONNECTION,
    1927,  # MariaDB: the connection was killed
    1969,  # MariaDB: max_statement_time
    3024,  # MySQL: max_execution_time
}
#: Errors that name tables and columns; all others may quote a value.
_NAMES = {
    ER.BAD_FIELD_ERROR, ER.NO_SUCH_TABLE, ER.BAD_TABLE_ERROR, ER.NON_UNIQ_ERROR, ER.DUP_FIELDNAME,
    ER.SP_DOES_NOT_EXIST, ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR, ER.PROCACCESS_DENIED_ERROR, ER.WRONG_FIELD_WITH_GROUP, ER.BAD_DB_ERROR,
}  # fmt: skip

#: Warnings of an answer that was cut off or left out.
_LOSSES = {ER.WARN_ALLOWED_PACKET_OVERFLOWED, ER.CUT_VALUE_GROUP_CONCAT}

#: What is taken from the socket at once.
_BLOCK = 2**18
#: A packet of this length goes on in the next one.
_LONGEST = 0xFFFFFF


class Server(pymysql.connections.Connection):
    """A session in which a shop is read."""

    prefix = PREFIX
    #: Warnings that came with the last lines.
    warned = 0

    def begin(self) -> None:
        """Fix what is seen: everything asked from here on comes from one state of the shop."""
        self.rollback()
        for statement in _SNAPSHOT:
            self.rows(statement)

    def rows(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """Every row of a small result."""
        with self.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def described(self, query: str) -> list[Any]:
        """The columns of a query (name, type_code, length, charsetnr, flags), which is not run for it."""
        with self.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({query}\n) AS shape LIMIT 0")
            return list(cursor._result.fields)

    def lines(self, query: str) -> Iterator[bytes]:
        """The only column of a query, a text for each row, as lines in blocks of many rows.

        The server's packets are taken apart here, block by block, since most of the time would go into an
        object for every row. The texts stay bytes.

        Raises
        ------
        pymysql.DataError
            When a row is too long for one packet.
        """
        cursor = SSCursor(self)
        cursor.execute(query)
        result = self._result
        try:
            yield from self._packets()
        finally:
            # What is left of an answer is thrown away with the connection: nobody reads it to the end.
            result.unbuffered_active = False
            result.connection = None
            cursor.connection = None

    def heed(self) -> str | None:
        """What the server warned of while it gave the last lines: a value that it could not convert, say.

        Raises
        ------
        pymysql.DataError
            When it cut something off or left it out.
        """
        if not self.warned:
            return None
        warnings = self.rows("SHOW WARNINGS")
        for _, code, message in warnings:
            if code in _LOSSES:
                raise pymysql.DataError(code, message)
        return without_values(str(warnings[0][2])) if warnings else None

    def _packets(self) -> Iterator[bytes]:
        rest = b""
        while True:
            try:
                block = self._rfile.read1(_BLOCK)
            except OSError as error:
                raise pymysql.OperationalError(CR.CR_SERVER_LOST, str(error)) from None
            if not block:
                raise pymysql.OperationalError(CR.CR_SERVER_LOST, "Lost connection during query")
            block = rest + block
            place, end = 0, len(block)
            texts: list[bytes] = []
            add = texts.append
            while place + 4 < end:
                length = block[place] | block[place + 1] << 8 | block[place + 2] << 16
                after = place + 4 + length
                if after > end:
                    break
                if length == _LONGEST:
                    raise pymysql.DataError(0, "a row of 16 MB or more")
                # How long the text is stands here, or in the 2 or 3 bytes after this one.
                first = block[place + 4]
                if first < 0xFB:
                    add(block[place + 5 : after])
                elif first == 0xFC:
                    add(block[place + 7 : after])
                elif first == 0xFD:
                    add(block[place + 8 : after])
                elif first == 0xFB:  # NULL: the server gives up a text beyond its limit
                    raise pymysql.DataError(0, "a row longer than the server's max_allowed_packet")
                elif first == 0xFF:
                    pymysql.err.raise_mysql_exception(block[place + 4 : after])
                else:  # the end of the rows, with the number of warnings
                    self.warned = block[place + 5] | block[place + 6] << 8
                    if texts:
                        add(b"")
                        yield b"\n".join(texts)
                    return
                place = after
            rest = block[place:]
            if texts:
                add(b"")
                yield b"\n".join(texts)


@contextmanager
def connect(name: str = "shop") -> Iterator[Server]:
    """One session, closed at the end.

    Raises
    ------
    Unreachable
        When the server does not answer or refuses the login, or when the connection is cut.
    BadInput
        When the address holds what is not known.
    """
    address = warehouse.url(name)
    server = _opened(name, address)
    try:
        yield server
    except pymysql.MySQLError as error:
        if is_cut(error):
            raise Unreachable(
                f"Expected the connection '{name}' to last until the work was done, found it cut "
                f"({_said(error)}). What stood before stands; the task may be run again."
            ) from None
        raise
    finally:
        with suppress(Exception):
            server._force_close()


def is_cut(error: pymysql.MySQLError) -> bool:
    """Whether an error says that the connection is gone, or that somebody ended what it did."""
    return isinstance(error, pymysql.InterfaceError) or bool(error.args and error.args[0] in _CUT)


def told(error: pymysql.MySQLError, place: str) -> BadInput | None:
    """What a person should read of a server's answer to a SELECT; None where the connection was cut."""
    if is_cut(error):
        return None
    said = _said(error)
    if not error.args or error.args[0] not in _NAMES:
        said = without_values(said)
    return BadInput(
        f"Expected the shop to answer {place}, found: {said}. Restore it in the shop, or change that SELECT "
        "to say where the column now comes from."
    )


def without_values(said: str) -> str:
    """What a server says of a value, without it: it may be personal."""
    return re.sub(r"'.*'", "'...'", said, flags=re.DOTALL)


def _said(error: pymysql.MySQLError) -> str:
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    return (text.strip().splitlines() or ["no reason given"])[0].rstrip(".")


def _opened(name: str, address: str) -> Server:
    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    # Put together of its parts: a password that is not escaped would end up in what is told.
    place = f"{parts.scheme}://{parts.hostname or 'localhost'}{parts.path}"
    if "@" in parts.query or "@" in parts.path:
        raise BadInput(
            f"Expected the letters ? / # and @ of a password to be escaped in the address of the connection "
            f"'{name}' (%3F %2F %23 %40), found one as it is: escape it."
        )
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise BadInput(
            f"Expected {', '.join(OPTIONS[:-1])} or {OPTIONS[-1]} after the ? in the address of the "
            f"connection '{name}' at {place}, found {', '.join(unknown)}: take it out."
        )
    prefix = options.get("prefix", PREFIX)
    if not re.fullmatch(r"\w*", prefix, flags=re.ASCII):
        raise BadInput(
            f"Expected letters, digits and _ as the prefix of the tables in the address of the connection "
            f"'{name}', found {prefix!r}."
        )
    with_socket: Mapping[str, Any] = {
        key: options[key] for key in ("unix_socket", "ssl_ca") if options.get(key)
    }
    try:
        server = Server(
            host=parts.hostname or "localhost",
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=unquote(parts.path.strip("/")),
            charset="utf8mb4",
            init_command=_SESSION,
            autocommit=True,
            connect_timeout=10,
            program_name=f"regulars {name}",
            ssl_verify_identity=True if options.get("ssl_ca") else None,
            defer_connect=True,
            **with_socket,
        )
        server.connect()
        _keep_alive(server)
    except (pymysql.MySQLError, OSError, ValueError) as error:
        reason = type(error).__name__ if isinstance(error, ValueError) else str(error)
        reason = _said(error) if isinstance(error, pymysql.MySQLError) else reason
        raise Unreachable(
            f"Expected to reach the connection '{name}' at {place}, found: {reason}. "
            f"Check that the server is up and that AIRFLOW_CONN_{name.upper()} is right."
        ) from None
    server.prefix = prefix
    return server


def _keep_alive(server: Server) -> None:
    """Notice a peer that is gone without a word, as the warehouse's own connections do."""
    if server._sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    known = warehouse.KEEPALIVES
    for option, value in (
        ("TCP_KEEPIDLE", known["keepalives_idle"]),
        ("TCP_KEEPINTVL", known["keepalives_interval"]),
        ("TCP_KEEPCNT", known["keepalives_count"]),
    ):
        if hasattr(socket, option):
            server._sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

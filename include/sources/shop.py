"""Where a shop's tables come from: one class for each kind of place, beside one another.

`opened()` picks the class by what the source's folder under include/sql/extract holds: a `files.yml` is a
folder of CSV or Parquet files (`include.sources.file_drop`), anything else a database with one SELECT a
table. Which engine that is, the address of the connection `shop` says: `mysql://` and `mariadb://` are read
by `include.sources.mysql`, all else is PostgreSQL. Another engine is one more class with the methods of
`Source`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import psycopg2
import psycopg2.errors

from include import policy, warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.sources import file_drop, file_mapping, schema_drift
from include.sources.files.findings import Finding
from include.warehouse import Connection

#: A row dated so much later than the shop's newest day is a mistake. Closed for a week, a shop may go on
#: being written to.
FUTURE = timedelta(days=7)

#: Rows, and their first and last day.
Dated = tuple[int, date, date]


class Source(Protocol):
    """A shop as the extraction sees it: the same rows however often it asks while it is open."""

    def covered(self) -> tuple[date, date] | None:
        """The first and the newest business day with an order, or None where there is none."""

    def begin(self, target: Connection, schema: str, end: datetime) -> None:
        """Fix what is seen, before the first table is copied.

        Parameters
        ----------
        schema
            The batch's own schema in the warehouse, for what a reader must put down meanwhile.
        end
            The end of the window: nothing stamped later is asked for.
        """

    def copy(self, contract: Contract, start: datetime | None, end: datetime, table: str) -> int:
        """Copy a source table's rows of the half-open window into a staged table; their number.

        Without a start the window has none: whatever is dated before its end.
        """

    def whole(self, contract: Contract, columns: Sequence[str], table: str) -> bool:
        """Copy some columns of every row of a source table, whatever its day, into a table.

        False where what a source leaves out says nothing, since it may have been delivered before.
        """

    def holds(self, contract: Contract) -> bool:
        """Whether a source table has any row of any day."""

    def late(self, start: datetime, end: datetime) -> list[tuple[str, int, date, date]]:
        """What was recorded in the window but is dated outside it: table, rows, first and last day."""

    def outside(self, contract: Contract, start: datetime | None, end: datetime) -> Dated | None:
        """What of a source table is dated before a start, where one is given, or in the future."""

    def told(self) -> list[Finding]:
        """What was met while it was read and not taken as it stands."""


class PostgresSource:
    """A database that answers one SELECT a table: `include/sql/extract/<source>/<table>.sql`."""

    def __init__(self, shop: Connection, name: str, timezone: str) -> None:
        self._shop, self._name, self._timezone = shop, name, timezone
        self._target: Connection | None = None
        self._newest: date | None = None

    def covered(self) -> tuple[date, date] | None:
        with self._answers("_covered_days"):
            first, last = warehouse.rows(
                self._shop, self._select("_covered_days"), {"timezone": self._timezone}
            )[0]
        return (first, last) if first and last else None

    def begin(self, target: Connection, schema: str, end: datetime) -> None:
        self._shop.rollback()
        self._shop.set_session(isolation_level="REPEATABLE READ", readonly=True)
        warehouse.value(self._shop, "SELECT 1")  # the first statement fixes the snapshot
        self._target = target

    def copy(self, contract: Contract, start: datetime | None, end: datetime, table: str) -> int:
        if self._target is None:
            raise RuntimeError("a source copies after begin()")
        select, window = self._select(contract.table), self._window(start or "-infinity", end)
        query = warehouse.literal_query(self._shop, select, window)
        with self._answers(contract.table):
            given = schema_drift.check_types(
                self._shop, contract, query, self._path(contract.table)
            )
            schema_drift.note_columns(self._shop, self._target, query, self._name)
            return warehouse.copy_between(self._shop, self._target, select, window, table, given)

    def whole(self, contract: Contract, columns: Sequence[str], table: str) -> bool:
        if self._target is None:
            raise RuntimeError("a source copies after begin()")
        names = ", ".join(f'"{name}"' for name in columns)
        # By place, as everywhere: a SELECT may call its columns as it likes.
        places = ", ".join(
            f'"{name}"' for name in contract.content if not contract.column(name).optional
        )
        select = f"SELECT {names} FROM ({self._select(contract.table)}\n) AS q ({places})"
        window = self._window("-infinity", "infinity")
        with self._answers(contract.table):
            warehouse.copy_between(self._shop, self._target, select, window, table, columns)
        return True

    def holds(self, contract: Contract) -> bool:
        query = warehouse.literal_query(
            self._shop, self._select(contract.table), self._window("-infinity", "infinity")
        )
        with self._answers(contract.table):
            return bool(
                warehouse.value(self._shop, f"SELECT EXISTS (SELECT 1 FROM ({query}) AS q)")
            )

    def late(self, start: datetime, end: datetime) -> list[tuple[str, int, date, date]]:
        if not (warehouse.SQL_ROOT / "extract" / self._name / "_late.sql").exists():
            return []
        with self._answers("_late"):
            found = warehouse.rows(self._shop, self._select("_late"), self._window(start, end))
        return [(table, count, first, last) for table, count, first, last in found if count]

    def outside(self, contract: Contract, start: datetime | None, end: datetime) -> Dated | None:
        if self._newest is None:
            held = self.covered()
            self._newest = min(held[1] if held else end.date(), date.max - 2 * FUTURE)
        closed = datetime.combine(self._newest, time.max, ZoneInfo(self._timezone))
        # Two windows of the same SELECT, so that each is found by the index the SELECT has.
        windows = [self._window(max(end, closed) + FUTURE, "infinity")]
        windows += [self._window("-infinity", start)] if start else []
        dated = " UNION ALL ".join(
            "SELECT greatest(least(_partition, '9999-12-31'), '0001-01-01') AS day FROM ("
            f"{warehouse.literal_query(self._shop, self._select(contract.table), window)}\n"
            ") AS q WHERE _partition IS NOT NULL"
            for window in windows
        )
        with self._answers(contract.table):
            count, first, last = warehouse.rows(
                self._shop, f"SELECT count(*), min(day), max(day) FROM ({dated}) AS d"
            )[0]
        return (count, first, last) if count else None

    def told(self) -> list[Finding]:
        return []  # a database has types of its own

    def _path(self, table: str) -> str:
        return f"include/sql/extract/{self._name}/{table}.sql"

    def _select(self, table: str) -> str:
        return warehouse.sql(f"extract/{self._name}/{table}")

    def _window(self, start: datetime | str, end: datetime | str) -> Mapping[str, Any]:
        return {"start": start, "end": end, "timezone": self._timezone}

    @contextmanager
    def _answers(self, table: str) -> Iterator[None]:
        """What a server says of a missing table, column or right, or of a value, as one sentence."""
        advice = (
            "Restore it in the shop, or change that SELECT to say where the column now comes from."
        )
        try:
            yield
        except (
            psycopg2.errors.UndefinedColumn,
            psycopg2.errors.UndefinedTable,
            psycopg2.errors.InsufficientPrivilege,
            psycopg2.errors.DatatypeMismatch,
            psycopg2.errors.UndefinedFunction,
            psycopg2.DataError,
        ) as error:
            if isinstance(error, psycopg2.DataError):
                advice = "Mend the value in the shop, or change that SELECT so that it reads it."
            raise BadInput(
                f"Expected the shop to answer {self._path(table)}, found: "
                f"{warehouse.without_values(error)}. {advice}"
            ) from None
        except ValueError as error:  # of a day that Python has no date for
            raise BadInput(
                f"Expected {self._path(table)} to answer with days of the years 1 to 9999, found: {error}. "
                "Leave such stamps out in that SELECT."
            ) from None


@contextmanager
def opened() -> Iterator[Source]:
    """The shop that the policy names."""
    shop = policy.load().shop
    if file_mapping.is_one(shop.source):
        files = file_drop.FileSource(shop.source, shop.timezone, shop.opened_on)
        yield files
        files.close()
        return
    if is_mysql(warehouse.url("shop")):
        from include.sources.mysql import source as mysql

        with mysql.opened(shop.source, shop.timezone, FUTURE) as server:
            yield server
        return
    with warehouse.connect("shop") as conn:
        yield PostgresSource(conn, shop.source, shop.timezone)


def is_mysql(address: str) -> bool:
    """Whether an address is that of a MySQL or MariaDB server."""
    return address.partition("://")[0].partition("+")[0] in ("mysql", "mariadb")

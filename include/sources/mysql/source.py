"""A MySQL or MariaDB database that answers one SELECT a table, as `include.sources.shop.Source` asks."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import pymysql

from include import warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.sources.files.findings import Finding
from include.sources.mysql import cells, days, server
from include.sources.mysql.drift import Tables
from include.sources.mysql.server import Server
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: What stands for a window without a beginning or an end.
_FROM, _UNTIL = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

Dated = tuple[int, date, date]


class MySQLSource:
    """A shop whose SELECTs stand in `include/sql/extract/<source>/<table>.sql`, in the server's own words.

    Stamps without a zone are UTC. `_partition` may be such a stamp: the business day is worked out of it.
    """

    def __init__(self, shop: Server, name: str, timezone: str, beyond: timedelta) -> None:
        self._shop, self._name, self._timezone, self._beyond = shop, name, timezone, beyond
        self._target: Connection | None = None
        self._tables: Tables | None = None
        self._newest: date | None = None
        self._knows_zone: bool | None = None

    def covered(self) -> tuple[date, date] | None:
        ((first, last),) = self._rows("_covered_days", _FROM, _UNTIL)
        return (self._day(first), self._day(last)) if first and last else None

    def begin(self, target: Connection, schema: str, end: datetime) -> None:
        self._shop.begin()
        self._target, self._tables = target, Tables(self._shop)

    def copy(self, contract: Contract, start: datetime | None, end: datetime, table: str) -> int:
        return self._copy(contract, None, start or _FROM, end, table)

    def whole(self, contract: Contract, columns: Sequence[str], table: str) -> bool:
        self._copy(contract, columns, _FROM, _UNTIL, table)
        return True

    def _copy(
        self,
        contract: Contract,
        columns: Sequence[str] | None,
        start: datetime,
        end: datetime,
        table: str,
    ) -> int:
        """Copy some columns of a window, or all that the SELECT gives."""
        if self._target is None or self._tables is None:
            raise RuntimeError("a source copies after begin()")
        query = self._query(contract.table, start, end)
        with self._answers(contract.table):
            fields = self._shop.described(query)
            columns = columns or cells.given(contract, fields, self._path(contract.table))
            stamp = cells.column(fields[0])
            day = (
                f"IF(TO_DAYS({stamp}) > 365, DATE({stamp}), NULL)"
                if cells.is_local(fields[0])
                else days.expression(stamp, self._timezone, start, end)
            )
            path = self._path(contract.table)
            line = cells.line(contract, fields, columns, day, self._timezone, path)
            self._tables.note(self._target, query, self._name)
            blocks = _without_nuls(
                self._shop.lines(f"SELECT {line} FROM ({query}\n) AS q"), contract.table
            )
            copied = warehouse.copy_blocks(self._target, blocks, table, columns)
            if warning := self._shop.heed():
                log.warning(
                    "%s: the server warned %s times, first: %s.",
                    path, f"{self._shop.warned:,}", warning,
                )  # fmt: skip
        return copied

    def holds(self, contract: Contract) -> bool:
        query = self._query(contract.table, _FROM, _UNTIL)
        with self._answers(contract.table):
            ((found,),) = self._shop.rows(f"SELECT EXISTS (SELECT 1 FROM ({query}\n) AS q)")
        return bool(found)

    def late(self, start: datetime, end: datetime) -> list[tuple[str, int, date, date]]:
        if not (warehouse.SQL_ROOT / "extract" / self._name / "_late.sql").exists():
            return []
        return [
            (table, count, self._day(first), self._day(last))
            for table, count, first, last in self._rows("_late", start, end)
            if count
        ]

    def outside(self, contract: Contract, start: datetime | None, end: datetime) -> Dated | None:
        if self._newest is None:
            held = self.covered()
            self._newest = min(held[1] if held else end.date(), date.max - 2 * self._beyond)
        closed = datetime.combine(self._newest, time.max, ZoneInfo(self._timezone))
        windows = [(max(end, closed) + self._beyond, _UNTIL)]
        windows += [(_FROM, start)] if start else []
        found: list[Dated] = []
        for since, until in windows:
            query = self._query(contract.table, since, until)
            with self._answers(contract.table):
                dated = self._shop.described(query)[0]
                stamp = cells.column(dated)
                ((count, first, last),) = self._shop.rows(
                    f"SELECT COUNT({stamp}), MIN({stamp}), MAX({stamp}) FROM ({query}\n) AS q "
                    f"WHERE TO_DAYS({stamp}) > 365"
                )
            if count:
                zone = "UTC" if cells.is_local(dated) else self._timezone
                found.append((count, days.of(first, zone), days.of(last, zone)))
        if not found:
            return None
        counts, firsts, lasts = zip(*found, strict=True)
        return sum(counts), min(firsts), max(lasts)

    def told(self) -> list[Finding]:
        return []  # a database has types of its own

    def _day(self, stamp: Any) -> date:
        if not isinstance(stamp, date):
            raise BadInput(
                f"Expected {self._path('_covered_days')} and its like to give days, or stamps in UTC, found "
                f"{type(stamp).__name__}: leave zero dates out in that SELECT."
            )
        return days.of(stamp, self._timezone)

    def _path(self, table: str) -> str:
        return f"include/sql/extract/{self._name}/{table}.sql"

    def _rows(self, table: str, start: datetime, end: datetime) -> Any:
        query = self._query(table, start, end)
        with self._answers(table):
            return self._shop.rows(query)

    def _query(self, table: str, start: datetime, end: datetime) -> str:
        """A SELECT with its parameters bound."""
        text = warehouse.sql(f"extract/{self._name}/{table}").strip().rstrip(";")
        if "%(timezone)s" in text:
            self._require_zone(table)
        window = {
            "start": start.astimezone(UTC).replace(tzinfo=None),
            "end": end.astimezone(UTC).replace(tzinfo=None),
            "local_start": days.local(start, self._timezone),
            "local_end": days.local(end, self._timezone),
            "timezone": self._timezone,
        }
        try:
            with self._shop.cursor() as cursor:
                return str(cursor.mogrify(text.replace("%(prefix)s", self._shop.prefix), window))
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(
                f"Expected {self._path(table)} to write its own percent signs twice (%%) and no parameters "
                f"but start, end, timezone and prefix, found: {error}. Mend that SELECT."
            ) from None

    def _require_zone(self, table: str) -> None:
        """CONVERT_TZ answers NULL for a zone that the server does not know: no row would have a day."""
        if self._knows_zone is None:
            zone = self._shop.escape(self._timezone)
            ((stamp,),) = self._shop.rows(
                f"SELECT CONVERT_TZ('2000-01-01 00:00:00', '+00:00', {zone})"
            )
            self._knows_zone = stamp is not None
        if not self._knows_zone:
            raise BadInput(
                f"Expected the shop's server to know the time zone {self._timezone}, which "
                f"{self._path(table)} uses, found that it does not: fill its tables of time zones "
                "(mysql_tzinfo_to_sql), or give stamps in UTC, which need none."
            )

    @contextmanager
    def _answers(self, table: str) -> Iterator[None]:
        """What a server says of a missing table, column or right, or of a value, as one sentence."""
        try:
            yield
        except pymysql.MySQLError as error:
            told = server.told(error, self._path(table))
            if told is None:
                raise
            raise told from None
        except psycopg2.DataError as error:
            raise BadInput(
                f"Expected the shop to answer {self._path(table)}, found: {warehouse.without_values(error)}. "
                "Mend the value in the shop, or change that SELECT so that it reads it."
            ) from None


def _without_nuls(blocks: Iterator[bytes], table: str) -> Iterator[bytes]:
    """What PostgreSQL holds in no text is left out of texts, and told."""
    found = 0
    for block in blocks:
        if b"\0" in block:
            found += block.count(b"\0")
            yield block.translate(None, b"\0")
        else:
            yield block
    if found:
        log.warning("%s: %s NUL characters were left out of texts.", table, f"{found:,}")


@contextmanager
def opened(name: str, timezone: str, beyond: timedelta) -> Iterator[MySQLSource]:
    """The shop of the connection `shop`."""
    with server.connect("shop") as shop:
        yield MySQLSource(shop, name, timezone, beyond)

"""The columns of the tables behind a SELECT, noted as those of a PostgreSQL shop are."""

import logging
import re

from include.sources import schema_drift
from include.sources.mysql.server import Server
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Engines that give one state of the shop for as long as a transaction lasts.
_WITH_SNAPSHOT = {"innodb", "rocksdb", "tokudb"}


class Tables:
    """The tables of the shop's database, asked for once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engines: dict[str, str | None] = dict(
            server.rows(
                "SELECT table_name, engine FROM information_schema.tables "
                "WHERE table_schema = DATABASE()"
            )
        )
        self._told: set[str] = set()

    def behind(self, query: str) -> list[str]:
        """The tables that a SELECT names; a name that stands for something else as well does no harm."""
        code = re.sub(r"--[^\n]*|'[^']*'", " ", query)
        return sorted(set(re.findall(r"[\w$]+", code)) & self._engines.keys())

    def note(self, target: Connection, query: str, source: str) -> list[str]:
        """Note their columns in `ops.source_columns`; a sentence for each that is new, changed or gone."""
        told = []
        for table in self.behind(query):
            engine = self._engines[table]
            if engine and engine.lower() not in _WITH_SNAPSHOT and table not in self._told:
                self._told.add(table)
                log.warning(
                    "The shop's table %s is kept by %s, which knows no transactions: what changes during an "
                    "extraction may be read in part. InnoDB would give one state.",
                    table, engine,
                )  # fmt: skip
            now = dict(
                self._server.rows(
                    "SELECT column_name, CONCAT_WS(' ', column_type, character_set_name) "
                    "FROM information_schema.columns "
                    f"WHERE table_schema = DATABASE() AND table_name = {self._server.escape(table)}"
                )
            )
            told += schema_drift.note(target, source, table, now)
        return told

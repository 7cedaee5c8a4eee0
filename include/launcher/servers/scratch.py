"""A database for as long as something is tried: made empty, and dropped at the end.

A connection to it is held open all the while. The server drops that with its process, however it ends, so a
database that nobody is connected to was left behind, and whoever comes next drops it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

import psycopg2

from include import warehouse
from include.errors import Unreachable
from include.launcher.servers import databases
from include.launcher.servers.state import State
from include.warehouse import Connection

PREFIX = "regulars_scratch_"

#: What a database that is dropped again may lose; a query whose caller was killed ends soon after.
SETTINGS = {"synchronous_commit": "off", "client_connection_check_interval": "2s"}


@contextmanager
def scratch(state: State, admin_url: str, password: str) -> Iterator[str]:
    """An empty warehouse of its own; its address.

    Parameters
    ----------
    admin_url
        Address of an administrator on the server, on which the roles are.
    password
        Of the role that owns a warehouse.
    """
    name = f"{PREFIX}{uuid4().hex[:12]}"
    owner = databases.OWNERS["warehouse"]
    # In turn: a database is nobody's until its connection is there.
    with state.mutex("scratch"):
        with databases.admin(admin_url) as conn:
            for left_behind in _unused(conn):
                with suppress(psycopg2.Error):
                    databases.run(conn, "DROP DATABASE IF EXISTS {}", left_behind)
            databases.make_database(conn, "warehouse", name)
            for setting, value in SETTINGS.items():
                databases.run(conn, f"ALTER DATABASE {{}} SET {setting} = '{value}'", name)
        held = databases.admin(admin_url, name)
        held.__enter__()
    try:
        yield databases.address(admin_url, owner, password, name)
    finally:
        held.__exit__(None, None, None)
        with suppress(Unreachable, psycopg2.Error), databases.admin(admin_url) as conn:
            databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _unused(conn: Connection) -> list[str]:
    """Scratch databases that nobody is connected to."""
    found = warehouse.rows(
        conn,
        """
        SELECT d.datname FROM pg_database AS d
        WHERE starts_with(d.datname, %(prefix)s)
            AND NOT EXISTS (SELECT 1 FROM pg_stat_activity AS a WHERE a.datid = d.oid)
        """,
        {"prefix": PREFIX},
    )
    return [name for (name,) in found]

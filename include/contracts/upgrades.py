"""Which version of the project a warehouse is at, and which may work with it: the table `ops.upgrades`."""

from collections.abc import Sequence

from include import VERSION, warehouse
from include.errors import BadInput
from include.warehouse import Connection

#: What made the warehouses that have no `ops.upgrades` yet. It goes, with `tables.UNIQUE_BEFORE_MARKS`, once
#: nobody comes from there.
FIRST = "0.1.0"


def standing(conn: Connection) -> tuple[str, str] | None:
    """The version that the warehouse is at and the oldest that may work with it; None where it is empty."""
    if warehouse.value(conn, "SELECT to_regclass('ops.upgrades')") is not None:
        found = warehouse.rows(
            conn, "SELECT version, oldest FROM ops.upgrades ORDER BY upgraded_at DESC LIMIT 1"
        )
        if found:
            return found[0]
    if warehouse.value(conn, "SELECT to_regclass('ops.publications')") is not None:
        return FIRST, FIRST
    return None


def check(conn: Connection) -> tuple[str, str] | None:
    """What `standing` says, unless a newer version has left a form that this one cannot work with.

    Raises
    ------
    BadInput
        When the oldest version that may work with the warehouse is newer than this one.
    """
    at = standing(conn)
    if at and _parts(at[1]) > _parts(VERSION):
        raise BadInput(
            f"Expected a warehouse that version {VERSION} may work with, found one that version {at[0]} "
            f"has upgraded, which needs {at[1]} or newer: run that version, or go back as "
            "docs/upgrading.md says. Nothing was changed."
        )
    return at


def record(
    conn: Connection, before: tuple[str, str] | None, changes: Sequence[str], *, no_way_back: bool
) -> None:
    """Note what was changed, where anything was, or where another version was at work before."""
    if not changes and before and before[0] == VERSION:
        return
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.upgrades (upgraded_at, version, oldest, changes)
        VALUES (clock_timestamp(), %(version)s, %(oldest)s, %(changes)s)
        """,
        {
            "version": VERSION,
            "oldest": VERSION if no_way_back or before is None else before[1],
            "changes": list(changes),
        },
    )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))

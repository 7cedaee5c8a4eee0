"""Whether anybody but us has written to the server since we asked: where not, nothing need be asked again.

Every transaction that writes takes the next number (xid) of the server. Where ours follow one another without
a gap, and none was under way when we began to ask, nobody has written in between, in whatever table.
"""

import time

from include import warehouse
from include.warehouse import Connection

#: What was asked is asked again after so many seconds all the same: what holds may follow the clock.
SECONDS = 30.0


class Quiet:
    """The numbers of our own transactions on one connection."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._last: int | None = None
        self._until = 0.0

    def begins(self) -> None:
        """What follows in this transaction asks anew."""
        ((own, oldest),) = warehouse.rows(
            self._conn,
            "SELECT pg_current_xact_id()::text::bigint, "
            "pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
        )
        # One that began before ours may still end, and change what we are about to read.
        self._last = own if oldest >= own else None
        self._until = time.monotonic() + SECONDS

    def holds(self) -> bool:
        """Whether this transaction is the next one after ours; to be called in each that we make."""
        own = int(warehouse.value(self._conn, "SELECT pg_current_xact_id()::text::bigint"))
        if self._last is None or own != self._last + 1 or time.monotonic() > self._until:
            self._last = None
            return False
        self._last = own
        return True

"""Orders that the shop sends again under another day: an order of 3 March comes once more under 5 March.

It is one order, and stands on 5 March as soon as both days are known, whichever was built first. Which of
the two states is the newer `include.publication.newest` says. Each day of `core` is built by itself, so three
things are seen to here: that a run of 5 March builds 3 March again, where the order is missing now
(`reach_back`); that it does the same where the shop takes the later state back and the order returns to
3 March; and that no lines of it are left behind on 3 March (`lines_follow`).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from include import warehouse
from include.errors import BadInput
from include.publication import Batch
from include.warehouse import Connection

log = logging.getLogger(__name__)


def reach_back(since: str, as_of: str) -> str:
    """The first day to build: earlier than `since` where an order leaves a day, or falls back to one.

    An order leaves an earlier day when the shop sends it again under another, and falls back to it when the
    shop takes that state back. Days whose raw rows have expired stay as they are.

    Raises
    ------
    BadInput
        When an order falls back to a state that lies after `as_of`: only a run that spans both days can put
        it in its place.
    """
    with warehouse.connect() as conn:
        while True:
            days = {"since": since, "as_of": as_of}
            first, last = _fallen_back(conn, days)
            if last is not None and last > as_of:
                raise BadInput(
                    f"Expected the orders of {since} to {as_of} to be told by these days, found some that "
                    f"the shop took back there and that raw holds for {last}: run as_of={last} with "
                    f"since={since}."
                )
            earlier = [day for day in (first, warehouse.value(conn, _LEFT, days)) if day]
            if not earlier or min(earlier) >= since:
                return since
            since = min(earlier)
            log.info("Building from %s: orders left that day, or fall back to it.", since)


#: The first earlier day on which an order of these days stands.
_LEFT = """
SELECT min(o.business_day)::text
FROM raw.orders AS r
JOIN core.orders AS o ON o.order_id = btrim(r.order_number)
WHERE r._partition BETWEEN %(since)s AND %(as_of)s AND o.business_day < %(since)s
    AND EXISTS (SELECT 1 FROM raw.orders AS x WHERE x._partition = o.business_day)
"""

#: Orders that stand in these days and that raw no longer holds there.
_TAKEN_BACK = """
SELECT o.order_id FROM core.orders AS o
WHERE o.business_day BETWEEN %(since)s AND %(as_of)s AND NOT EXISTS (
    SELECT 1 FROM raw.orders AS r
    WHERE r._partition BETWEEN %(since)s AND %(as_of)s AND btrim(r.order_number) = o.order_id
)
"""


def _fallen_back(conn: Connection, days: dict[str, str]) -> tuple[str | None, str | None]:
    """The first and last other day for which raw holds orders that were taken back in these days."""
    gone = [number for (number,) in warehouse.rows(conn, _TAKEN_BACK, days)]
    if not gone:
        return None, None
    first, last = warehouse.rows(
        conn,
        """
        SELECT min(_partition)::text, max(_partition)::text FROM raw.orders
        WHERE _partition NOT BETWEEN %(since)s AND %(as_of)s AND btrim(order_number) = ANY(%(gone)s)
        """,
        days | {"gone": gone},
    )[0]
    return first, last


@contextmanager
def lines_follow(conn: Connection, batch: Batch) -> Iterator[None]:
    """Let the lines of orders go where these go, while a batch of core is written.

    Lines that stand on another day than their order by then are dropped: they told of its older state.
    """
    redated = _redated(conn, batch)
    yield
    _drop_left_behind(conn, redated)


def _redated(conn: Connection, batch: Batch) -> list[str]:
    """Orders of the batch that stand on a day that is none of the batch's."""
    if warehouse.value(conn, "SELECT to_regclass(%(t)s)", {"t": f"{batch.schema}.orders"}) is None:
        return []
    return [
        number
        for (number,) in warehouse.rows(
            conn,
            f"""
            SELECT o.order_id FROM core.orders AS o
            JOIN {batch.schema}.orders AS s USING (order_id)
            WHERE o.business_day NOT BETWEEN %(since)s AND %(as_of)s
            """,
            batch.params,
        )
    ]


def _drop_left_behind(conn: Connection, orders: list[str]) -> None:
    """Drop lines of these orders that stand on another day than their order by now."""
    if not orders:
        return
    dropped = warehouse.execute(
        conn,
        """
        DELETE FROM core.order_lines AS l USING core.orders AS o
        WHERE o.order_id = ANY(%(orders)s) AND l.order_id = o.order_id
            AND l.business_day <> o.business_day
        """,
        {"orders": orders},
    )
    log.warning("%s orders moved to another day; %s lines left behind.", len(orders), dropped)

"""After each publication of `core`, in its transaction: who is who is worked out anew, and rows follow.

The links come from everything that stands and not from what was linked before, so the outcome depends on
what `core` holds and not on the order in which it came. An account that leads to nobody any more has no link,
its rows are under its own number, and their days are built again (`include.persons.stale`).

Contact points and answers about marketing of such an account stand in `core` under its own number: what is
known of an account must not depend on where it led before, and no refusal may be lost.
"""

import logging

from include import warehouse
from include.persons import links, rows, stale
from include.persons.evidence import evidence, splits
from include.persons.identity import decide
from include.publication import Batch, cancellations
from include.warehouse import Connection

log = logging.getLogger(__name__)


def settle(conn: Connection, batch: Batch | None = None) -> int:
    """Work out the links from what stands in core, and move rows to their persons; the accounts moved.

    The caller's transaction holds the lock of the publication of core.

    Parameters
    ----------
    batch
        The one whose rows were just written, perhaps by older links.
    """
    accounts, ids = evidence(conn)
    found, doubts = decide(accounts, splits(conn, ids))
    changes = links.store(conn, found, doubts, ids)
    affected = sorted({str(person) for pair in changes.moved.values() for person in pair})
    since, until = (batch.since, batch.as_of) if batch else (None, None)
    rows.move(conn, affected, since, until)
    cancellations.renew(conn, batch, affected)
    numbers = {account: number for number, account in ids.items()}
    stale.note(conn, batch, numbers, changes)
    _carry_suppressions(conn)
    if changes.moved:
        log.info("Identity resolution moved %s account(s) to another person.", len(changes.moved))
    return len(changes.moved)


def _carry_suppressions(conn: Connection) -> None:
    """What an account asked not to be sent, its person is not sent either; its own row has the address."""
    warehouse.execute(
        conn,
        f"""
        INSERT INTO ops.suppressions AS o (customer_id, channel, reason, recorded_at, followed_at)
        SELECT l.customer_id, s.channel, s.reason, max(s.recorded_at), clock_timestamp()
        FROM ops.suppressions AS s
        JOIN {links.LINKS} AS l ON l.account_id = s.customer_id AND l.customer_id <> l.account_id
        GROUP BY 1, 2, 3
        ON CONFLICT (customer_id, channel, reason) DO UPDATE SET recorded_at = excluded.recorded_at
        WHERE excluded.recorded_at > o.recorded_at
        """,
    )

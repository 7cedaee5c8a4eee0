"""Rows in quarantine once more: what passes now is published and leaves it, what does not stays.

A replay builds `core` again from `raw` as it stands, for the days that have rows in quarantine. It mends what
a rule, a limit or a SELECT of ours got wrong, and orphans whose customer has come since. What is wrong in the
shop itself is mended there, and its day run again.
"""

from collections import Counter
from datetime import UTC, datetime

from include import warehouse
from include.errors import BadInput
from include.steps import gate, ingest


def replay(as_of: str | None = None, since: str | None = None) -> tuple[Counter[str], Counter[str]]:
    """Replay the quarantine up to a day; the rows in it before and after, by table and reasons.

    Parameters
    ----------
    as_of
        The last day; the newest that has rows in quarantine where it is not given.
    since
        The first day; the oldest where it is not given.

    Raises
    ------
    BadInput
        When there is nothing to replay, or raw no longer holds the days.
    QualityStop
        When a critical check failed; everything stands as it was.
    """
    with warehouse.connect() as conn:
        newest = warehouse.value(
            conn, "SELECT max(business_day)::text FROM quarantine.rejected_rows"
        )
    if newest is None:
        raise BadInput("Expected rows in quarantine, found none: there is nothing to replay.")
    run_id = f"replay {datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    plan = ingest.plan_replay({"as_of": as_of or newest, "since": since, "run_id": run_id})
    before = _counts(plan["since"], plan["as_of"])
    gate.gate(ingest.build_core(plan), rebuild=ingest.build_core)
    return before, _counts(plan["since"], plan["as_of"])


def newest_day() -> str:
    """The newest day of core: what marketing reads is worked out for it."""
    with warehouse.connect() as conn:
        day: str = warehouse.value(
            conn,
            "SELECT max(partition)::text FROM ops.publications WHERE table_name = 'core.orders'",
        )
    return day


def _counts(since: str, until: str) -> Counter[str]:
    with warehouse.connect() as conn:
        return Counter(
            dict(
                warehouse.rows(
                    conn,
                    """
                    SELECT table_name || ': ' || array_to_string(reasons, ', '), count(*)
                    FROM quarantine.rejected_rows
                    WHERE business_day BETWEEN %(since)s AND %(until)s
                    GROUP BY 1 ORDER BY 2 DESC, 1
                    """,
                    {"since": since, "until": until},
                )
            )
        )

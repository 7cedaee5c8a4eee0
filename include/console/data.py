"""What the console shows, read from the warehouse's `marketing` and `ops` schemas and nowhere else.

Every function takes a connection of the role `regulars_console` and returns plain records, so that
the page and the report draw the same figures from the same place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from psycopg2 import sql as pgsql

from include import contracts, policy, warehouse
from include.console import chain, clock, models, outreach, segments
from include.console.chain import STAGES, Health
from include.console.clock import Clock
from include.console.models import Models
from include.console.outreach import Outreach
from include.console.segments import Decile, Segment
from include.errors import BadInput
from include.sources import offered
from include.warehouse import Connection

#: The connection of a role that may read `marketing` and `ops`, and nothing else.
CONNECTION = "warehouse_console"

#: Days of history that the charts over time show.
HISTORY_DAYS = 35

#: Failed runs that are told, at most, and for how many days.
NOTICES, NOTICE_DAYS = 5, 7


@dataclass(frozen=True)
class Table:
    """A table that marketing reads, and how fresh it is."""

    name: str
    description: str
    tier: int
    day: date | None
    row_count: int | None
    published_at: datetime | None

    @property
    def short_name(self) -> str:
        return self.name.partition(".")[2]


@dataclass(frozen=True)
class Finding:
    """A check that did not hold."""

    table: str
    check: str
    severity: str
    day: date
    observed: str | None
    unexpected: int | None
    looked_at: int | None
    message: str | None
    checked_at: datetime


@dataclass(frozen=True)
class Accounting:
    """Where the rows of one core table went in its newest run, and its gross; no money in a table without."""

    table: str
    extracted: int
    published: int
    quarantined: int
    duplicates: int
    money: float | None = None
    money_set_aside: float | None = None

    @property
    def lost(self) -> int:
        """Rows that were extracted and not published."""
        return self.extracted - self.published


@dataclass(frozen=True)
class Notice:
    """A failed run that people were told about."""

    dag_id: str
    run_id: str
    day: str | None
    task: str | None
    error: str | None
    delivered: bool
    recorded_at: datetime


@dataclass(frozen=True)
class Decision:
    """Candidates of the newest day, by campaign, decision and reason."""

    campaign: str
    decision: str
    reason: str
    customers: int
    cost: float


@dataclass(frozen=True)
class DayRows:
    """Rows that stand in a table for a business day."""

    table: str
    day: date
    row_count: int


@dataclass(frozen=True)
class Today:
    """Everything that the page *Today* shows.

    Attributes
    ----------
    clock
        The shop's clock; None where the policy cannot be read, and `policy_faults` says why.
    """

    read_at: datetime
    day: date | None
    chain: list[Health]
    delivery: dict[str, int]
    paused: str | None
    clock: Clock | None
    policy_faults: list[str]
    notices: list[Notice]
    tables: list[Table]
    checks_held: int
    checks_failed: int
    findings: list[Finding]
    accounting: list[Accounting]
    decisions: list[Decision]
    decisions_day: date | None
    triggers: dict[str, int]
    segments: list[Segment]
    segments_day: date | None
    horizon_days: int | None
    currency: str
    deciles: list[Decile]
    outreach: Outreach
    models: Models | None
    history: list[DayRows] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing at all has been published or tried."""
        return self.day is None

    @property
    def unwell(self) -> list[Health]:
        """The stages that did not get to the newest day."""
        return [health for health in self.chain if health.standing != "published"]

    @property
    def critical(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "critical"]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity != "critical"]


@contextmanager
def reading(name: str = CONNECTION) -> Iterator[Connection]:
    """A connection that reads one snapshot, so that figures belong together, and never for long."""
    with warehouse.connect(name) as conn:
        conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
        warehouse.execute(conn, "SET LOCAL statement_timeout = '15s'")
        yield conn


def today(conn: Connection, now: datetime | None = None) -> Today:
    """Everything that the page *Today* shows.

    Parameters
    ----------
    conn
        A connection that may read `marketing` and `ops`.
    now
        When it is read; the wall clock when left out.
    """
    now = now or datetime.now(UTC)
    shown, faults = _clock(conn, now)
    day = warehouse.value(conn, "SELECT max(as_of) FROM ops.batches")
    if day is None:
        return Today(
            read_at=now,
            day=None,
            chain=[Health(stage, "never") for stage in STAGES],
            delivery={},
            paused=paused(conn),
            clock=shown,
            policy_faults=faults,
            notices=notices(conn, now),
            tables=tables(conn),
            checks_held=0,
            checks_failed=0,
            findings=[],
            accounting=[],
            decisions=[],
            decisions_day=None,
            triggers={},
            segments=[],
            segments_day=None,
            horizon_days=None,
            currency="",
            deciles=[],
            outreach=outreach.read(conn),
            models=None,
        )
    held, failed = checks(conn, day)
    segments_day = newest(conn, "marketing.customer_segments")
    decisions_day = newest(conn, "marketing.decisions")
    return Today(
        read_at=now,
        day=day,
        chain=chain.chain(conn, day, now),
        delivery=messages(conn),
        paused=paused(conn),
        clock=shown,
        policy_faults=faults,
        notices=notices(conn, now),
        tables=tables(conn),
        checks_held=held,
        checks_failed=failed,
        findings=findings(conn, day),
        accounting=accounting(conn),
        decisions=decisions(conn, decisions_day),
        decisions_day=decisions_day,
        triggers=triggers(conn),
        segments=segments.segments(conn, segments_day),
        segments_day=segments_day,
        horizon_days=warehouse.value(
            conn,
            "SELECT max(horizon_days) FROM marketing.customer_segments WHERE as_of = %(day)s",
            {"day": segments_day},
        ),
        currency=segments.currency(conn, segments_day),
        deciles=segments.deciles(conn, segments_day),
        outreach=outreach.read(conn),
        models=models.read(conn),
        history=history(conn),
    )


def _clock(conn: Connection, now: datetime) -> tuple[Clock | None, list[str]]:
    """The shop's clock, or what is wrong with the policy that sets it."""
    try:
        rules = policy.load()
    except BadInput as error:
        return None, str(error).splitlines()
    return clock.read(conn, rules, now), []


def newest(conn: Connection, table: str) -> date | None:
    """The newest business day published of a table."""
    found: date | None = warehouse.value(
        conn,
        "SELECT max(partition) FROM ops.publications WHERE table_name = %(table)s",
        {"table": table},
    )
    return found


def messages(conn: Connection) -> dict[str, int]:
    """Messages by status, over all days."""
    found = warehouse.rows(
        conn, "SELECT status, count(*) FROM marketing.messages GROUP BY status ORDER BY status"
    )
    return {str(status): int(number) for status, number in found}


def paused(conn: Connection) -> str | None:
    """Why sending is paused (an empty text where nobody said), or None where it is not."""
    found = warehouse.rows(
        conn, "SELECT coalesce(note, '') FROM ops.switches WHERE key = 'pause_sends' AND value"
    )
    return str(found[0][0]) if found else None


def notices(conn: Connection, now: datetime) -> list[Notice]:
    """The newest failed runs of the last days."""
    return [
        Notice(*row)
        for row in warehouse.rows(
            conn,
            """
            SELECT dag_id, run_id, business_day, task_id, error, delivered, recorded_at
            FROM ops.notices
            WHERE recorded_at > %(since)s
            ORDER BY recorded_at DESC
            LIMIT %(limit)s
            """,
            {"since": now - timedelta(days=NOTICE_DAYS), "limit": NOTICES},
        )
    ]


def tables(conn: Connection) -> list[Table]:
    """Every marketing table with a contract, as published last.

    A table that is written outside batches (the outbox, the triggers) has no publication; its rows
    are counted as they stand.
    """
    published = {
        name: (day, int(number), at)
        for name, day, number, at in warehouse.rows(
            conn,
            """
            SELECT DISTINCT ON (table_name) table_name, partition, row_count, published_at
            FROM ops.publications
            WHERE table_name LIKE 'marketing.%%'
            ORDER BY table_name, partition DESC
            """,
            {},
        )
    }
    found = []
    for contract in contracts.all_contracts():
        if contract.schema_name != "marketing" or contract.view:
            continue
        day, number, at = published.get(contract.name, (None, None, None))
        if number is None and contract.dataset is None:
            number = _count(conn, contract.name)
        found.append(Table(contract.name, contract.description, contract.tier, day, number, at))
    return found


def _count(conn: Connection, table: str) -> int:
    with conn.cursor() as cursor:
        cursor.execute(pgsql.SQL("SELECT count(*) FROM {}").format(warehouse.qualified(table)))
        found = cursor.fetchone()
    return int(found[0]) if found else 0


_NEWEST_AUDITS = """
    WITH newest AS (
        SELECT table_name, max(token) AS token
        FROM ops.quality_results
        WHERE as_of = %(day)s AND table_name <> ALL(%(off)s)
        GROUP BY table_name
    ),
    audit AS (
        SELECT r.*
        FROM ops.quality_results AS r
        JOIN newest USING (table_name, token)
    )
"""


def switched_off() -> list[str]:
    """Tables of raw and core whose source is off: what an earlier run of the day found of them is past.

    Not the raw table of a source that is absent: that it is so is a finding.
    """
    try:
        rules = policy.load()
        off = {
            contract.name
            for contract in contracts.of_dataset("raw")
            if not offered.is_on(rules, contract.table)
        }
    except BadInput:
        return []
    return [
        contract.name
        for contract in contracts.all_contracts()
        if (contract.name in off and contract.table in rules.ingest.sources)
        or (contract.schema_name == "core" and contract.source in off)
    ]


def checks(conn: Connection, day: date) -> tuple[int, int]:
    """Checks that held and that did not, in the newest audit of each table for the day."""
    held, failed = warehouse.rows(
        conn,
        _NEWEST_AUDITS
        + "SELECT count(*) FILTER (WHERE passed), count(*) FILTER (WHERE NOT passed) FROM audit",
        {"day": day, "off": switched_off()},
    )[0]
    return int(held), int(failed)


def findings(conn: Connection, day: date) -> list[Finding]:
    """The checks that did not hold in the newest audit of each table, critical ones first."""
    return [
        Finding(*row)
        for row in warehouse.rows(
            conn,
            _NEWEST_AUDITS
            + """
            SELECT table_name, check_name, severity, as_of, observed, unexpected_count,
                element_count, message, checked_at
            FROM audit
            WHERE NOT passed
            ORDER BY severity <> 'critical', check_name NOT LIKE 'as_usual(%%', table_name, check_name
            """,
            {"day": day, "off": switched_off()},
        )
    ]


def accounting(conn: Connection) -> list[Accounting]:
    """Where the rows of each core table went, in its newest run."""
    return [
        Accounting(str(table), *map(int, numbers[:4]), *numbers[4:])
        for table, *numbers in warehouse.rows(
            conn,
            """
            SELECT table_name, extracted, published, quarantined, duplicates,
                extracted_money::float, quarantined_money::float
            FROM ops.row_counts
            WHERE token = (SELECT max(token) FROM ops.row_counts)
            ORDER BY extracted DESC, table_name
            """,
        )
    ]


def decisions(conn: Connection, day: date | None) -> list[Decision]:
    """Every candidate of the day, counted by campaign, decision and reason."""
    return [
        Decision(str(campaign), str(decision), str(reason or ""), int(number), float(cost or 0))
        for campaign, decision, reason, number, cost in warehouse.rows(
            conn,
            """
            SELECT campaign, decision, decision_reason, count(*), sum(cost_expected)
            FROM marketing.decisions
            WHERE as_of = %(day)s
            GROUP BY campaign, decision, decision_reason
            ORDER BY campaign, count(*) DESC, decision, decision_reason
            """,
            {"day": day},
        )
    ]


def triggers(conn: Connection) -> dict[str, int]:
    """Coupon triggers by status, over all days."""
    found = warehouse.rows(
        conn,
        "SELECT status, count(*) FROM marketing.coupon_triggers GROUP BY status ORDER BY status",
    )
    return {str(status): int(number) for status, number in found}


def history(conn: Connection, days: int = HISTORY_DAYS) -> list[DayRows]:
    """Rows of each marketing table for its last business days, oldest first."""
    return [
        DayRows(str(table), day, int(number))
        for table, day, number in warehouse.rows(
            conn,
            """
            SELECT table_name, partition, row_count
            FROM ops.publications
            WHERE table_name LIKE 'marketing.%%'
                AND partition > (SELECT max(partition) FROM ops.publications) - %(days)s
            ORDER BY table_name, partition
            """,
            {"days": days},
        )
    ]

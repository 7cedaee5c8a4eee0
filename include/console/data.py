"""What the console shows, read from the warehouse's `marketing` and `ops` schemas and nowhere else.

Every function takes a connection of the role `regulars_console` and returns plain records, so that
the page and the report draw the same figures from the same place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from psycopg2 import sql as pgsql

from include import contracts, warehouse
from include.console import models, outreach, segments
from include.console.models import Models
from include.console.outreach import Outreach
from include.console.segments import Decile, Segment
from include.warehouse import Connection

#: The connection of a role that may read `marketing` and `ops`, and nothing else.
CONNECTION = "warehouse_console"

#: Days of history that the charts over time show.
HISTORY_DAYS = 35

#: Failed runs that are told, at most, and for how many days.
NOTICES, NOTICE_DAYS = 5, 7

#: An open batch older than this is called stopped rather than under way: no task of the chain is
#: allowed to run that long.
STALE_AFTER = timedelta(hours=2)

Standing = Literal["published", "running", "stopped", "waiting", "never"]


@dataclass(frozen=True)
class Stage:
    """One DAG of the chain and the datasets that it publishes, the last one being its outlet."""

    dag_id: str
    datasets: tuple[str, ...]
    does: str


STAGES: tuple[Stage, ...] = (
    Stage("regulars_ingest", ("raw", "core"), "collects and cleans"),
    Stage("regulars_features", ("features",), "describes customers and products"),
    Stage("regulars_models", ("champions",), "learns, compares, keeps the best"),
    Stage("regulars_score", ("scores",), "predicts and recommends"),
    Stage("regulars_stock", ("stock_priorities",), "forecasts demand, ranks stock"),
    Stage("regulars_activate", ("decisions",), "decides who gets what"),
)

#: Delivery runs on a clock of minutes and publishes no dataset: it is told by its messages.
DELIVERY = Stage("regulars_deliver", (), "sends what is due")

#: Beside the chain, with no day that could be late: measurement is told by the freshness of its table, and of
#: all of them a run that failed is told by its notice.
BESIDE: tuple[Stage, ...] = (
    Stage("regulars_measure", ("campaign_results",), "measures what campaigns changed"),
    Stage("regulars_upkeep", (), "clears away every week what has expired"),
    Stage("regulars_erase", (), "forgets a customer who asks for it"),
)


@dataclass(frozen=True)
class Health:
    """How one stage stands.

    Attributes
    ----------
    standing
        `published` for the newest day, `running`, `stopped`, `waiting` (an earlier day stands) or
        `never`.
    day
        The newest business day that it has published.
    took
        From opening its first batch of that day to its last publication.
    note
        One sentence where there is something to know.
    """

    stage: Stage
    standing: Standing
    day: date | None = None
    published_at: datetime | None = None
    took: timedelta | None = None
    row_count: int = 0
    note: str = ""


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
    """Where the rows of one core table went in its newest run."""

    table: str
    extracted: int
    published: int
    quarantined: int
    duplicates: int


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
    """Everything that the page *Today* shows."""

    read_at: datetime
    day: date | None
    chain: list[Health]
    delivery: dict[str, int]
    paused: str | None
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
    day = warehouse.value(conn, "SELECT max(as_of) FROM ops.batches")
    if day is None:
        return Today(
            read_at=now,
            day=None,
            chain=[Health(stage, "never") for stage in STAGES],
            delivery={},
            paused=paused(conn),
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
        chain=chain(conn, day, now),
        delivery=messages(conn),
        paused=paused(conn),
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


def newest(conn: Connection, table: str) -> date | None:
    """The newest business day published of a table."""
    found: date | None = warehouse.value(
        conn,
        "SELECT max(partition) FROM ops.publications WHERE table_name = %(table)s",
        {"table": table},
    )
    return found


def chain(conn: Connection, day: date, now: datetime) -> list[Health]:
    """How each stage stands, against the newest business day that anything was tried for."""
    return [_health(conn, stage, day, now) for stage in STAGES]


def _health(conn: Connection, stage: Stage, day: date, now: datetime) -> Health:
    outlet = stage.datasets[-1]
    published = warehouse.rows(
        conn,
        """
        SELECT as_of, published_at, token
        FROM ops.batches
        WHERE dataset = %(outlet)s AND published_at IS NOT NULL
        ORDER BY as_of DESC, token DESC
        LIMIT 1
        """,
        {"outlet": outlet},
    )
    last_day, published_at = published[0][:2] if published else (None, None)
    opened = warehouse.rows(
        conn,
        """
        SELECT as_of, opened_at, dataset, token
        FROM ops.batches
        WHERE dataset = ANY(%(datasets)s) AND published_at IS NULL
            AND token > coalesce(
                (
                    SELECT max(token) FROM ops.batches
                    WHERE dataset = %(outlet)s AND published_at IS NOT NULL
                ),
                0
            )
        ORDER BY token DESC
        LIMIT 1
        """,
        {"datasets": list(stage.datasets), "outlet": outlet},
    )
    took, row_count = None, 0
    if published:
        began = warehouse.value(
            conn,
            """
            WITH last AS (
                SELECT dataset, max(token) AS token
                FROM ops.batches
                WHERE dataset = ANY(%(datasets)s) AND as_of = %(day)s
                    AND published_at IS NOT NULL
                GROUP BY dataset
            )
            SELECT min(b.opened_at) FROM ops.batches AS b JOIN last USING (dataset, token)
            """,
            {"datasets": list(stage.datasets), "day": last_day},
        )
        took = published_at - began if began else None
        row_count = int(
            warehouse.value(
                conn,
                """
                SELECT coalesce(sum(row_count), 0)
                FROM ops.publications
                WHERE dataset = %(outlet)s AND partition = %(day)s
                """,
                {"outlet": outlet, "day": last_day},
            )
        )
    failure = warehouse.rows(
        conn,
        """
        SELECT business_day, task_id
        FROM ops.notices
        WHERE dag_id = %(dag_id)s AND (business_day IS NULL OR business_day >= %(last_day)s)
            AND recorded_at > coalesce(%(published_at)s, '-infinity'::timestamptz)
        ORDER BY recorded_at DESC
        LIMIT 1
        """,
        {
            "dag_id": stage.dag_id,
            "last_day": str(last_day or date.min),
            "published_at": published_at,
        },
    )
    standing: Standing = "never" if last_day is None else "waiting"
    note = ""
    if last_day is not None and last_day >= day:
        standing = "published"
    elif last_day is not None:
        note = f"Nothing tried yet for {_said(day)}."
    if opened:
        open_day, opened_at, dataset, token = opened[0]
        stop = warehouse.rows(
            conn,
            """
            SELECT table_name, check_name
            FROM ops.quality_results
            WHERE dataset = %(dataset)s AND as_of = %(day)s AND NOT passed
                AND severity = 'critical' AND token >= %(token)s
            ORDER BY token DESC, table_name, check_name
            LIMIT 1
            """,
            {"dataset": dataset, "day": open_day, "token": token},
        )
        if stop:
            standing = "stopped"
            note = f"{stop[0][0]} failed the check {stop[0][1]} for {_said(open_day)}."
        elif now - opened_at > STALE_AFTER:
            standing = "stopped"
            note = f"A batch of {dataset} for {_said(open_day)} was opened and never published."
        else:
            standing = "running"
            note = f"Working on {dataset} for {_said(open_day)}."
    if failure and standing != "published":
        failed_day, task = failure[0]
        standing = "stopped"
        told = _said(date.fromisoformat(failed_day)) if failed_day else "a run without a day"
        note = f"{task or 'A task'} failed for {told}; its sentence stands below."
    return Health(stage, standing, last_day, published_at, took, row_count, note)


def _said(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


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
        WHERE as_of = %(day)s
        GROUP BY table_name
    ),
    audit AS (
        SELECT r.*
        FROM ops.quality_results AS r
        JOIN newest USING (table_name, token)
    )
"""


def checks(conn: Connection, day: date) -> tuple[int, int]:
    """Checks that held and that did not, in the newest audit of each table for the day."""
    held, failed = warehouse.rows(
        conn,
        _NEWEST_AUDITS
        + "SELECT count(*) FILTER (WHERE passed), count(*) FILTER (WHERE NOT passed) FROM audit",
        {"day": day},
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
            ORDER BY severity <> 'critical', table_name, check_name
            """,
            {"day": day},
        )
    ]


def accounting(conn: Connection) -> list[Accounting]:
    """Where the rows of each core table went, in its newest run."""
    return [
        Accounting(str(table), *(int(number) for number in numbers))
        for table, *numbers in warehouse.rows(
            conn,
            """
            SELECT table_name, extracted, published, quarantined, duplicates
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

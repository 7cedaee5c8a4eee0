"""How each stage of the chain stands, read from its batches, checks and notices."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from include import warehouse
from include.warehouse import Connection

#: An open batch older than this is called stopped rather than under way: no task of the chain is
#: allowed to run that long.
STALE_AFTER = timedelta(hours=2)

Standing = Literal["published", "running", "stopped", "waiting", "never"]


@dataclass(frozen=True)
class Stage:
    """One DAG of the chain and the datasets that it publishes, the last one being its outlet.

    Attributes
    ----------
    counted
        The table whose rows of the day say how much was done, and what one row and several are called.
    """

    dag_id: str
    datasets: tuple[str, ...]
    does: str
    counted: tuple[str, str, str] | None = None


STAGES: tuple[Stage, ...] = (
    Stage(
        "regulars_ingest",
        ("raw", "core"),
        "collects and cleans",
        ("core.orders", "order", "orders"),
    ),
    Stage(
        "regulars_features",
        ("features",),
        "describes customers and products",
        ("features.customer_features", "customer", "customers"),
    ),
    Stage(
        "regulars_models",
        ("champions",),
        "learns, compares, keeps the best",
        ("ml.models", "model trained", "models trained"),
    ),
    Stage(
        "regulars_score",
        ("scores",),
        "predicts and recommends",
        ("ml.customer_scores", "customer", "customers"),
    ),
    Stage(
        "regulars_stock",
        ("stock_priorities",),
        "forecasts demand, ranks stock",
        ("marketing.stock_priorities", "stock priority", "stock priorities"),
    ),
    Stage(
        "regulars_activate",
        ("decisions",),
        "decides who gets what",
        ("marketing.decisions", "candidate", "candidates"),
    ),
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
    row_count
        Rows of that day in the stage's `counted` table.
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

    @property
    def done(self) -> str:
        """How much was done, as `504 orders`; empty where that is nothing."""
        if self.stage.counted is None or not self.row_count:
            return ""
        _, one, several = self.stage.counted
        return f"{self.row_count:,} {one if self.row_count == 1 else several}"


def chain(conn: Connection, day: date, now: datetime) -> list[Health]:
    """How each stage stands, against the newest business day that anything was tried for."""
    return [_health(conn, stage, day, now) for stage in STAGES]


def _health(conn: Connection, stage: Stage, day: date, now: datetime) -> Health:
    published = _published(conn, stage)
    under_way = _under_way(conn, stage, now)
    failed = _failed(conn, stage, published)
    standing, note = published.standing, published.note
    if published.day is not None and published.day < day:
        standing, note = "waiting", f"Nothing tried yet for {_said(day)}."
    if under_way:
        standing, note = under_way
    if failed and standing != "published":
        standing, note = "stopped", failed
    return replace(published, standing=standing, note=note)


def _published(conn: Connection, stage: Stage) -> Health:
    """What the stage has published last, as if nothing had been tried since."""
    outlet = stage.datasets[-1]
    found = warehouse.rows(
        conn,
        """
        SELECT as_of, published_at
        FROM ops.batches
        WHERE dataset = %(outlet)s AND published_at IS NOT NULL
        ORDER BY as_of DESC, token DESC
        LIMIT 1
        """,
        {"outlet": outlet},
    )
    if not found:
        return Health(stage, "never")
    day, published_at = found[0]
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
        {"datasets": list(stage.datasets), "day": day},
    )
    row_count = warehouse.value(
        conn,
        """
        SELECT coalesce(sum(row_count), 0)
        FROM ops.publications
        WHERE table_name = %(table)s AND partition = %(day)s
        """,
        {"table": stage.counted[0] if stage.counted else "", "day": day},
    )
    took = published_at - began if began else None
    return Health(stage, "published", day, published_at, took, int(row_count))


def _under_way(conn: Connection, stage: Stage, now: datetime) -> tuple[Standing, str] | None:
    """What became of the newest batch opened since the last publication, or None without one."""
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
        {"datasets": list(stage.datasets), "outlet": stage.datasets[-1]},
    )
    if not opened:
        return None
    day, opened_at, dataset, token = opened[0]
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
        {"dataset": dataset, "day": day, "token": token},
    )
    if stop:
        return "stopped", f"{stop[0][0]} failed the check {stop[0][1]} for {_said(day)}."
    if now - opened_at > STALE_AFTER:
        return "stopped", f"A batch of {dataset} for {_said(day)} was opened and never published."
    return "running", f"Working on {dataset} for {_said(day)}."


def _failed(conn: Connection, stage: Stage, published: Health) -> str | None:
    """What is told of the newest run that failed since the last publication."""
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
            "last_day": str(published.day or date.min),
            "published_at": published.published_at,
        },
    )
    if not failure:
        return None
    day, task = failure[0]
    told = _said(date.fromisoformat(day)) if day else "a run without a day"
    return f"{task or 'A task'} failed for {told}."


def _said(day: date) -> str:
    return f"{day.day} {day:%B %Y}"

"""A small warehouse to look at: invented rows, put where the chain would publish them."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg2.sql as pgsql

from include import contracts, warehouse
from include.warehouse import Connection

DAY = date(2017, 10, 1)
NOW = datetime(2017, 10, 2, 3, 0, tzinfo=UTC)

#: Segment -> customers, share of high value, mean predicted value.
SEGMENTS = {
    "vip": (402, 1.0, 912.4),
    "regular": (1311, 0.0, 188.2),
    "vip_at_risk": (41, 1.0, 744.0),
    "drifting": (360, 0.0, 61.5),
    "lost_vip": (9, 1.0, 690.1),
    "lost": (268, 0.0, 22.3),
    "rising_star": (6, 1.0, 655.0),
    "newcomer": (27, 0.0, 74.9),
}

#: Campaign, decision, reason, customers.
DECISIONS = [
    ("welcome", "send", "best_offer", 21),
    ("welcome", "suppress", "no_consent", 9),
    ("welcome", "control", "control_group", 2),
    ("birthday", "send", "best_offer", 14),
    ("birthday", "suppress", "minor", 1),
    ("vip_exclusive", "send", "best_offer", 288),
    ("vip_exclusive", "control", "control_group", 15),
    ("vip_exclusive", "suppress", "no_consent", 71),
    ("vip_exclusive", "hold", "budget_spent", 28),
    ("win_back", "send", "best_offer", 211),
    ("win_back", "hold", "no_expected_gain", 97),
    ("win_back", "suppress", "no_consent", 83),
]

_DEFAULTS: dict[str, Any] = {
    "text": "x",
    "integer": 1,
    "bigint": 1,
    "smallint": 1,
    "double precision": 0.5,
    "boolean": False,
    "date": DAY,
    "timestamptz": NOW,
    "jsonb": "{}",
}


def insert(conn: Connection, table: str, **values: Any) -> None:
    """One row; columns that must not be empty and are not given get something of their type."""
    contract = contracts.load(*table.split("."))
    row = dict(values)
    for column in contract.columns:
        if column.name in row or column.nullable:
            continue
        if column.type == "uuid":
            row[column.name] = str(uuid.uuid4())
        else:
            row[column.name] = _DEFAULTS.get(column.type, 1)
    statement = pgsql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        warehouse.qualified(table),
        pgsql.SQL(", ").join(map(pgsql.Identifier, row)),
        pgsql.SQL(", ").join(pgsql.Placeholder() * len(row)),
    )
    with conn.cursor() as cursor:
        cursor.execute(statement, list(row.values()))


def batch(
    conn: Connection,
    token: int,
    dataset: str,
    day: date = DAY,
    *,
    opened: datetime,
    minutes: float | None = 2.0,
) -> None:
    """A batch, published after some minutes or, with None, never."""
    published = opened + timedelta(minutes=minutes) if minutes is not None else None
    insert(
        conn,
        "ops.batches",
        token=token,
        dataset=dataset,
        as_of=day,
        since=day,
        run_id="sample",
        opened_at=opened,
        published_at=published,
        staged=minutes is None,
    )


def publication(
    conn: Connection, table: str, day: date, dataset: str, rows: int, at: datetime
) -> None:
    """What stands of a table for a day."""
    insert(
        conn,
        "ops.publications",
        table_name=table,
        partition=day,
        dataset=dataset,
        token=1,
        run_id="sample",
        row_count=rows,
        published_at=at,
    )


def finding(
    conn: Connection, token: int, table: str, check: str, *, passed: bool, **values: Any
) -> None:
    """The result of one check."""
    given = {
        "dataset": "core",
        "as_of": DAY,
        "run_id": "sample",
        "severity": "warning",
        "checked_at": NOW,
    } | values
    insert(
        conn,
        "ops.quality_results",
        token=token,
        table_name=table,
        check_name=check,
        passed=passed,
        **given,
    )


def notice(conn: Connection, dag_id: str, task: str, error: str, day: date, at: datetime) -> None:
    """A failed run that people were told about."""
    insert(
        conn,
        "ops.notices",
        dag_id=dag_id,
        run_id=f"scheduled__{day}",
        business_day=str(day),
        task_id=task,
        error=error,
        body=error,
        channel="log",
        delivered=True,
        recorded_at=at,
    )


def chain(conn: Connection, day: date, start: datetime, token: int) -> None:
    """A day on which everything was published."""
    steps = (("raw", 2.1), ("core", 1.4), ("features", 0.6), ("champions", 3.2), ("scores", 1.1))
    last = (("stock_priorities", 0.6), ("decisions", 0.3))
    for offset, (dataset, minutes) in enumerate((*steps, *last)):
        opened = start + timedelta(minutes=4 * offset)
        batch(conn, token + offset, dataset, day, opened=opened, minutes=minutes)


def fill(conn: Connection, days: int = 3) -> None:
    """A warehouse in which a few days have been published and all is well, but for two warnings."""
    for back in reversed(range(days)):
        day = DAY - timedelta(days=back)
        start = NOW - timedelta(hours=2, days=back)
        chain(conn, day, start, 100 - 10 * back)
        for table, dataset, rows in (
            ("marketing.customer_segments", "scores", 2424 - 3 * back),
            ("marketing.product_recommendations", "scores", 24140 - 20 * back),
            ("marketing.segment_summary", "scores", 8),
            ("marketing.decisions", "decisions", 840 - 160 * back),
            ("marketing.coupon_triggers", "decisions", 534 - 100 * back),
        ):
            publication(conn, table, day, dataset, rows, start + timedelta(minutes=20))
        publication(conn, "core.order_lines", day, "core", 4100, start + timedelta(minutes=8))
    for number in range(40):
        finding(conn, 101, "core.order_lines", f"check {number}", passed=True)
    finding(
        conn,
        101,
        "core.order_lines",
        "product is known",
        passed=False,
        unexpected_count=4836,
        element_count=1_469_307,
        message="Expected every product in core.products, found 17 that are not: they carry the "
        "flag unknown_product and stay out of recommendations.",
    )
    finding(
        conn,
        101,
        "core.coupons",
        "rows between 1 and 100000",
        passed=False,
        observed="116204",
    )
    for table, extracted, quarantined, duplicates, money in (
        ("core.order_lines", 1_105_322, 214, 0, 3_431_208),
        ("core.events", 112_340, 0, 0, None),
        ("core.coupons", 116_204, 0, 4872, None),
    ):
        insert(
            conn,
            "ops.row_counts",
            token=101,
            table_name=table,
            as_of=DAY,
            since=date(2017, 1, 1),
            run_id="sample",
            extracted=extracted,
            published=extracted - quarantined - duplicates,
            quarantined=quarantined,
            duplicates=duplicates,
            extracted_money=money,
            quarantined_money=None if money is None else 1_204,
        )
    customers(conn)
    decisions(conn)
    outreach(conn)


def outreach(conn: Connection) -> None:
    """Messages in several states, a request for approval, and the results of two campaigns."""
    for number, (status, error) in enumerate(
        [("sent", None)] * 5
        + [("pending", None)] * 2
        + [("dead", "The gateway refused it (400).")] * 2
    ):
        insert(
            conn,
            "marketing.messages",
            external_id="x",
            campaign="welcome",
            customer_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"m{number}")),
            channel="email",
            status=status,
            error=error,
            feedback="unsubscribed" if number == 0 else None,
            sent_at=NOW if status == "sent" else None,
        )
    insert(
        conn,
        "marketing.approvals",
        approval_id=f"approval-{DAY}",
        as_of=DAY,
        reason="It is the first run of win_back.",
        campaigns=["win_back"],
        messages=211,
        cost_expected=148.5,
        status="waiting",
        run_id="run-7",
    )
    publication(conn, "marketing.campaign_results", DAY, "campaign_results", 3, NOW)
    for campaign, low, lift, high in (
        ("all campaigns", 0.4, 2.1, 3.9),
        ("vip_exclusive", -1.2, 1.4, 4.0),
        ("welcome", None, 0.9, None),
    ):
        insert(
            conn,
            "marketing.campaign_results",
            as_of=DAY,
            campaign=campaign,
            people_treated=1900,
            people_control=100,
            sends=1850,
            redemptions=210,
            opt_outs=7,
            complaints=1,
            window_days=28,
            revenue_treated=82.1,
            revenue_control=80.0,
            lift=lift,
            lift_low=low,
            lift_high=high,
            minimum_detectable_effect=2.6,
            cost_expected=412.75,
            return_on_cost=0.18,
            verdict=f"the verdict of {campaign}",
        )


def customers(conn: Connection) -> None:
    """A tenth of the customers of every segment, ranked by value into deciles."""
    made = []
    for segment, (number, high, value) in SEGMENTS.items():
        for position in range(max(number // 10, 1)):
            spread = 0.5 + position / max(number // 10, 1)
            made.append((value * spread, segment, "high" if high else "low"))
    made.sort(reverse=True)
    for position, (value, segment, tier) in enumerate(made):
        insert(
            conn,
            "marketing.customer_segments",
            as_of=DAY,
            customer_id=str(uuid.uuid5(uuid.NAMESPACE_OID, str(position))),
            external_id=str(position),
            segment=segment,
            value_tier=tier,
            p_high_value=0.9 if tier == "high" else 0.1,
            predicted_value=round(value, 2),
            predicted_value_low=round(value * 0.6, 2),
            predicted_value_high=round(value * 1.5, 2),
            horizon_days=91,
            value_decile=1 + 10 * position // len(made),
            currency="USD",
        )


def decisions(conn: Connection) -> None:
    """A tenth of the day's candidates, with their triggers."""
    for campaign, decision, reason, number in DECISIONS:
        for _ in range(max(number // 10, 1)):
            insert(
                conn,
                "marketing.decisions",
                as_of=DAY,
                campaign=campaign,
                decision=decision,
                decision_reason=reason,
                cost_expected=0.55,
                currency="USD",
            )
    for number in range(20):
        insert(
            conn,
            "marketing.coupon_triggers",
            campaign="vip_exclusive",
            coupon_code=f"CODE{number}",
            status="approved" if number else "sent",
        )

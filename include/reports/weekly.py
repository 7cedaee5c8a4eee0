"""A week of marketing as one HTML file that can be forwarded: who moved, what was sent, what it brought.

    bin/regulars report --weekly week.html

Everything is read with marketing's own role, from what marketing may read, so whoever may have the tables
may have the file. It names no customer, holds its script and figures, and opens without a network. A week
is the seven business days up to the newest one that has segments, beside the seven before.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from include import warehouse
from include.console import data, document, outreach, outreach_charts, view
from include.warehouse import Connection

DAYS = 7

#: What the warehouse must hold.
EXPECTED = "a published day with segments"


@dataclass(frozen=True)
class SegmentWeek:
    """A segment at the week's end, and who came and went during the week."""

    name: str
    customers: int
    before: int
    entered: int
    left: int
    value: float
    value_share: float


@dataclass(frozen=True)
class CampaignWeek:
    """What a campaign did in a week, and in the week before."""

    name: str
    sent: int
    sent_before: int
    held_as_control: int
    redeemed: int
    discounts: float
    opted_out: int
    cost: float


@dataclass(frozen=True)
class Week:
    """Everything that the report tells.

    Attributes
    ----------
    last
        The week's last business day.
    moves
        From segment, to segment, customers, the largest first.
    per_day
        Day -> campaign -> messages decided to be sent.
    refusals
        Why candidates got nothing -> how many.
    """

    last: date
    currency: str
    horizon_days: int
    segments: list[SegmentWeek]
    moves: list[tuple[str, str, int]]
    campaigns: list[CampaignWeek]
    per_day: dict[date, dict[str, int]]
    refusals: list[tuple[str, int]]
    approvals: list[tuple[date, int, str]]
    results: list[outreach.Result]

    @property
    def first(self) -> date:
        return self.last - timedelta(days=DAYS - 1)


def write(path: Path) -> None:
    """Write the report of the week that ends with the newest published day.

    Raises
    ------
    RegularsError
        When the warehouse cannot be reached, or holds no segments yet.
    """

    def make() -> str:
        with data.reading("warehouse_marketing") as conn:
            return render(read(conn))

    document.write(path, make, EXPECTED)


def read(conn: Connection) -> Week:
    """The week that ends with the newest published day."""
    found = warehouse.rows(
        conn,
        "SELECT as_of, max(currency), max(horizon_days) FROM marketing.current_segment_summary "
        "GROUP BY as_of",
    )
    if not found:
        raise document.nothing_yet(EXPECTED)
    last, currency, horizon = found[0]
    week = {"first": last - timedelta(days=DAYS - 1), "last": last}
    before = {
        "first": week["first"] - timedelta(days=DAYS),
        "last": week["first"] - timedelta(days=1),
    }
    return Week(
        last=last,
        currency=currency,
        horizon_days=horizon,
        segments=[
            SegmentWeek(name, now, then, entered, left, float(value), share)
            for name, now, then, entered, left, value, share in warehouse.rows(
                conn,
                """
                SELECT segment, customers, customers_before, entered, left_for_others, value_total,
                    value_share
                FROM marketing.current_segment_summary ORDER BY value_total DESC, segment
                """,
            )
        ],
        moves=[
            (str(origin), str(target), int(number))
            for origin, target, number in warehouse.rows(
                conn,
                """
                SELECT segment_from, segment_to, count(*)
                FROM marketing.current_segment_changes
                GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2
                """,
            )
        ],
        campaigns=_campaigns(conn, week, before),
        per_day=_per_day(conn, week),
        refusals=[
            (str(reason), int(number))
            for reason, number in warehouse.rows(
                conn,
                """
                SELECT decision_reason, count(*) FROM marketing.decisions
                WHERE as_of BETWEEN %(first)s AND %(last)s AND decision IN ('hold', 'suppress')
                GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 10
                """,
                week,
            )
        ],
        approvals=[
            (day, int(messages), str(status))
            for day, messages, status in warehouse.rows(
                conn,
                """
                SELECT as_of, messages, status FROM marketing.approvals
                WHERE as_of BETWEEN %(first)s AND %(last)s ORDER BY as_of
                """,
                week,
            )
        ],
        results=outreach.results(conn),
    )


def _campaigns(
    conn: Connection, week: dict[str, date], before: dict[str, date]
) -> list[CampaignWeek]:
    return [
        CampaignWeek(
            str(name), sent, then, control, redeemed, float(discounts), opted_out, float(cost)
        )
        for name, sent, then, control, redeemed, discounts, opted_out, cost in warehouse.rows(
            conn,
            """
            WITH decided AS (
                SELECT campaign,
                    count(*) FILTER (WHERE decision = 'control' AND as_of >= %(first)s)::integer
                        AS control,
                    coalesce(sum(cost_expected)
                        FILTER (WHERE decision = 'send' AND as_of >= %(first)s), 0) AS cost
                FROM marketing.decisions WHERE as_of BETWEEN %(before)s AND %(last)s GROUP BY 1
            ),
            left_shop AS (
                SELECT campaign,
                    count(*) FILTER (WHERE as_of >= %(first)s)::integer AS sent,
                    count(*) FILTER (WHERE as_of < %(first)s)::integer AS sent_before,
                    count(*) FILTER (
                        WHERE as_of >= %(first)s AND feedback IN ('unsubscribed', 'complained')
                    )::integer AS opted_out
                FROM marketing.messages
                WHERE status = 'sent' AND as_of BETWEEN %(before)s AND %(last)s GROUP BY 1
            ),
            redeemed AS (
                SELECT campaign, count(*)::integer AS redeemed,
                    coalesce(sum(discount_given), 0) AS discounts
                FROM marketing.coupon_triggers
                WHERE redeemed_on BETWEEN %(first)s AND %(last)s GROUP BY 1
            )
            SELECT campaign, coalesce(l.sent, 0), coalesce(l.sent_before, 0), coalesce(d.control, 0),
                coalesce(r.redeemed, 0), coalesce(r.discounts, 0), coalesce(l.opted_out, 0),
                coalesce(d.cost, 0)
            FROM decided AS d
            FULL JOIN left_shop AS l USING (campaign)
            FULL JOIN redeemed AS r USING (campaign)
            ORDER BY coalesce(l.sent, 0) DESC, campaign
            """,
            week | {"before": before["first"]},
        )
    ]


def _per_day(conn: Connection, week: dict[str, date]) -> dict[date, dict[str, int]]:
    found: dict[date, dict[str, int]] = {
        week["first"] + timedelta(days=place): {} for place in range(DAYS)
    }
    for day, campaign, number in warehouse.rows(
        conn,
        """
        SELECT as_of, campaign, count(*) FROM marketing.decisions
        WHERE as_of BETWEEN %(first)s AND %(last)s AND decision = 'send' GROUP BY 1, 2 ORDER BY 1, 2
        """,
        week,
    ):
        found[day][str(campaign)] = int(number)
    return found


def headline(week: Week) -> str:
    """The week in a few sentences."""
    customers = sum(segment.customers for segment in week.segments)
    moved = sum(number for *_, number in week.moves)
    sent = sum(campaign.sent for campaign in week.campaigns)
    then = sum(campaign.sent_before for campaign in week.campaigns)
    parts = [
        f"{customers:,} customers, expected to spend {view.rounded(sum(s.value for s in week.segments))} "
        f"{week.currency} in the next {week.horizon_days} days.",
        f"{moved:,} of them changed segment in the week." if moved else "Nobody changed segment.",
        f"{sent:,} messages were sent, {then:,} in the week before."
        if sent or then
        else "No message was sent.",
    ]
    redeemed = sum(campaign.redeemed for campaign in week.campaigns)
    if redeemed:
        off = view.rounded(sum(campaign.discounts for campaign in week.campaigns))
        parts.append(f"Coupons redeemed: {redeemed:,}, which took off {off} {week.currency}.")
    if week.results:
        parts.append(f"All campaigns together: {week.results[0].verdict}.")
    return " ".join(parts)


def render(week: Week) -> str:
    """The report as text."""
    figures: dict[str, Any] = {
        "movement": outreach_charts.movement(
            [(s.name, s.before, s.customers) for s in week.segments]
        ),
        "sent": outreach_charts.sent_per_day(week.per_day) if any(week.per_day.values()) else None,
        "lift": outreach_charts.lift(week.results, week.currency),
        "groups": outreach_charts.treated_and_control(week.results, week.currency)
        if week.results
        else None,
    }
    return document.render(
        "weekly.html",
        week=week,
        headline=headline(week),
        charts=figures,
    )

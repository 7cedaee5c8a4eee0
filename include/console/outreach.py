"""What the console and the reports show of sending, approvals and results, from `marketing` and `ops`."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from include import warehouse
from include.warehouse import Connection

#: Status of messages in the order in which they are told.
STATUSES = ("pending", "claimed", "sent", "failed", "dead", "cancelled")

#: Requests and dead letters that are shown, at most.
SHOWN = 8


@dataclass(frozen=True)
class Approval:
    """A request to a person, and the answer."""

    day: date
    reason: str
    messages: int
    cost: float
    gain: float
    status: str
    answered_by: str | None
    answered_at: datetime | None
    run_id: str


@dataclass(frozen=True)
class DeadLetter:
    """Messages that were given up, by campaign, channel and cause."""

    campaign: str
    channel: str
    error: str
    messages: int


@dataclass(frozen=True)
class Result:
    """What a campaign changed. Amounts are a person's unless said otherwise; None where unknown."""

    campaign: str
    treated: int
    control: int
    sends: int
    redemptions: int
    opt_outs: int
    complaints: int
    revenue_treated: float | None
    revenue_control: float | None
    margin_treated: float | None
    margin_control: float | None
    lift: float | None
    low: float | None
    high: float | None
    unadjusted: float | None
    detectable: float | None
    explained: float | None
    split_p: float | None
    cost: float
    return_on_cost: float | None
    verdict: str


@dataclass(frozen=True)
class Outreach:
    """Sending as it stands, and the newest results.

    Attributes
    ----------
    sending
        Channel -> status -> messages, over all days.
    heard
        What came back of messages -> how many of them.
    results
        One for all campaigns together first, then by campaign.
    """

    sending: dict[str, dict[str, int]]
    heard: dict[str, int]
    dead: list[DeadLetter]
    approvals: list[Approval]
    results: list[Result]
    results_day: date | None
    window_days: int | None

    @property
    def waiting(self) -> list[Approval]:
        """The requests that nobody has answered yet."""
        return [approval for approval in self.approvals if approval.status == "waiting"]


def read(conn: Connection) -> Outreach:
    """Everything of sending and results, as it stands."""
    day, window = (
        warehouse.rows(
            conn, "SELECT max(as_of), max(window_days) FROM marketing.current_campaign_results"
        )
        or [(None, None)]
    )[0]
    return Outreach(
        sending=_sending(conn),
        heard={
            str(kind): int(number)
            for kind, number in warehouse.rows(
                conn,
                "SELECT feedback, count(*) FROM marketing.messages WHERE feedback IS NOT NULL "
                "GROUP BY feedback ORDER BY count(*) DESC, feedback",
            )
        },
        dead=[
            DeadLetter(*row)
            for row in warehouse.rows(
                conn,
                """
                SELECT campaign, channel, coalesce(error, ''), count(*)
                FROM marketing.messages WHERE status = 'dead'
                GROUP BY 1, 2, 3 ORDER BY count(*) DESC, 1, 2, 3 LIMIT %(shown)s
                """,
                {"shown": SHOWN},
            )
        ],
        approvals=[
            Approval(as_of, reason, messages, float(cost), float(gain), *rest)
            for as_of, reason, messages, cost, gain, *rest in warehouse.rows(
                conn,
                """
                SELECT as_of, reason, messages, cost_expected, expected_incremental_value, status,
                    answered_by, answered_at, run_id
                FROM marketing.approvals ORDER BY as_of DESC LIMIT %(shown)s
                """,
                {"shown": SHOWN},
            )
        ],
        results=results(conn),
        results_day=day,
        window_days=window,
    )


def _sending(conn: Connection) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for channel, status, number in warehouse.rows(
        conn,
        "SELECT channel, status, count(*) FROM marketing.messages GROUP BY 1, 2 ORDER BY 1, 2",
    ):
        found.setdefault(str(channel), dict.fromkeys(STATUSES, 0))[str(status)] = int(number)
    return found


def results(conn: Connection) -> list[Result]:
    """The newest measured results."""
    return [
        Result(*_floats(row))
        for row in warehouse.rows(
            conn,
            """
            SELECT campaign, people_treated, people_control, sends, redemptions,
                coalesce(opt_outs, 0), coalesce(complaints, 0), revenue_treated, revenue_control,
                margin_treated, margin_control, lift, lift_low, lift_high, lift_unadjusted,
                minimum_detectable_effect, variance_explained, sample_ratio_p,
                coalesce(cost, cost_expected),
                return_on_cost, verdict
            FROM marketing.current_campaign_results
            ORDER BY campaign <> 'all campaigns', campaign
            """,
        )
    ]


def _floats(row: tuple[Any, ...]) -> list[Any]:
    return [float(cell) if isinstance(cell, Decimal) else cell for cell in row]

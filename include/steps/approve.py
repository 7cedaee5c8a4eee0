"""Ask a person about the offers that wait for approval, and let them pass or stop them.

Offers of a day wait as `awaiting_approval` where its expected cost is above `approvals.spend_above`, its
messages above `caps.per_day`, or
where a campaign runs for the first time and `approvals.first_run` asks for it (`include.offers`). Delivery
claims nothing of them until they are `approved`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from include import policy, warehouse
from include.errors import BadInput
from include.offers import copy
from include.policy import Policy
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Customers that the summary shows as a sample.
SAMPLE_ROWS = 5

#: What stands in the sample's words for what is personal, or drawn for one customer alone.
STAND_INS: dict[str, Any] = {
    "first_name": "[first name]",
    "coupon_code": "[code]",
    "unsubscribe_url": "[unsubscribe link]",
    "to_replenish": ["[a product bought before]"],
    "to_discover": ["[a recommended product]"],
    "goes_with": ["[a product that goes with it]"],
    "birthday": "[birthday]",
}


@dataclass(frozen=True)
class Question:
    """What a person is asked: a headline, and the summary as Markdown without personal data."""

    subject: str
    body: str


@dataclass(frozen=True)
class _Campaign:
    """A campaign's offers of one day."""

    name: str
    offer: str
    channels: str
    segments: str
    messages: int
    cost: float
    gain: float
    valid_until: date | None


def ask(day: str, run_id: str) -> Question | None:
    """Write down what waits for approval of a business day; None where nothing does.

    A day that was asked about before and is run again is asked about with the same request.
    """
    with warehouse.connect() as conn:
        waiting = _campaigns(conn, day, "awaiting_approval")
        if not waiting:
            return None
        rules = policy.load()
        reason = _reason(conn, day, waiting, rules)
        question = Question(_subject(day, waiting, rules), _body(conn, day, waiting, reason, rules))
        warehouse.execute(
            conn,
            """
            INSERT INTO marketing.approvals (
                approval_id, as_of, reason, campaigns, messages, cost_expected,
                expected_incremental_value, currency, summary, status, asked_at, policy_hash, run_id,
                updated_at
            )
            VALUES (
                %(approval)s, %(day)s, %(reason)s, %(campaigns)s, %(messages)s, %(cost)s, %(gain)s,
                %(currency)s, %(summary)s, 'waiting', clock_timestamp(), %(policy_hash)s, %(run_id)s,
                clock_timestamp()
            )
            ON CONFLICT (approval_id) DO UPDATE SET
                run_id = excluded.run_id, summary = excluded.summary, updated_at = excluded.updated_at
            """,
            {
                "approval": approval_id(day),
                "day": day,
                "reason": reason,
                "campaigns": [campaign.name for campaign in waiting],
                "messages": sum(campaign.messages for campaign in waiting),
                "cost": sum(campaign.cost for campaign in waiting),
                "gain": sum(campaign.gain for campaign in waiting),
                "currency": rules.shop.currency,
                "summary": question.body,
                "policy_hash": rules.hash,
                "run_id": run_id,
            },
        )
    log.info("%s (%s)", question.subject, reason)
    return question


def approval_id(day: str) -> str:
    """The name of a business day's request."""
    return f"approval-{day}"


def settle(
    day: str, *, approved: bool, answered_by: str | None, answered_at: datetime
) -> dict[str, int]:
    """Let what waits pass, or stop it for good; how many messages were moved.

    The first answer counts: where the same day was asked about twice, the second finds nothing waiting.

    Parameters
    ----------
    day
        The business day.
    approved
        The answer; no answer in time is given as False.
    answered_by
        Who answered; None where nobody did in time.
    answered_at
        When.

    Raises
    ------
    BadInput
        When the day was never asked about.
    """
    timed_out = not approved and answered_by is None
    status = "approved" if approved else "timed_out" if timed_out else "rejected"
    params = {
        "approval": approval_id(day),
        "day": day,
        "status": status,
        "trigger": "approved" if approved else "rejected",
        "error": "not approved in time" if timed_out else "rejected",
        "by": answered_by,
        "at": answered_at,
    }
    with warehouse.connect() as conn:
        standing = warehouse.value(
            conn,
            "SELECT status FROM marketing.approvals WHERE approval_id = %(approval)s FOR UPDATE",
            params,
        )
        if standing is None:
            raise BadInput(
                f"Expected a request for {day} in marketing.approvals, found none: clear approve_offers, "
                "so that it writes one."
            )
        if standing != "waiting":
            log.warning("%s was answered before: %s. This answer changes nothing.", day, standing)
            return {}
        warehouse.execute(
            conn,
            """
            UPDATE marketing.approvals
            SET status = %(status)s, answered_by = %(by)s, answered_at = %(at)s,
                updated_at = clock_timestamp()
            WHERE approval_id = %(approval)s
            """,
            params,
        )
        moved = warehouse.execute(
            conn,
            """
            UPDATE marketing.coupon_triggers
            SET status = %(trigger)s, approval_id = %(approval)s, updated_at = clock_timestamp()
            WHERE as_of = %(day)s AND status = 'awaiting_approval'
            """,
            params,
        )
        if not approved:
            warehouse.execute(
                conn,
                """
                UPDATE marketing.messages AS m
                SET status = 'cancelled', error = %(error)s, updated_at = clock_timestamp()
                FROM marketing.coupon_triggers AS t
                WHERE t.trigger_id = m.trigger_id AND t.approval_id = %(approval)s
                  AND m.status IN ('pending', 'failed')
                """,
                params,
            )
    log.info("%s: %s messages %s", day, moved, status)
    return {status: moved}


# --- the summary -----------------------------------------------------------------------------------


def _campaigns(conn: Connection, day: str | date | None, status: str | None) -> list[_Campaign]:
    """The campaigns with offers of a day, whatever has become of them where no status is given."""
    return [
        _Campaign(name, offer, channels, segments, messages, float(cost), float(gain), valid_until)
        for name, offer, channels, segments, messages, cost, gain, valid_until in warehouse.rows(
            conn,
            """
            SELECT
                t.campaign,
                string_agg(DISTINCT t.offer_title, '; '),
                string_agg(DISTINCT t.channel, ', '),
                string_agg(DISTINCT t.segment, ', '),
                count(*),
                sum(d.cost_expected),
                sum(d.expected_incremental_value),
                max(t.valid_until)
            FROM marketing.coupon_triggers AS t
            JOIN marketing.decisions AS d USING (as_of, customer_id, campaign, period)
            WHERE t.as_of = %(day)s AND (%(status)s::text IS NULL OR t.status = %(status)s)
            GROUP BY t.campaign
            ORDER BY sum(d.cost_expected) DESC, t.campaign
            """,
            {"day": day, "status": status},
        )
    ]


def _reason(conn: Connection, day: str, waiting: list[_Campaign], rules: Policy) -> str:
    cost = sum(campaign.cost for campaign in _campaigns(conn, day, None))
    limit = rules.approvals.spend_above
    if limit is not None and cost > limit:
        return (
            f"The day's expected cost is {_priced(cost, rules)}, above the {_priced(limit, rules)} that "
            "may be spent without a question."
        )
    customers = warehouse.value(
        conn, "SELECT count(*) FROM marketing.customer_segments WHERE as_of = %(day)s", {"day": day}
    )
    messages = sum(campaign.messages for campaign in _campaigns(conn, day, None))
    exceeded = rules.caps.exceeded(messages, customers)
    if exceeded:
        return f"The day would send {exceeded}."
    names = ", ".join(campaign.name for campaign in waiting)
    return f"It is the first run of {names}."


def _subject(day: str, waiting: list[_Campaign], rules: Policy) -> str:
    messages = sum(campaign.messages for campaign in waiting)
    cost = sum(campaign.cost for campaign in waiting)
    return f"Send {messages:,} messages of {day} for an expected {_priced(cost, rules)}?"


def _body(conn: Connection, day: str, waiting: list[_Campaign], reason: str, rules: Policy) -> str:
    cost = sum(campaign.cost for campaign in waiting)
    gain = sum(campaign.gain for campaign in waiting)
    parts = [
        f"{reason} Expected return beyond the cost: **{_priced(gain, rules)}**"
        + (f", {gain / cost:.1f} for each unit spent." if cost > 0 else "."),
        _table(
            ("campaign", "offer", "channel", "segments", "messages", "cost", "gain", "valid until"),
            [
                (
                    campaign.name,
                    campaign.offer,
                    campaign.channels,
                    campaign.segments,
                    f"{campaign.messages:,}",
                    _priced(campaign.cost, rules),
                    _priced(campaign.gain, rules),
                    str(campaign.valid_until),
                )
                for campaign in waiting
            ],
        ),
        f"#### Since the day before\n\n{_changes(conn, day, rules)}",
        f"#### A sample\n\n{_sample(conn, day, rules)}",
        *[
            f"#### The words of {campaign.name}\n\n{words}"
            for campaign in waiting
            if (words := _message(campaign, rules))
        ],
        f"Approve, and they leave in the next send window. Reject, or give no answer within "
        f"{rules.approvals.timeout_hours} hours, and they never leave; everything else of the day is sent "
        "all the same. The same customers may be offered the campaign again on a later day, which asks again "
        "where this is still called for.",
    ]
    return "\n\n".join(parts)


def _changes(conn: Connection, day: str, rules: Policy) -> str:
    """What the day's offers are beside those of the day decided before it."""
    before = warehouse.value(
        conn,
        """
        SELECT max(partition) FROM ops.publications
        WHERE table_name = 'marketing.decisions' AND partition < %(day)s
        """,
        {"day": day},
    )
    if before is None:
        return "No day was decided before this one."
    then = {campaign.name: campaign for campaign in _campaigns(conn, before, None)}
    now = {campaign.name: campaign for campaign in _campaigns(conn, day, None)}
    lines = []
    for name in sorted(then | now):
        old, new = then.get(name), now.get(name)
        lines.append(
            (
                name,
                f"{old.messages if old else 0:,}",
                f"{new.messages if new else 0:,}",
                _priced(old.cost if old else 0.0, rules),
                _priced(new.cost if new else 0.0, rules),
            )
        )
    changed = warehouse.value(
        conn,
        """
        SELECT count(DISTINCT policy_hash) > 1 FROM marketing.decisions
        WHERE as_of IN (%(before)s, %(day)s)
        """,
        {"before": before, "day": day},
    )
    policy_words = "The policy has changed since." if changed else "The policy is the same."
    head = ("campaign", f"messages of {before}", "now", "cost then", "cost now")
    return f"{policy_words}\n\n{_table(head, lines)}"


def _sample(conn: Connection, day: str, rules: Policy) -> str:
    """A few of the offers, the dearest of each campaign first; who gets them is not said."""
    found = warehouse.rows(
        conn,
        """
        SELECT campaign, segment, offer_title, channel, cost_expected, expected_incremental_value,
            p_redeem
        FROM (
            SELECT
                t.campaign, t.segment, t.offer_title, t.channel, d.cost_expected,
                d.expected_incremental_value, d.p_redeem, t.trigger_id,
                row_number() OVER (
                    PARTITION BY t.campaign ORDER BY d.cost_expected DESC, t.trigger_id
                ) AS place
            FROM marketing.coupon_triggers AS t
            JOIN marketing.decisions AS d USING (as_of, customer_id, campaign, period)
            WHERE t.as_of = %(day)s AND t.status = 'awaiting_approval'
        ) AS ranked
        ORDER BY place, campaign
        LIMIT %(rows)s
        """,
        {"day": day, "rows": SAMPLE_ROWS},
    )
    return _table(
        ("campaign", "segment", "offer", "channel", "chance of redeeming", "cost", "gain"),
        [
            (
                campaign,
                segment,
                offer,
                channel,
                f"{float(chance):.0%}",
                _priced(float(cost), rules),
                _priced(float(gain), rules),
            )
            for campaign, segment, offer, channel, cost, gain, chance in found
        ],
    )


def _message(campaign: _Campaign, rules: Policy) -> str | None:
    """The message of a campaign with stand-ins for what is personal; None where they do not suffice."""
    known = next((c for c in rules.campaigns if c.name == campaign.name), None)
    if known is None:
        return None
    offer = rules.offer(known.offer)
    variables = STAND_INS | {
        "sender_name": rules.delivery.sender_name,
        "postal_address": rules.delivery.postal_address,
        "offer_title": offer.title,
        "minimum_spend": _priced(offer.minimum_spend, rules) if offer.minimum_spend else "",
        "at_most": _priced(offer.at_most, rules) if offer.at_most else "",
        "valid_until": str(campaign.valid_until),
        "priority_service": False,
    }
    try:
        words = copy.write(known.template, campaign.channels.split(", ")[0], variables)
    except copy.CopyError:
        return None
    text = f"{words.subject}\n\n{words.body}" if words.subject else words.body
    return "\n".join(f"> {line}" if line else ">" for line in text.splitlines())


def _priced(amount: float, rules: Policy) -> str:
    return f"{amount:,.2f} {rules.shop.currency}"


def _table(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; what is filled in cannot end a cell or a line."""
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in line) + " |"
        for line in [head, tuple("---" for _ in head), *lines]
    )

"""What may still be sent of what was decided: consent may be withdrawn in between, or a return be opened."""

import uuid
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from include import warehouse
from include.steps.delivery import outcomes
from include.steps.delivery.held import Claim, Claimed


def still_allowed(
    claim: Claim, claimed: list[Claimed], *, capped: bool = True
) -> list[tuple[Claimed, str]]:
    """What may still be sent, with its address; the rest is cancelled with the guard's reason."""
    if not claimed:
        return []
    from include.offers.guard import Person, refusal_now

    customers = sorted({message.customer_id for message in claimed})
    permissions = _permissions(claim, customers)
    contacts = {
        row[0]: row[1:]
        for row in warehouse.rows(
            claim.conn, warehouse.sql("queries/deliver/contacts"), {"customers": customers}
        )
    }
    troubles = _troubles(claim, customers)
    may_follow = {c.name for c in claim.rules.campaigns if c.after_complaint}
    sent_days = _sent_days(claim, customers)
    kept_out = _found_in_control(claim, claimed, customers)
    allowed, refused = [], []
    # Tried before, perhaps arrived: those come first, and what is new has to keep the cap beside them.
    for message in sorted(claimed, key=lambda m: -m.attempts):
        birth_date, is_birthday_faulty, addresses = contacts[message.customer_id]
        others = sent_days.setdefault(message.customer_id, [])
        today = claim.day_in(message.time_zone)
        reason = refusal_now(
            permissions.get((message.customer_id, message.channel)),
            Person(
                birth_date,
                is_birthday_faulty,
                *troubles.get(message.customer_id, (None, None)),
            ),
            others,
            today,
            claim.rules,
            capped=capped and message.cap_class == "marketing",
            patient=message.campaign not in may_follow,
        )
        reason = reason or ("control_group" if message.message_id in kept_out else None)
        if reason:
            refused.append((message, reason))
            continue
        if message.cap_class == "marketing":
            others.append(today)
        allowed.append((message, addresses[message.channel]))
    outcomes.cancel(claim, refused)
    return allowed


def _permissions(claim: Claim, customers: list[uuid.UUID]) -> Mapping[tuple[uuid.UUID, str], Any]:
    """The newest word on consent, contact points and suppression.

    A no counts whenever it was recorded, even later than the clock; a yes counts from its moment on.
    """
    from include.offers.guard import Permission

    found = warehouse.rows(
        claim.conn,
        warehouse.sql("queries/activate/permissions"),
        {"end": "infinity", "granted_by": claim.now, "customers": customers},
    )
    return {(row[0], row[1]): Permission(*row[2:]) for row in found}


def _troubles(
    claim: Claim, customers: list[uuid.UUID]
) -> dict[uuid.UUID, tuple[date | None, date | None]]:
    """Customer -> days of the last complaint and of the last return, of those that count by now."""
    complaints = claim.rules.activation.complaints
    reach = timedelta(days=1 + max(complaints.days, complaints.return_days))
    found = warehouse.rows(
        claim.conn,
        warehouse.sql("queries/deliver/troubles"),
        {
            "customers": customers,
            "since": claim.day_in(None) - reach,
            "complaint_rating": complaints.rating,
            "complaint_sentiment": complaints.sentiment,
        },
    )
    return {customer: (complained, returned) for customer, complained, returned in found}


def _found_in_control(
    claim: Claim, claimed: list[Claimed], customers: list[uuid.UUID]
) -> set[uuid.UUID]:
    """Messages to whom an account of a control group was found to belong since they were decided."""
    import numpy as np

    from include.offers import control

    accounts = warehouse.frame(
        claim.conn, warehouse.sql("queries/activate/accounts"), {"customers": customers}
    )
    several = set(accounts["person_id"])
    open_to = [message for message in claimed if str(message.customer_id) in several]
    held, _ = control.drawn(
        np.array([str(message.customer_id) for message in open_to], dtype=object),
        np.array([message.campaign for message in open_to], dtype=object),
        accounts,
        claim.rules,
    )
    return {message.message_id for message, is_in in zip(open_to, held, strict=True) if is_in}


def _sent_days(claim: Claim, customers: list[uuid.UUID]) -> dict[uuid.UUID, list[date]]:
    """The days on which marketing messages left, or may have; today for what others are sending.

    Those of an account count for the person it belongs to by now, so that no merge resets a cap.
    """
    found = warehouse.rows(
        claim.conn,
        """
        SELECT coalesce(l.customer_id, m.customer_id) AS person_id,
               coalesce(
                   (
                       CASE WHEN m.status = 'claimed' THEN %(now)s
                            ELSE coalesce(m.sent_at, t.sent_at) END
                       AT TIME ZONE coalesce(m.time_zone, %(shop_zone)s)
                   )::date,
                   m.as_of + 1
               ) AS day
        FROM marketing.messages AS m
        LEFT JOIN marketing.coupon_triggers AS t USING (trigger_id)
        LEFT JOIN core.identity_links AS l ON m.customer_id = l.account_id
        WHERE coalesce(l.customer_id, m.customer_id) = ANY(%(customers)s)
          AND m.cap_class = 'marketing'
          AND CASE WHEN m.status = 'claimed' THEN m.claimed_by <> %(claim)s
                   ELSE m.status = 'sent' OR t.sent_at IS NOT NULL END
        ORDER BY person_id, day
        """,
        {
            "customers": customers,
            "claim": claim.number,
            "now": claim.now,
            "shop_zone": claim.rules.shop.timezone,
        },
    )
    return {customer: [day for _, day in rows] for customer, rows in groupby(found, lambda r: r[0])}

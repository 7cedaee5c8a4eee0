"""Messages that one sender holds: what may still be sent of them, and what became of each."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from include import warehouse
from include.policy import Policy
from include.warehouse import Connection

#: The longest wait between two tries.
LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True)
class Claimed:
    """A message that this sender holds."""

    message_id: uuid.UUID
    customer_id: uuid.UUID
    as_of: date
    campaign: str
    channel: str
    cap_class: str
    subject: str | None
    body: str
    body_html: str | None
    attempts: int
    time_zone: str | None


class Holder:
    """A claim of its own, on one connection that is also its sign of life.

    Attributes
    ----------
    claim
        Its number; rows that another claim holds are never changed.
    now
        The moment that due times are judged by.
    counts
        How many messages ended how.
    """

    def __init__(self, conn: Connection, rules: Policy, clock: Callable[[], datetime]) -> None:
        self.conn, self.rules, self.clock = conn, rules, clock
        self.now = clock()
        self.claim = int(warehouse.value(conn, "SELECT nextval('ops.tokens')"))
        self.counts: Counter[str] = Counter()

    def _day_in(self, time_zone: str | None) -> date:
        return self.now.astimezone(ZoneInfo(time_zone or self.rules.shop.timezone)).date()

    # --- what may still be sent ---------------------------------------------------------------------

    def _checked(self, claimed: list[Claimed], *, capped: bool = True) -> list[tuple[Claimed, str]]:
        """What may still be sent, with its address; the rest is cancelled with the guard's reason."""
        if not claimed:
            return []
        from include.offers.guard import Person, refusal_now

        customers = sorted({message.customer_id for message in claimed})
        permissions = self._permissions(customers)
        contacts = {
            row[0]: row[1:]
            for row in warehouse.rows(
                self.conn, warehouse.sql("queries/deliver/contacts"), {"customers": customers}
            )
        }
        troubles = self._troubles(customers)
        may_follow = {c.name for c in self.rules.campaigns if c.after_complaint}
        sent_days = self._sent_days(customers)
        kept_out = self._found_in_control(claimed, customers)
        allowed, refused = [], []
        # Tried before, perhaps arrived: those come first, and what is new has to keep the cap beside them.
        for message in sorted(claimed, key=lambda m: -m.attempts):
            birth_date, is_birthday_faulty, addresses = contacts[message.customer_id]
            others = sent_days.setdefault(message.customer_id, [])
            today = self._day_in(message.time_zone)
            reason = refusal_now(
                permissions.get((message.customer_id, message.channel)),
                Person(
                    birth_date,
                    is_birthday_faulty,
                    *troubles.get(message.customer_id, (None, None)),
                ),
                others,
                today,
                self.rules,
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
        self._cancel(refused)
        return allowed

    def _permissions(self, customers: list[uuid.UUID]) -> Mapping[tuple[uuid.UUID, str], Any]:
        """The newest word on consent, contact points and suppression.

        A no counts whenever it was recorded, even later than the clock; a yes counts from its moment on.
        """
        from include.offers.guard import Permission

        found = warehouse.rows(
            self.conn,
            warehouse.sql("queries/activate/permissions"),
            {"end": "infinity", "granted_by": self.now, "customers": customers},
        )
        return {(row[0], row[1]): Permission(*row[2:]) for row in found}

    def _troubles(
        self, customers: list[uuid.UUID]
    ) -> dict[uuid.UUID, tuple[date | None, date | None]]:
        """Customer -> days of the last complaint and of the last return, of those that count by now."""
        complaints = self.rules.activation.complaints
        reach = timedelta(days=1 + max(complaints.days, complaints.return_days))
        found = warehouse.rows(
            self.conn,
            warehouse.sql("queries/deliver/troubles"),
            {
                "customers": customers,
                "since": self._day_in(None) - reach,
                "complaint_rating": complaints.rating,
                "complaint_sentiment": complaints.sentiment,
            },
        )
        return {customer: (complained, returned) for customer, complained, returned in found}

    def _found_in_control(
        self, claimed: list[Claimed], customers: list[uuid.UUID]
    ) -> set[uuid.UUID]:
        """Messages to whom an account of a control group was found to belong since they were decided."""
        import numpy as np

        from include.offers import control

        accounts = warehouse.frame(
            self.conn, warehouse.sql("queries/activate/accounts"), {"customers": customers}
        )
        several = set(accounts["person_id"])
        open_to = [message for message in claimed if str(message.customer_id) in several]
        held, _ = control.drawn(
            np.array([str(message.customer_id) for message in open_to], dtype=object),
            np.array([message.campaign for message in open_to], dtype=object),
            accounts,
            self.rules,
        )
        return {message.message_id for message, is_in in zip(open_to, held, strict=True) if is_in}

    def _sent_days(self, customers: list[uuid.UUID]) -> dict[uuid.UUID, list[date]]:
        """The days on which marketing messages left, or may have; today for what others are sending.

        Those of an account count for the person it belongs to by now, so that no merge resets a cap.
        """
        found = warehouse.rows(
            self.conn,
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
                "claim": self.claim,
                "now": self.now,
                "shop_zone": self.rules.shop.timezone,
            },
        )
        return {
            customer: [day for _, day in rows] for customer, rows in groupby(found, lambda r: r[0])
        }

    # --- what became of it ----------------------------------------------------------------------------

    def _cancel(self, refused: Iterable[tuple[Claimed, str]]) -> None:
        for message, reason in refused:
            self._record_end(message, "cancelled", reason, "cancelled", attempted=False)

    def _record_sent(self, messages: list[uuid.UUID], provider_id: str | None) -> None:
        sent = warehouse.rows(
            self.conn,
            """
            UPDATE marketing.messages
            SET status = 'sent', attempts = attempts + 1, sent_at = %(now)s, error = NULL,
                provider_id = %(provider_id)s, claimed_by = NULL, handed_over_at = NULL,
                updated_at = now()
            WHERE message_id = ANY(%(messages)s) AND claimed_by = %(claim)s AND status = 'claimed'
            RETURNING message_id
            """,
            {
                "messages": messages,
                "claim": self.claim,
                "now": self.now,
                "provider_id": provider_id,
            },
        )
        self._move_triggers([row[0] for row in sent], "sent")
        self.counts["sent"] += len(sent)

    def _record_failure(self, message: Claimed, error: str) -> None:
        """Try again later, twice as long after each failure, or give up after the last."""
        attempts = message.attempts + 1
        if attempts >= self.rules.delivery.max_attempts:
            self._record_end(message, "dead", error, "cancelled")
            return
        doubled = 2 ** min(attempts - 1, 30)
        wait = min(timedelta(minutes=self.rules.delivery.backoff_minutes) * doubled, LONGEST_WAIT)
        warehouse.execute(
            self.conn,
            """
            UPDATE marketing.messages
            SET status = 'failed', attempts = %(attempts)s, next_attempt_at = %(next)s,
                error = %(error)s, claimed_by = NULL, handed_over_at = NULL, updated_at = now()
            WHERE message_id = %(message)s AND claimed_by = %(claim)s AND status = 'claimed'
            """,
            {
                "message": message.message_id,
                "claim": self.claim,
                "attempts": attempts,
                "next": self.now + wait,
                "error": error,
            },
        )
        self.counts["failed"] += 1

    def _record_unknown(self, message: Claimed, error: str, *, repeatable: bool) -> None:
        """It may have arrived: tried again where a copy does no harm, and sent for all that counts it."""
        if repeatable and message.attempts + 1 < self.rules.delivery.max_attempts:
            self._move_triggers([message.message_id], "sent")
            self._record_failure(message, error)
        else:
            self._record_end(message, "dead", f"outcome unknown: {error}", "sent")

    def _record_end(
        self, message: Claimed, status: str, error: str, trigger: str, *, attempted: bool = True
    ) -> None:
        ended = warehouse.execute(
            self.conn,
            """
            UPDATE marketing.messages
            SET status = %(status)s, error = %(error)s, attempts = attempts + %(attempted)s,
                claimed_by = NULL, handed_over_at = NULL, updated_at = now()
            WHERE message_id = %(message)s AND claimed_by = %(claim)s AND status = 'claimed'
            """,
            {
                "message": message.message_id,
                "claim": self.claim,
                "status": status,
                "error": error,
                "attempted": int(attempted),
            },
        )
        if ended:
            self._move_triggers([message.message_id], trigger)
        self.counts[status] += ended

    def _move_triggers(self, messages: list[uuid.UUID], status: str) -> None:
        """Move on the triggers of messages, as long as nothing else has moved them."""
        if not messages:
            return
        warehouse.execute(
            self.conn,
            """
            UPDATE marketing.coupon_triggers AS t
            SET status = %(status)s, updated_at = now(),
                sent_at = CASE WHEN %(status)s = 'sent' THEN %(now)s ELSE t.sent_at END
            FROM marketing.messages AS m
            WHERE m.message_id = ANY(%(messages)s) AND t.trigger_id = m.trigger_id
              AND t.status IN ('awaiting_approval', 'approved')
            """,
            {"messages": messages, "status": status, "now": self.now},
        )

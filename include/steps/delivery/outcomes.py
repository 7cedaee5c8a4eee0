"""What became of a message that is held, recorded with its coupon's trigger; the caller commits."""

import uuid
from collections.abc import Iterable
from datetime import timedelta

from include import warehouse
from include.steps.delivery.held import Claim, Claimed

#: The longest wait between two tries.
LONGEST_WAIT = timedelta(days=1)


def cancel(claim: Claim, refused: Iterable[tuple[Claimed, str]]) -> None:
    """Messages that are not sent, each with the reason."""
    for message, reason in refused:
        record_end(claim, message, "cancelled", reason, "cancelled", attempted=False)


def note_mailboxes(claim: Claim, marks: list[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """Write to which mailbox each message goes, by its hash; written once more where it has moved."""
    if not marks:
        return
    messages, mailboxes = zip(*marks, strict=True)
    warehouse.execute(
        claim.conn,
        """
        UPDATE marketing.messages AS m SET address_hash = n.address_hash
        FROM unnest(%(messages)s::uuid[], %(mailboxes)s::uuid[]) AS n (message_id, address_hash)
        WHERE m.message_id = n.message_id AND m.claimed_by = %(claim)s
            AND m.address_hash IS DISTINCT FROM n.address_hash
        """,
        {"messages": list(messages), "mailboxes": list(mailboxes), "claim": claim.number},
    )


def record_sent(claim: Claim, messages: list[uuid.UUID], provider_id: str | None) -> None:
    """Messages that were taken, by a provider that calls them so."""
    sent = warehouse.rows(
        claim.conn,
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
            "claim": claim.number,
            "now": claim.now,
            "provider_id": provider_id,
        },
    )
    move_triggers(claim, [row[0] for row in sent], "sent")
    claim.counts["sent"] += len(sent)


def record_failure(claim: Claim, message: Claimed, error: str) -> None:
    """Try again later, twice as long after each failure, or give up after the last."""
    attempts = message.attempts + 1
    if attempts >= claim.rules.delivery.max_attempts:
        record_end(claim, message, "dead", error, "cancelled")
        return
    doubled = 2 ** min(attempts - 1, 30)
    wait = min(timedelta(minutes=claim.rules.delivery.backoff_minutes) * doubled, LONGEST_WAIT)
    warehouse.execute(
        claim.conn,
        """
        UPDATE marketing.messages
        SET status = 'failed', attempts = %(attempts)s, next_attempt_at = %(next)s,
            error = %(error)s, claimed_by = NULL, handed_over_at = NULL, updated_at = now()
        WHERE message_id = %(message)s AND claimed_by = %(claim)s AND status = 'claimed'
        """,
        {
            "message": message.message_id,
            "claim": claim.number,
            "attempts": attempts,
            "next": claim.now + wait,
            "error": error,
        },
    )
    claim.counts["failed"] += 1


def record_unknown(claim: Claim, message: Claimed, error: str, *, repeatable: bool) -> None:
    """It may have arrived: tried again where a copy does no harm, and sent for all that counts it."""
    if repeatable and message.attempts + 1 < claim.rules.delivery.max_attempts:
        move_triggers(claim, [message.message_id], "sent")
        record_failure(claim, message, error)
    else:
        record_end(claim, message, "dead", f"outcome unknown: {error}", "sent")


def record_end(
    claim: Claim, message: Claimed, status: str, error: str, trigger: str, *, attempted: bool = True
) -> None:
    """A message that is never tried again, and what becomes of its trigger."""
    ended = warehouse.execute(
        claim.conn,
        """
        UPDATE marketing.messages
        SET status = %(status)s, error = %(error)s, attempts = attempts + %(attempted)s,
            claimed_by = NULL, handed_over_at = NULL, updated_at = now()
        WHERE message_id = %(message)s AND claimed_by = %(claim)s AND status = 'claimed'
        """,
        {
            "message": message.message_id,
            "claim": claim.number,
            "status": status,
            "error": error,
            "attempted": int(attempted),
        },
    )
    if ended:
        move_triggers(claim, [message.message_id], trigger)
    claim.counts[status] += ended


def move_triggers(claim: Claim, messages: list[uuid.UUID], status: str) -> None:
    """Move on the triggers of messages, as long as nothing else has moved them."""
    if not messages:
        return
    warehouse.execute(
        claim.conn,
        """
        UPDATE marketing.coupon_triggers AS t
        SET status = %(status)s, updated_at = now(),
            sent_at = CASE WHEN %(status)s = 'sent' THEN %(now)s ELSE t.sent_at END
        FROM marketing.messages AS m
        WHERE m.message_id = ANY(%(messages)s) AND t.trigger_id = m.trigger_id
          AND t.status IN ('awaiting_approval', 'approved')
        """,
        {"messages": messages, "status": status, "now": claim.now},
    )

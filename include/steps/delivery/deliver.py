"""Send what is due and approved, each message once, and record what became of it.

How a message is sent once:

* A sender holds a session lock of the database, named by its claim, for as long as it lives. It claims
  messages under row locks (`queries/deliver/claim.sql`), so two senders never hold the same one.
* Before it hands a message over it marks it (`handed_over_at`) in a transaction of its own, afterwards it
  records the outcome in another.
* A sender that dies lets go of its lock. The next one finds its claims: what was not handed over goes
  back to be sent; what was handed over, with no outcome recorded, is tried again only where the provider
  drops a second copy by the message's key (a webhook). By e-mail it is given up as `dead` with the words
  `outcome unknown`: between sending twice and perhaps not at all, customers are spared the second.
* What may have arrived counts as sent for the customer from that moment, whatever later tries come to: its
  coupon is good at the till, and the caps count it.

A sender that was stopped for a while (SIGSTOP, a frozen machine) and goes on still holds its claims, or has
lost them with its connection. Before each message it looks again: at the clock, the switch that pauses sends,
and at what customers want by now, unless nobody else has written to the server since it asked (`quiet`).

Every due time is judged by `shop.clock` of the policy (the wall clock where that is null).
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from include import channels, notify, policy, warehouse
from include.channels import Doubted, OutcomeUnknown, Outgoing, Provider, Refused, Unavailable
from include.errors import RegularsError
from include.offers import windows
from include.persons import suppressions
from include.policy import Policy
from include.steps.delivery import asked, feedback, guessing, outcomes, pace
from include.steps.delivery import clock as clock_of_tills
from include.steps.delivery.allowed import still_allowed
from include.steps.delivery.held import Claim, Claimed
from include.steps.delivery.quiet import Quiet
from include.steps.delivery.refusals import FAILURES_IN_A_ROW, Row
from include.warehouse import Connection

__all__ = ["FAILURES_IN_A_ROW", "send"]

log = logging.getLogger(__name__)

#: The DAG that sends.
DAG = "regulars_deliver"

#: How many messages one claim takes where each is handed over by itself: few, so that others can help
#: and little is left behind where a sender dies.
CLAIM_SIZE = 50

#: How long a sender goes on, in seconds; the next one starts after five minutes.
RUN_SECONDS = 280.0

_LOCK = "hashtextextended('regulars sender ' || %(claim)s, 0)"


def send(now: datetime | None = None) -> dict[str, int]:
    """Send everything that is due; how many messages ended how.

    Parameters
    ----------
    now
        The moment that due times are judged by; by default the policy's clock, else the wall clock.

    Returns
    -------
    dict
        Counts of sent, cancelled, failed (tried again later), dead, expired and recovered messages;
        `paused` or `closed` is 1 where sends are paused, or the moment lies outside the send window.

    Raises
    ------
    SenderTrouble
        At the end of the run, when a mail server or gateway refuses us as the sender. What it was to take
        is kept, with its coupons, and tried again by later runs.
    """
    rules = policy.load()
    fixed = now or rules.shop.fixed_clock()

    def clock() -> datetime:
        return fixed or datetime.now(UTC)

    with warehouse.connect() as conn:
        if warehouse.value(conn, "SELECT to_regclass('marketing.messages')") is None:
            log.info("The warehouse has no messages yet.")
            return {}
        clock_of_tills.write(conn, rules, fixed)
        suppressions.carry(conn)
        conn.commit()
        guessing.tell(conn, DAG)
        sender = _Sender(conn, rules, clock)
        counts = sender.run()
        if not sender.troubles:
            notify.mended(conn, DAG)
    log.info("Delivery at %s: %s", sender.held.now.isoformat(), counts or "nothing is due")
    if sender.troubles:
        raise SenderTrouble(
            "Expected messages to be taken, found "
            + "; ".join(f"{channel}: {told}" for channel, told in sorted(sender.troubles.items()))
            + " Messages and coupons are kept and tried again: mend what the answer names."
        )
    return counts


class SenderTrouble(RegularsError):
    """A mail server or gateway refuses us, whoever the messages are for."""


class _Sender:
    """One sender: a claim of its own, on one connection that is also its sign of life."""

    def __init__(self, conn: Connection, rules: Policy, clock: Callable[[], datetime]) -> None:
        self.conn, self.rules, self.clock = conn, rules, clock
        self.held = Claim.taken(conn, rules, clock())
        self.quiet = Quiet(conn)
        self.troubles: dict[str, str] = {}
        self.run_ends = self.ends = time.monotonic() + RUN_SECONDS

    def run(self) -> dict[str, int]:
        warehouse.value(self.conn, f"SELECT pg_advisory_lock({_LOCK})", {"claim": self.held.number})
        self.conn.commit()
        self._recover()
        heard = feedback.take_up(self.conn)
        self.conn.commit()
        feedback.tell(heard)
        self._expire()
        if self._paused():
            self.held.counts["paused"] = 1
        elif not self._open_zones():
            self.held.counts["closed"] = 1
        else:
            by_channel = sorted(self.rules.delivery.channels.model_dump().items())
            self._publish_outbox([channel for channel, name in by_channel if name == "outbox"])
            self._take_turns([(channel, name) for channel, name in by_channel if name != "outbox"])
        warehouse.value(
            self.conn, f"SELECT pg_advisory_unlock({_LOCK})", {"claim": self.held.number}
        )
        return {key: count for key, count in sorted(self.held.counts.items()) if count}

    # --- before anything is claimed ---------------------------------------------------------------

    def _paused(self) -> bool:
        return bool(
            warehouse.value(
                self.conn, "SELECT 1 FROM ops.switches WHERE key = 'pause_sends' AND value"
            )
        )

    def _open_zones(self) -> list[str]:
        """Where customers live, the time zones in which messages may leave at this moment."""
        found = warehouse.rows(
            self.conn,
            "SELECT DISTINCT time_zone FROM marketing.messages "
            "WHERE status IN ('pending', 'failed') AND time_zone IS NOT NULL",
        )
        zones = {name for (name,) in found} | {self.rules.shop.timezone}
        return sorted(
            name
            for name in zones
            if windows.is_open(self.held.now, self.rules.activation, ZoneInfo(name))
        )

    def _is_open(self, time_zone: str | None) -> bool:
        zone = ZoneInfo(time_zone or self.rules.shop.timezone)
        return windows.is_open(self.held.now, self.rules.activation, zone)

    def _recover(self) -> None:
        """Take over what senders left behind that are gone."""
        for (claim,) in warehouse.rows(
            self.conn,
            "SELECT DISTINCT claimed_by FROM marketing.messages WHERE status = 'claimed' ORDER BY 1",
        ):
            params = {"claim": claim}
            if warehouse.value(self.conn, f"SELECT pg_try_advisory_xact_lock({_LOCK})", params):
                self._recover_claim(claim)
            self.conn.commit()

    def _recover_claim(self, claim: int) -> None:
        params = {
            "claim": claim,
            "repeatable": [
                f"{channel} {name}"
                for channel in self.rules.delivery.channels.model_dump()
                for name in channels.REPEATABLE
                if channels.is_repeatable(name, self.rules.delivery, channel)
            ],
            "last": self.rules.delivery.max_attempts - 1,
        }
        handed_over = warehouse.rows(
            self.conn,
            "SELECT message_id FROM marketing.messages "
            "WHERE claimed_by = %(claim)s AND status = 'claimed' AND handed_over_at IS NOT NULL",
            params,
        )
        outcomes.move_triggers(self.held, [row[0] for row in handed_over], "sent")
        self.held.counts["recovered"] += warehouse.execute(
            self.conn,
            """
            UPDATE marketing.messages
            SET status = 'failed', claimed_by = NULL, handed_over_at = NULL, updated_at = now(),
                attempts = attempts + (handed_over_at IS NOT NULL)::integer,
                error = 'the sender stopped before the outcome was recorded'
            WHERE claimed_by = %(claim)s AND status = 'claimed'
              AND (handed_over_at IS NULL OR (
                channel || ' ' || provider = ANY(%(repeatable)s) AND attempts < %(last)s
              ))
            """,
            params,
        )
        self.held.counts["dead"] += warehouse.execute(
            self.conn,
            """
            UPDATE marketing.messages
            SET status = 'dead', claimed_by = NULL, attempts = attempts + 1, updated_at = now(),
                error = 'outcome unknown: the sender stopped while it handed the message over'
            WHERE claimed_by = %(claim)s AND status = 'claimed'
            """,
            params,
        )

    def _expire(self) -> None:
        """Cancel what may not be sent any more: past its window, or decided for too old a day."""
        today = self.held.now.astimezone(self.rules.shop.zone).date()
        oldest = today - timedelta(days=1 + self.rules.activation.max_age_days)
        expired = warehouse.rows(
            self.conn,
            """
            UPDATE marketing.messages
            SET status = 'cancelled', updated_at = now(),
                error = CASE WHEN send_not_after < %(now)s THEN 'expired' ELSE 'stale' END
            WHERE status IN ('pending', 'failed')
              AND (send_not_after < %(now)s OR as_of < %(oldest)s)
            RETURNING message_id
            """,
            {"now": self.held.now, "oldest": oldest},
        )
        outcomes.move_triggers(self.held, [row[0] for row in expired], "expired")
        self.conn.commit()
        self.held.counts["expired"] += len(expired)

    # --- the outbox: the table itself is the channel -----------------------------------------------

    def _publish_outbox(self, through: list[str]) -> None:
        """Claim, check and mark whole batches, each in one transaction."""
        while True:
            claimed = self._claim("outbox", through, self.rules.delivery.batch_size)
            if not claimed:
                self.conn.commit()
                return
            allowed = still_allowed(self.held, claimed)
            outcomes.record_sent(self.held, [message.message_id for message, _ in allowed], None)
            self.conn.commit()

    # --- mail and webhooks: message by message ------------------------------------------------------

    def _take_turns(self, waiting: list[tuple[str, str]]) -> None:
        """Give each channel its share of the time, so that none waits behind another's backlog.

        What one leaves over goes to those that have more to send than fits into their share.
        """
        while waiting:
            behind = []
            for place, (channel, name) in enumerate(waiting):
                left = self.run_ends - time.monotonic()
                self.ends = time.monotonic() + left / (len(waiting) - place)
                with channels.provider(name, self.rules.delivery, channel) as provider:
                    if self._hand_over_all(name, provider, channel):
                        behind.append((channel, name))
            waiting = behind

    def _hand_over_all(self, name: str, provider: Provider, channel: str) -> bool:
        """Send a channel's messages; whether its share of the time ended, and some were sent in it."""
        row = Row(self.held)
        is_behind = self._hand_over_in_turn(name, provider, channel, row)
        row.end()
        self._release()
        if row.trouble:
            self.troubles[channel] = row.trouble
        elif row.is_slow:
            notify.remark(
                DAG,
                f"{channel} waits, {datetime.now(UTC).date()}",
                f"Expected messages by {channel} to be taken, found {FAILURES_IN_A_ROW} in a row that were "
                "not; they wait and are tried again.",
                "see what marketing.messages.error says of those that failed; nothing is lost meanwhile.",
            )
        return is_behind

    def _hand_over_in_turn(self, name: str, provider: Provider, channel: str, row: Row) -> bool:
        handed_over = 0
        while True:
            size = min(CLAIM_SIZE, self.rules.delivery.batch_size)
            claimed = self._claim(name, [channel], size)
            allowed = still_allowed(self.held, claimed)
            self.conn.commit()
            if not claimed:
                return False
            waiting = deque(allowed)
            while waiting:
                if row.is_over:
                    return False
                message = waiting[0][0]
                if not self._is_its_turn(message):
                    return handed_over > 0
                if not self.quiet.holds():
                    # Somebody has written since the claim: what is known by now counts.
                    waiting = self._asked_again(waiting)
                    if not waiting or waiting[0][0] != message:
                        continue
                _, address = waiting.popleft()
                if not self._begin(message):
                    return False
                self._hand_over(provider, message, address, row)
                handed_over += 1
            if row.is_over:
                return False

    def _asked_again(self, waiting: Iterable[tuple[Claimed, str]]) -> deque[tuple[Claimed, str]]:
        """Those of our claim that may still be sent."""
        self.conn.commit()
        self.quiet.begins()
        feedback.take_up(self.conn, "sure")
        still = still_allowed(self.held, [message for message, _ in waiting], capped=False)
        self.conn.commit()
        return deque(still)

    def _is_its_turn(self, message: Claimed) -> bool:
        """Wait for the channel's next turn; False where it comes too late for this run or the customer."""
        limit = self.rules.delivery.per_minute.of(message.channel)
        if not pace.wait_turn(self.conn, message.channel, limit, self.ends - time.monotonic()):
            return False
        self.held.now = self.clock()
        return self._is_open(message.time_zone) and time.monotonic() < self.ends

    def _begin(self, message: Claimed) -> bool:
        """Mark a message as being handed over; False where that is not to be, or not by us."""
        begun = warehouse.execute(
            self.conn,
            """
            UPDATE marketing.messages SET handed_over_at = clock_timestamp(), updated_at = now()
            WHERE message_id = %(message)s AND claimed_by = %(claim)s AND status = 'claimed'
              AND send_not_after >= %(now)s
              AND NOT EXISTS (SELECT 1 FROM ops.switches WHERE key = 'pause_sends' AND value)
            """,
            {"message": message.message_id, "claim": self.held.number, "now": self.held.now},
        )
        self.conn.commit()
        return bool(begun)

    def _hand_over(self, provider: Provider, message: Claimed, address: str, row: Row) -> None:
        """Send one message and record the outcome, or what of it the row of refusals will tell."""
        outgoing = Outgoing(
            message_id=str(message.message_id),
            channel=message.channel,
            campaign=message.campaign,
            address=address,
            subject=message.subject,
            body=message.body,
            body_html=message.body_html,
            unsubscribe_url=self.rules.delivery.unsubscribe_link(str(message.message_id)),
        )
        try:
            provider_id = provider.send(outgoing)
        except Refused as error:
            outcomes.record_end(self.held, message, "dead", str(error), "cancelled")
        except (Doubted, Unavailable) as error:
            row.refused(message, error)
        except OutcomeUnknown as error:
            row.unknown()
            outcomes.record_unknown(self.held, message, str(error), repeatable=provider.repeatable)
        except Exception as error:
            # A fault that nobody foresaw must not keep all other messages waiting. What it says may hold
            # an address, so its kind alone is told.
            kind = type(error).__name__
            log.error("Message %s could not be handed over: %s.", message.message_id, kind)
            row.unknown()
            outcomes.record_unknown(self.held, message, f"{kind}.", repeatable=provider.repeatable)
        else:
            outcomes.record_sent(self.held, [message.message_id], provider_id)
            row.taken()
        self.quiet.holds()
        self.conn.commit()

    def _release(self) -> None:
        """Give back what is claimed and was not handed over."""
        warehouse.execute(
            self.conn,
            """
            UPDATE marketing.messages
            SET status = CASE WHEN attempts = 0 THEN 'pending' ELSE 'failed' END,
                claimed_by = NULL, updated_at = now()
            WHERE claimed_by = %(claim)s AND status = 'claimed' AND handed_over_at IS NULL
            """,
            {"claim": self.held.number},
        )
        self.conn.commit()

    # --- claims and checks ---------------------------------------------------------------------------

    def _claim(self, provider: str, through: list[str], batch_size: int) -> list[Claimed]:
        """Take what is due; until the caller commits, no other sender claims anything.

        Otherwise two senders could each take a message of one customer, and each find the cap unharmed.
        """
        asked.take_up(self.conn, self.rules)
        warehouse.value(
            self.conn, "SELECT pg_advisory_xact_lock(hashtextextended('regulars claims', 0))"
        )
        self.held.now = self.clock()
        self.quiet.begins()
        feedback.take_up(self.conn, "new")
        found = warehouse.rows(
            self.conn,
            warehouse.sql("queries/deliver/claim"),
            {
                "moment": self.held.now,
                "touched": datetime.now(UTC),
                "channels": through,
                "claim": self.held.number,
                "provider": provider,
                "batch_size": batch_size,
                "shop_zone": self.rules.shop.timezone,
                "open_zones": self._open_zones(),
            },
        )
        return sorted((Claimed(*row) for row in found), key=lambda m: str(m.message_id))

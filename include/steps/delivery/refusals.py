"""Refusals in a row: the sender's troubles are told from the recipients'.

What a server or gateway says of one recipient ends that message at once. Everything else that it does not
take is held back until the next one is taken, or refused too: taken, each ends as its own answer says; three
in a row (or all of a run that were refused as the sender's; or one that says so at once, as a refused login)
are nobody's fault but ours: they go back as if never tried, and the run leaves the channel alone.
"""

from datetime import timedelta

from include import warehouse
from include.channels import Doubted, SenderRefused
from include.errors import RegularsError
from include.steps.delivery import outcomes
from include.steps.delivery.held import Claim, Claimed

#: After so many messages in a row that a provider could not take, the run leaves it alone.
FAILURES_IN_A_ROW = 3


class Row:
    """What one channel did not take in a row, in one run.

    Attributes
    ----------
    trouble
        The sentence for on-call, where the channel refuses us.
    is_slow
        Whether the run left the channel alone for what is only for now.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.trouble: str | None = None
        self.is_slow = False
        self._waiting: list[tuple[Claimed, RegularsError]] = []
        self._unknown = 0
        self._has_taken = False

    def taken(self) -> None:
        """One was taken: what was refused before it was refused for itself."""
        self._settle()
        self._has_taken, self._unknown = True, 0

    def unknown(self) -> None:
        """One may have been taken; its outcome is recorded."""
        self._unknown += 1

    def refused(self, message: Claimed, error: RegularsError) -> None:
        """One was certainly not taken: held back, so that whoever recovers our claim may send it."""
        warehouse.execute(
            self.claim.conn,
            """
            UPDATE marketing.messages SET handed_over_at = NULL, updated_at = now()
            WHERE message_id = %(message)s AND claimed_by = %(claim)s AND status = 'claimed'
            """,
            {"message": message.message_id, "claim": self.claim.number},
        )
        self._waiting.append((message, error))

    @property
    def is_over(self) -> bool:
        """Whether enough is known to leave the channel alone."""
        return (
            len(self._waiting) + self._unknown >= FAILURES_IN_A_ROW or self._at_once() is not None
        )

    def end(self) -> None:
        """Record what is held back, at the end of the channel's share of the run."""
        ours = [error for _, error in self._waiting if isinstance(error, SenderRefused)]
        doubted = all(isinstance(error, Doubted) for _, error in self._waiting)
        if self.is_over:
            told = self._at_once() or (ours[0] if ours else None)
            if told is None and self._waiting and doubted:
                told = self._waiting[0][1]
            self.trouble = None if told is None else str(told)
            self.is_slow = told is None
            self._put_back()
        elif ours and not self._has_taken:
            self.trouble = str(ours[0])
            self._put_back()
        else:
            self._settle()

    def _at_once(self) -> RegularsError | None:
        found = (e for _, e in self._waiting if isinstance(e, SenderRefused) and e.at_once)
        return next(found, None)

    def _settle(self) -> None:
        for message, error in self._waiting:
            if isinstance(error, Doubted):
                outcomes.record_end(self.claim, message, "dead", str(error), "cancelled")
            else:
                outcomes.record_failure(self.claim, message, str(error))
        self._waiting.clear()

    def _put_back(self) -> None:
        """As if they had never been tried, but for a pause."""
        pause = timedelta(minutes=self.claim.rules.delivery.backoff_minutes)
        for message, error in self._waiting:
            self.claim.counts["failed"] += warehouse.execute(
                self.claim.conn,
                """
                UPDATE marketing.messages
                SET status = 'failed', next_attempt_at = %(next)s, error = %(error)s,
                    claimed_by = NULL, updated_at = now()
                WHERE message_id = %(message)s AND claimed_by = %(claim)s AND status = 'claimed'
                """,
                {
                    "message": message.message_id,
                    "claim": self.claim.number,
                    "next": self.claim.now + pause,
                    "error": str(error),
                },
            )
        self._waiting.clear()

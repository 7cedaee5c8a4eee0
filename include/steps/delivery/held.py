"""What one sender holds: its claim, and the messages that it has claimed."""

import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Self
from zoneinfo import ZoneInfo

from include import warehouse
from include.policy import Policy
from include.warehouse import Connection


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


@dataclass
class Claim:
    """A claim of a sender's own, on one connection that is also its sign of life.

    Attributes
    ----------
    number
        Its number; rows that another claim holds are never changed.
    now
        The moment that due times are judged by; the sender moves it on.
    counts
        How many messages ended how.
    """

    conn: Connection
    rules: Policy
    number: int
    now: datetime
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def taken(cls, conn: Connection, rules: Policy, now: datetime) -> Self:
        """A new one, with a number that nobody else has."""
        number = int(warehouse.value(conn, "SELECT nextval('ops.tokens')"))
        return cls(conn, rules, number, now)

    def day_in(self, time_zone: str | None) -> date:
        """The day that it is in a time zone; None for the shop's."""
        return self.now.astimezone(ZoneInfo(time_zone or self.rules.shop.timezone)).date()

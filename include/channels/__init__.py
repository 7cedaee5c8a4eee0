"""How messages leave: the outbox table, a mail server (`mail`), or a gateway's webhook (`webhook`).

A provider is a context manager with one method, `send`. It returns when the other side has accepted the
message, and otherwise says what happened, because each asks for something else: `Refused` (said of this
recipient: never try again), `Doubted` (refused without a word on whom), `SenderRefused` (said of us: keep the
message, tell people), `Unavailable` (certainly not accepted: try again later) and `OutcomeUnknown` (it may
have been accepted). `answers` says which answer is which, `profiles` how a gateway is spoken to.

Where an unknown outcome may be tried again is for the provider to say: a webhook is given the message's
idempotency key and drops a second copy (`repeatable`), a mail server is not and does not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from include.errors import BadInput, RegularsError
from include.policy import Delivery

#: Letters that reorder what is read, and control characters but tab and line ends: no message holds them.
_INVISIBLE = re.compile(
    "[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


class Refused(RegularsError):
    """The other side will never take this message."""


class Doubted(RegularsError):
    """The other side refused, and did not say whether the recipient or the sender."""


class Unavailable(RegularsError):
    """The other side did not take it now, and certainly has not got it."""


class SenderRefused(Unavailable):
    """The other side refuses us, whoever it is for; `at_once` where one such answer is enough to know."""

    def __init__(self, told: str, *, at_once: bool = False) -> None:
        super().__init__(told)
        self.at_once = at_once


class OutcomeUnknown(RegularsError):
    """The other side may have taken it: the answer got lost."""


@dataclass(frozen=True)
class Outgoing:
    """One message, ready to leave, without letters that reorder what is read."""

    message_id: str
    channel: str
    campaign: str
    address: str
    subject: str | None
    body: str
    body_html: str | None
    unsubscribe_url: str

    def __post_init__(self) -> None:
        for name in ("subject", "body", "body_html"):
            words = getattr(self, name)
            if words is not None:
                object.__setattr__(self, name, _INVISIBLE.sub("", words))

    def told(self) -> dict[str, str | None]:
        """What a gateway is told of it, by the names that documents and profiles use."""
        return {
            "message_id": self.message_id,
            "channel": self.channel,
            "campaign": self.campaign,
            "to": self.address,
            "subject": self.subject,
            "text": self.body,
            "html": self.body_html,
        }


class Provider(Protocol):
    """What every way of sending offers."""

    #: Whether the other side drops a second copy, so that an unknown outcome may be tried again.
    repeatable: bool

    def __enter__(self) -> Self:
        """Get ready to send."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of connections."""
        ...

    def send(self, message: Outgoing) -> str | None:
        """Hand one message over; what the other side calls it."""
        ...


#: Whether an unknown outcome may be tried again, for each provider by name. The outbox is the table
#: itself and knows no unknown outcome.
REPEATABLE: Mapping[str, bool] = {"outbox": True, "smtp": False, "webhook": True}


def is_repeatable(name: str, delivery: Delivery, channel: str) -> bool:
    """Whether an unknown outcome of a channel's provider may be tried again."""
    if name == "webhook" and delivery.gateways.of(channel) is not None:
        from include.channels import profiles

        found = profiles.of_channel(channel, delivery)
        return found is None or found.drops_copies
    return REPEATABLE[name]


def provider(name: str, delivery: Delivery, channel: str | None = None) -> Provider:
    """The provider of a name in the policy (`smtp` or `webhook`); addresses come from the environment.

    Parameters
    ----------
    channel
        Whose messages it sends: a gateway may have a profile for it.

    Raises
    ------
    BadInput
        When the name or its settings are unknown.
    """
    if name == "smtp":
        from include.channels.mail import Mail

        return Mail.from_environment(delivery)
    if name == "webhook":
        from include.channels import profiles
        from include.channels.webhook import Webhook

        return Webhook.from_environment(profiles.of_channel(channel, delivery) if channel else None)
    raise BadInput(
        f"Expected smtp or webhook as provider, found '{name}': correct delivery.channels."
    )

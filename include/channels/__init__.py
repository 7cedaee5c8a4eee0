"""How messages leave: the outbox table, a mail server (`mail`), or a gateway's webhook (`webhook`).

A provider is a context manager with one method, `send`. It returns when the other side has accepted the
message, and otherwise says which of three things happened, because each asks for something else:
`Refused` (never try again), `Unavailable` (certainly not accepted: try again later) and `OutcomeUnknown`
(it may have been accepted).

Where an unknown outcome may be tried again is for the provider to say: a webhook is given the message's
idempotency key and drops a second copy (`repeatable`), a mail server is not and does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from include.errors import BadInput, RegularsError
from include.policy import Delivery


class Refused(RegularsError):
    """The other side will never take this message."""


class Unavailable(RegularsError):
    """The other side did not take it now, and certainly has not got it."""


class OutcomeUnknown(RegularsError):
    """The other side may have taken it: the answer got lost."""


@dataclass(frozen=True)
class Outgoing:
    """One message, ready to leave."""

    message_id: str
    channel: str
    campaign: str
    address: str
    subject: str | None
    body: str
    body_html: str | None
    unsubscribe_url: str


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


def provider(name: str, delivery: Delivery) -> Provider:
    """The provider of a name in the policy (`smtp` or `webhook`); addresses come from the environment.

    Raises
    ------
    BadInput
        When the name or its settings are unknown.
    """
    if name == "smtp":
        from include.channels.mail import Mail

        return Mail.from_environment(delivery)
    if name == "webhook":
        from include.channels.webhook import Webhook

        return Webhook.from_environment()
    raise BadInput(
        f"Expected smtp or webhook as provider, found '{name}': correct delivery.channels."
    )

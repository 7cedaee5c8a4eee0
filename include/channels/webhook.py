"""Messages to a gateway (SMS, push, mail services) by an HTTP webhook.

Each message is one POST of JSON: message_id, channel, campaign, to, subject, text, html. The header
`Idempotency-Key` is the message's id: a retry after a lost answer carries the same key, and the gateway
drops the copy. Where a secret is set, `X-Regulars-Signature` is `sha256=` and the HMAC-SHA256 of the body.
"""

import hashlib
import hmac
import json
import os
import urllib.parse
from types import TracebackType
from typing import Any, Self

import httpx

from include.channels import OutcomeUnknown, Outgoing, Refused, Unavailable
from include.errors import BadInput

TIMEOUT_SECONDS = 20

#: Answers that ask for another try: timeout, conflict, too early, too many, not available.
_LATER = {408, 409, 425, 429, 503}


class Webhook:
    """A gateway at an address."""

    repeatable = True

    def __init__(self, address: str, secret: str | None) -> None:
        if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
            raise BadInput(
                "Expected REGULARS_WEBHOOK_URL as http:// or https:// address, found something else: "
                "correct it."
            )
        self._address, self._secret = address, secret
        # A connection for each message: on a shared one, a gateway that answers one message twice would
        # have its second answer taken for the answer to the next message.
        self._client = httpx.Client(
            timeout=TIMEOUT_SECONDS, limits=httpx.Limits(max_keepalive_connections=0)
        )

    @classmethod
    def from_environment(cls) -> Self:
        """The gateway in `REGULARS_WEBHOOK_URL`, its secret in `REGULARS_WEBHOOK_SECRET`."""
        address = os.environ.get("REGULARS_WEBHOOK_URL")
        if not address:
            raise BadInput(
                "Expected the gateway's address in REGULARS_WEBHOOK_URL, found none: set it, or write "
                "outbox under delivery.channels of the policy."
            )
        return cls(address, os.environ.get("REGULARS_WEBHOOK_SECRET"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def send(self, message: Outgoing) -> str | None:
        """Hand one message over; the gateway's `id` for it, where it names one.

        Raises
        ------
        Refused, Unavailable, OutcomeUnknown
        """
        content = json.dumps(
            {
                "message_id": message.message_id,
                "channel": message.channel,
                "campaign": message.campaign,
                "to": message.address,
                "subject": message.subject,
                "text": message.body,
                "html": message.body_html,
            },
            sort_keys=True,
        ).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.message_id}
        if self._secret:
            digest = hmac.new(self._secret.encode(), content, hashlib.sha256).hexdigest()
            headers["X-Regulars-Signature"] = f"sha256={digest}"
        try:
            answer = self._client.post(self._address, content=content, headers=headers)
        except httpx.ConnectError as error:
            raise Unavailable("The gateway cannot be reached.") from error
        except httpx.RequestError as error:
            raise OutcomeUnknown(
                f"The gateway's answer got lost: {type(error).__name__}."
            ) from error
        if answer.is_success:
            return _name(answer)
        if answer.status_code in _LATER:
            raise Unavailable(f"The gateway did not take it now ({answer.status_code}).")
        if answer.is_server_error:
            # What failed behind the gateway may have failed after the message was taken.
            raise OutcomeUnknown(f"The gateway failed ({answer.status_code}).")
        raise Refused(f"The gateway refused it ({answer.status_code}).")


def _name(answer: httpx.Response) -> str | None:
    try:
        found: Any = answer.json()
    except ValueError:
        return None
    name = found.get("id") if isinstance(found, dict) else None
    return str(name) if name is not None else None

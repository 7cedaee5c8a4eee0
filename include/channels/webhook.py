"""Messages to a gateway (SMS, push, mail services) by an HTTP webhook.

Each message is one POST. By default it is JSON: message_id, channel, campaign, to, subject, text, html; a
gateway that is spoken to otherwise has a profile (`profiles`). The header `Idempotency-Key` is the message's
id: a retry after a lost answer carries the same key, and the gateway drops the copy.

Where a secret is set, `X-Regulars-Signature` is `t=SECONDS,sha256=HEX`: the moment of sending in seconds
since 1970, and the HMAC-SHA256 of `SECONDS.BODY`. Who checks it refuses what was signed long ago.

The address is https, but for one of this machine itself or where `REGULARS_WEBHOOK_PLAIN` is `allowed`.
Proxies of the environment are ignored; `REGULARS_WEBHOOK_PROXY` names one.
"""

import hashlib
import hmac
import ipaddress
import json
import os
import ssl
import time
import urllib.parse
from types import TracebackType
from typing import Any, Self

import httpx

from include.channels import OutcomeUnknown, Outgoing, SenderRefused, Unavailable, answers
from include.channels.profiles import Profile
from include.errors import BadInput

TIMEOUT_SECONDS = 20


class Webhook:
    """A gateway at an address, spoken to in our own form or as a profile says."""

    def __init__(
        self,
        address: str,
        secret: str | None,
        *,
        profile: Profile | None = None,
        plain: bool = False,
        proxy: str | None = None,
    ) -> None:
        where = urllib.parse.urlsplit(address)
        if where.scheme not in ("http", "https") or not where.hostname:
            raise BadInput(
                "Expected REGULARS_WEBHOOK_URL as https:// address, found something else: correct it."
            )
        if where.scheme == "http" and not plain and not _is_loopback(where.hostname):
            raise BadInput(
                "Expected https:// in REGULARS_WEBHOOK_URL, found http:// and another machine, which would "
                "show addresses and messages to everybody between: write https://, or set "
                "REGULARS_WEBHOOK_PLAIN=allowed."
            )
        self._address, self._secret, self._profile = address, secret, profile
        self.repeatable = profile is None or profile.drops_copies
        # A connection for each message: on a shared one, a gateway that answers one message twice would
        # have its second answer taken for the answer to the next message.
        try:
            self._client = httpx.Client(
                timeout=TIMEOUT_SECONDS,
                limits=httpx.Limits(max_keepalive_connections=0),
                trust_env=False,
                proxy=proxy or None,
                verify=_trusted() if where.scheme == "https" else False,
            )
        except (ValueError, httpx.InvalidURL) as error:
            raise BadInput(
                "Expected REGULARS_WEBHOOK_PROXY as http://host:port, found something else: correct it."
            ) from error

    @classmethod
    def from_environment(cls, profile: Profile | None = None) -> Self:
        """The gateway of a profile, else the one in `REGULARS_WEBHOOK_URL`.

        `REGULARS_WEBHOOK_SECRET` signs what goes to our own form's gateway.
        """
        address = profile.address if profile else os.environ.get("REGULARS_WEBHOOK_URL")
        if not address:
            raise BadInput(
                "Expected the gateway's address in REGULARS_WEBHOOK_URL, found none: set it, or write "
                "outbox under delivery.channels of the policy."
            )
        plain = os.environ.get("REGULARS_WEBHOOK_PLAIN") or ""
        if plain not in ("", "allowed"):
            raise BadInput(
                f"Expected REGULARS_WEBHOOK_PLAIN to be allowed or empty, found '{plain}': correct it."
            )
        return cls(
            address,
            os.environ.get("REGULARS_WEBHOOK_SECRET"),
            profile=profile,
            plain=plain == "allowed",
            proxy=os.environ.get("REGULARS_WEBHOOK_PROXY"),
        )

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
        """Hand one message over; the gateway's name for it, where it has one.

        Raises
        ------
        Refused, Doubted, SenderRefused, Unavailable, OutcomeUnknown
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.message_id}
        content = json.dumps(
            self._profile.content(message) if self._profile else message.told(), sort_keys=True
        ).encode()
        if self._profile:
            headers |= self._profile.headers(message)
        elif self._secret:
            headers["X-Regulars-Signature"] = signature(self._secret, content, int(time.time()))
        try:
            answer = self._client.post(self._address, content=content, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            if "certificate" in str(error).lower():
                raise SenderRefused(
                    "The gateway's certificate is not to be trusted.", at_once=True
                ) from error
            raise Unavailable("The gateway cannot be reached.") from error
        except httpx.ProxyError as error:
            raise SenderRefused("The proxy refuses us.", at_once=True) from error
        except httpx.RequestError as error:
            raise OutcomeUnknown(
                f"The gateway's answer got lost: {type(error).__name__}."
            ) from error
        told = _told(answer)
        if self._profile:
            meaning, code = self._profile.meaning(answer.status_code, told)
        else:
            meaning, code = None if answer.is_success else answers.of_http(answer.status_code), None
        if meaning is None:
            name = self._profile.name_in(told) if self._profile else _found(told, "id")
            return None if name is None else str(name)
        shown = f"{answer.status_code} {code}" if code else f"{answer.status_code}"
        raise answers.refusal(meaning, "The gateway", shown)


def signature(secret: str, content: bytes, moment: int) -> str:
    """What signs a body at a moment, in seconds since 1970."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + content, hashlib.sha256).hexdigest()
    return f"t={moment},sha256={digest}"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _trusted() -> ssl.SSLContext:
    """Whom the machine trusts (`SSL_CERT_FILE` included), and the usual authorities."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _told(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _found(told: Any, key: str) -> Any:
    return told.get(key) if isinstance(told, dict) else None

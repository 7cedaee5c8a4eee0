"""E-mail through a mail server, by SMTP."""

import email.policy
import os
import re
import select
import smtplib
import ssl
import urllib.parse
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import EmailPolicy
from types import TracebackType
from typing import Any, Self

from include import notify
from include.channels import OutcomeUnknown, Outgoing, Refused, SenderRefused, Unavailable, answers
from include.errors import BadInput
from include.policy import Delivery

TIMEOUT_SECONDS = 20


class _Literal(UnstructuredHeader):
    """A header in one line as it is given: a link in an encoded word is none that a mail program finds."""

    def fold(self: Any, *, policy: EmailPolicy) -> str:
        """The line."""
        return f"{self.name}: {self}{policy.linesep}"


def _policy() -> "EmailPolicy[EmailMessage]":
    headers = HeaderRegistry()
    for name in ("list-unsubscribe", "list-unsubscribe-post", "message-id"):
        headers.map_to_type(name, _Literal)  # type: ignore[arg-type]
    return email.policy.SMTP.clone(header_factory=headers)


_POLICY = _policy()


class Mail:
    """One connection to a mail server, opened with the first message and again after it broke."""

    repeatable = False

    def __init__(self, address: str, delivery: Delivery) -> None:
        self._where = notify.MailServer.at(address, "REGULARS_SMTP_URL")
        self._delivery = delivery
        name, _, domain = delivery.sender_address.rpartition("@")
        self._sender = f"{name}@{_ascii_host(domain)}"
        self._server: smtplib.SMTP | None = None

    @classmethod
    def from_environment(cls, delivery: Delivery) -> Self:
        """The server in `REGULARS_SMTP_URL`."""
        address = os.environ.get("REGULARS_SMTP_URL")
        if not address:
            raise BadInput(
                "Expected the mail server's address in REGULARS_SMTP_URL, found none: set it, or write "
                "email: outbox under delivery.channels of the policy."
            )
        return cls(address, delivery)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            try:
                self._server.quit()
            except (smtplib.SMTPException, OSError):
                self._server.close()
            self._server = None

    def send(self, message: Outgoing) -> str | None:
        """Hand one message over; the server's name for it is its Message-ID.

        Raises
        ------
        Refused, Unavailable, OutcomeUnknown
        """
        mail = self.compose(message)
        server = self._connected()
        try:
            code, words = server.mail(self._sender)
            if code // 100 != 2:
                # The sender is refused, not this customer.
                self._reset()
                raise SenderRefused(
                    f"The mail server does not take our sender address ({_shown(code, words)}).",
                    at_once=code >= 500,
                )
            code, words = server.rcpt(message.address)
            if code // 100 != 2:
                self._reset()
                raise _refusal(code, words)
        except UnicodeError as error:
            self._reset()
            raise Refused("The address holds letters that this mail server cannot take.") from error
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            self._broken()
            raise Unavailable(f"The mail server went away: {type(error).__name__}.") from error
        try:
            code, words = server.data(mail.as_bytes(policy=email.policy.SMTP))
        except smtplib.SMTPDataError as error:
            self._reset()
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            self._broken()
            raise OutcomeUnknown(
                "The mail server went away between taking the message and saying so."
            ) from error
        if code // 100 != 2:
            self._reset()
            raise _refusal(code, words)
        return str(mail["Message-ID"])

    def compose(self, message: Outgoing) -> EmailMessage:
        """The message with its headers; its key is the Message-ID, so that a copy can be told."""
        sender = Address(self._delivery.sender_name, addr_spec=self._sender)
        try:
            recipient = Address(addr_spec=message.address)
        # The library's parser stumbles over odd addresses in its own ways, too.
        except (ValueError, IndexError, AttributeError, MessageError) as error:
            raise Refused("The address is not one of e-mail.") from error
        link = _ascii_link(message.unsubscribe_url)
        mail = EmailMessage(policy=_POLICY)
        mail["Subject"] = re.sub(r"\s+", " ", message.subject or "").strip()
        mail["From"] = sender
        mail["To"] = recipient
        mail["Date"] = datetime.now(UTC)
        mail["Message-ID"] = f"<{message.message_id}@{sender.domain}>"
        mail["List-Unsubscribe"] = f"<{link}>"
        if link.startswith("https:"):
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
        # Seven bits that every server passes on as they are, with or without 8BITMIME.
        mail.set_content(message.body, cte="quoted-printable")
        if message.body_html:
            mail.add_alternative(message.body_html, subtype="html", cte="quoted-printable")
        return mail

    def _connected(self) -> smtplib.SMTP:
        if self._server is not None and _has_said_more(self._server):
            # Every answer from here on would be taken for that to another question.
            self._broken()
        if self._server is None:
            try:
                self._server = self._where.opened(TIMEOUT_SECONDS)
            except (
                notify.NoTls,
                smtplib.SMTPAuthenticationError,
                ssl.SSLCertVerificationError,
            ) as error:
                raise SenderRefused(
                    f"The mail server takes no login of ours: {_reason(error)}.", at_once=True
                ) from error
            except (smtplib.SMTPException, OSError) as error:
                raise Unavailable(
                    f"The mail server does not take mail: {type(error).__name__}."
                ) from error
        return self._server

    def _reset(self) -> None:
        try:
            if self._server is not None:
                self._server.rset()
        except (smtplib.SMTPException, OSError):
            self._broken()

    def _broken(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None


def _has_said_more(server: smtplib.SMTP) -> bool:
    """Whether the server has sent something that nobody asked for: a second answer, or its end."""
    connection, answers = server.sock, server.file
    if connection is None or answers is None:
        return False
    connection.settimeout(0)
    try:
        if answers.peek(1):
            return True
        return bool(select.select([connection], [], [], 0)[0])
    except ssl.SSLWantReadError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(TIMEOUT_SECONDS)


def _refusal(code: int, words: bytes | str) -> Exception:
    """What an answer that refuses means, as the error to raise."""
    told = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return answers.refusal(answers.of_smtp(code, told), "The mail server", _shown(code, words))


def _shown(code: int, words: bytes | str) -> str:
    """An answer's codes; its words may hold an address."""
    told = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    enhanced = re.match(r"\s*([245]\.\d{1,3}\.\d{1,3})\b", told)
    return f"{code} {enhanced[1]}" if enhanced else f"{code}"


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"it refuses name or password ({error.smtp_code})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not to be trusted"
    return str(error)


def _ascii_host(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError as error:
        raise BadInput(
            f"Expected a domain in delivery.sender_address, found '{host}': correct it."
        ) from error


def _ascii_link(link: str) -> str:
    """A link as headers carry it: other letters than ASCII are written as RFC 3987 maps them."""
    parts = urllib.parse.urlsplit(link)
    if link.isascii():
        return link
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    quoted = [urllib.parse.quote(part, safe="/?&=%+:;,@!$'()*~-._") for part in parts[2:]]
    return urllib.parse.urlunsplit((parts.scheme, host, *quoted))

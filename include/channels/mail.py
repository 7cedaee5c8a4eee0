"""E-mail through a mail server, by SMTP."""

import email.policy
import os
import select
import smtplib
import ssl
import urllib.parse
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from types import TracebackType
from typing import Self

from include.channels import OutcomeUnknown, Outgoing, Refused, Unavailable
from include.errors import BadInput
from include.policy import Delivery

TIMEOUT_SECONDS = 20
_PERMANENT = 500


class Mail:
    """One connection to a mail server, opened with the first message and again after it broke."""

    repeatable = False

    def __init__(self, address: str, delivery: Delivery) -> None:
        self._where = urllib.parse.urlsplit(address)
        if self._where.scheme not in ("smtp", "smtps") or not self._where.hostname:
            raise BadInput(
                "Expected REGULARS_SMTP_URL as smtp://user:password@host:port or smtps://..., found "
                "something else: correct it."
            )
        self._delivery = delivery
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
            code, _ = server.mail(self._delivery.sender_address)
            if code // 100 != 2:
                # The sender is refused, not this customer: that is mended in the policy.
                self._reset()
                raise Unavailable(f"The mail server does not take our sender address ({code}).")
            code, _ = server.rcpt(message.address)
            if code // 100 != 2:
                self._reset()
                raise _refusal(code)
        except UnicodeError as error:
            self._reset()
            raise Refused("The address holds letters that this mail server cannot take.") from error
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            self._broken()
            raise Unavailable(f"The mail server went away: {type(error).__name__}.") from error
        try:
            code, _ = server.data(mail.as_bytes(policy=email.policy.SMTP))
        except smtplib.SMTPDataError as error:
            self._reset()
            raise _refusal(error.smtp_code) from error
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            self._broken()
            raise OutcomeUnknown(
                "The mail server went away between taking the message and saying so."
            ) from error
        if code != 250:
            self._reset()
            raise _refusal(code)
        return str(mail["Message-ID"])

    def compose(self, message: Outgoing) -> EmailMessage:
        """The message with its headers; its key is the Message-ID, so that a copy can be told."""
        sender = Address(self._delivery.sender_name, addr_spec=self._delivery.sender_address)
        try:
            recipient = Address(addr_spec=message.address)
        # The library's parser stumbles over odd addresses in its own ways, too.
        except (ValueError, IndexError, AttributeError, MessageError) as error:
            raise Refused("The address is not one of e-mail.") from error
        mail = EmailMessage()
        mail["Subject"] = message.subject or ""
        mail["From"] = sender
        mail["To"] = recipient
        mail["Message-ID"] = f"<{message.message_id}@{sender.domain}>"
        mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        if message.unsubscribe_url.startswith("https:"):
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
        mail.set_content(message.body)
        if message.body_html:
            mail.add_alternative(message.body_html, subtype="html")
        return mail

    def _connected(self) -> smtplib.SMTP:
        if self._server is not None and _has_said_more(self._server):
            # Every answer from here on would be taken for that to another question.
            self._broken()
        if self._server is None:
            try:
                self._server = self._open()
            except (smtplib.SMTPException, OSError) as error:
                raise Unavailable(
                    f"The mail server does not take mail: {type(error).__name__}."
                ) from error
        return self._server

    def _open(self) -> smtplib.SMTP:
        host, secure = self._where.hostname or "", self._where.scheme == "smtps"
        context = ssl.create_default_context()
        port = self._where.port or (465 if secure else 25)
        server = (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
            if secure
            else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
        )
        server.ehlo_or_helo_if_needed()
        if not secure and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        if self._where.username:
            server.login(
                urllib.parse.unquote(self._where.username),
                urllib.parse.unquote(self._where.password or ""),
            )
        return server

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


def _refusal(code: int) -> Refused | Unavailable:
    """What an answer means: 5xx never, everything else not now."""
    if code >= _PERMANENT:
        return Refused(f"The mail server refused it ({code}).")
    return Unavailable(f"The mail server did not take it now ({code}).")

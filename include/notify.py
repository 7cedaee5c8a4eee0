"""Notices to people: one for each failed run, with what they need to know at three in the morning.

Airflow calls `task_failed` in the worker, where the error is known, and `run_failed` in its DAG processor,
where the run is known to have failed and the error is not; `ops.failures` carries the sentence across.

A notice goes by e-mail where `REGULARS_NOTICE_SMTP_URL` (smtp://user:password@host:port, or smtps://) and
`REGULARS_NOTICE_TO` are set, to `REGULARS_NOTICE_WEBHOOK` as JSON where that is set, and in any case into
`ops.notices` and the log. A DAG that runs by the clock and has no business day (delivery, every five
minutes) is told of once per cause until a run of it succeeds. A notice holds no personal data: of an error
that was not foreseen only its kind is told, since a message of the database may quote a row.
What needs a look though no run failed is a remark, told once in the same ways.
"""

import json
import logging
import os
import re
import smtplib
import ssl
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from typing import Any

from include import as_of, warehouse
from include.errors import BadInput, RegularsError

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 15


@dataclass(frozen=True)
class Notice:
    """What is told about a failed run."""

    dag_id: str
    run_id: str
    attempt: int | None
    business_day: str | None
    task_id: str | None
    error: str | None
    advice: str
    link: str

    @property
    def subject(self) -> str:
        """One line: which DAG failed, for which day, at which task."""
        day = f" for {self.business_day}" if self.business_day else ""
        task = f" at {self.task_id}" if self.task_id else ""
        return f"{self.dag_id}{day} failed{task}"

    @property
    def body(self) -> str:
        """The whole notice as text."""
        return "\n".join(
            (
                f"DAG: {self.dag_id}",
                f"Business day: {self.business_day or 'none'}",
                f"Run: {self.run_id}",
                f"Failing task: {self.task_id or 'not known; see the run'}",
                f"Error: {self.error or 'not recorded; see the log of the task'}",
                "",
                f"If it fails: {self.advice}",
                "",
                f"Look here: {self.link}",
            )
        )


class Remark(Notice):
    """What needs a look, in a DAG whose run succeeded; its `run_id` is what it is told once under."""

    @property
    def subject(self) -> str:
        """One line: which DAG has something to look at."""
        return f"{self.dag_id} needs a look"

    @property
    def body(self) -> str:
        """The whole remark as text."""
        return f"DAG: {self.dag_id}\n{self.error}\n\nWhat to do: {self.advice}\n\nLook here: {self.link}"


class NoTls(smtplib.SMTPException):
    """The mail server offers no TLS, and it is demanded."""


@dataclass(frozen=True)
class MailServer:
    """A mail server by its address, for notices and for what customers are sent.

    Certificates are verified. TLS is demanded (`?tls=demanded`) wherever a password goes along, unless the
    address ends with `?tls=offered`: then it is used where the server offers it.
    """

    host: str
    port: int
    user: str | None
    password: str
    from_the_start: bool
    demanded: bool

    @classmethod
    def at(cls, address: str, variable: str) -> "MailServer":
        """The server of an address, which a variable of the environment holds.

        Raises
        ------
        BadInput
            When it is none.
        """
        where = urllib.parse.urlsplit(address)
        asked = urllib.parse.parse_qs(where.query, keep_blank_values=True)
        tls = asked.pop("tls", ["demanded" if where.username else "offered"])
        try:
            port = where.port
        except ValueError:
            port = -1
        if (
            where.scheme not in ("smtp", "smtps")
            or not where.hostname
            or port == -1
            or asked
            or tls not in (["demanded"], ["offered"])
        ):
            raise BadInput(
                f"Expected {variable} as smtp://user:password@host:port or smtps://..., perhaps with "
                "?tls=demanded or ?tls=offered, found something else: correct it."
            )
        from_the_start = where.scheme == "smtps"
        return cls(
            where.hostname,
            port or (465 if from_the_start else 25),
            urllib.parse.unquote(where.username) if where.username else None,
            urllib.parse.unquote(where.password or ""),
            from_the_start,
            tls == ["demanded"],
        )

    def opened(self, timeout: float) -> smtplib.SMTP:
        """A connection, greeted, with TLS and logged in as the address says.

        Raises
        ------
        NoTls, smtplib.SMTPException, OSError
        """
        context = ssl.create_default_context()
        if self.from_the_start:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=timeout, context=context
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=timeout)
        try:
            server.ehlo_or_helo_if_needed()
            if not self.from_the_start and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif not self.from_the_start and self.demanded:
                raise NoTls("it offers no TLS, which is demanded (smtps:// has it from the start)")
            if self.user:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server


def task_failed(context: Mapping[str, Any]) -> None:
    """Keep the error of a task that failed for good, for the notice of its run."""
    instance = context["ti"]
    try:
        with warehouse.connect() as conn:
            warehouse.execute(
                conn,
                """
                INSERT INTO ops.failures (dag_id, run_id, task_id, error, failed_at)
                VALUES (%(dag_id)s, %(run_id)s, %(task_id)s, %(error)s, clock_timestamp())
                ON CONFLICT (dag_id, run_id, task_id)
                DO UPDATE SET error = excluded.error, failed_at = excluded.failed_at
                """,
                {
                    "dag_id": instance.dag_id,
                    "run_id": instance.run_id,
                    "task_id": instance.task_id,
                    "error": sentence(context.get("exception")),
                },
            )
    except Exception as error:
        log.warning("Could not keep the task's error for the notice: %s", sentence(error))


def run_failed(context: Mapping[str, Any]) -> None:
    """Send the one notice of a failed run; each time that it fails, cleared in between, is told once."""
    notice = _notice(context)
    try:
        with warehouse.connect() as conn:
            notice = _with_error(conn, notice)
            if _is_repeated(conn, notice):
                log.error("%s, as told before: %s", notice.subject, notice.error)
                return
            if not _first(conn, notice):
                log.info("The failure of %s %s was told before.", notice.dag_id, notice.run_id)
                return
    except Exception as error:
        # The database may be what failed: people are told all the same.
        log.warning("The notice could not be recorded: %s", sentence(error))
    log.error("%s\n%s", notice.subject, notice.body)
    _tell(notice)


def remark(dag_id: str, key: str, error: str, advice: str) -> None:
    """Tell, once under a key, of what needs a look though no run has failed."""
    notice = Remark(dag_id, key, None, None, None, error, advice, "docs/runbook.md")
    with warehouse.connect() as conn:
        if not _first(conn, notice):
            return
    log.warning("%s\n%s", notice.subject, notice.body)
    _tell(notice)


def _tell(notice: Notice) -> None:
    """Send a notice that is recorded, and record how that went."""
    channel, failure = send(notice)
    try:
        with warehouse.connect() as conn:
            warehouse.execute(
                conn,
                """
                UPDATE ops.notices
                SET channel = %(channel)s, delivered = %(failure)s IS NULL, delivery_error = %(failure)s
                WHERE dag_id = %(dag_id)s AND run_id = %(run_id)s
                """,
                {
                    "channel": channel,
                    "failure": failure,
                    "dag_id": notice.dag_id,
                    "run_id": notice.run_id,
                },
            )
    except Exception as error:
        log.warning("How the notice went could not be recorded: %s", sentence(error))


def mended(conn: Any, dag_id: str) -> None:
    """A run of a DAG that runs by the clock succeeded: whatever fails from now on is told anew."""
    warehouse.execute(
        conn,
        """
        UPDATE ops.notices SET mended_at = clock_timestamp()
        WHERE dag_id = %(dag_id)s AND mended_at IS NULL
        """,
        {"dag_id": dag_id},
    )


def sentence(error: object) -> str:
    """An error in one line without personal data: our own sentences as they are, the kind of others."""
    if error is None:
        return "The task was stopped from outside (killed, timed out or marked as failed)."
    if isinstance(error, RegularsError):
        return re.sub(r"\s+", " ", str(error)).strip()
    kind = type(error).__name__
    state = getattr(error, "pgcode", None)
    return f"{kind}{f' ({state})' if state else ''}; the task's log says more."


def advice(doc: str | None) -> str:
    """The paragraph after `If it fails:` in a DAG's documentation, as one line."""
    found = re.search(r"If it fails:\s*(.+?)(?:\n\s*\n|\Z)", doc or "", flags=re.DOTALL)
    if not found:
        return "no advice is written in the DAG's documentation."
    return re.sub(r"\s+", " ", found.group(1)).strip()


def _notice(context: Mapping[str, Any]) -> Notice:
    """What the DAG processor's context says.

    It holds `dag`, `run_id` and `reason`; where Airflow knows a task that caused the failure, also `ti`,
    `dag_run` and `params`.
    """
    dag, run_id = context["dag"], str(context["run_id"])
    instance = context.get("ti")
    return Notice(
        dag_id=dag.dag_id,
        run_id=run_id,
        attempt=getattr(context.get("dag_run"), "clear_number", None),
        business_day=_day(context),
        task_id=getattr(instance, "task_id", None),
        error=None,
        advice=advice(dag.doc_md),
        link=_link(dag.dag_id, run_id),
    )


def _day(context: Mapping[str, Any]) -> str | None:
    try:
        return as_of.business_day(context)
    except RegularsError:
        return None


def _link(dag_id: str, run_id: str) -> str:
    from airflow.configuration import conf

    base = str(conf.get("api", "base_url", fallback="") or "http://localhost:8080").rstrip("/")
    return f"{base}/dags/{dag_id}/runs/{urllib.parse.quote(run_id, safe='')}"


def _with_error(conn: Any, notice: Notice) -> Notice:
    """The notice with the task that failed first and its error, where the worker recorded one."""
    found = warehouse.rows(
        conn,
        """
        SELECT f.task_id, f.error
        FROM ops.failures AS f
        LEFT JOIN ops.notices AS n USING (dag_id, run_id)
        WHERE f.dag_id = %(dag_id)s AND f.run_id = %(run_id)s
            AND (n.recorded_at IS NULL OR f.failed_at > n.recorded_at)
        ORDER BY f.failed_at LIMIT 1
        """,
        {"dag_id": notice.dag_id, "run_id": notice.run_id},
    )
    if not found:
        return notice
    task_id, error = found[0]
    return Notice(**(asdict(notice) | {"task_id": task_id, "error": error}))


def _is_repeated(conn: Any, notice: Notice) -> bool:
    """Whether another run without a business day failed of the same cause, not mended since."""
    if notice.business_day is not None or notice.error is None:
        return False
    return bool(
        warehouse.execute(
            conn,
            """
            UPDATE ops.notices SET repeated = coalesce(repeated, 0) + 1
            WHERE (dag_id, run_id) = (
                SELECT dag_id, run_id FROM ops.notices
                WHERE dag_id = %(dag_id)s AND run_id <> %(run_id)s AND task_id = %(task_id)s
                    AND error = %(error)s AND business_day IS NULL AND mended_at IS NULL
                ORDER BY recorded_at DESC LIMIT 1
            )
            """,
            asdict(notice),
        )
    )


def _first(conn: Any, notice: Notice) -> bool:
    """Record the notice; False where this failure of the run has one already.

    Where Airflow does not say how often the run was cleared (its task is gone from the DAG), a failure that
    a worker has recorded since the last notice is a new one.
    """
    return bool(
        warehouse.execute(
            conn,
            """
            INSERT INTO ops.notices AS n (
                dag_id, run_id, attempt, business_day, task_id, error, body, channel, delivered,
                recorded_at
            )
            VALUES (
                %(dag_id)s, %(run_id)s, %(attempt)s, %(business_day)s, %(task_id)s, %(error)s, %(body)s,
                'log', true, clock_timestamp()
            )
            ON CONFLICT (dag_id, run_id) DO UPDATE SET
                attempt = coalesce(excluded.attempt, n.attempt), task_id = excluded.task_id,
                error = excluded.error,
                body = excluded.body, channel = excluded.channel, delivered = excluded.delivered,
                delivery_error = NULL, recorded_at = excluded.recorded_at
            WHERE coalesce(n.attempt, 0) < excluded.attempt
                OR (excluded.attempt IS NULL AND EXISTS (
                    SELECT 1 FROM ops.failures AS f
                    WHERE f.dag_id = n.dag_id AND f.run_id = n.run_id AND f.failed_at > n.recorded_at
                ))
            """,
            asdict(notice) | {"body": notice.body},
        )
    )


def send(notice: Notice) -> tuple[str, str | None]:
    """Send a notice as the environment says; the channel, and why it failed (None where it did not)."""
    mail, recipients = (
        os.environ.get("REGULARS_NOTICE_SMTP_URL"),
        os.environ.get("REGULARS_NOTICE_TO"),
    )
    webhook = os.environ.get("REGULARS_NOTICE_WEBHOOK")
    if not (mail and recipients) and not webhook:
        return "log", None
    channel = "email" if mail and recipients else "webhook"
    try:
        if mail and recipients:
            _mail(notice, mail, recipients)
        else:
            _post(notice, str(webhook))
    except Exception as error:
        kind = type(error).__name__
        log.warning("The notice could not be sent by %s: %s", channel, kind)
        return channel, kind
    return channel, None


def _mail(notice: Notice, address: str, recipients: str) -> None:
    message = EmailMessage()
    message["Subject"] = notice.subject
    message["From"] = os.environ.get("REGULARS_NOTICE_FROM") or "regulars@localhost"
    message["To"] = recipients
    message.set_content(notice.body)
    with MailServer.at(address, "REGULARS_NOTICE_SMTP_URL").opened(TIMEOUT_SECONDS) as server:
        server.send_message(message)


def _post(notice: Notice, address: str) -> None:
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise ValueError("expected an http or https address in REGULARS_NOTICE_WEBHOOK")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        address,
        data=json.dumps(asdict(notice) | {"text": f"{notice.subject}\n{notice.body}"}).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - as above
        pass

"""Whatever kills, stops or confuses a sender: each message once, or not at all, and none forgotten."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from typing import Any

import pytest

from include import policy, warehouse
from include.channels import mail, webhook
from include.steps.delivery import deliver
from tests.sql import planted
from tests.sql.planted import errors, person, plant, states, wait_for_the_server_to_notice

pytestmark = pytest.mark.usefixtures("warehouse")

#: 10:00 in New York on the day after the planted business day.
MORNING = datetime(2017, 10, 2, 14, tzinfo=UTC)

CHANNELS = {
    "outbox": "{email: outbox, sms: outbox}",
    "smtp": "{email: smtp, sms: outbox}",
    "webhook": "{email: webhook, sms: webhook}",
}


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        opened.commit()
        yield opened


class Watched:
    """A connection that calls back around each of its commits."""

    def __init__(self, conn: Any, at_commit: Callable[[int, str], None]) -> None:
        self._conn, self._at_commit, self._commits = conn, at_commit, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)

    def commit(self) -> None:
        self._commits += 1
        self._at_commit(self._commits, "before")
        self._conn.commit()
        self._at_commit(self._commits, "after")


def sender_in_a_process_of_its_own(prepare: Callable[[], None]) -> int:
    """Fork a sender; `prepare` breaks something in it first. Its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        prepare()
        deliver.send(MORNING)
    except BaseException:
        os._exit(1)
    os._exit(0)


def signalled(number: int, where: int, when: str) -> Callable[[], None]:
    """Make the sender signal itself at one of its commits."""

    def prepare() -> None:
        plain = deliver._Sender.__init__

        def at_commit(commit: int, side: str) -> None:
            if (commit, side) == (where, when):
                os.kill(os.getpid(), number)

        def init(self: Any, conn: Any, *more: Any) -> None:
            watched: Any = Watched(conn, at_commit)
            plain(self, watched, *more)

        deliver._Sender.__init__ = init  # type: ignore[assignment, method-assign]

    return prepare


def finish() -> None:
    """What later runs do, until nothing is left to do."""
    for minutes in (0, 15, 40):
        deliver.send(MORNING + timedelta(minutes=minutes))


def received(mailbox) -> Counter[str]:
    return Counter(message_from_bytes(raw)["Message-ID"] for raw in mailbox.mails)


@pytest.mark.parametrize(
    "kind",
    [
        "outbox",
        pytest.param("smtp", marks=pytest.mark.slow),
        pytest.param("webhook", marks=pytest.mark.slow),
    ],
)
def test_killed_before_and_after_every_commit(conn, use, mailbox, gateway, kind):
    """SIGKILL at each commit in turn, until one run gets through: none twice, none lost."""
    use(channels=CHANNELS[kind])
    commit, through = 0, False
    while not through:
        commit += 1
        for when in ("before", "after"):
            planted.clear(conn)
            plant(conn, 2)
            mailbox.mails.clear()
            gateway.requests.clear()
            pid = sender_in_a_process_of_its_own(signalled(signal.SIGKILL, commit, when))
            _, status = os.waitpid(pid, 0)
            through = os.WIFEXITED(status)
            assert through or os.WTERMSIG(status) == signal.SIGKILL
            wait_for_the_server_to_notice(conn)
            finish()
            place = f"killed {when} commit {commit}"
            found = states(conn)
            if kind == "smtp":
                copies = received(mailbox)
                assert max(copies.values()) == 1, place
                # One that was in the air is given up, and says so; it counts as sent for the customer.
                unknown = found.get("dead/sent", 0)
                assert found.get("sent/sent", 0) + unknown == 2, place
                assert unknown <= 1, place
                assert len(copies) >= 2 - unknown, place
            else:
                assert found == {"sent/sent": 2}, place
            if kind == "webhook":
                assert set(gateway.keys()) == {person(2001), person(2002)}, place
                assert gateway.keys().total() <= 3, f"{place}: only the one in the air is repeated"
    assert commit > {"outbox": 4, "smtp": 9, "webhook": 9}[kind], "every step was tried"


def stopped(pid: int) -> None:
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def goes_on(pid: int) -> int:
    os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("commit", range(3, 10))
def test_a_stopped_sender_that_wakes_up_repeats_nothing(conn, use, gateway, commit):
    """SIGSTOP, a second sender meanwhile, SIGCONT: the first still holds its claims, the second waits."""
    use(channels=CHANNELS["webhook"])
    plant(conn, 3)
    pid = sender_in_a_process_of_its_own(signalled(signal.SIGSTOP, commit, "after"))
    stopped(pid)
    deliver.send(MORNING)
    assert goes_on(pid) == 0
    assert states(conn) == {"sent/sent": 3}
    assert gateway.keys() == Counter({person(2000 + n): 1 for n in (1, 2, 3)})


@pytest.mark.parametrize("kind", ["smtp", "webhook"])
@pytest.mark.parametrize("commit", range(5, 10))
def test_a_sender_that_lost_its_claims_while_it_was_stopped_is_fenced(
    conn, use, mailbox, gateway, kind, commit
):
    """Stopped so long that the server drops its connection: others take over, and it finds out."""
    use(channels=CHANNELS[kind])
    plant(conn, 3)
    pid = sender_in_a_process_of_its_own(signalled(signal.SIGSTOP, commit, "after"))
    stopped(pid)
    cut = warehouse.value(
        conn,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    assert cut == 1
    wait_for_the_server_to_notice(conn)
    finish()
    settled = states(conn)
    assert goes_on(pid) == 1, "its connection is gone"
    assert states(conn) == settled, "it records nothing any more"
    if kind == "smtp":
        copies = received(mailbox)
        assert max(copies.values()) == 1
        assert settled.get("sent/sent", 0) + settled.get("dead/sent", 0) == 3
    else:
        assert settled == {"sent/sent": 3}
        assert set(gateway.keys()) == {person(2000 + n) for n in (1, 2, 3)}
        assert max(gateway.keys().values()) <= 2, (
            "twice only under one key, which the gateway drops"
        )


def test_a_task_that_is_cleared_while_it_sends_loses_nothing(conn, use, gateway, monkeypatch):
    """Airflow ends the first with SIGTERM, in the middle of a hand-over, and starts another."""
    use(channels=CHANNELS["webhook"])
    plant(conn, 5)
    plain = webhook.Webhook.send
    calls = []

    def ended(self, message):
        done = plain(self, message)
        calls.append(message)
        if len(calls) == 2:
            raise SystemExit(143)
        return done

    monkeypatch.setattr(webhook.Webhook, "send", ended)
    with pytest.raises(SystemExit):
        deliver.send(MORNING)
    assert states(conn) == {"claimed/approved": 4, "sent/sent": 1}
    assert deliver.send(MORNING) == {"recovered": 4, "sent": 4}
    assert sorted(gateway.keys().values()) == [1, 1, 1, 1, 2]


def test_quiet_hours_that_begin_while_a_sender_sleeps_are_kept(conn, use, gateway):
    """A machine that freezes after the first message, and thaws at half past nine in the evening."""
    use(channels=CHANNELS["webhook"])
    plant(conn, 3)

    def clock() -> datetime:
        return MORNING if len(gateway.requests) < 1 else MORNING + timedelta(hours=11, minutes=30)

    with warehouse.connect() as own:
        assert deliver._Sender(own, policy.load(), clock).run() == {"sent": 1}
    assert states(conn) == {"pending/approved": 2, "sent/sent": 1}


def test_a_window_that_ends_while_a_sender_sleeps_is_kept(conn, use, gateway):
    use(channels=CHANNELS["webhook"])
    plant(conn, 3, send_not_after="2017-10-02T15:00Z")

    def clock() -> datetime:
        return MORNING if len(gateway.requests) < 1 else MORNING + timedelta(hours=2)

    with warehouse.connect() as own:
        assert deliver._Sender(own, policy.load(), clock).run() == {"sent": 1}
    assert deliver.send(MORNING + timedelta(hours=2)) == {"expired": 2}


@pytest.mark.parametrize(
    ("table", "row", "error"),
    [
        ("core.consents", {"granted": False}, "no_consent"),
        ("ops.suppressions", {"reason": "unsubscribed"}, "on_suppression_list"),
    ],
)
def test_a_no_that_comes_between_claim_and_hand_over_is_obeyed(
    conn, use, gateway, monkeypatch, table, row, error
):
    use(channels=CHANNELS["webhook"])
    plant(conn, 3)
    stamp = "2017-10-02T13:59Z"
    shared = {"customer_id": person(3), "channel": "email"}
    consent = {"purpose": "marketing", "valid_from": stamp, "known_at": stamp}
    plain = webhook.Webhook.send

    def send_and_withdraw(self, message):
        if not gateway.requests:
            more = consent if table == "core.consents" else {"recorded_at": stamp}
            planted.fill(conn, table, [shared | more | row])
            conn.commit()
        return plain(self, message)

    monkeypatch.setattr(webhook.Webhook, "send", send_and_withdraw)
    assert deliver.send(MORNING) == {"cancelled": 1, "sent": 2}
    assert errors(conn) == [None, None, error]
    assert gateway.keys()[person(2003)] == 0


def test_two_senders_at_once_keep_one_customers_cap(conn, use, gateway):
    """Five messages of one customer and ten senders: one today."""
    use(channels=CHANNELS["webhook"])
    plant(conn, 5)
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET customer_id = %(one)s, campaign = 'c' || message_id",
        {"one": person(1)},
    )
    conn.commit()
    senders = [threading.Thread(target=deliver.send, args=(MORNING,)) for _ in range(10)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len(gateway.requests) == 1
    assert errors(conn).count("frequency_cap") == 4


def test_old_days_decided_late_go_nowhere_while_today_goes_out(conn, use, gateway):
    """A backfill beside the schedule, both planted as due: the old day's are stale."""
    use(channels=CHANNELS["webhook"])
    plant(conn, 6)
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET as_of = '2017-03-01' WHERE message_id <= %(half)s",
        {"half": person(2003)},
    )
    conn.commit()
    senders = [threading.Thread(target=deliver.send, args=(MORNING,)) for _ in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert set(gateway.keys()) == {person(2004), person(2005), person(2006)}
    assert errors(conn) == ["stale"] * 3 + [None] * 3


# --- servers that answer late, twice or not at all -------------------------------------------------


def test_a_gateway_that_answers_too_late_gets_the_same_key_again(conn, use, gateway, monkeypatch):
    use(channels=CHANNELS["webhook"], backoff_minutes="1")
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.2)
    plant(conn, 1)
    gateway.script = ["slow", 200]
    assert deliver.send(MORNING) == {"failed": 1}
    assert deliver.send(MORNING + timedelta(minutes=1)) == {"sent": 1}
    assert gateway.keys() == {person(2001): 2}


def test_mail_that_is_answered_too_late_is_not_sent_again(conn, use, mailbox, monkeypatch):
    use(channels=CHANNELS["smtp"])
    monkeypatch.setattr(mail, "TIMEOUT_SECONDS", 0.3)
    plant(conn, 1)
    mailbox.sleep = 1.0
    assert deliver.send(MORNING) == {"dead": 1}
    mailbox.sleep = 0.0
    assert deliver.send(MORNING + timedelta(hours=1)) == {}
    assert "outcome unknown" in (errors(conn)[0] or "")
    assert max(received(mailbox).values()) == 1


def test_a_gateway_that_answers_twice_confuses_no_message(conn, use, gateway):
    """The second answer to one message is not taken for the answer to the next, which is refused."""
    use(channels=CHANNELS["webhook"])
    plant(conn, 3)
    gateway.script = ["twice", 400, 200]
    assert deliver.send(MORNING) == {"dead": 1, "sent": 2}
    assert [error for error in errors(conn) if error] == ["The gateway refused it (400)."]
    ids = warehouse.rows(
        conn, "SELECT provider_id FROM marketing.messages WHERE status = 'sent' ORDER BY 1"
    )
    assert ids == [("gw-1",), ("gw-3",)]


def test_a_mail_server_that_answers_twice_confuses_no_message(conn, use, mailbox):
    use(channels=CHANNELS["smtp"])
    plant(conn, 3)
    mailbox.answer = "250 OK\r\n250 OK"
    assert deliver.send(MORNING) == {"sent": 3}
    assert len(mailbox.mails) == 3
    for raw in mailbox.mails:
        message = message_from_bytes(raw)
        assert len(message.get_all("Message-ID", [])) == 1
        assert message.get_content_type() == "multipart/alternative"
    assert max(received(mailbox).values()) == 1


# --- how fast ----------------------------------------------------------------------------------------


def test_a_channel_keeps_its_rate_however_many_senders_there_are(conn, use, gateway):
    use(channels=CHANNELS["webhook"], per_minute="{email: 1200, sms: null}")
    plant(conn, 20)
    senders = [threading.Thread(target=deliver.send, args=(MORNING,)) for _ in range(3)]
    begun = time.monotonic()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert states(conn) == {"sent/sent": 20}
    assert time.monotonic() - begun >= 19 * 0.05
    moments = sorted(gateway.moments)
    # Turns are 50 ms apart; a request may be a little late, and the one after it on time.
    assert all(moments[n + 4] - moments[n] >= 4 * 0.05 - 0.08 for n in range(16))


def test_what_the_rate_leaves_over_waits_for_the_next_run(conn, use, gateway, monkeypatch):
    use(channels=CHANNELS["webhook"], per_minute="{email: 60, sms: null}")
    monkeypatch.setattr(deliver, "RUN_SECONDS", 0.9)
    plant(conn, 3)
    assert deliver.send(MORNING) == {"sent": 1}
    assert states(conn) == {"pending/approved": 2, "sent/sent": 1}


@pytest.mark.parametrize("limited", ["email: 60, sms: null", "email: null, sms: null"])
def test_no_channel_waits_behind_anothers_backlog(
    conn, use, gateway, mailbox, monkeypatch, limited
):
    """E-mail that is slow, by its rate or by its server, and one text message."""
    use(channels="{email: smtp, sms: webhook}", per_minute=f"{{{limited}}}")
    monkeypatch.setattr(deliver, "RUN_SECONDS", 1.0)
    mailbox.sleep = 0.1
    plant(conn, 40)
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET channel = 'sms', subject = NULL, body_html = NULL "
        "WHERE external_id = '40'",
    )
    conn.commit()
    begun = time.monotonic()
    found = deliver.send(MORNING)
    assert len(gateway.requests) == 1
    assert found["sent"] == 1 + len(mailbox.mails)
    if "email: null" in limited:
        # What the text message left over of its share went to the e-mails again.
        assert time.monotonic() - begun >= 0.9


def test_waits_between_tries_grow_to_a_day_and_no_more(conn, use, gateway):
    use(channels=CHANNELS["webhook"], max_attempts="100", backoff_minutes="10")
    plant(conn, 1, attempts=98, send_not_after="2017-10-05T00:00Z")
    gateway.script = [503]
    assert deliver.send(MORNING) == {"failed": 1}
    assert warehouse.value(conn, "SELECT next_attempt_at FROM marketing.messages") == (
        MORNING + timedelta(days=1)
    )

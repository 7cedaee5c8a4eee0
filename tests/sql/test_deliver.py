"""Delivery on a real warehouse, to a real mail server and a real gateway: once, or not at all."""

import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from typing import Any

import pytest

from include import policy, warehouse
from include.offers import control
from include.policy import PolicyError
from include.steps.delivery import deliver
from tests.sql import planted
from tests.sql.planted import DAY, errors, person, plant, states, wait_for_the_server_to_notice

pytestmark = pytest.mark.usefixtures("warehouse")

#: 10:00 in New York on the day after the planted business day.
MORNING = datetime(2017, 10, 2, 14, tzinfo=UTC)


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        opened.commit()
        yield opened


# --- the outbox --------------------------------------------------------------------------------------


def test_what_was_decided_is_delivered_by_the_policys_clock(conn):
    planted.people(conn, range(1, 21))
    conn.commit()
    planted.decide()
    decided = warehouse.value(conn, "SELECT count(*) FROM marketing.messages")
    assert decided > 10
    assert deliver.send() == {"sent": decided}
    assert states(conn) == {"sent/sent": decided}
    assert warehouse.rows(
        conn, "SELECT DISTINCT sent_at, provider, attempts FROM marketing.messages"
    ) == [(MORNING, "outbox", 1)]
    assert deliver.send() == {}
    # Deciding the day again changes nothing of what became of it.
    planted.decide(run_id="run-2")
    assert states(conn) == {"sent/sent": decided}


def test_nothing_leaves_before_its_time_in_quiet_hours_or_after_its_window(conn):
    plant(conn, 3)
    assert deliver.send(MORNING - timedelta(hours=2)) == {"closed": 1}  # 08:00
    assert deliver.send(MORNING + timedelta(hours=11)) == {"closed": 1}  # 21:00
    assert deliver.send(MORNING - timedelta(days=1)) == {}
    assert states(conn) == {"pending/approved": 3}
    assert deliver.send(MORNING + timedelta(days=3)) == {"expired": 3}
    assert states(conn) == {"cancelled/expired": 3}
    assert errors(conn) == ["expired"] * 3


def test_what_was_decided_for_too_old_a_day_is_never_sent(conn):
    plant(conn, 2, as_of="2017-09-20")
    assert deliver.send(MORNING) == {"expired": 2}
    assert errors(conn) == ["stale"] * 2


def test_what_waits_for_approval_or_was_rejected_stays(conn):
    plant(conn, 3)
    for number, status in ((1, "awaiting_approval"), (2, "rejected")):
        warehouse.execute(
            conn,
            "UPDATE marketing.coupon_triggers SET status = %(s)s WHERE trigger_id = %(t)s",
            {"s": status, "t": person(1000 + number)},
        )
    conn.commit()
    assert deliver.send(MORNING) == {"sent": 1}
    assert states(conn) == {
        "pending/awaiting_approval": 1,
        "pending/rejected": 1,
        "sent/sent": 1,
    }


def test_a_consent_withdrawn_after_deciding_is_obeyed(conn):
    planted.people(conn, range(1, 21))
    conn.commit()
    planted.decide()
    before = warehouse.value(conn, "SELECT count(*) FROM marketing.messages")
    sent_to = warehouse.value(conn, "SELECT external_id FROM marketing.messages ORDER BY 1 LIMIT 1")
    # Recorded later than the demo's clock: what is known counts, whatever the clock believes.
    planted.consent(conn, [int(sent_to)], "email", granted=False, at="2017-10-03T12:00Z")
    conn.commit()
    assert deliver.send() == {"cancelled": 1, "sent": before - 1}
    assert warehouse.rows(
        conn,
        "SELECT status, error FROM marketing.messages WHERE external_id = %(x)s",
        {"x": sent_to},
    ) == [("cancelled", "no_consent")]


def test_what_never_left_uses_up_nobodys_period(conn):
    """Withdrawn by one customer, run out for another: both are offered it again; who may have it are not."""
    planted.people(conn, range(1, 21), day="2017-09-30")
    conn.commit()
    planted.decide("2017-09-30")
    messages = "SELECT external_id FROM marketing.messages ORDER BY external_id::integer"
    first = [int(who) for (who,) in warehouse.rows(conn, messages)]
    withdrew, ran_out, tried, *others = first
    for channel in ("email", "sms"):
        planted.consent(conn, [withdrew], channel, granted=False, at="2017-10-01T06:00Z")
    over = "UPDATE marketing.messages SET send_not_after = '2017-10-01T00:00Z' "
    warehouse.execute(conn, f"{over} WHERE external_id = %(who)s", {"who": str(ran_out)})
    warehouse.execute(
        conn,
        f"{over}, status = 'failed', attempts = 1 WHERE external_id = %(who)s",
        {"who": str(tried)},
    )
    conn.commit()
    assert deliver.send(datetime(2017, 10, 1, 15, tzinfo=UTC)) == {
        "cancelled": 1, "expired": 2, "sent": len(others),
    }  # fmt: skip
    codes = dict(
        warehouse.rows(conn, "SELECT external_id, coupon_code FROM marketing.coupon_triggers")
    )
    assert spent(conn) == pytest.approx(expected_cost(conn, others))
    # On the next day one of them still refuses; on the one after nobody does.
    planted.people(conn, first, day=DAY)
    conn.commit()
    planted.decide(DAY)
    assert chosen(conn, DAY) == {
        ran_out: "send/best_offer", withdrew: "suppress/no_consent",
        tried: "suppress/already_in_period",
    } | dict.fromkeys(others, "suppress/already_in_period")  # fmt: skip
    # It runs out for the same customer once more: neither of the two days counts.
    warehouse.execute(
        conn, f"{over} WHERE external_id = %(who)s AND status = 'pending'", {"who": str(ran_out)}
    )
    conn.commit()
    assert deliver.send(datetime(2017, 10, 1, 15, tzinfo=UTC)) == {"expired": 1}
    for channel in ("email", "sms"):
        planted.consent(conn, [withdrew], channel, granted=True, at="2017-10-02T06:00Z")
    planted.people(conn, first, day="2017-10-02")
    conn.commit()
    planted.decide("2017-10-02")
    assert chosen(conn, "2017-10-02") == dict.fromkeys(
        [withdrew, ran_out], "send/best_offer"
    ) | dict.fromkeys([tried, *others], "suppress/already_in_period")
    past = warehouse.rows(conn, warehouse.sql("queries/activate/history"), {"as_of": "2017-10-09"})
    assert {str(day) for who, day, *_ in past if str(who) == person(ran_out)} == {"2017-10-02"}, (
        "caps and gaps count the one that stands"
    )
    again = {
        int(who): (day, code)
        for who, day, code in warehouse.rows(
            conn, "SELECT external_id, as_of::text, coupon_code FROM marketing.coupon_triggers"
        )
    }
    assert {who: day for who, (day, _) in again.items() if day != "2017-09-30"} == {
        ran_out: "2017-10-02", withdrew: "2017-10-02",
    }  # fmt: skip
    assert {who for who, (_, code) in again.items() if code != codes[str(who)]} == {
        ran_out, withdrew,
    }  # fmt: skip
    assert warehouse.rows(
        conn,
        "SELECT outcome, detail LIKE '%%offered again, decided for 2017-10-02' "
        "FROM marketing.why(%(who)s) WHERE what = 'decision' AND day = '2017-09-30'",
        {"who": str(withdrew)},
    ) == [("send", True)]
    # The first day is run again: what has moved on stays where it is.
    planted.decide("2017-09-30", run_id="again")
    assert again == {
        int(who): (day, code)
        for who, day, code in warehouse.rows(
            conn, "SELECT external_id, as_of::text, coupon_code FROM marketing.coupon_triggers"
        )
    }
    assert spent(conn) == pytest.approx(expected_cost(conn, [ran_out, withdrew, *others]))
    assert deliver.send(datetime(2017, 10, 3, 15, tzinfo=UTC)) == {"sent": 2}


def chosen(conn, day):
    """What became of the VIP offer of each customer on a day."""
    return {
        int(who): told
        for who, told in warehouse.rows(
            conn,
            "SELECT external_id, decision || '/' || decision_reason FROM marketing.decisions "
            "WHERE as_of = %(day)s AND campaign = 'vip_exclusive'",
            {"day": day},
        )
    }


def spent(conn):
    """What another day would hold to be spent on the VIP offer."""
    found = warehouse.rows(
        conn,
        warehouse.sql("queries/activate/spent"),
        {"as_of": "2017-10-09", "starts_on": None, "ends_on": None, "message_cost": "{}"},
    )
    return {name: cost for name, cost, _ in found}["vip_exclusive"]


def expected_cost(conn, numbers):
    """What the VIP offers of customers were expected to cost, each once."""
    return warehouse.value(
        conn,
        "SELECT sum(cost_expected)::double precision FROM marketing.decisions "
        "WHERE decision = 'send' AND as_of = ("
        "SELECT min(as_of) FROM marketing.decisions) AND external_id = ANY(%(who)s)",
        {"who": [str(number) for number in numbers]},
    )


def test_who_is_found_to_be_of_the_control_group_after_deciding_is_not_mailed(conn):
    rules = policy.load().control
    held = [n for n in range(1, 400) if control.position(person(n), rules.salt) < rules.share]
    free = [n for n in range(1, 400) if n not in held]
    planted.people(conn, free[:3])
    conn.commit()
    planted.decide()
    for account, customer in ((held[0], free[0]), (free[9], free[1])):
        link = {"account_id": person(account), "customer_id": person(customer), "rule": "phone"}
        planted.fill(conn, "core.identity_links", [link])
    conn.commit()
    assert deliver.send() == {"cancelled": 1, "sent": 2}
    assert warehouse.rows(
        conn,
        "SELECT external_id::integer, status, error FROM marketing.messages ORDER BY status, 1",
    ) == [(free[0], "cancelled", "control_group"), (free[1], "sent", None), (free[2], "sent", None)]


def test_a_complaint_or_a_return_after_deciding_is_obeyed(conn):
    """But for what may follow a complaint; each counts for as long as the policy says."""
    plant(conn, 5)
    patience = policy.load().activation.complaints
    first = (MORNING - timedelta(days=patience.days)).date()
    planted.fill(
        conn,
        "core.reviews",
        [
            {"review_id": n, "customer_id": person(n), "rating": rating, "business_day": day}
            for n, rating, day in (
                (1, 1, "2017-10-02"), (3, 5, "2017-10-02"), (4, 1, "2017-10-02"), (5, 1, first),
            )
        ],
    )  # fmt: skip
    planted.fill(
        conn,
        "core.returns",
        [{"return_id": 2, "customer_id": person(2), "business_day": "2017-10-02"}],
    )
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET campaign = 'service_recovery' WHERE external_id = '4'",
    )
    conn.commit()
    assert deliver.send(MORNING) == {"cancelled": 2, "sent": 3}
    assert errors(conn) == ["recent_complaint", "open_return", None, None, None]


def test_delivery_takes_for_a_complaint_what_deciding_does(conn):
    """From the policy's rating and mood down, for as long as the policy says."""
    plant(conn, 8)
    complaints = policy.load().activation.complaints
    today = MORNING.date()

    def ago(days):
        return (today - timedelta(days=days)).isoformat()

    review = {"rating": complaints.rating, "business_day": ago(complaints.days - 1)}
    mention = {"sentiment": complaints.sentiment, "business_day": ago(complaints.days - 1)}
    planted.fill(
        conn,
        "core.reviews",
        [
            review | {"review_id": 1, "customer_id": person(1)},
            review | {"review_id": 2, "customer_id": person(2), "rating": complaints.rating + 1},
        ],
    )
    planted.fill(
        conn,
        "core.mentions",
        [
            mention | {"mention_id": 3, "customer_id": person(3)},
            mention | {"mention_id": 4, "customer_id": person(4), "sentiment": -0.1},
            mention
            | {"mention_id": 5, "customer_id": person(5), "business_day": ago(complaints.days)},
            mention | {"mention_id": 6, "customer_id": None},
        ],
    )
    planted.fill(
        conn,
        "core.returns",
        [
            {"return_id": n, "customer_id": person(n), "business_day": ago(days)}
            for n, days in ((7, complaints.return_days - 1), (8, complaints.return_days))
        ],
    )
    conn.commit()
    deliver.send(MORNING)
    assert errors(conn) == [
        "recent_complaint", None, "recent_complaint", None, None, None, "open_return", None,
    ]  # fmt: skip


@pytest.mark.parametrize(("sent", "waits"), [("marketing", True), ("transactional", False)])
def test_only_marketing_counts_towards_the_caps(conn, sent, waits):
    """And what is no marketing leaves whatever has left."""
    plant(conn, 2)
    warehouse.execute(
        conn, "UPDATE marketing.messages SET cap_class = 'transactional' WHERE external_id = '2'"
    )
    planted.fill(
        conn,
        "marketing.messages",
        [
            {
                "message_id": person(2500 + n), "trigger_id": person(1500 + n),
                "customer_id": person(n), "as_of": DAY, "campaign": "other", "cap_class": sent,
                "status": "sent", "sent_at": MORNING,
            }
            for n in (1, 2)
        ],
    )  # fmt: skip
    conn.commit()
    deliver.send(MORNING)
    assert errors(conn)[:2] == ["frequency_cap" if waits else None, None]


def test_no_merge_resets_a_cap(conn, use):
    """One message in seven days, which the second account got before it was found to be the first's."""
    use(marketing="{messages: 1, window_days: 7}")
    plant(conn, 2)
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET send_not_before = '2017-10-03T13:00Z' WHERE external_id = '1'",
    )
    conn.commit()
    assert deliver.send(MORNING) == {"sent": 1}
    planted.fill(
        conn,
        "core.identity_links",
        [{"account_id": person(2), "customer_id": person(1), "rule": "phone"}],
    )
    conn.commit()
    assert deliver.send(MORNING + timedelta(days=1)) == {"cancelled": 1}
    assert errors(conn) == ["frequency_cap", None]


def test_a_yes_counts_from_its_moment_on(conn):
    """Later days may be loaded already; a no counts at once."""
    plant(conn, 1)
    planted.consent(conn, [1], "email", granted=False, at="2017-10-02T06:00Z")
    planted.consent(conn, [1], "email", granted=True, at="2017-10-04T06:00Z")
    conn.commit()
    assert deliver.send(MORNING) == {"cancelled": 1}
    assert errors(conn) == ["no_consent"]


def test_suppression_age_and_caps_are_checked_once_more(conn):
    plant(conn, 5)
    planted.fill(
        conn,
        "ops.suppressions",
        [
            {
                "customer_id": person(1),
                "channel": "email",
                "reason": "unsubscribed",
                "recorded_at": "2030-01-01T00:00Z",
            }
        ],
    )
    warehouse.execute(
        conn,
        "UPDATE core.identities SET birth_date = '2001-01-01' WHERE customer_id = %(who)s",
        {"who": person(2)},
    )
    warehouse.execute(
        conn, "DELETE FROM core.contact_points WHERE customer_id = %(who)s", {"who": person(3)}
    )
    planted.fill(
        conn,
        "marketing.messages",
        [
            {
                "message_id": person(3000 + n),
                "trigger_id": person(4000 + n),
                "customer_id": person(4),
                "as_of": f"2017-09-{28 + n}",
                "campaign": f"other{n}",
                "channel": "email",
                "cap_class": "marketing",
                "status": "sent",
            }
            for n in (1, 2)
        ],
    )
    conn.commit()
    assert deliver.send(MORNING) == {"cancelled": 4, "sent": 1}
    assert errors(conn)[:5] == [
        "on_suppression_list",
        "minor",
        "no_contact_point",
        "frequency_cap",
        None,
    ]


def test_a_pause_that_held_back_several_days_lets_one_message_a_day_go(conn):
    """Decided three days apart, within the cap by those days, all due at once."""
    plant(conn, 1, as_of="2017-09-29")
    plant_more(conn, as_of="2017-10-01")
    assert deliver.send(MORNING) == {"cancelled": 1, "sent": 1}
    assert sorted(error or "" for error in errors(conn)) == ["", "frequency_cap"]


def plant_more(conn, **message):
    """A second message for customer 1, of another campaign."""
    row = {
        "trigger_id": person(1500),
        "customer_id": person(1),
        "external_id": "1",
        "campaign": "win_back",
        "period": "2017-Q4",
        "channel": "email",
        "send_not_before": "2017-10-02T13:00Z",
        "send_not_after": "2017-10-05T00:00Z",
    } | message
    planted.fill(
        conn, "marketing.coupon_triggers", [row | {"status": "approved", "coupon_code": "MORE"}]
    )
    planted.fill(
        conn,
        "marketing.messages",
        [row | {"message_id": person(2500), "cap_class": "marketing", "status": "pending"}],
    )
    conn.commit()


def test_a_faulty_birthday_is_refused_by_delivery_too(conn):
    plant(conn, 2)
    warehouse.execute(
        conn,
        "UPDATE core.identities SET flags = '{unreadable_birthday}' WHERE customer_id = %(who)s",
        {"who": person(1)},
    )
    conn.commit()
    assert deliver.send(MORNING) == {"cancelled": 1, "sent": 1}
    assert errors(conn) == ["age_unknown", None]


def test_messages_wait_for_the_customers_own_morning(conn):
    plant(conn, 2, time_zone="America/Los_Angeles")
    assert deliver.send(MORNING) == {}, "07:00 on the other coast"
    assert deliver.send(MORNING + timedelta(hours=3)) == {"sent": 2}


TOKYO = "Asia/Tokyo"


@pytest.mark.parametrize(
    ("left", "leaves", "reason"),
    [
        # Monday evening and Tuesday morning in Tokyo; Monday in New York.
        ("2017-10-02T10:00Z", "2017-10-03T00:30Z", None),
        # Monday morning and evening in Tokyo; Sunday and Monday in New York.
        ("2017-10-02T00:30Z", "2017-10-02T10:00Z", "frequency_cap"),
        # Six Tokyo days apart, which is in the week, but seven in New York.
        ("2017-09-27T00:30Z", "2017-10-03T10:00Z", "frequency_cap"),
    ],
)
def test_a_day_is_the_customers_own(conn, use, left, leaves, reason):
    """One message a day, and so many a week, by the calendar where the customer lives."""
    week = reason is not None and left < "2017-10"
    use(marketing=f"{{messages: {1 if week else 2}, window_days: 7}}")
    plant(conn, 1, time_zone=TOKYO, send_not_before="2017-10-01T00:00Z")
    sent = {"status": "sent", "sent_at": left, "cap_class": "marketing", "time_zone": TOKYO}
    row = {"message_id": person(2500), "trigger_id": person(1500), "customer_id": person(1)}
    planted.fill(conn, "marketing.messages", [row | sent | {"as_of": "2017-09-26"}])
    conn.commit()
    found = deliver.send(datetime.fromisoformat(leaves))
    assert found == ({"cancelled": 1} if reason else {"sent": 1})
    assert errors(conn)[0] == reason


def test_who_comes_of_age_does_so_where_they_live(conn):
    """Eighteen on Tuesday, which has begun in Tokyo and not in New York."""
    plant(conn, 2, time_zone=TOKYO)
    for number, born in ((1, "1999-10-03"), (2, "1999-10-04")):
        warehouse.execute(
            conn,
            "UPDATE core.identities SET birth_date = %(born)s WHERE customer_id = %(who)s",
            {"who": person(number), "born": born},
        )
    conn.commit()
    assert deliver.send(datetime(2017, 10, 3, 0, 30, tzinfo=UTC)) == {"cancelled": 1, "sent": 1}
    assert errors(conn) == [None, "minor"]


def test_paused_sends_stop_every_claim(conn):
    plant(conn, 3)
    planted.fill(
        conn,
        "ops.switches",
        [{"key": "pause_sends", "value": True, "changed_at": "2017-10-02T00:00Z"}],
    )
    conn.commit()
    assert deliver.send(MORNING) == {"paused": 1}
    assert states(conn) == {"pending/approved": 3}
    warehouse.execute(conn, "UPDATE ops.switches SET value = false")
    conn.commit()
    assert deliver.send(MORNING) == {"sent": 3}


def test_a_run_that_gets_through_mends_what_was_told(conn):
    fill = {"dag_id": "regulars_deliver", "channel": "log", "delivered": True}
    planted.fill(conn, "ops.notices", [fill | {"run_id": "run-1"}])
    conn.commit()
    deliver.send()
    assert warehouse.value(conn, "SELECT mended_at IS NOT NULL FROM ops.notices")


def test_a_warehouse_without_messages_yet_is_no_failure(conn):
    warehouse.execute(conn, "ALTER TABLE marketing.messages RENAME TO elsewhere")
    conn.commit()
    try:
        assert deliver.send(MORNING) == {}
    finally:
        warehouse.execute(conn, "ALTER TABLE marketing.elsewhere RENAME TO messages")
        conn.commit()


# --- mail --------------------------------------------------------------------------------------------


def test_mail_arrives_as_it_was_written(conn, use, mailbox):
    use(channels="{email: smtp, sms: outbox}")
    plant(conn, 2)
    assert deliver.send(MORNING) == {"sent": 2}
    mails = [message_from_bytes(raw) for raw in mailbox.mails]
    assert sorted(mail["To"] for mail in mails) == ["c1@example.com", "c2@example.com"]
    mail = next(mail for mail in mails if mail["To"] == "c1@example.com")
    assert mail["From"] == "Regulars Demo Shop <hello@shop.example>"
    assert mail["Message-ID"] == f"<{person(2001)}@shop.example>"
    assert (
        mail["List-Unsubscribe"].strip() == f"<https://shop.example/unsubscribe?m={person(2001)}>"
    )
    parts = {
        part.get_content_type(): bytes(part.get_payload(decode=True) or b"") for part in mail.walk()
    }
    assert parts["text/plain"].replace(b"\r", b"").strip() == b"Hello 1\n.\nend"
    assert parts["text/html"].strip() == b"<p>Hello</p>"
    assert warehouse.rows(conn, "SELECT DISTINCT provider, attempts FROM marketing.messages") == [
        ("smtp", 1)
    ]


def test_a_refused_address_is_given_up_and_the_others_are_sent(conn, use, mailbox):
    use(channels="{email: smtp, sms: outbox}")
    plant(conn, 4)
    mailbox.refuse = {"c1@example.com": "550 no such user", "c2@example.com": "450 later"}
    assert deliver.send(MORNING) == {"dead": 1, "failed": 1, "sent": 2}
    assert states(conn) == {"dead/cancelled": 1, "failed/approved": 1, "sent/sent": 2}
    assert errors(conn)[:2] == [
        "The mail server refused it (550).",
        "The mail server did not take it now (450).",
    ]
    assert deliver.send(MORNING + timedelta(minutes=5)) == {}, "its time has not come"
    mailbox.refuse = {}
    assert deliver.send(MORNING + timedelta(minutes=11)) == {"sent": 1}
    assert len(mailbox.mails) == 3


def test_a_server_that_is_down_costs_nobody_a_message(conn, use, mailbox, monkeypatch):
    use(channels="{email: smtp, sms: outbox}", max_attempts="3", backoff_minutes="1")
    plant(conn, 8)
    up = os.environ["REGULARS_SMTP_URL"]
    monkeypatch.setenv("REGULARS_SMTP_URL", "smtp://127.0.0.1:1")
    assert deliver.send(MORNING) == {"failed": deliver.FAILURES_IN_A_ROW}
    assert states(conn) == {"failed/approved": 3, "pending/approved": 5}
    monkeypatch.setenv("REGULARS_SMTP_URL", up)
    assert deliver.send(MORNING + timedelta(minutes=2)) == {"sent": 8}
    assert len(mailbox.mails) == 8


def test_the_last_attempt_is_the_last(conn, use, mailbox):
    use(channels="{email: smtp, sms: outbox}", max_attempts="2", backoff_minutes="1")
    plant(conn, 1)
    mailbox.answer = "451 later"
    assert deliver.send(MORNING) == {"failed": 1}
    assert deliver.send(MORNING + timedelta(minutes=1)) == {"dead": 1}
    assert states(conn) == {"dead/cancelled": 1}
    assert deliver.send(MORNING + timedelta(hours=1)) == {}
    # What the runbook says to do once the cause is mended.
    runbook = (warehouse.ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    (again,) = re.findall(r"`(WITH again AS [^`]+)`", runbook)
    warehouse.execute(conn, again.replace("now()", "'2017-10-02T15:00Z'"))
    conn.commit()
    mailbox.answer = "250 OK"
    assert deliver.send(MORNING + timedelta(hours=1)) == {"sent": 1}


def test_mail_whose_answer_got_lost_is_not_sent_again(conn, use, mailbox):
    use(channels="{email: smtp, sms: outbox}")
    plant(conn, 1)
    mailbox.hang_up = True
    assert deliver.send(MORNING) == {"dead": 1}
    assert len(mailbox.mails) == 1
    mailbox.hang_up = False
    assert deliver.send(MORNING + timedelta(hours=1)) == {}
    assert len(mailbox.mails) == 1
    assert states(conn) == {"dead/sent": 1}
    assert "outcome unknown" in (errors(conn)[0] or "")


def test_a_name_cannot_add_headers(conn, use, mailbox):
    use(channels="{email: smtp, sms: outbox}")
    planted.people(conn, range(1, 6), first_name="Ann\r\nBcc: all@example.com")
    conn.commit()
    planted.decide()
    deliver.send()
    assert mailbox.mails
    for raw in mailbox.mails:
        mail = message_from_bytes(raw)
        assert mail["Bcc"] is None
        assert len(mail.get_all("To", [])) == 1


def give_address(conn, number: int, address: str) -> None:
    warehouse.execute(
        conn,
        "UPDATE core.contact_points SET address = %(a)s "
        "WHERE customer_id = %(c)s AND channel = 'email'",
        {"a": address, "c": person(number)},
    )
    conn.commit()


def test_an_address_that_is_none_stops_only_its_message(conn, use, mailbox):
    use(channels="{email: smtp, sms: outbox}")
    plant(conn, 3)
    for number, address in ((1, "jürgen@example.com"), (2, "a b@example.com")):
        give_address(conn, number, address)
    assert deliver.send(MORNING) == {"cancelled": 1, "dead": 1, "sent": 1}
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    "address",
    ["ann@example..com", "a@.x.example", "<a@example.com>", "(c)@x.example", "a@[x.y", ""],
)
def test_an_address_that_the_library_stumbles_over_stops_only_its_message(
    conn, use, mailbox, address
):
    use(channels="{email: smtp, sms: outbox}")
    plant(conn, 3)
    give_address(conn, 1, address)
    assert deliver.send(MORNING) == {"cancelled": 1, "sent": 2}
    assert len(mailbox.mails) == 2
    assert states(conn) == {"sent/sent": 2, "cancelled/cancelled": 1}
    assert address not in str(errors(conn)) or not address


@pytest.mark.parametrize(("name", "repeated"), [("webhook", 2), ("smtp", 1)])
def test_a_fault_that_nobody_foresaw_keeps_no_other_message(
    conn, use, gateway, mailbox, monkeypatch, caplog, name, repeated
):
    """What the provider's own code stumbles over may have arrived; its words may hold an address."""
    from include.channels.mail import Mail
    from include.channels.webhook import Webhook

    kind: Any = {"webhook": Webhook, "smtp": Mail}[name]
    use(channels=f"{{email: {name}, sms: outbox}}", max_attempts="2", backoff_minutes="1")
    plant(conn, 3)
    plain = kind.send

    def send(self, message):
        if message.address == "c1@example.com":
            raise RuntimeError("c1@example.com")
        return plain(self, message)

    monkeypatch.setattr(kind, "send", send)
    found = [deliver.send(MORNING + timedelta(minutes=2 * n)) for n in range(3)]
    assert sum(count.get("sent", 0) for count in found) == 2
    assert states(conn) == {"dead/sent": 1, "sent/sent": 2}
    assert (
        warehouse.value(conn, "SELECT attempts FROM marketing.messages WHERE status = 'dead'")
        == repeated
    )
    assert "outcome unknown: RuntimeError." in errors(conn)
    assert "c1@example.com" not in caplog.text


def test_missing_settings_are_one_sentence(conn, use, monkeypatch):
    use(channels="{email: smtp, sms: outbox}")
    plant(conn, 1)
    monkeypatch.delenv("REGULARS_SMTP_URL", raising=False)
    with pytest.raises(Exception, match="Expected the mail server's address in REGULARS_SMTP_URL"):
        deliver.send(MORNING)
    assert states(conn) == {"pending/approved": 1}
    with pytest.raises(PolicyError, match="expected 'outbox' or 'webhook', found 'smtp'"):
        use(channels="{email: smtp, sms: smtp}")


# --- a gateway ---------------------------------------------------------------------------------------


def test_a_webhook_carries_key_and_signature(conn, use, gateway):
    use(channels="{email: webhook, sms: webhook}")
    plant(conn, 1)
    assert deliver.send(MORNING) == {"sent": 1}
    headers, body = gateway.requests[0]
    assert headers["Idempotency-Key"] == person(2001)
    signed = re.fullmatch(r"t=(\d+),sha256=([0-9a-f]{64})", headers["X-Regulars-Signature"])
    assert signed
    assert abs(int(signed[1]) - time.time()) < 60
    digest = hmac.new(b"a shared secret", f"{signed[1]}.".encode() + body, hashlib.sha256)
    assert signed[2] == digest.hexdigest()
    assert json.loads(body) == {
        "message_id": person(2001),
        "channel": "email",
        "campaign": "vip_exclusive",
        "to": "c1@example.com",
        "subject": "For you: ä",
        "text": "Hello 1\n.\nend",
        "html": "<p>Hello</p>",
    }
    assert warehouse.rows(conn, "SELECT provider_id FROM marketing.messages") == [("gw-1",)]


def test_push_goes_by_webhook_to_the_newest_device(conn, use, gateway):
    use(channels="{email: outbox, sms: outbox, push: webhook}")
    plant(conn, 2, channel="push", subject=None, body_html=None)
    planted.consent(conn, [1, 2], "push", granted=True, at="2017-01-05T12:00Z")
    planted.fill(
        conn,
        "core.contact_points",
        [
            {
                "customer_id": person(1),
                "channel": "push",
                "address": token,
                "verified": True,
                "valid_from": stamp,
                "known_at": stamp,
            }
            for token, stamp in (
                ("oldDevice", "2017-02-01T12:00Z"),
                ("newDevice", "2017-03-01T12:00Z"),
            )
        ],
    )
    conn.commit()
    assert deliver.send(MORNING) == {"cancelled": 1, "sent": 1}
    assert errors(conn) == [None, "no_contact_point"]
    ((_, body),) = gateway.requests
    assert json.loads(body)["to"] == "newDevice"
    assert json.loads(body)["channel"] == "push"


@pytest.mark.parametrize("first", ["drop", "garbled", 500, 429])
def test_a_webhook_is_tried_again_with_the_same_key(conn, use, gateway, first):
    use(channels="{email: webhook, sms: webhook}", backoff_minutes="1")
    plant(conn, 1)
    gateway.script = [first, 200]
    assert deliver.send(MORNING) == {"failed": 1}
    assert deliver.send(MORNING + timedelta(minutes=1)) == {"sent": 1}
    assert gateway.keys() == {person(2001): 2}


@pytest.mark.parametrize("last", ["drop", 422, "too late", "killed"])
def test_what_may_have_arrived_counts_as_sent_whatever_comes_after(conn, use, gateway, last):
    """Its coupon is good at the till, and nothing else leaves to the customer on that day."""
    use(channels="{email: webhook, sms: webhook}", max_attempts="2", backoff_minutes="1")
    plant(conn, 1)
    warehouse.execute(
        conn,
        "UPDATE marketing.coupon_triggers SET coupon_code = 'KDF7T-9XWPM-C4HRY', minimum_spend = 0, "
        "valid_from = '2017-10-02', valid_until = '2017-10-20', discount_kind = 'amount_off', "
        "discount_value = 2, currency = 'USD'",
    )
    if last == "too late":
        warehouse.execute(
            conn, "UPDATE marketing.messages SET send_not_after = %(t)s", {"t": MORNING}
        )
    conn.commit()
    gateway.script = ["drop", last if last == 422 else "drop"]
    if last == "killed":
        gateway.script = [200]
        kill_a_sender("before the record")
        wait_for_the_server_to_notice(conn)
        gateway.script = [429]
        assert deliver.send(MORNING) == {"dead": 1, "recovered": 1}
    else:
        assert deliver.send(MORNING) == {"failed": 1}
        assert states(conn) == {"failed/sent": 1}
        end = "expired" if last == "too late" else "dead"
        assert deliver.send(MORNING + timedelta(minutes=1)) == {end: 1}
    assert set(states(conn)) < {"dead/sent", "cancelled/sent"}
    ((accepted, _),) = warehouse.rows(
        conn,
        "SELECT accepted, reason FROM marketing.redeem("
        "'KDF7T-9XWPM-C4HRY', '1', 'o1', 50, '2017-10-03', '2017-10-03T12:00Z')",
    )
    assert accepted
    other = {
        "trigger_id": person(1500), "customer_id": person(1), "external_id": "1", "as_of": DAY,
        "campaign": "other", "period": "p", "channel": "email",
        "send_not_before": "2017-10-02T13:00Z", "send_not_after": "2017-10-05T00:00Z",
    }  # fmt: skip
    planted.fill(
        conn,
        "marketing.coupon_triggers",
        [other | {"status": "approved", "coupon_code": "OTHER"}],
    )
    message = {"message_id": person(2500), "body": "b", "cap_class": "marketing"}
    planted.fill(conn, "marketing.messages", [other | message | {"status": "pending"}])
    conn.commit()
    gateway.script = [200]
    assert deliver.send(MORNING + timedelta(minutes=2)) == {"cancelled": 1}
    assert "frequency_cap" in errors(conn)


def test_a_message_that_is_tried_again_is_not_capped_by_itself(conn, use, gateway):
    """And what was decided since then waits behind it."""
    use(channels="{email: webhook, sms: webhook}", backoff_minutes="1")
    plant(conn, 1)
    gateway.script = ["drop", 200]
    assert deliver.send(MORNING) == {"failed": 1}
    newer = {"trigger_id": person(1000), "customer_id": person(1), "external_id": "1", "as_of": DAY,
             "campaign": "other", "period": "p", "channel": "email",
             "send_not_before": "2017-10-02T13:00Z", "send_not_after": "2017-10-05T00:00Z"}  # fmt: skip
    planted.fill(
        conn, "marketing.coupon_triggers", [newer | {"status": "approved", "coupon_code": "OTHER"}]
    )
    message = {"message_id": person(1), "body": "b", "cap_class": "marketing", "status": "pending"}
    planted.fill(conn, "marketing.messages", [newer | message])
    conn.commit()
    assert deliver.send(MORNING + timedelta(minutes=1)) == {"cancelled": 1, "sent": 1}
    assert gateway.keys() == {person(2001): 2}


def test_a_garbled_answer_is_given_up_after_the_last_attempt(conn, use, gateway):
    use(channels="{email: webhook, sms: webhook}", max_attempts="3", backoff_minutes="1")
    plant(conn, 2)
    gateway.script = ["garbled"]
    found = [deliver.send(MORNING + timedelta(minutes=10 * n)) for n in range(4)]
    assert found == [{"failed": 2}, {"failed": 2}, {"dead": 2}, {}]
    assert max(gateway.keys().values()) == 3


def test_a_webhook_that_refuses_is_not_asked_again(conn, use, gateway):
    use(channels="{email: webhook, sms: webhook}")
    plant(conn, 1)
    gateway.script = [400]
    assert deliver.send(MORNING) == {"dead": 1}
    assert deliver.send(MORNING + timedelta(hours=1)) == {}
    assert len(gateway.requests) == 1


def test_a_pause_stops_a_sender_in_the_middle(conn, use, gateway, monkeypatch):
    use(channels="{email: webhook, sms: webhook}")
    plant(conn, 10)
    from include.channels.webhook import Webhook

    plain = Webhook.send

    def send_and_pause(self, message):
        done = plain(self, message)
        if len(gateway.requests) == 3:
            planted.fill(
                conn,
                "ops.switches",
                [{"key": "pause_sends", "value": True, "changed_at": "2017-10-02T00:00Z"}],
            )
            conn.commit()
        return done

    monkeypatch.setattr(Webhook, "send", send_and_pause)
    assert deliver.send(MORNING) == {"sent": 3}
    assert len(gateway.requests) == 3
    assert states(conn) == {"pending/approved": 7, "sent/sent": 3}


# --- several senders, and senders that die --------------------------------------------------------


def test_senders_at_once_send_each_message_once(conn, use, gateway):
    use(channels="{email: webhook, sms: webhook}")
    plant(conn, 120)
    counts: list[dict[str, int]] = []
    senders = [
        threading.Thread(target=lambda: counts.append(deliver.send(MORNING))) for _ in range(4)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sum(count.get("sent", 0) for count in counts) == 120
    assert sum(1 for count in counts if count.get("sent")) > 1, "they shared the work"
    assert len(gateway.requests) == 120
    assert max(gateway.keys().values()) == 1
    assert states(conn) == {"sent/sent": 120}


KILLED = """
import os, signal, sys
from datetime import datetime
from include.steps.delivery import deliver, outcomes
where, moment = sys.argv[1], datetime.fromisoformat(sys.argv[2])
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if where == "after the claim":
    deliver._Sender._begin = die
elif where == "before the hand-over":
    deliver._Sender._hand_over = die
elif where == "before the record":
    outcomes.record_sent = die
elif where == "after the record":
    plain = outcomes.record_sent
    def record(held, *args):
        plain(held, *args)
        held.conn.commit()
        die()
    outcomes.record_sent = record
deliver.send(moment)
"""


def kill_a_sender(where: str) -> None:
    """Run a sender in a process of its own that is killed (SIGKILL) at a place."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, where, MORNING.isoformat()],
        env=os.environ | {"PYTHONPATH": str(warehouse.ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize(
    ("where", "first", "again"),
    [
        ("after the claim", {"recovered": 3, "sent": 3}, 1),
        ("before the hand-over", {"recovered": 3, "sent": 3}, 1),
        ("before the record", {"recovered": 3, "sent": 3}, 2),
        ("after the record", {"recovered": 2, "sent": 2}, 1),
    ],
)
def test_a_killed_sender_loses_nothing_and_repeats_only_the_key(
    conn, use, gateway, where, first, again
):
    """By webhook all arrives; what was handed over without a record is repeated with its key."""
    use(channels="{email: webhook, sms: webhook}")
    plant(conn, 3)
    kill_a_sender(where)
    wait_for_the_server_to_notice(conn)
    assert deliver.send(MORNING) == first
    assert states(conn) == {"sent/sent": 3}
    keys = gateway.keys()
    assert len(keys) == 3
    assert max(keys.values()) == again


@pytest.mark.parametrize(
    ("where", "expected", "mails"),
    [
        ("after the claim", {"recovered": 3, "sent": 3}, 3),
        ("before the hand-over", {"dead": 1, "recovered": 2, "sent": 2}, 2),
        ("before the record", {"dead": 1, "recovered": 2, "sent": 2}, 3),
        ("after the record", {"recovered": 2, "sent": 2}, 3),
    ],
)
def test_a_killed_sender_mails_nobody_twice(conn, use, mailbox, where, expected, mails):
    """By mail the one message in the air is given up as unknown; no customer gets it twice."""
    use(channels="{email: smtp, sms: outbox}")
    plant(conn, 3)
    kill_a_sender(where)
    wait_for_the_server_to_notice(conn)
    assert deliver.send(MORNING) == expected
    assert deliver.send(MORNING) == {}
    received = Counter(message_from_bytes(raw)["Message-ID"] for raw in mailbox.mails)
    assert sum(received.values()) == mails
    assert max(received.values()) == 1
    if "dead" in expected:
        assert "outcome unknown" in next(filter(None, errors(conn)))


def test_a_sender_that_lives_is_left_alone(conn, use, gateway):
    use(channels="{email: webhook, sms: webhook}")
    plant(conn, 3)
    with warehouse.connect() as other:
        holder = deliver._Sender(other, policy.load(), lambda: MORNING)
        mine = {"claim": holder.held.number}
        warehouse.value(other, f"SELECT pg_advisory_lock({deliver._LOCK})", mine)
        assert len(holder._claim("webhook", ["email"], 2)) == 2
        other.commit()
        assert deliver.send(MORNING) == {"sent": 1}
        assert states(conn) == {"claimed/approved": 2, "sent/sent": 1}
    assert deliver.send(MORNING) == {"recovered": 2, "sent": 2}
    assert max(gateway.keys().values()) == 1

"""What comes back after a message has left: taken up once, obeyed by deciding and by sending."""

import threading
from datetime import UTC, datetime

import psycopg2
import pytest

from include import policy, warehouse
from include.steps.delivery import deliver, feedback
from tests.sql import planted
from tests.sql.planted import errors, person, plant

pytestmark = pytest.mark.usefixtures("warehouse")

MORNING = datetime(2017, 10, 2, 14, tzinfo=UTC)


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        opened.commit()
        yield opened


def tell(conn, event, kind, message=None, provider=None):
    new = warehouse.value(
        conn,
        "SELECT ops.record_delivery_event(%(event)s, %(kind)s, '2017-10-02T15:00Z', %(message)s, "
        "%(provider)s)",
        {"event": event, "kind": kind, "message": message, "provider": provider},
    )
    conn.commit()
    return new


def suppressed(conn):
    conn.commit()
    return warehouse.rows(
        conn, "SELECT customer_id::text, channel, reason FROM ops.suppressions ORDER BY 1, 2, 3"
    )


def test_opt_outs_bounces_and_complaints_reach_the_suppression_list(conn):
    plant(conn, 6)
    kinds = ("unsubscribed", "bounced", "complained", "soft_bounced", "delivered", "opened")
    for number, kind in enumerate(kinds, start=1):
        assert tell(conn, f"e{number}", kind, person(2000 + number))
    assert feedback.take_up(conn) == {"noted": 3, "suppressed": 3}
    assert suppressed(conn) == [
        (person(1), "email", "unsubscribed"),
        (person(2), "email", "bounced"),
        (person(3), "all", "complained"),
    ]
    heard = warehouse.rows(conn, "SELECT feedback FROM marketing.messages ORDER BY message_id")
    assert heard == [(kind,) for kind in kinds]
    assert feedback.take_up(conn) == {}


def test_an_event_told_twice_counts_once_and_the_gravest_stays(conn):
    plant(conn, 1)
    assert tell(conn, "e1", "complained", person(2001))
    assert not tell(conn, "e1", "complained", person(2001))
    feedback.take_up(conn)
    tell(conn, "e2", "delivered", person(2001))
    tell(conn, "e3", "unsubscribed", person(2001))
    feedback.take_up(conn)
    assert warehouse.rows(conn, "SELECT feedback FROM marketing.messages") == [("complained",)]
    assert suppressed(conn) == [
        (person(1), "all", "complained"),
        (person(1), "email", "unsubscribed"),
    ]


def test_a_message_may_be_named_by_its_provider(conn):
    plant(conn, 2)
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET provider_id = 'gw-9' WHERE message_id = %(m)s",
        {"m": person(2002)},
    )
    tell(conn, "e1", "bounced", provider="gw-9")
    assert feedback.take_up(conn) == {"suppressed": 1}
    assert suppressed(conn) == [(person(2), "email", "bounced")]


def test_what_is_not_ours_is_kept_and_does_no_harm(conn):
    plant(conn, 1)
    tell(conn, "e1", "bounced", person(9999))
    tell(conn, "e2", "complained", provider="of another system")
    tell(conn, "e3", "bounced")
    planted.fill(  # a bulk load may bring kinds that nobody knows
        conn,
        "ops.delivery_events",
        [{"event_key": "e4", "kind": "teleported", "message_id": person(2001)}],
    )
    assert feedback.take_up(conn) == {"unknown_kind": 1, "unknown_message": 3}
    assert suppressed(conn) == []
    with pytest.raises(psycopg2.errors.InvalidParameterValue, match="found teleported"):
        tell(conn, "e5", "teleported", person(2001))
    conn.rollback()


def test_an_opt_out_stops_what_waits(conn):
    plant(conn, 3)
    tell(conn, "e1", "unsubscribed", person(2002))
    assert deliver.send(MORNING) == {"cancelled": 1, "sent": 2}
    assert errors(conn) == [None, "on_suppression_list", None]


def test_a_complaint_stops_what_would_be_decided_later(conn):
    plant(conn, 1)
    tell(conn, "e1", "complained", person(2001))
    deliver.send(MORNING)
    warehouse.execute(conn, "TRUNCATE marketing.messages, marketing.coupon_triggers")
    planted.people(conn, [1], day="2017-10-20")
    conn.commit()
    planted.decide("2017-10-20")
    assert set(
        warehouse.rows(conn, "SELECT decision, decision_reason FROM marketing.decisions")
    ) == {("suppress", "on_suppression_list")}


def test_an_opt_out_that_comes_while_a_sender_works_is_obeyed(conn, use, gateway, monkeypatch):
    """It lands after its own message was claimed, and before that is handed over."""
    from include.channels.webhook import Webhook

    use(channels="{email: webhook, sms: webhook}")
    plant(conn, 3)
    plain = Webhook.send

    def send_and_tell(self, message):
        if not gateway.requests:
            tell(conn, "e1", "unsubscribed", person(2003))
        return plain(self, message)

    monkeypatch.setattr(Webhook, "send", send_and_tell)
    assert deliver.send(MORNING) == {"cancelled": 1, "sent": 2}
    assert errors(conn) == [None, None, "on_suppression_list"]


def test_takers_at_once_take_each_event_up_once(conn):
    plant(conn, 40)
    for number in range(40):
        tell(conn, f"e{number}", "unsubscribed", person(2001 + number))
    totals: list[int] = []

    def take() -> None:
        with warehouse.connect() as own:
            totals.append(sum(feedback.take_up(own).values()))

    takers = [threading.Thread(target=take) for _ in range(6)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert sum(totals) == 40
    assert len(suppressed(conn)) == 40

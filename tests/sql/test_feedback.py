"""What comes back after a message has left: taken up once, obeyed by deciding and by sending."""

import threading
from datetime import UTC, datetime, timedelta

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
    planted.fill(  # a bulk load may bring kinds that nobody knows
        conn,
        "ops.delivery_events",
        [{"event_key": "e4", "kind": "teleported", "message_id": person(2001)}],
    )
    assert feedback.take_up(conn) == {"unknown_kind": 1, "unknown_message": 2}
    assert suppressed(conn) == []
    with pytest.raises(psycopg2.errors.InvalidParameterValue, match="found teleported"):
        tell(conn, "e5", "teleported", person(2001))
    conn.rollback()


#: How a callback may write the name `<00000000-0000-0000-0000-0000000007d2@shop.example>`, or a gateway's
#: own `SM-Abc`: brackets, blanks, case.
SPELLINGS = {
    f"<{person(2002)}@shop.example>": [
        f"{person(2002)}@shop.example", f"<{person(2002)}@shop.example>",
        f"<{person(2002)}@shop.example>".upper(), f" {person(2002)}@Shop.Example ",
        f"< {person(2002)}@shop.example >\r\n", f"\t{person(2002).upper()}@SHOP.EXAMPLE",
        f"<{person(2002)}@relay.example>", person(2002),
    ],
    "SM-Abc": ["SM-Abc", "sm-abc", " SM-ABC", "<SM-Abc>"],
    "<77.AB@mx.gateway.example>": ["77.AB@mx.gateway.example", "<77.ab@MX.gateway.example>"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kept", "told"), [(kept, told) for kept, every in SPELLINGS.items() for told in every]
)
def test_a_name_is_understood_however_it_is_spelt(conn, kept, told):
    plant(conn, 3)
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET provider_id = %(kept)s WHERE message_id = %(m)s",
        {"kept": kept, "m": person(2002)},
    )
    tell(conn, "e1", "bounced", provider=told)
    assert feedback.take_up(conn) == {"suppressed": 1}
    assert suppressed(conn) == [(person(2), "email", "bounced")]
    assert warehouse.rows(conn, "SELECT message_id::text FROM ops.delivery_events") == [
        (person(2002),)
    ]


def test_a_name_that_two_messages_share_but_for_case_names_neither(conn):
    plant(conn, 2)
    for number, name in ((2001, "aB"), (2002, "Ab")):
        warehouse.execute(
            conn,
            "UPDATE marketing.messages SET provider_id = %(name)s WHERE message_id = %(m)s",
            {"name": name, "m": person(number)},
        )
    tell(conn, "e1", "bounced", provider="AB")
    tell(conn, "e2", "bounced", provider="Ab")
    assert feedback.take_up(conn) == {"suppressed": 1, "unknown_message": 1}
    assert suppressed(conn) == [(person(2), "email", "bounced")]


@pytest.mark.parametrize("names", [{}, {"provider": ""}, {"provider": " \t<>\r\n"}])
def test_an_event_that_names_nothing_is_refused(conn, names):
    with pytest.raises(psycopg2.errors.InvalidParameterValue, match="found neither: pass message"):
        tell(conn, "e1", "bounced", **names)
    conn.rollback()
    assert warehouse.value(conn, "SELECT count(*) FROM ops.delivery_events") == 0


@pytest.mark.parametrize(
    ("event", "at", "kind"),
    [
        ("", "now()", "bounced"),
        (None, "now()", "bounced"),
        ("e", "NULL", "bounced"),
        ("e", "now()", None),
    ],
)
def test_an_event_without_name_moment_or_kind_is_refused(conn, event, at, kind):
    with pytest.raises(psycopg2.errors.InvalidParameterValue, match="Expected .* found .*none|''"):
        warehouse.value(
            conn,
            f"SELECT ops.record_delivery_event(%(event)s, %(kind)s, {at}, %(message)s::uuid)",
            {"event": event, "kind": kind, "message": person(2001)},
        )
    conn.rollback()


def test_the_same_key_with_another_kind_is_another_event(conn):
    plant(conn, 1)
    assert tell(conn, "sg-1", "delivered", person(2001))
    assert feedback.take_up(conn) == {"noted": 1}
    assert tell(conn, "sg-1", "complained", person(2001))
    assert not tell(conn, "sg-1", "complained", person(2001))
    assert feedback.take_up(conn) == {"suppressed": 1}
    assert suppressed(conn) == [(person(1), "all", "complained")]


def test_what_is_unknown_today_may_be_known_tomorrow_and_is_told_after_a_week(conn, caplog):
    plant(conn, 2)
    tell(conn, "e1", "bounced", provider="gw-1")
    tell(conn, "e2", "complained", provider="of another system")
    assert deliver.send(MORNING - timedelta(hours=12)) == {"closed": 1}
    assert outcomes_of(conn) == {"e1": ("unknown_message", False), "e2": ("unknown_message", False)}
    # Its message's name reaches the books later than the event.
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET provider_id = 'GW-1' WHERE message_id = %(m)s",
        {"m": person(2001)},
    )
    conn.commit()
    deliver.send(MORNING - timedelta(hours=12))
    assert outcomes_of(conn) == {"e1": ("suppressed", True), "e2": ("unknown_message", False)}
    assert suppressed(conn) == [(person(1), "email", "bounced")]
    warehouse.execute(
        conn,
        "UPDATE ops.delivery_events SET received_at = clock_timestamp() - interval '7 days 1 minute' "
        "WHERE event_key = 'e2'",
    )
    conn.commit()
    for _ in range(2):
        deliver.send(MORNING - timedelta(hours=12))
    assert outcomes_of(conn)["e2"] == ("never_known", True)
    ((told, sent),) = warehouse.rows(
        conn, "SELECT error, delivered FROM ops.notices WHERE run_id LIKE 'events of unknown%%'"
    )
    assert told == (
        "Expected delivery events to name messages of ours, found 1 that have named none for 7 days."
    )
    assert sent


def outcomes_of(conn):
    """Event -> what came of it, and whether that is final."""
    conn.commit()
    found = warehouse.rows(
        conn, "SELECT event_key, outcome, taken_up_at IS NOT NULL FROM ops.delivery_events"
    )
    return {key: (outcome, final) for key, outcome, final in found}


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

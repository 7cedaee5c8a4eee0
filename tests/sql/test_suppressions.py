"""Suppressions of mailboxes and numbers: what begins them, what ends them, and what becomes of old ones."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from include import policy, warehouse
from include.contracts import words
from include.errors import BadInput
from include.launcher.commands import suppress
from include.persons import addresses, erasure, pseudonym, refusals, suppressions
from include.steps.delivery import asked, deliver, feedback
from tests.sql import planted
from tests.sql.planted import errors, person, plant

pytestmark = pytest.mark.usefixtures("warehouse")

MORNING = datetime(2017, 10, 2, 14, tzinfo=UTC)
#: When an event happened, and moments around it.
BEFORE, AT, AFTER = "2017-10-01T10:00Z", "2017-10-01T12:00Z", "2017-10-01T14:00Z"


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        opened.commit()
        yield opened


def contact(
    conn: Any, number: int, address: str, at: str, *, verified: bool = True, channel: str = "email"
) -> None:
    """Another address of a customer, which ends the one before."""
    conn.commit()
    warehouse.execute(
        conn,
        "UPDATE core.contact_points SET valid_to = %(at)s "
        "WHERE customer_id = %(who)s AND channel = %(channel)s AND valid_to IS NULL",
        {"at": at, "who": person(number), "channel": channel},
    )
    planted.fill(
        conn,
        "core.contact_points",
        [{"customer_id": person(number), "channel": channel, "address": address, "verified": verified,
          "valid_from": at, "known_at": at}],
    )  # fmt: skip
    conn.commit()


def event(conn: Any, message: int, kind: str, at: str = AT) -> None:
    warehouse.value(
        conn,
        "SELECT ops.record_delivery_event(%(e)s, %(k)s, %(at)s, message => %(m)s)",
        {"e": f"{message} {kind} {at}", "k": kind, "at": at, "m": person(2000 + message)},
    )
    conn.commit()


def sent(conn: Any, number: int, *, address: str | None = None) -> None:
    """The message of a customer, as one that has left."""
    mark = addresses.hashed("email", address or f"c{number}@example.com", pseudonym.key())
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET status = 'sent', sent_at = '2017-09-01', address_hash = %(mark)s "
        "WHERE message_id = %(m)s",
        {"m": person(2000 + number), "mark": mark},
    )
    warehouse.execute(
        conn,
        "UPDATE marketing.coupon_triggers SET status = 'sent', sent_at = '2017-09-01' "
        "WHERE trigger_id = %(t)s",
        {"t": person(1000 + number)},
    )
    conn.commit()


def refused(conn: Any) -> dict[int, str | None]:
    """Of each planted message what kept it."""
    return dict(enumerate(errors(conn), start=1))


@pytest.mark.parametrize("kind", ["unsubscribed", "complained", "bounced"])
@pytest.mark.parametrize("spelt", ["C1@EXAMPLE.com", " c1@example.com\u200b"])
def test_whoever_registers_the_mailbox_gets_nothing(conn, kind, spelt):
    plant(conn, 3)
    sent(conn, 1)
    event(conn, 1, kind)
    contact(conn, 2, spelt, AFTER)
    assert deliver.send(MORNING) == {"cancelled": 1, "sent": 1}
    assert refused(conn) == {1: None, 2: "on_suppression_list", 3: None}


def test_what_only_arrived_stops_nobody(conn):
    plant(conn, 2)
    sent(conn, 1)
    event(conn, 1, "delivered")
    contact(conn, 2, "c1@example.com", AFTER)
    assert deliver.send(MORNING) == {"sent": 1}


@pytest.mark.parametrize(
    ("at", "verified", "kept"),
    [
        (AFTER, True, None),
        (AFTER, False, "on_suppression_list"),
        (BEFORE, True, "on_suppression_list"),
    ],
)
def test_a_bounce_ends_with_a_newer_verified_address(conn, at, verified, kept):
    plant(conn, 2)
    sent(conn, 2, address="c1@example.com")
    warehouse.execute(
        conn, "UPDATE marketing.messages SET customer_id = %(p)s, period = 'x' WHERE message_id = %(m)s",
        {"p": person(1), "m": person(2002)},
    )  # fmt: skip
    event(conn, 2, "bounced")
    contact(conn, 1, "new@example.com", at, verified=verified)
    deliver.send(MORNING)
    assert refused(conn)[1] == kept


def test_the_same_address_again_is_no_other(conn):
    plant(conn, 1)
    planted.people(conn, [2])
    warehouse.execute(
        conn,
        "INSERT INTO ops.suppressions VALUES (%(p)s, 'email', 'bounced', %(at)s)",
        {"p": person(1), "at": AT},
    )
    contact(conn, 1, "C1@example.com", AFTER)
    deliver.send(MORNING)
    assert refused(conn)[1] == "on_suppression_list"


@pytest.mark.parametrize(
    ("who", "said", "at", "kept"),
    [
        (1, True, AFTER, (None, None)),
        (1, True, BEFORE, ("on_suppression_list", "on_suppression_list")),
        (1, False, AFTER, ("on_suppression_list", "on_suppression_list")),
        # What another says of the mailbox is not the word of who opted out.
        (2, True, AFTER, ("on_suppression_list", "on_suppression_list")),
    ],
)
def test_an_opt_out_ends_with_a_later_yes_of_who_gave_it(conn, who, said, at, kept):
    plant(conn, 2)
    warehouse.execute(
        conn,
        "INSERT INTO ops.suppressions VALUES (%(p)s, 'email', 'unsubscribed', %(at)s)",
        {"p": person(1), "at": AT},
    )
    contact(conn, 2, "c1@example.com", AFTER)
    planted.consent(conn, [who], "email", granted=said, at=at)
    conn.commit()
    deliver.send(MORNING)
    # Both share a mailbox, so that of two that may be sent one is: the caps count mailboxes.
    found = refused(conn)
    if kept == (None, None):
        assert sorted(found.values(), key=str) == [None, "frequency_cap"]
    else:
        assert (found[1], found[2]) == kept


def test_a_no_after_the_yes_holds_again(conn):
    plant(conn, 2)
    sent(conn, 2)
    warehouse.execute(
        conn, "UPDATE marketing.messages SET customer_id = %(p)s, period = 'x' WHERE message_id = %(m)s",
        {"p": person(1), "m": person(2002)},
    )  # fmt: skip
    event(conn, 2, "unsubscribed", BEFORE)
    feedback.take_up(conn)
    planted.consent(conn, [1], "email", granted=True, at=AT)
    event(conn, 2, "unsubscribed", AFTER)
    deliver.send(MORNING)
    assert refused(conn)[1] == "on_suppression_list"


def test_two_customers_of_one_mailbox_get_one_copy_and_caps_count_it(conn):
    plant(conn, 4, cap_class="transactional")
    for number in (2, 3):
        contact(conn, number, " C1@Example.com", AFTER)
    assert deliver.send(MORNING) == {"cancelled": 2, "sent": 2}
    assert sorted(errors(conn), key=str) == [None, None, "same_mailbox", "same_mailbox"]
    assert warehouse.rows(
        conn,
        "SELECT t.status, count(*)::integer FROM marketing.coupon_triggers AS t GROUP BY 1 ORDER BY 1",
    ) == [("cancelled", 2), ("sent", 2)]


def test_a_cap_counts_what_another_got_at_the_mailbox_on_other_days(conn):
    plant(conn, 3)
    for number in (1, 2):  # 2 within 7 days are the most
        sent(conn, number, address="c3@example.com")
        warehouse.execute(
            conn, "UPDATE marketing.messages SET sent_at = %(at)s WHERE message_id = %(m)s",
            {"at": f"2017-09-{28 + number} 15:00+00", "m": person(2000 + number)},
        )  # fmt: skip
    conn.commit()
    assert deliver.send(MORNING) == {"cancelled": 1}
    assert refused(conn)[3] == "frequency_cap"


def test_suppressions_of_before_go_to_the_addresses_that_were_valid_then(conn):
    """As an old warehouse has them: addresses without a hash, suppressions that nobody followed."""
    planted.people(conn, [1, 2, 3])
    contact(conn, 1, "later@example.com", AFTER)
    warehouse.execute(
        conn,
        "INSERT INTO ops.suppressions VALUES (%(a)s, 'email', 'unsubscribed', %(at)s), "
        "(%(b)s, 'all', 'complained', %(at)s), (%(c)s, 'all', 'erased', %(at)s)",
        {"a": person(1), "b": person(2), "c": person(3), "at": AT},
    )
    conn.commit()
    suppressions.carry(conn)
    suppressions.carry(conn)
    key = pseudonym.key()
    assert set(
        warehouse.rows(conn, "SELECT address_hash, channel, reason FROM ops.address_suppressions")
    ) == {
        (addresses.hashed("email", "c1@example.com", key), "email", "unsubscribed"),
        (addresses.hashed("email", "c2@example.com", key), "email", "complained"),
        (addresses.hashed("sms", "+15550000002", key), "sms", "complained"),
    }
    assert (
        warehouse.rows(conn, "SELECT 1 FROM core.contact_points WHERE address_hash IS NULL") == []
    )


def test_an_address_of_before_gets_its_one_form(conn):
    planted.people(conn, [1, 2])
    contact(conn, 1, "+4402079460018", AFTER, channel="sms")
    contact(conn, 2, "not a number", AFTER, channel="sms")
    suppressions.carry(conn)
    assert warehouse.rows(
        conn,
        "SELECT address FROM core.contact_points WHERE channel = 'sms' AND valid_to IS NULL ORDER BY address",
    ) == [("+442079460018",), ("not a number",)]


def test_what_is_no_address_is_not_sent_to(conn):
    plant(conn, 1)
    contact(conn, 1, "c1 at example.com", AFTER)
    assert deliver.send(MORNING) == {"cancelled": 1}
    assert errors(conn) == ["no_contact_point"]


def test_by_hand(conn, capsys):
    plant(conn, 2)
    conn.commit()
    assert suppress.run("add", " C1@EXAMPLE.com", "letter", "Ann", "asked in writing") == 0
    assert suppress.run("show", "c1@example.com", None, None, None) == 0
    assert "letter" in capsys.readouterr().out
    assert deliver.send(MORNING) == {"cancelled": 1, "sent": 1}
    assert suppress.run("lift", "c1@example.com", "another", "Ann", None) == 1
    assert suppress.run("lift", "c1@example.com", None, "Ann", None) == 0
    assert "until" not in capsys.readouterr().out
    assert suppress.run("show", "C1@example.com", None, None, None) == 0
    assert "until" in capsys.readouterr().out
    conn.commit()
    assert warehouse.rows(conn, 'SELECT "by", why FROM ops.address_suppressions') == [
        ("Ann", "asked in writing")
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "12", "r", "Ann"), "found '12'"),
        (("add", "a@b@c", "r", "Ann"), "found 'a@b@c'"),
        (("add", "a@example.com", None, "Ann"), "Expected --reason"),
        (("lift", "a@example.com", None, None), "Expected --by"),
    ],
)
def test_what_cannot_be_listed_is_said(conn, arguments, said):
    action, address, reason, by = arguments
    with pytest.raises(BadInput, match=said):
        suppress.run(action, address, reason, by, None)


def test_a_refusal_that_is_told_waits_once_and_leaves_no_address_behind(conn):
    planted.people(conn, [1])
    tell = "SELECT ops.record_refusal('1', 'c1@example.com', 'email', '2017-10-01')"
    assert warehouse.value(conn, tell) is True
    assert warehouse.value(conn, tell) is False
    assert refusals.take_up(conn) == 1
    assert refusals.take_up(conn) == 0
    conn.commit()
    assert warehouse.value(conn, "SELECT count(*) FROM core.told_refusals") == 0
    kept = str(warehouse.rows(conn, "SELECT * FROM ops.refusals, ops.address_suppressions"))
    assert "c1@example.com" not in kept


def test_a_no_without_a_moment_is_new_each_time(conn):
    """There may have been a yes in between."""
    for _ in range(2):
        assert warehouse.value(conn, "SELECT ops.record_refusal('1')") is True
    assert refusals.take_up(conn) == 2


@pytest.mark.parametrize(
    "given", ["Ann <c1@example.com>", "mailto:C1@example.com", " <c1@example.com> "]
)
def test_an_address_may_be_given_as_mail_programs_copy_it(conn, given):
    plant(conn, 1)
    warehouse.value(conn, "SELECT ops.record_refusal(NULL, %(given)s)", {"given": given})
    conn.commit()
    deliver.send(MORNING)
    assert errors(conn) != [None]


@pytest.mark.parametrize(
    "at",
    [
        None,
        date(2017, 10, 1),
        datetime.fromisoformat("2017-10-01T09:00"),
        datetime(2017, 10, 1, tzinfo=UTC),
    ],
)
def test_the_shop_may_say_the_moment_of_a_no_as_it_likes(at):
    now = datetime(2017, 10, 2, tzinfo=UTC)
    assert asked._moment(at, now, ZoneInfo("America/New_York")) <= now


@pytest.mark.parametrize("arguments", ["NULL, NULL", "'', '  '", "NULL, '', 'email', now()"])
def test_a_refusal_of_nobody_is_refused(conn, arguments):
    import psycopg2

    with pytest.raises(psycopg2.errors.InvalidParameterValue, match="found neither"):
        warehouse.value(conn, f"SELECT ops.record_refusal({arguments})")
    conn.rollback()


@pytest.mark.parametrize(("granted", "kept"), [(True, None), (False, "no_consent")])
def test_a_refusal_holds_until_a_later_yes(conn, granted, kept):
    plant(conn, 1)
    at = datetime(2017, 10, 1, 12, tzinfo=UTC)
    mark = pseudonym.pseudonym("1", pseudonym.key())
    warehouse.execute(
        conn,
        "INSERT INTO core.identity_links (account_id, customer_id) VALUES (%(a)s, %(p)s)",
        {"a": str(mark), "p": person(1)},
    )
    refusals.record(conn, [refusals.Refusal("1", None, "email", at, "1")], "late")
    planted.consent(conn, [1], "email", granted=granted, at=AFTER)
    conn.commit()
    deliver.send(MORNING)
    assert errors(conn) == [kept]


def test_erasure_keeps_the_hash(conn):
    planted.people(conn, [1])
    number = str(pseudonym.pseudonym("1", pseudonym.key()))
    conn.commit()
    suppress.run("add", "c1@example.com", "letter", "Ann", None)
    refusals.record(
        conn, [refusals.Refusal("1", None, "email", datetime(2017, 10, 1, tzinfo=UTC), "1")], "late"
    )
    conn.commit()
    erasure.forget("1", "run", datetime.now(UTC))
    conn.commit()
    assert warehouse.value(conn, "SELECT count(*) FROM ops.address_suppressions") == 1
    assert number in {
        str(who) for (who,) in warehouse.rows(conn, "SELECT customer_id FROM ops.refusals")
    }
    assert erasure.remaining("1") == 0


def test_every_channel_has_words():
    assert set(words.CHANNELS) == {"email", "sms", "push", "all"}

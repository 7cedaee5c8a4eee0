"""Deciding a day on a real warehouse, through the engine: promises kept, twice the same, any order."""

import threading
from datetime import date, timedelta

import psycopg2
import pytest

from include import contracts, policy, publication, warehouse
from include.errors import BadInput
from include.launcher.commands import policy as command
from include.offers import codes as coupons
from include.offers import control
from include.steps import activate
from tests.sql import planted
from tests.sql.planted import DAY, person

pytestmark = pytest.mark.usefixtures("warehouse")

PUBLISHED = ("decisions", "coupon_triggers", "messages")


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        opened.commit()
        yield opened


def hashes(conn):
    return {
        name: publication.content_hash(conn, contracts.load("marketing", name))
        for name in PUBLISHED
    }


def reason(conn, number, day=DAY):
    return warehouse.rows(
        conn,
        "SELECT decision, decision_reason FROM marketing.decisions "
        "WHERE customer_id = %(who)s AND as_of = %(day)s ORDER BY campaign",
        {"who": person(number), "day": day},
    )


def test_a_day_is_decided_and_decided_again_without_a_change(conn):
    planted.people(conn, range(1, 61))
    conn.commit()
    counts = planted.decide()
    assert counts["marketing.decisions"] == 60
    sent = warehouse.value(conn, "SELECT count(*) FROM marketing.decisions WHERE decision = 'send'")
    assert 40 < sent < 60, "some are held back as control"
    assert counts["marketing.coupon_triggers"] == counts["marketing.messages"] == sent
    first = hashes(conn)
    codes = warehouse.rows(
        conn, "SELECT trigger_id, coupon_code FROM marketing.coupon_triggers ORDER BY 1"
    )
    stamps = warehouse.rows(
        conn, "SELECT message_id, updated_at, run_id FROM marketing.messages ORDER BY 1"
    )
    # Meanwhile the world moves: what was decided stands all the same.
    planted.consent(conn, range(1, 61), "email", granted=False, at="2017-09-30T12:00Z")
    conn.commit()
    assert planted.decide(run_id="run-2") == counts
    assert hashes(conn) == first
    assert codes == warehouse.rows(
        conn, "SELECT trigger_id, coupon_code FROM marketing.coupon_triggers ORDER BY 1"
    )
    assert stamps == warehouse.rows(
        conn, "SELECT message_id, updated_at, run_id FROM marketing.messages ORDER BY 1"
    )


def test_every_row_says_what_marketing_needs_to_know(conn):
    planted.people(conn, range(1, 11))
    conn.commit()
    planted.decide()
    rules = policy.load()
    rows = warehouse.rows(
        conn,
        "SELECT DISTINCT d.policy_hash, d.model_version, d.basis, d.currency, d.run_id "
        "FROM marketing.decisions AS d",
    )
    assert rows == [(rules.hash, "value-1", "observational", "USD", "run-1")]
    trigger = warehouse.rows(
        conn,
        "SELECT t.external_id, t.valid_from, t.valid_until, t.send_not_before, t.status, m.status, "
        "m.body LIKE '%%' || t.coupon_code || '%%', length(t.coupon_code), t.policy_hash "
        "FROM marketing.coupon_triggers AS t JOIN marketing.messages AS m USING (trigger_id) "
        "ORDER BY t.external_id LIMIT 1",
    )[0]
    assert trigger[1:3] == (date(2017, 10, 2), date(2017, 10, 15))
    assert trigger[3].isoformat() == "2017-10-02T13:00:00+00:00"
    assert trigger[4:] == ("approved", "pending", True, 17, rules.hash)
    marketing = warehouse.value(
        conn, "SELECT count(*) FROM marketing.current_decisions WHERE as_of = %(d)s", {"d": DAY}
    )
    assert marketing == 10


def test_marketing_may_read_and_nothing_else(conn):
    planted.people(conn, [1])
    conn.commit()
    planted.decide()
    with warehouse.connect("warehouse_marketing") as reader:
        assert warehouse.value(reader, "SELECT count(*) FROM marketing.current_decisions") == 1
        reader.rollback()
        warehouse.execute(reader, "SET TRANSACTION READ WRITE")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            warehouse.execute(reader, "UPDATE marketing.coupon_triggers SET status = 'sent'")
        reader.rollback()
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            warehouse.rows(reader, "SELECT address FROM core.contact_points")
        reader.rollback()


def test_who_must_not_be_sent_anything_gets_nothing_and_a_reason(conn):
    planted.people(conn, range(1, 8))
    late = "2017-10-02T05:00Z"  # after the end of 1 October in New York
    for channel in ("email", "sms"):
        planted.consent(conn, [1], channel, granted=False, at="2017-09-01T12:00Z")
        planted.consent(conn, [2], channel, granted=False, at="2017-09-01T12:00Z")
        planted.consent(conn, [2], channel, granted=True, at="2017-09-02T12:00Z")
        planted.consent(conn, [3], channel, granted=False, at=late)
    warehouse.execute(
        conn, "DELETE FROM core.contact_points WHERE customer_id = %(who)s", {"who": person(4)}
    )
    warehouse.execute(
        conn,
        "UPDATE core.contact_points SET verified = false WHERE customer_id = %(who)s",
        {"who": person(5)},
    )
    warehouse.execute(
        conn,
        "UPDATE core.identities SET birth_date = '2005-01-01' WHERE customer_id = %(who)s",
        {"who": person(6)},
    )
    planted.fill(
        conn,
        "ops.suppressions",
        [{"customer_id": person(7), "channel": "all", "reason": "complained", "recorded_at": late}],
    )
    conn.commit()
    planted.decide()
    assert reason(conn, 1) == [("suppress", "no_consent")]
    assert reason(conn, 2)[0][0] in ("send", "control"), "the newest answer counts"
    assert reason(conn, 3)[0][0] in ("send", "control"), "what is recorded later is not known yet"
    assert reason(conn, 4) == [("suppress", "no_contact_point")]
    assert reason(conn, 5) == [("suppress", "contact_not_verified")]
    assert reason(conn, 6) == [("suppress", "minor")]
    assert reason(conn, 7) == [("suppress", "on_suppression_list")]
    refused = warehouse.value(
        conn,
        "SELECT count(*) FROM marketing.coupon_triggers WHERE customer_id = ANY(%(who)s::uuid[])",
        {"who": [person(n) for n in (1, 4, 5, 6, 7)]},
    )
    assert refused == 0


def test_a_refusal_closes_its_own_channel_and_no_answer_to_another_question_opens_one(conn):
    planted.people(conn, range(1, 6))
    since = "2017-09-01T12:00Z"
    for channel in ("email", "sms"):
        planted.consent(conn, [1], channel, granted=False, at=since)
    other = {"customer_id": person(1), "purpose": "orders", "granted": True}
    planted.fill(
        conn,
        "core.consents",
        [
            other | {"channel": channel, "valid_from": "2017-09-02T12:00Z", "known_at": since}
            for channel in ("email", "sms")
        ],
    )
    planted.fill(
        conn,
        "ops.suppressions",
        [
            {
                "customer_id": person(n),
                "channel": channel,
                "reason": "bounced",
                "recorded_at": since,
            }
            for n, channel in ((2, "email"), (3, "sms"))
        ],
    )
    gone = "SET address = '' WHERE channel = 'email' AND customer_id = %(who)s"
    warehouse.execute(conn, f"UPDATE core.contact_points {gone}", {"who": person(4)})
    unknown = "SET verified = false WHERE channel = 'email' AND customer_id = %(who)s"
    warehouse.execute(conn, f"UPDATE core.contact_points {unknown}", {"who": person(5)})
    conn.commit()
    planted.decide()
    assert reason(conn, 1) == [("suppress", "no_consent")]
    found = warehouse.rows(
        conn, "SELECT external_id::integer, channel FROM marketing.decisions ORDER BY 1 OFFSET 1"
    )
    assert found == [(2, "sms"), (3, "email"), (4, "sms"), (5, "sms")]


def test_what_came_of_a_campaign_is_told_by_coupons_that_have_run_out(conn):
    """Redeemed at the till, or by the shop's records; what has not been sent tells nothing."""
    coupon: dict[str, str | None] = {
        "campaign": "vip_exclusive",
        "as_of": "2017-09-01",
        "valid_until": DAY,
    }
    cases: list[dict[str, str | None]] = [
        {"status": "redeemed"},
        {"status": "sent"},
        {"status": "sent"},  # in the shop's records
        {"status": "sent"},  # in the shop's records, of the day after
        {"status": "sent", "valid_until": "2017-10-02"},
        {"status": "redeemed", "valid_until": "2017-10-02"},
        {"status": "cancelled"},
        {"status": "approved"},
        {"status": "sent", "campaign": "welcome"},
        {"status": "sent", "coupon_code": None},
    ]
    planted.fill(
        conn,
        "marketing.coupon_triggers",
        [
            coupon
            | {"trigger_id": person(n), "customer_id": person(n), "period": str(n)}
            | {"coupon_code": f"CODE-{n}"}
            | case
            for n, case in enumerate(cases)
        ],
    )
    planted.fill(
        conn,
        "core.redemptions",
        [
            {"redemption_id": n, "coupon_upc": f"CODE-{code}", "customer_id": person(n),
             "business_day": day}
            for n, code, day in ((2, 2, DAY), (3, 3, "2017-10-02"), (7, 1, DAY))
        ],
    )  # fmt: skip
    assert warehouse.rows(conn, warehouse.sql("queries/activate/past"), {"as_of": DAY}) == [
        ("vip_exclusive", 4, 2),
        ("welcome", 1, 0),
    ]
    warehouse.execute(conn, "TRUNCATE core.redemptions")
    conn.commit()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_days_in_any_order_keep_periods_gaps_and_caps(conn, order):
    """Three days over the end of a quarter, decided as they come: one VIP message each, no more."""
    first = date(2017, 9, 29)
    for offset in range(3):
        planted.people(conn, range(1, 31), day=(first + timedelta(days=offset)).isoformat())
    conn.commit()
    for offset in order:
        day = (first + timedelta(days=offset)).isoformat()
        planted.decide(day, run_id=f"run-{day}")
    most = warehouse.value(
        conn,
        "SELECT max(n) FROM (SELECT count(*) AS n FROM marketing.decisions "
        "WHERE decision IN ('send', 'control') GROUP BY customer_id) AS x",
    )
    assert most == 1
    assert warehouse.value(conn, "SELECT count(*) FROM marketing.decisions") == 90
    assert {
        name
        for (name,) in warehouse.rows(
            conn, "SELECT DISTINCT decision_reason FROM marketing.decisions"
        )
    } <= {"best_offer", "control_group", "already_in_period", "too_soon"}


def test_who_is_kept_out_waits_as_long_as_who_is_sent_something(conn):
    """Periods, gaps and caps count what the control group would have got, or the arms drift apart."""
    rules = policy.load().control
    inside = {n: control.position(person(n), rules.salt) < rules.share for n in range(1, 400)}
    mailed, member = (next(n for n, held in inside.items() if held is it) for it in (False, True))

    def decide(day, segment="vip"):
        planted.people(conn, [mailed, member], day=day, segment=segment)
        conn.commit()
        planted.decide(day, run_id=f"run-{day}")
        return [reason(conn, n, day) for n in (mailed, member)]

    first = [[("send", "best_offer")], [("control", "control_group")]]
    assert decide("2017-09-26") == first
    assert decide("2017-09-27") == [[("suppress", "already_in_period")]] * 2
    assert decide("2017-10-01") == [[("suppress", "too_soon")]] * 2, "another quarter"
    # The second message of the week, and of a third campaign one too many.
    assert decide("2017-09-28", "drifting") == first
    review = {"rating": 5, "business_day": "2017-09-29"}
    planted.fill(
        conn,
        "core.reviews",
        [review | {"review_id": n, "customer_id": person(n)} for n in (mailed, member)],
    )
    planted.fill(conn, "core.products", [{"product_id": "x", "valid_from": "2017-01-01T00:00Z"}])
    assert decide("2017-09-29", "lost") == [[("suppress", "frequency_cap")]] * 2


@pytest.mark.parametrize("merged", [True, False])
def test_what_an_account_was_sent_counts_for_the_person_it_was_found_to_be(conn, merged):
    planted.people(conn, [2], day="2017-09-28")
    conn.commit()
    planted.decide("2017-09-28", run_id="run-0")
    if merged:
        link = {"account_id": person(2), "customer_id": person(1), "rule": "verified_email"}
        planted.fill(conn, "core.identity_links", [link | {"linked_to": person(1)}])
    planted.people(conn, [1], day="2017-09-29")
    conn.commit()
    planted.decide("2017-09-29")
    ((decision, why),) = reason(conn, 1, "2017-09-29")
    assert (decision in ("send", "control")) is not merged
    assert (why == "already_in_period") is merged


def test_control_wins_where_accounts_turn_out_to_be_one_person(conn):
    """Found to be somebody who is mailed, a member stays a member; split off, it is as before."""
    rules = policy.load().control
    inside = {n: control.position(person(n), rules.salt) < rules.share for n in range(1, 400)}
    mailed, member = (next(n for n, held in inside.items() if held is it) for it in (False, True))
    days = ("2017-06-15", "2017-10-15", "2018-01-15")

    def decide(day, *numbers):
        planted.people(conn, numbers, day=day)
        conn.commit()
        planted.decide(day, run_id=f"run-{day}")
        return {
            int(who): (decision, round(chance, 4))
            for who, decision, chance in warehouse.rows(
                conn,
                "SELECT external_id, decision, propensity FROM marketing.decisions "
                "WHERE as_of = %(day)s",
                {"day": day},
            )
        }

    alone = round(1 - rules.share, 4)
    assert decide(days[0], mailed, member) == {mailed: ("send", alone), member: ("control", alone)}
    link = {"account_id": person(member), "customer_id": person(mailed), "rule": "phone"}
    planted.fill(conn, "core.identity_links", [link | {"linked_to": person(mailed)}])
    assert decide(days[1], mailed) == {mailed: ("control", round((1 - rules.share) ** 2, 4))}
    warehouse.execute(conn, "DELETE FROM core.identity_links")
    assert decide(days[2], mailed, member) == {mailed: ("send", alone), member: ("control", alone)}
    assert warehouse.rows(
        conn,
        "SELECT as_of::text, external_id::integer, is_member FROM marketing.control_members "
        "WHERE scope = %(scope)s ORDER BY 1, 2",
        {"scope": control.EVERY_CAMPAIGN},
    ) == sorted(
        [(days[0], member, True), (days[1], mailed, True), (days[1], member, False)]
        + [(days[2], mailed, False), (days[2], member, True)]
    )


def test_who_is_found_too_late_keeps_no_message_from_the_others(conn, monkeypatch):
    """A trigger that finds people for an event of tomorrow, when the eve is over: a row, and no window."""
    rules = policy.load()
    campaigns = list(rules.campaigns)
    place = [campaign.name for campaign in campaigns].index("member_event")
    trigger = campaigns[place].trigger.model_copy(update={"at_least_days": 1})
    campaigns[place] = campaigns[place].model_copy(update={"trigger": trigger})
    sooner = rules.model_copy(update={"campaigns": campaigns})
    monkeypatch.setattr(policy, "load", lambda *_: sooner)
    planted.people(conn, range(1, 41))
    had = {"as_of": "2017-06-01", "campaign": "vip_exclusive", "period": "2017-Q4"}
    planted.fill(
        conn,
        "marketing.decisions",
        [had | {"customer_id": person(n), "decision": "send"} for n in range(1, 21)],
    )
    event = {"event_id": "e1", "region": None, "starts_on": "2017-10-02", "ends_on": "2017-10-03"}
    planted.fill(conn, "core.member_events", [event])
    conn.commit()
    planted.decide()
    told = {(*row, n > 20) for n in range(1, 41) for row in reason(conn, n)}
    assert {row for row in told if "suppress" in row} == {
        ("suppress", "already_in_period", False),
        ("suppress", "too_late", False),
        ("suppress", "too_late", True),
    }
    assert ("send", "best_offer", True) in told
    sent = warehouse.rows(
        conn, "SELECT campaign, count(*) > 10 FROM marketing.messages GROUP BY campaign"
    )
    assert sent == [("vip_exclusive", True)]


def test_an_old_day_is_written_as_history_and_nobody_is_messaged(conn):
    planted.people(conn, range(1, 6))
    planted.fill(
        conn,
        "ops.publications",
        [
            {
                "table_name": "core.orders",
                "partition": "2017-10-31",
                "dataset": "core",
                "run_id": "later",
                "token": 1,
            }
        ],
    )
    conn.commit()
    counts = planted.decide()
    assert counts["marketing.coupon_triggers"] == counts["marketing.messages"] == 0
    assert warehouse.rows(
        conn, "SELECT DISTINCT decision, decision_reason FROM marketing.decisions"
    ) == [("hold", "stale")]


def test_a_day_without_segments_is_a_clear_sentence_and_leaves_nothing(conn):
    with pytest.raises(BadInput, match="Expected segments for 2017-10-01 .* found none: run"):
        activate.build({"as_of": DAY, "since": None, "run_id": "run-1"})
    assert warehouse.value(conn, "SELECT count(*) FROM marketing.decisions") == 0


def test_a_day_with_nobody_to_reach_is_published_empty(conn):
    planted.people(conn, [1, 2], segment="regular")
    conn.commit()
    counts = planted.decide()
    assert {name: counts[f"marketing.{name}"] for name in PUBLISHED} == dict.fromkeys(PUBLISHED, 0)
    assert planted.decide() == counts


def test_recommended_products_stand_in_the_words_and_no_sensitive_one_does(conn):
    planted.people(conn, [1, 2, 3])
    known = {"valid_from": "2017-01-01T05:00Z", "known_at": "2017-01-01T05:00Z"}
    names = {"p1": "Aged Gouda", "p2": "Pregnancy test"}
    planted.fill(
        conn,
        "core.products",
        [known | {"product_id": product, "name": name} for product, name in names.items()],
    )
    told = {"as_of": DAY, "list": "discover"}
    planted.fill(
        conn,
        "marketing.product_recommendations",
        [
            told | {"customer_id": person(n), "rank": rank, "product_id": product} | more
            for n in (1, 2, 3)
            for rank, product, more in ((1, "p2", {"sensitive": True}), (2, "p1", {}))
        ],
    )
    conn.commit()
    planted.decide()
    bodies = warehouse.rows(conn, "SELECT body FROM marketing.messages")
    assert bodies
    assert all("- Aged Gouda" in body for (body,) in bodies)
    assert not any("Pregnancy" in body for (body,) in bodies)


def test_a_region_has_its_own_clock_and_language_and_push_goes_where_it_is_allowed(
    conn, tmp_path, monkeypatch
):
    """From the region of a customer's store to send window, words, days and amounts; by push or by mail."""
    text = policy.DEFAULT_PATH.read_text(encoding="utf-8")
    for name, values in (
        ("region_timezones", "{south: America/Los_Angeles, east: America/New_York}"),
        ("region_locales", "{south: es_US, west: fr_FR}"),
    ):
        text = text.replace(f"  {name}: {{}}", f"  {name}: {values}")
    text = text.replace("  share: 0.05 ", "  share: 0.00 ")
    text = text.replace("channels: [email, sms]", "channels: [push, email, sms]")
    file = tmp_path / "policy.yml"
    file.write_text(text)
    monkeypatch.setenv("REGULARS_POLICY", str(file))
    regions = {1: "south", 2: "east", 3: "west", 4: "south"}
    planted.people(conn, regions)
    for number, region in regions.items():
        warehouse.execute(
            conn,
            "INSERT INTO core.stores (store_id, valid_from, known_at, region) "
            "VALUES (%(region)s, '2017-01-01', '2017-01-01', %(region)s) ON CONFLICT DO NOTHING; "
            "UPDATE core.customers SET home_store_id = %(region)s WHERE customer_id = %(who)s",
            {"region": region, "who": person(number)},
        )
    # All but the last have a device, and push is allowed.
    planted.consent(conn, [1, 2, 3], "push", granted=True, at="2017-01-05T12:00Z")
    planted.fill(
        conn,
        "core.contact_points",
        [
            {
                "customer_id": person(n),
                "channel": "push",
                "address": f"device{n}",
                "verified": True,
                "valid_from": "2017-01-05T12:00Z",
                "known_at": "2017-01-05T12:00Z",
            }
            for n in (1, 2, 3)
        ],
    )
    conn.commit()
    planted.decide()
    found = {
        int(row[0]): row[1:]
        for row in warehouse.rows(
            conn,
            "SELECT m.external_id, m.channel, m.time_zone, m.copy_source, t.offer_title, m.body, "
            "(m.send_not_before AT TIME ZONE m.time_zone)::time::text, m.send_not_before::text "
            "FROM marketing.messages AS m JOIN marketing.coupon_triggers AS t USING (trigger_id)",
        )
    }
    assert found.keys() == regions.keys()
    spanish = "10% de descuento en una compra, para nuestros mejores clientes"
    english = "10% off one shop, for our best customers"
    assert found[1][:4] == (
        "push", "America/Los_Angeles", "template/vip_exclusive/push.es", spanish,
    )  # fmt: skip
    assert "hasta el 15 de octubre de 2017" in found[1][4]
    assert found[2][:4] == ("push", "America/New_York", "template/vip_exclusive/push", english)
    assert "until October 15, 2017" in found[2][4]
    # Nobody has written French: the shop's words, with the shop's days.
    assert found[3][:4] == ("push", "America/New_York", "template/vip_exclusive/push", english)
    assert "until October 15, 2017" in found[3][4]
    assert found[4][:2] == ("email", "America/Los_Angeles")
    assert "Válido hasta el 15 de octubre de 2017" in found[4][4]
    assert {row[5] for row in found.values()} == {"09:00:00"}, "each one's own morning"
    assert found[1][6] == "2017-10-02 16:00:00+00"
    assert found[2][6] == "2017-10-02 13:00:00+00"


def test_a_name_that_is_template_text_stays_a_name(conn):
    names = ["{{ 1234 * 5678 }}", "<script>alert(1)</script>", "Ann\nBcc: x@example.com", "=1+1"]
    for number, name in enumerate(names, start=1):
        planted.people(conn, [number], first_name=name)
    conn.commit()
    planted.decide()
    for subject, body in warehouse.rows(conn, "SELECT subject, body FROM marketing.messages"):
        assert "7006652" not in body
        assert "\n" not in subject
        assert "\nBcc" not in body


def test_sixteen_writers_at_once_make_no_code_twice(conn):
    """Codes of many processes at once, into one unique column: none is refused."""
    codes_each = 200
    failures: list[Exception] = []
    columns = ["trigger_id", "customer_id", "campaign", "period", "coupon_code", "status"]
    empty = {"text": "x", "boolean": False, "date": DAY, "timestamptz": f"{DAY}T00:00Z"}
    others = [
        column
        for column in contracts.load("marketing", "coupon_triggers").columns
        if not column.nullable and column.name not in columns
    ]

    def work(writer: int) -> None:
        records = (
            (
                coupons.trigger_id(person(1), "welcome", f"{writer}-{number}"),
                person(1),
                "welcome",
                f"{writer}-{number}",
                coupons.new_code(),
                "sent",
                *(empty.get(column.type, 0) for column in others),
            )
            for number in range(codes_each)
        )
        try:
            with warehouse.connect() as mine:
                names = columns + [column.name for column in others]
                warehouse.copy_rows(mine, records, "marketing.coupon_triggers", names)
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    found = warehouse.rows(
        conn, "SELECT count(*), count(DISTINCT coupon_code) FROM marketing.coupon_triggers"
    )
    assert found == [(16 * codes_each, 16 * codes_each)]


def test_the_same_day_decided_by_two_runs_at_once_is_published_once(conn):
    planted.people(conn, range(1, 31))
    conn.commit()
    outcomes: list[object] = []

    def work(run_id: str) -> None:
        try:
            outcomes.append(planted.decide(run_id=run_id))
        except Exception as error:
            outcomes.append(type(error).__name__)

    runs = [threading.Thread(target=work, args=(f"run-{n}",)) for n in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert all(isinstance(o, dict) or o == "Superseded" for o in outcomes), outcomes
    assert warehouse.value(conn, "SELECT count(*) FROM marketing.decisions") == 30
    assert warehouse.rows(conn, "SELECT count(DISTINCT run_id) FROM marketing.decisions") == [(1,)]
    orphans = warehouse.value(
        conn,
        "SELECT count(*) FROM marketing.coupon_triggers AS t FULL JOIN marketing.messages AS m "
        "USING (trigger_id) WHERE t.trigger_id IS NULL OR m.trigger_id IS NULL "
        "OR m.body NOT LIKE '%%' || t.coupon_code || '%%'",
    )
    assert orphans == 0


def test_preview_says_who_would_gain_and_lose(conn, tmp_path, capsys):
    planted.people(conn, range(1, 31))
    planted.people(conn, range(31, 41), segment="drifting")
    planted.fill(
        conn,
        "features.customer_features",
        [
            {
                "as_of": DAY,
                "customer_id": person(n),
                "recency_days": 5 if n <= 30 else 60,
                "tenure_days": 200,
                "registered_days": 200,
            }
            for n in range(1, 41)
        ],
    )
    conn.commit()
    assert command.main(["preview"]) == 1
    assert "Expected decisions of some day" in capsys.readouterr().err
    planted.decide()
    before = hashes(conn)
    off = tmp_path / "policy.yml"
    text = policy.DEFAULT_PATH.read_text()
    start = text.index("- name: win_back")
    off.write_text(text[:start] + text[start:].replace("enabled: true", "enabled: false", 1))
    assert command.main(["preview", str(off)]) == 0
    shown = capsys.readouterr().out
    told = {
        line.split()[0]: line.split()[1:]
        for line in shown.partition("why they would lose it")[0].splitlines()
        if line and line.split()[0] in ("win_back", "vip_exclusive")
    }
    now = warehouse.value(
        conn,
        "SELECT count(*) FROM marketing.decisions WHERE decision = 'send' "
        "AND campaign = 'win_back'",
    )
    assert told["win_back"] == [str(now), "0", "0", str(now)]
    lost = [line.split() for line in shown.partition("why they would lose it")[2].splitlines()]
    assert ["win_back", str(now), "no_candidate"] in lost
    cost, gain = warehouse.rows(
        conn,
        "SELECT sum(cost_expected), sum(expected_incremental_value) FROM marketing.decisions "
        "WHERE decision = 'send'",
    )[0]
    assert f"Expected cost of the day: {cost:,.2f} USD now" in shown
    assert f"Expected gain, cost taken off, of the day: {gain:,.2f} USD now" in shown
    assert hashes(conn) == before, "a preview writes nothing"

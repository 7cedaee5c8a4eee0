"""Measuring campaigns on a real warehouse: what counts, when, for whom; twice the same, in any order."""

from datetime import date, timedelta

import pytest

from include import (
    contracts,
    policy,
    publication,
    warehouse,
)
from include.models.campaigns.lift import OVERALL
from include.steps import gate, measure
from tests.sql.planted import fill, person

pytestmark = pytest.mark.usefixtures("warehouse")

DECIDED = date(2017, 6, 4)
MATURED = (DECIDED + timedelta(days=measure.WINDOW_DAYS)).isoformat()
PUBLISHED = (("ml", "campaign_outcomes"), ("marketing", "campaign_results"))
TABLES = (
    "core.identity_links",
    "core.order_lines",
    "core.products",
    "core.redemptions",
    "marketing.decisions",
    "marketing.coupon_triggers",
    "marketing.messages",
    "marketing.approvals",
    "marketing.campaign_results",
    "ml.campaign_outcomes",
    "ops.publications",
    "ops.fences",
    "ops.delivery_events",
)


@pytest.fixture(autouse=True)
def conn(warehouse):
    from include.warehouse import connect, execute

    with connect() as opened:
        execute(opened, f"TRUNCATE {', '.join(TABLES)}")
        opened.commit()
        yield opened


def decide(conn, numbers, decision="send", campaign="vip", day=DECIDED, **more):
    fill(
        conn,
        "marketing.decisions",
        [
            {
                "as_of": day.isoformat(),
                "customer_id": person(n),
                "campaign": campaign,
                "period": "2017",
                "cost_expected": 1.5,
                "propensity": 0.95,
                "decision": decision,
            }
            | more
            for n in numbers
        ],
    )


def trigger(
    conn, numbers, campaign="vip", day=DECIDED, status="approved", sent_on=None, parts=None
):
    """Triggers and their messages: by text message in so many parts, else by e-mail."""
    stamp = f"{sent_on}T14:00Z" if sent_on else None
    rows = [
        {
            "trigger_id": person(100_000 + n),
            "customer_id": person(n),
            "campaign": campaign,
            "period": "2017",
            "as_of": day.isoformat(),
            "channel": "sms" if parts else "email",
        }
        for n in numbers
    ]
    codes = [{"coupon_code": f"CODE-{n}", "status": status} for n in numbers]
    if status == "redeemed":
        told = {"redeemed_on": (day + timedelta(days=9)).isoformat(), "discount_given": 4.5}
        codes = [code | told for code in codes]
    fill(conn, "marketing.coupon_triggers", [r | c for r, c in zip(rows, codes, strict=True)])
    message = {"status": "sent" if sent_on else "pending", "sent_at": stamp, "parts": parts}
    ids = [{"message_id": person(200_000 + n)} for n in numbers]
    fill(conn, "marketing.messages", [r | i | message for r, i in zip(rows, ids, strict=True)])


def buy(conn, number, days_after, sales, product="p1"):
    order = f"{number}/{days_after}/{sales}/{product}"
    day = DECIDED + timedelta(days=days_after)
    fill(
        conn,
        "core.order_lines",
        [
            {
                "order_id": order,
                "line_number": 1,
                "customer_id": person(number),
                "product_id": product,
                "business_day": day.isoformat(),
                "ordered_at": f"{day}T16:00Z",
                "quantity": 1,
                "sales": sales,
            }
        ],
    )


def run(day=MATURED, run_id="run-1"):
    batch = measure.build({"as_of": day, "since": None, "run_id": run_id})
    return gate.gate(batch, rebuild=measure.build)


def outcome(conn, number, campaign="vip"):
    found = warehouse.frame(
        conn,
        "SELECT * FROM ml.campaign_outcomes WHERE customer_id = %(who)s AND campaign = %(campaign)s",
        {"who": person(number), "campaign": campaign},
    )
    return found.iloc[0] if len(found) else None


def result(conn, campaign, day=MATURED):
    found = warehouse.frame(
        conn,
        "SELECT * FROM marketing.campaign_results WHERE as_of = %(day)s AND campaign = %(campaign)s",
        {"day": day, "campaign": campaign},
    )
    return found.iloc[0] if len(found) else None


def test_a_window_begins_the_day_after_and_ends_28_days_later(conn):
    decide(conn, [1])
    for days_after in (-92, -91, -90, 0, 1, 28, 29):
        buy(conn, 1, days_after, sales=1 if days_after < 0 else 10 + days_after)
    conn.commit()
    run()
    found = outcome(conn, 1)
    assert found["spend_before"] == 1 + 10, "91 days: the day of the decision and the 90 before it"
    assert found["spend_after"] == 11 + 38
    assert found["orders_after"] == 2


def test_nothing_is_measured_a_day_too_early_and_an_empty_day_is_published(conn, caplog):
    decide(conn, [1])
    conn.commit()
    early = (date.fromisoformat(MATURED) - timedelta(days=1)).isoformat()
    assert run(early) == {"ml.campaign_outcomes": 0, "marketing.campaign_results": 0}
    assert "Nothing to measure" in caplog.text
    published = warehouse.rows(
        conn,
        "SELECT table_name, row_count FROM ops.publications WHERE partition = %(d)s ORDER BY 1",
        {"d": early},
    )
    assert published == [("marketing.campaign_results", 0), ("ml.campaign_outcomes", 0)]
    told = warehouse.rows(
        conn,
        "SELECT severity, passed FROM ops.quality_results WHERE as_of = %(d)s AND NOT passed",
        {"d": early},
    )
    assert told == [("warning", False)]
    assert run(MATURED) == {"ml.campaign_outcomes": 1, "marketing.campaign_results": 2}


def test_only_what_chance_decided_counts(conn):
    decide(conn, [1], decision="send")
    decide(conn, [2], decision="control")
    decide(conn, [3], decision="hold", propensity=None)
    decide(conn, [4], decision="suppress", propensity=None)
    decide(conn, [5], decision="send", propensity=1.0)
    conn.commit()
    run()
    found = warehouse.rows(
        conn, "SELECT customer_id::text, is_treated FROM ml.campaign_outcomes ORDER BY 1"
    )
    assert found == [(person(1), True), (person(2), False)]


def test_a_person_of_several_accounts_counts_once_in_the_arm_that_was_drawn_first(conn):
    """What was bought is the person's by now, whichever account was decided for."""
    decide(conn, [1], decision="control", day=DECIDED - timedelta(days=2))
    decide(conn, [2, 3])
    trigger(conn, [2, 3], status="sent", sent_on="2017-06-05")
    for account, customer in ((1, 9), (2, 9), (3, 8)):
        link = {"account_id": person(account), "customer_id": person(customer), "rule": "phone"}
        fill(conn, "core.identity_links", [link])
    buy(conn, 9, 1, 20.0)
    buy(conn, 8, 1, 30.0)
    conn.commit()
    run()
    both, one = outcome(conn, 9), outcome(conn, 8)
    assert (both.is_treated, both.is_sent, both.spend_after) == (False, False, 20.0)
    assert (one.is_treated, one.is_sent, one.spend_after) == (True, True, 30.0)
    assert [outcome(conn, n) for n in (1, 2, 3)] == [None, None, None]


def test_a_day_that_was_rejected_treated_nobody(conn):
    decide(conn, [1, 2])
    decide(conn, [3], decision="control")
    trigger(conn, [1, 2], status="rejected")
    later = DECIDED - timedelta(days=7)
    decide(conn, [4, 5], day=later)
    trigger(conn, [4], day=later, status="rejected")
    trigger(conn, [5], day=later, status="approved")
    conn.commit()
    run()
    found = warehouse.rows(conn, "SELECT customer_id::text FROM ml.campaign_outcomes ORDER BY 1")
    assert found == [(person(4),), (person(5),)], "one of two rejected stays: intention to treat"


def test_what_was_rejected_and_offered_again_counts_from_the_day_it_was_let_through(conn):
    before = DECIDED - timedelta(days=1)
    for day in (before, DECIDED):
        decide(conn, [1], day=day)
        decide(conn, [2], decision="control", day=day)
    trigger(conn, [1], sent_on=DECIDED + timedelta(days=1))
    fill(
        conn,
        "marketing.approvals",
        [
            {
                "approval_id": f"approval-{day}",
                "as_of": day.isoformat(),
                "campaigns": "{vip}",
                "status": status,
            }
            for day, status in ((before, "rejected"), (DECIDED, "approved"))
        ],
    )
    conn.commit()
    run()
    found = warehouse.rows(
        conn, "SELECT customer_id::text, decided_on FROM ml.campaign_outcomes ORDER BY 1"
    )
    assert found == [(person(1), DECIDED), (person(2), DECIDED)]


def test_the_cost_is_what_was_really_given(conn):
    """Told by the till, or worked out from the shop's records of redemptions and purchases."""
    decide(conn, range(1, 6), channel="sms")
    decide(conn, [6], "control", channel="sms")
    left = DECIDED + timedelta(days=1)
    trigger(conn, [1], status="redeemed", sent_on=left, parts=2)
    trigger(conn, [2, 3], status="sent", sent_on=left, parts=1)
    trigger(conn, [4], status="sent", sent_on=left, parts=2)
    trigger(conn, [5], status="cancelled", parts=2)
    for number, kind, share, most in ((2, "amount_off", 3, None), (3, "percent_off", 0.1, 4)):
        warehouse.execute(
            conn,
            "UPDATE marketing.coupon_triggers SET discount_kind = %(kind)s, discount_value = %(v)s, "
            "discount_at_most = %(most)s WHERE coupon_code = %(code)s",
            {"kind": kind, "v": share, "most": most, "code": f"CODE-{number}"},
        )
        redeemed = {"redemption_id": number, "coupon_upc": f"CODE-{number}"}
        day = (DECIDED + timedelta(days=7)).isoformat()
        fill(
            conn,
            "core.redemptions",
            [redeemed | {"customer_id": person(number), "business_day": day}],
        )
    buy(conn, 3, 7, sales=25, product="p1")
    buy(conn, 3, 7, sales=5, product="p2")
    buy(conn, 3, 8, sales=500)
    conn.commit()
    run()
    sms = 0.03
    cost = [float(outcome(conn, n)["cost"]) for n in range(1, 7)]
    assert cost == pytest.approx([4.5 + 2 * sms, 3 + sms, 3 + sms, 2 * sms, 0, 0])
    found = result(conn, "vip")
    assert float(found["cost"]) == pytest.approx(sum(cost))
    assert float(found["discounts_given"]) == 10.5
    assert found["cost_expected"] == pytest.approx(5 * 1.5)
    told = warehouse.rows(
        conn,
        "SELECT discount_given::float, told_by FROM marketing.coupon_redemptions ORDER BY trigger_id",
    )
    assert told == [(4.5, "till"), (3.0, "records"), (3.0, "records")]


def test_a_budget_is_spent_by_what_was_really_given(conn):
    """Redeemed: what it took off; run out unused or stopped: no discount; open: what is expected."""
    decide(conn, range(1, 7), channel="sms")
    decide(conn, [7], "control", channel="sms")
    left = DECIDED + timedelta(days=1)
    trigger(conn, [1], status="redeemed", sent_on=left, parts=2)
    trigger(conn, [2, 3], status="sent", sent_on=left, parts=1)
    trigger(conn, [4], status="cancelled", parts=2)
    trigger(conn, [5, 6], status="approved", parts=2)
    for number, until in ((2, DECIDED + timedelta(days=14)), (3, DECIDED + timedelta(days=40))):
        warehouse.execute(
            conn,
            "UPDATE marketing.coupon_triggers SET valid_until = %(until)s WHERE coupon_code = %(code)s",
            {"until": until, "code": f"CODE-{number}"},
        )
    decide(conn, [9], campaign="stopped")
    stopped = {"approval_id": "a", "as_of": DECIDED.isoformat(), "campaigns": "{stopped}"}
    fill(conn, "marketing.approvals", [stopped | {"status": "rejected"}])

    def spent(day, starts_on, ends_on):
        return warehouse.rows(
            conn,
            warehouse.sql("queries/activate/spent"),
            {
                "as_of": day,
                "starts_on": starts_on,
                "ends_on": ends_on,
                "message_cost": policy.load().budgets.message_cost.model_dump_json(),
            },
        )

    later = DECIDED + timedelta(days=20)
    assert spent(later, DECIDED, later) == [
        ("stopped", 0.0, 0.0),
        ("vip", pytest.approx((4.5 + 0.06) + 0.03 + 3 * 1.5), pytest.approx(4.56 + 0.03 + 4.5)),
    ]
    # The day on which a coupon came back counts, and so does the last one on which one may come back.
    came_back, last = (DECIDED + timedelta(days=n) for n in (9, 14))
    day = timedelta(days=1)
    cost = {on: spent(on, on, on)[1][1] for on in (came_back - day, came_back, last, last + day)}
    assert list(cost.values()) == pytest.approx([5 * 1.5, 4.56 + 6, 4.56 + 6, 4.56 + 0.03 + 4.5])
    # Before the coupon came back and the other ran out, all of it was expected; outside the budget's days
    # nothing counts towards it.
    early = DECIDED + timedelta(days=3)
    assert spent(early, early, early)[1] == ("vip", pytest.approx(5 * 1.5), 0.0)


def test_what_came_back_is_counted_once_a_person_and_within_the_window(conn):
    decide(conn, [1, 2, 3, 4])
    trigger(conn, [1, 2, 3, 4], sent_on=DECIDED + timedelta(days=1))
    events = [
        (1, "unsubscribed", 3),
        (1, "unsubscribed", 4),
        (2, "complained", 28),
        (3, "bounced", 1),
    ]
    fill(
        conn,
        "ops.delivery_events",
        [
            {
                "event_key": f"e{place}",
                "kind": kind,
                "message_id": person(200_000 + n),
                "occurred_at": f"{DECIDED + timedelta(days=days)}T16:00Z",
            }
            for place, (n, kind, days) in enumerate([*events, (4, "complained", 29)])
        ],
    )
    conn.commit()
    run()
    found = result(conn, "vip")
    assert [found[name] for name in ("bounces", "opt_outs", "complaints")] == [1, 1, 1]


def test_what_left_late_or_was_redeemed_is_told_apart(conn):
    decide(conn, [1, 2, 3, 4, 5])
    trigger(conn, [1], sent_on=DECIDED + timedelta(days=1))
    trigger(conn, [2], sent_on=DECIDED + timedelta(days=29))
    trigger(conn, [3], status="redeemed", sent_on=DECIDED + timedelta(days=2))
    trigger(conn, [4, 5], sent_on=DECIDED + timedelta(days=2))
    fill(
        conn,
        "core.redemptions",
        [
            {
                "redemption_id": n,
                "coupon_upc": f"CODE-{n}",
                "customer_id": person(n),
                "business_day": (DECIDED + timedelta(days=days)).isoformat(),
            }
            for n, days in ((4, 28), (5, 29))
        ],
    )
    conn.commit()
    run()
    assert [bool(outcome(conn, n)["is_sent"]) for n in range(1, 6)] == [1, 0, 1, 1, 1]
    assert [bool(outcome(conn, n)["is_redeemed"]) for n in range(1, 6)] == [0, 0, 1, 1, 0]
    found = result(conn, "vip")
    assert (found["sends"], found["redemptions"]) == (4, 2)
    assert float(found["discounts_given"]) == 4.5
    assert found["redemption_rate"] == 0.5


def test_a_coupon_counts_once_for_whom_it_was_sent_to(conn):
    """The first of several records of it; a stranger who has the code redeems nothing of theirs."""
    decide(conn, [1, 2])
    trigger(conn, [1, 2], status="sent", sent_on=DECIDED + timedelta(days=1))
    fill(
        conn,
        "core.redemptions",
        [
            {
                "redemption_id": place, "coupon_upc": code, "customer_id": person(1),
                "business_day": (DECIDED + timedelta(days=days)).isoformat(),
            }
            for place, (code, days) in enumerate([("CODE-1", 9), ("CODE-1", 7), ("CODE-2", 8)])
        ],
    )  # fmt: skip
    assert warehouse.rows(
        conn, "SELECT trigger_id::text, redeemed_on FROM marketing.coupon_redemptions"
    ) == [(person(100_001), DECIDED + timedelta(days=7))]


def test_the_day_on_which_a_message_left_is_the_shops(conn):
    """Late on the last evening in New York, which is the day after elsewhere."""
    decide(conn, [1])
    trigger(conn, [1], sent_on=DECIDED + timedelta(days=1))
    late = f"{DECIDED + timedelta(days=measure.WINDOW_DAYS + 1)}T02:00Z"
    warehouse.execute(conn, "UPDATE marketing.messages SET sent_at = %(late)s", {"late": late})
    conn.commit()
    run()
    assert outcome(conn, 1)["is_sent"]


def test_a_margin_is_the_catalogues_as_it_was_known(conn):
    fill(
        conn,
        "core.products",
        [
            {
                "product_id": "p1",
                "valid_from": f"{day}T00:00Z",
                "known_at": f"{day}T00:00Z",
                "unit_margin": margin,
            }
            for day, margin in (("2017-01-01", 0.5), (MATURED, 0.25), ("2017-12-01", 0.9))
        ],
    )
    decide(conn, [1])
    buy(conn, 1, 3, sales=40)
    buy(conn, 1, 4, sales=7, product="unknown")
    conn.commit()
    run()
    assert outcome(conn, 1)["margin_after"] == 10
    assert outcome(conn, 1)["spend_after"] == 47


def test_results_are_those_of_the_arms_and_everybody_counts_once_over_all(conn):
    # 40 treated who spend 20 and 40 in control who spend 12, all alike but for a cent, so that there is
    # some variance; the same people are reached by a second campaign a week later.
    week = DECIDED + timedelta(days=7)
    for n in range(1, 41):
        buy(conn, n, 2, sales=20 + 0.01 * (n % 3))
        buy(conn, 40 + n, 2, sales=12 + 0.01 * (n % 3))
    for campaign, decided in (("vip", DECIDED), ("birthday", week)):
        decide(conn, range(1, 41), campaign=campaign, day=decided, propensity=0.5)
        decide(conn, range(41, 81), "control", campaign=campaign, day=decided, propensity=0.5)
    conn.commit()
    day = (week + timedelta(days=measure.WINDOW_DAYS)).isoformat()
    run(day)
    vip, birthday, every = (result(conn, name, day) for name in ("vip", "birthday", OVERALL))
    assert (vip["people_treated"], vip["people_control"]) == (40, 40)
    assert vip["lift"] == pytest.approx(8, abs=0.02)
    assert 7.9 < vip["lift_low"] < vip["lift"] < vip["lift_high"] < 8.1
    assert vip["p_value"] < 1e-6
    assert vip["incremental_revenue"] == pytest.approx(320, abs=1)
    assert vip["verdict"].startswith("earns 8.0")
    assert birthday["revenue_treated"] == 0, "what came before the second campaign is not its doing"
    assert birthday["lift"] == pytest.approx(0, abs=0.02)
    assert (every["people_treated"], every["people_control"]) == (40, 40)
    assert every["lift"] == pytest.approx(8, abs=0.02)
    assert every["cost_expected"] == pytest.approx(2 * 40 * 1.5)
    assert every["basis"] == "experiment"


def test_a_few_people_get_no_interval_and_a_plain_word(conn):
    decide(conn, range(1, 11))
    decide(conn, [11], decision="control")
    conn.commit()
    run()
    found = result(conn, "vip")
    assert found[["lift_low", "lift_high", "p_value"]].isna().all()
    assert found["verdict"] == "too early to tell: 1 person in control, at least 30 needed"


def test_a_lost_control_group_is_told(conn):
    decide(conn, range(1, 301))
    conn.commit()
    run()
    assert result(conn, "vip")["sample_ratio_p"] < 1e-3
    assert result(conn, "vip")["verdict"].startswith("not to be trusted")


def test_a_day_again_changes_nothing_and_days_may_overtake_one_another(conn):
    decide(conn, range(1, 81))
    decide(conn, range(81, 121), "control", day=DECIDED + timedelta(days=3))
    for n in range(1, 121):
        buy(conn, n, n % 30, sales=n)
    conn.commit()
    later = (DECIDED + timedelta(days=measure.WINDOW_DAYS + 3)).isoformat()

    def hashes():
        return {c: publication.content_hash(conn, contracts.load(*c)) for c in PUBLISHED}

    run(MATURED)
    run(later, run_id="run-2")
    first = hashes()
    stamps = warehouse.rows(
        conn, "SELECT customer_id, updated_at FROM ml.campaign_outcomes ORDER BY 1"
    )
    run(MATURED, run_id="run-3")
    assert hashes() == first
    assert stamps == warehouse.rows(
        conn, "SELECT customer_id, updated_at FROM ml.campaign_outcomes ORDER BY 1"
    )
    warehouse.execute(
        conn, "TRUNCATE ml.campaign_outcomes, marketing.campaign_results, ops.publications"
    )
    conn.commit()
    run(later, run_id="run-4")
    run(MATURED, run_id="run-5")
    assert hashes() == first


def test_marketing_reads_results_and_no_labels(conn):
    decide(conn, [1])
    conn.commit()
    run()
    with warehouse.connect("warehouse_marketing") as reader:
        query = "SELECT count(*) FROM marketing.current_campaign_results"
        assert warehouse.value(reader, query) == 2
        reader.rollback()
        with pytest.raises(Exception, match="permission denied"):
            warehouse.rows(reader, "SELECT 1 FROM ml.campaign_outcomes")
        reader.rollback()

"""`marketing.why`: one customer's story in rows, as marketing's own role reads it."""

from datetime import UTC, date, datetime

import pytest

from include import contracts, policy, warehouse
from include.steps.delivery import clock, deliver
from tests.sql import planted
from tests.sql.planted import DAY, person

pytestmark = pytest.mark.usefixtures("warehouse")


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        warehouse_tables = ("marketing.segment_changes",)
        opened.cursor().execute(f"TRUNCATE {', '.join(warehouse_tables)}")
        opened.commit()
        yield opened


def publish_segments(conn, day=DAY):
    planted.fill(
        conn,
        "ops.publications",
        [{"table_name": "marketing.customer_segments", "partition": day, "dataset": "scores"}],
    )
    conn.commit()


def why(number):
    with warehouse.connect("warehouse_marketing") as marketing:
        return warehouse.rows(
            marketing,
            "SELECT day, what, about, outcome, detail FROM marketing.why(%(who)s)",
            {"who": str(number)},
        )


def test_a_customer_who_was_sent_something_has_a_story(conn):
    planted.people(conn, range(1, 21))
    publish_segments(conn)
    planted.fill(
        conn,
        "marketing.segment_changes",
        [
            {
                "as_of": DAY,
                "customer_id": person(n),
                "external_id": str(n),
                "segment_from": "rising_star",
                "segment_to": "vip",
            }
            for n in range(1, 21)
        ],
    )
    conn.commit()
    planted.decide()
    deliver.send(datetime(2017, 10, 2, 14, tzinfo=UTC))
    clock.write(conn, policy.load(), datetime(2017, 10, 9, 15, tzinfo=UTC))
    sent, code = warehouse.rows(
        conn,
        "SELECT external_id, coupon_code FROM marketing.coupon_triggers "
        "WHERE status = 'sent' ORDER BY external_id LIMIT 1",
    )[0]
    warehouse.rows(
        conn,
        "SELECT marketing.redeem(%(code)s, %(who)s, 'B-7', 80, '2017-10-09', '2017-10-09T15:00Z')",
        {"code": code, "who": sent},
    )
    conn.commit()
    story = {(row[1], row[2]): row for row in why(sent)}
    assert [row[0] for row in why(sent)] == sorted((row[0] for row in why(sent)), reverse=True)
    assert story["segment", "vip"][3] == "x, value x"
    assert story["move", "vip"][4] == "from rising_star, a week earlier"
    decision = story["decision", "vip_exclusive"]
    assert decision[3] == "send"
    assert decision[4] == "the best offer for the customer, within the budgets (email)"
    coupon = story["coupon", "vip_exclusive"]
    assert coupon[0] == date(2017, 10, 9)
    assert coupon[3] == "redeemed"
    assert f"code {code}" in coupon[4]
    assert "took off 8.00 USD of order B-7" in coupon[4]
    message = story["message", "vip_exclusive"]
    assert message[3] == "sent"
    assert "sent 2017-10-02 14:00 UTC" in message[4]


def test_a_customer_who_was_sent_nothing_hears_why(conn):
    planted.people(conn, range(1, 4))
    planted.people(conn, [4], segment="regular")
    for channel in ("email", "sms"):
        planted.consent(conn, [1], channel, granted=False, at="2017-09-01T12:00Z")
    publish_segments(conn)
    planted.decide()
    refused = [row for row in why(1) if row[1] == "decision" and row[2] == "vip_exclusive"]
    assert [(row[3], row[4].split(" (")[0]) for row in refused] == [
        ("suppress", "the customer has not agreed to messages by this channel")
    ]
    nobodys = [row[2:4] for row in why(4) if row[1] == "decision"]
    assert nobodys == [("every campaign", "no candidate")]
    assert why(99) == []


def test_every_reason_is_told_in_words():
    (reasons,) = [
        check.arguments["value_set"]
        for check in contracts.load("marketing", "decisions").checks
        if check.arguments.get("column") == "decision_reason"
    ]
    text = (warehouse.SQL_ROOT / "marketing" / "why.function.sql").read_text()
    assert [reason for reason in reasons if f"('{reason}', " not in text] == []

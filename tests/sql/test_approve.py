"""Offers that wait for a person: asked about, let pass or stopped, and nothing else touched."""

import threading
from datetime import UTC, datetime

import pytest

from include import policy, warehouse
from include.errors import BadInput
from include.steps import approve
from include.steps.delivery import deliver
from tests.sql import planted
from tests.sql.planted import DAY

pytestmark = pytest.mark.usefixtures("warehouse")

NOW = datetime(2017, 10, 2, 12, tzinfo=UTC)
SHIPPED = policy.DEFAULT_PATH.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def conn(warehouse, use):
    from include.warehouse import connect

    use(first_run="true")
    with connect() as opened:
        planted.clear(opened)
        opened.commit()
        yield opened


@pytest.fixture
def use(tmp_path, monkeypatch):
    """The shipped policy with other settings of its section `approvals`."""

    def change(**settings: str) -> None:
        head, mark, approvals = SHIPPED.partition("\napprovals:\n")
        lines = approvals.splitlines()
        for name, value in settings.items():
            place = next(n for n, line in enumerate(lines) if line.startswith(f"  {name}: "))
            lines[place] = f"  {name}: {value}"
        file = tmp_path / "policy.yml"
        file.write_text(head + mark + "\n".join(lines) + "\n")
        monkeypatch.setenv("REGULARS_POLICY", str(file))

    return change


def decide(conn, count=20, day=DAY, segment="vip"):
    planted.people(conn, range(1, count + 1), day=day, segment=segment)
    conn.commit()
    planted.decide(day, run_id=f"run-{day}")
    conn.commit()


def states(conn):
    conn.commit()
    return dict(
        warehouse.rows(
            conn,
            "SELECT m.status || '/' || t.status, count(*) FROM marketing.messages AS m "
            "JOIN marketing.coupon_triggers AS t USING (trigger_id) GROUP BY 1",
        )
    )


def record(conn):
    conn.commit()
    (found,) = warehouse.rows(
        conn, "SELECT status, answered_by, answered_at, messages FROM marketing.approvals"
    )
    return found


def test_where_nothing_waits_nobody_is_asked(conn, use):
    use(first_run="false")
    decide(conn)
    assert approve.ask(DAY, "run-1") is None
    assert warehouse.rows(conn, "SELECT 1 FROM marketing.approvals") == []


def test_what_is_approved_is_sent(conn):
    decide(conn)
    waiting = warehouse.value(conn, "SELECT count(*) FROM marketing.messages")
    assert states(conn) == {"pending/awaiting_approval": waiting}
    assert approve.ask(DAY, "run-1") is not None
    assert deliver.send() == {}, "nothing leaves before the answer"
    assert approve.settle(DAY, approved=True, answered_by="ana", answered_at=NOW) == {
        "approved": waiting
    }
    assert record(conn) == ("approved", "ana", NOW, waiting)
    assert deliver.send() == {"sent": waiting}
    assert warehouse.rows(
        conn, "SELECT DISTINCT approval_id FROM marketing.coupon_triggers"
    ) == warehouse.rows(conn, "SELECT approval_id FROM marketing.approvals")


@pytest.mark.parametrize(
    ("by", "status", "error"),
    [("ana", "rejected", "rejected"), (None, "timed_out", "not approved in time")],
)
def test_what_is_rejected_or_never_answered_is_not_sent_and_leaves_a_record(
    conn, by, status, error
):
    decide(conn)
    waiting = warehouse.value(conn, "SELECT count(*) FROM marketing.messages")
    approve.ask(DAY, "run-1")
    approve.settle(DAY, approved=False, answered_by=by, answered_at=NOW)
    assert record(conn) == (status, by, NOW, waiting)
    assert states(conn) == {"cancelled/rejected": waiting}
    assert warehouse.rows(conn, "SELECT DISTINCT error FROM marketing.messages") == [(error,)]
    assert deliver.send() == {}
    # Asked again, by whoever clears the task: nothing waits any more.
    assert approve.ask(DAY, "run-2") is None


def test_a_rejection_stops_only_what_waits(conn, use):
    """VIPs had their first run before; the win-back is new and waits alone."""
    use(first_run="false")
    decide(conn, day="2017-09-15")
    use(first_run="true")
    planted.people(conn, range(101, 121), segment="drifting")
    planted.people(conn, range(201, 221), segment="vip")
    conn.commit()
    planted.decide()
    question = approve.ask(DAY, "run-1")
    assert question is not None
    assert "It is the first run of win_back." in question.body
    approve.settle(DAY, approved=False, answered_by="ana", answered_at=NOW)
    of_the_day = dict(
        warehouse.rows(
            conn,
            "SELECT campaign || '/' || status, count(*) FROM marketing.coupon_triggers "
            "WHERE as_of = %(day)s GROUP BY 1",
            {"day": DAY},
        )
    )
    assert set(of_the_day) == {"vip_exclusive/approved", "win_back/rejected"}
    sent = deliver.send()
    assert sent["sent"] == of_the_day["vip_exclusive/approved"]


def test_a_rejected_first_run_leaves_the_next_one_a_first_run(conn):
    decide(conn, day="2017-09-30", count=8)
    approve.ask("2017-09-30", "run-1")
    approve.settle("2017-09-30", approved=False, answered_by="ana", answered_at=NOW)
    planted.people(conn, range(101, 121))
    conn.commit()
    planted.decide()
    statuses = "SELECT DISTINCT status FROM marketing.coupon_triggers WHERE as_of = %(day)s"
    assert warehouse.rows(conn, statuses, {"day": DAY}) == [("awaiting_approval",)]
    approve.ask(DAY, "run-2")
    approve.settle(DAY, approved=True, answered_by="ana", answered_at=NOW)
    planted.people(conn, range(201, 221), day="2017-10-02")
    conn.commit()
    planted.decide("2017-10-02")
    assert warehouse.rows(conn, statuses, {"day": "2017-10-02"}) == [("approved",)]


@pytest.mark.parametrize("by", ["ana", None])
def test_a_rejected_offer_uses_up_nobodys_period(conn, by):
    """Rejected on one day, the same people are asked about again on the next, and sent it once approved."""
    before = "2017-09-30"
    decide(conn, day=before)
    first = dict(
        warehouse.rows(conn, "SELECT trigger_id::text, coupon_code FROM marketing.coupon_triggers")
    )
    approve.ask(before, "run-1")
    approve.settle(before, approved=False, answered_by=by, answered_at=NOW)
    decide(conn)
    again = dict(
        warehouse.rows(conn, "SELECT trigger_id::text, coupon_code FROM marketing.coupon_triggers")
    )
    assert again.keys() == first.keys()
    assert not set(again.values()) & set(first.values()), "a rejected code is never given out"
    assert states(conn) == {"pending/awaiting_approval": len(first)}
    assert warehouse.rows(
        conn, "SELECT DISTINCT as_of::text, approval_id FROM marketing.coupon_triggers"
    ) == [(DAY, None)]
    # The day of the rejection is run again: what has moved on stays where it is.
    planted.decide(before, run_id="again")
    assert states(conn) == {"pending/awaiting_approval": len(first)}
    approve.ask(DAY, "run-2")
    approve.settle(DAY, approved=True, answered_by="ana", answered_at=NOW)
    assert deliver.send() == {"sent": len(first)}
    # Both days' decisions and answers stand.
    assert warehouse.rows(
        conn, "SELECT as_of::text, status FROM marketing.approvals ORDER BY as_of"
    ) == [(before, "rejected" if by else "timed_out"), (DAY, "approved")]
    story = warehouse.rows(
        conn,
        "SELECT w.day::text, w.outcome, w.detail LIKE '%%rejected%%' OR w.detail LIKE '%%in time%%' "
        "FROM marketing.decisions AS d, marketing.why(d.external_id) AS w "
        "WHERE d.decision = 'send' AND d.as_of = %(day)s AND w.what = 'decision'",
        {"day": DAY},
    )
    assert set(story) == {(before, "send", True), (DAY, "send", False)}
    # Sent by now, so the period is used up.
    decide(conn, day="2017-10-02")
    assert states(conn) == {"sent/sent": len(first)}


def test_the_first_answer_counts(conn):
    decide(conn)
    approve.ask(DAY, "run-1")
    approve.settle(DAY, approved=False, answered_by="ana", answered_at=NOW)
    assert approve.settle(DAY, approved=True, answered_by="olga", answered_at=NOW) == {}
    assert record(conn)[:2] == ("rejected", "ana")
    assert set(states(conn)) == {"cancelled/rejected"}


def test_an_answer_without_a_question_is_a_clear_sentence(conn):
    with pytest.raises(BadInput, match="Expected a request for 2017-10-01"):
        approve.settle(DAY, approved=True, answered_by="ana", answered_at=NOW)


def test_the_summary_says_who_gets_what_and_names_nobody(conn, use):
    use(first_run="false", spend_above="0.5")
    decide(conn, day="2017-09-30", count=8)
    planted.people(conn, range(101, 131), first_name="Zebulon")
    conn.commit()
    planted.decide()
    question = approve.ask(DAY, "run-1")
    assert question is not None
    count, cost, gain = warehouse.rows(
        conn,
        "SELECT count(*), sum(cost_expected), sum(expected_incremental_value) "
        "FROM marketing.decisions WHERE decision = 'send' AND as_of = %(day)s",
        {"day": DAY},
    )[0]
    before = warehouse.value(
        conn,
        "SELECT count(*) FROM marketing.decisions WHERE decision = 'send' AND as_of = '2017-09-30'",
    )
    assert question.subject == f"Send {count} messages of {DAY} for an expected {cost:,.2f} USD?"
    body = question.body
    assert "above the 0.50 USD that may be spent without a question" in body
    assert f"**{gain:,.2f} USD**" in body
    assert "| vip_exclusive | 10% off one shop, for our best customers | email | vip |" in body
    assert f"| vip_exclusive | {before} | {count} |" in body, "what changed since the day before"
    assert "The policy is the same." in body
    assert "[first name]" in body
    assert "[code]" in body
    for (secret,) in warehouse.rows(
        conn,
        "SELECT coupon_code FROM marketing.coupon_triggers UNION ALL "
        "SELECT customer_id::text FROM marketing.coupon_triggers UNION ALL SELECT 'Zebulon'",
    ):
        assert secret not in body


def test_a_policy_text_cannot_break_the_summary():
    made = approve._table(("a", "b"), [("x | y\nz", "1")])
    assert made.splitlines() == ["| a | b |", "| --- | --- |", "| x / y z | 1 |"]


def test_a_day_that_overtakes_another_is_decided_again_and_keeps_the_caps(conn, use):
    """Two days of one quarter, both built before either is published: one VIP message each all the same."""
    from include.steps import activate, gate

    use(first_run="false")
    days = ("2017-10-02", DAY)
    for day in days:
        planted.people(conn, range(1, 31), day=day)
    conn.commit()
    built = [activate.build({"as_of": day, "since": None, "run_id": f"run-{day}"}) for day in days]
    failures = []

    def publish(batch):
        try:
            gate.gate(batch, rebuild=activate.build, in_turn=True)
        except Exception as error:
            failures.append(error)

    gating = [threading.Thread(target=publish, args=(batch,)) for batch in built]
    for thread in gating:
        thread.start()
    for thread in gating:
        thread.join()
    assert failures == []
    assert warehouse.rows(
        conn,
        "SELECT max(n) FROM (SELECT count(*) AS n FROM marketing.decisions "
        "WHERE decision IN ('send', 'control') GROUP BY customer_id) AS x",
    ) == [(1,)]
    assert warehouse.rows(conn, "SELECT count(*) FROM marketing.decisions") == [(60,)]

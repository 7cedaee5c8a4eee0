"""Who gets what, by pure functions: windows, candidates, guard, caps, arbitration, control, codes."""

import math
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include import policy
from include.offers import (
    candidates,
    control,
    guard,
    windows,
)
from include.offers import (
    codes as coupons,
)
from include.offers import (
    worth as value,
)
from include.offers.decide import Outcome, decide
from include.offers.inputs import Inputs, no_accounts
from include.policy import Policy
from include.policy.limits import Cap, ClockWindow, PerDay
from include.policy.triggers.birthday import next_birthday

DAY = date(2017, 10, 1)
NEW_YORK = ZoneInfo("America/New_York")
RULES = policy.parse(policy.DEFAULT_PATH.read_text(encoding="utf-8"))


def rules(**sections: object) -> Policy:
    """The shipped policy with some sections replaced."""
    return RULES.model_copy(update=sections)


def people(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Customers as the warehouse gives them, with ordinary values where a row says nothing."""
    ordinary = {
        "external_id": None,
        "segment": "regular",
        "priority_service": False,
        "predicted_value": None,
        "predicted_orders": None,
        "model_version": "value-1",
        "birth_date": None,
        "is_birthday_faulty": False,
        "first_name": None,
        "region": None,
        "registered_at": "2016-01-01",
        "person_id": None,
        "orders_total": 9,
        "first_order_day": "2016-02-01",
        "expected_next_order_date": None,
        "complained_on": None,
        "returned_on": None,
    }
    found = pd.DataFrame([ordinary | row for row in rows])
    for name in ("external_id", "person_id"):
        found[name] = found[name].fillna(found["customer_id"])
    for name in (
        "birth_date",
        "registered_at",
        "first_order_day",
        "expected_next_order_date",
        "complained_on",
        "returned_on",
    ):
        found[name] = pd.to_datetime(found[name])
    for name in ("predicted_value", "predicted_orders"):
        found[name] = found[name].astype(float)
    return found


def allowed(customer_ids: Iterable[str], **flags: bool) -> pd.DataFrame:
    """Both channels of customers, open but for the flags given."""
    open_: dict[str, Any] = {
        "granted": True,
        "has_contact": True,
        "verified": True,
        "suppressed": False,
    }
    return pd.DataFrame(
        [
            {"customer_id": customer, "channel": channel} | open_ | flags
            for customer in customer_ids
            for channel in ("email", "sms")
        ]
    )


def earlier(rows: Iterable[tuple[str, date, str, str]] = ()) -> pd.DataFrame:
    """Decisions of other days."""
    found = pd.DataFrame(list(rows), columns=["customer_id", "as_of", "campaign", "period"])
    found["as_of"] = pd.to_datetime(found["as_of"])
    return found


def no_products() -> pd.DataFrame:
    return pd.DataFrame({"customer_id": [], "list": [], "rank": [], "name": [], "score": []})


def decided(
    customers: pd.DataFrame,
    permissions: pd.DataFrame | None = None,
    history: pd.DataFrame | None = None,
    using: Policy = RULES,
    day: date = DAY,
    newest: date | None = None,
    **known: Any,
) -> Outcome:
    inputs = Inputs(
        customers=customers,
        permissions=allowed(customers["customer_id"]) if permissions is None else permissions,
        history=earlier() if history is None else history,
        newest_day=newest or day,
        **({"products": no_products()} | known),
    )
    return decide(inputs, using, day)


def reasons(outcome: Outcome) -> dict[tuple[str, str], str]:
    return {
        (customer, campaign): reason
        for customer, campaign, reason in outcome.decisions[
            ["customer_id", "campaign", "decision_reason"]
        ].to_numpy(dtype=object)
    }


NO_CHANCE = {"share": 0.0, "exploration_share": 0.0}
NO_CONTROL = rules(control=RULES.control.model_copy(update=NO_CHANCE))


# --- windows ---------------------------------------------------------------------------------------


def test_a_window_is_the_next_days_in_the_shops_zone() -> None:
    first, last = windows.send_between(DAY, RULES.activation, NEW_YORK)
    assert first == datetime(2017, 10, 2, 13, tzinfo=UTC)  # 09:00 EDT
    assert last == datetime(2017, 10, 5, 0, tzinfo=UTC)  # 20:00 EDT on the third day


def test_a_time_in_the_spring_gap_is_the_end_of_the_gap() -> None:
    day = date(2017, 3, 12)  # 02:00 EST became 03:00 EDT at 07:00 UTC
    assert windows.moment(day, time(2, 30), NEW_YORK) == datetime(2017, 3, 12, 7, tzinfo=UTC)
    assert windows.moment(day, time(2, 30), NEW_YORK, last=True) == datetime(
        2017, 3, 12, 7, tzinfo=UTC
    )
    assert windows.moment(day, time(1, 59), NEW_YORK) == datetime(2017, 3, 12, 6, 59, tzinfo=UTC)
    assert windows.moment(day, time(3, 0), NEW_YORK) == datetime(2017, 3, 12, 7, tzinfo=UTC)


def test_a_time_in_the_autumn_overlap_opens_first_and_closes_last() -> None:
    day = date(2017, 11, 5)  # 02:00 EDT became 01:00 EST at 06:00 UTC
    assert windows.moment(day, time(1, 30), NEW_YORK) == datetime(2017, 11, 5, 5, 30, tzinfo=UTC)
    assert windows.moment(day, time(1, 30), NEW_YORK, last=True) == datetime(
        2017, 11, 5, 6, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        (date(2017, 3, 11), 14, 25),  # the last day of winter: 09:00 to 20:00 at UTC - 5
        (date(2017, 3, 12), 13, 24),  # the clock is set forward in the night: UTC - 4
        (date(2017, 11, 4), 13, 24),
        (date(2017, 11, 5), 14, 25),  # and back again
    ],
)
def test_send_windows_and_quiet_hours_follow_the_customers_clock_when_it_is_set(
    day: date, opens: int, closes: int
) -> None:
    start = datetime.combine(day, time(), tzinfo=UTC)
    first, last = (start + timedelta(hours=hours) for hours in (opens, closes))
    minute = timedelta(minutes=1)
    found = [
        windows.is_open(moment, RULES.activation, NEW_YORK)
        for moment in (first - minute, first, last - minute, last)
    ]
    assert found == [False, True, True, False]
    berlin = ZoneInfo("Europe/Berlin")  # which changes on other days
    assert windows.is_open(first, RULES.activation, berlin)
    assert not windows.is_open(last - minute, RULES.activation, berlin)
    assert windows.send_between(day - timedelta(days=1), RULES.activation, NEW_YORK)[0] == first


@settings(deadline=None)
@given(
    at=st.times(),
    day=st.dates(date(2015, 1, 1), date(2027, 1, 1)),
    zone=st.sampled_from(
        ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
    ),
)
def test_a_moment_reads_as_the_time_asked_for_unless_the_clock_skips_it(
    at: time, day: date, zone: str
) -> None:
    at = at.replace(second=0, microsecond=0, tzinfo=None)
    local = ZoneInfo(zone)
    first, last = (windows.moment(day, at, local, last=last) for last in (False, True))
    assert first <= last <= first + timedelta(hours=2)
    reading = first.astimezone(local).replace(tzinfo=None)
    wanted = datetime.combine(day, at)
    if reading != wanted:  # skipped: the first reading after the gap
        assert reading > wanted
        before = (first - timedelta(seconds=1)).astimezone(local).replace(tzinfo=None)
        assert before < wanted


def test_quiet_hours_cut_the_send_window() -> None:
    activation = RULES.activation.model_copy(
        update={"quiet_hours": ClockWindow(start=time(19), end=time(10))}
    )
    assert windows.daily_bounds(activation) == (time(10), time(19))
    noon = datetime(2017, 10, 2, 16, tzinfo=UTC)
    assert windows.is_open(noon, activation, NEW_YORK)
    assert not windows.is_open(noon.replace(hour=13, minute=59), activation, NEW_YORK)
    assert not windows.is_open(noon.replace(hour=23), activation, NEW_YORK)


# --- birthdays -------------------------------------------------------------------------------------


def _birthday(born: str, today: str, leap_day: str) -> str:
    found = next_birthday(pd.Series(pd.to_datetime([born])), date.fromisoformat(today), leap_day)
    return str(found.iloc[0].date())


@pytest.mark.parametrize(
    ("born", "today", "leap_day", "expected"),
    [
        ("1980-10-03", "2017-10-02", "02-28", "2017-10-03"),
        ("1980-10-03", "2017-10-03", "02-28", "2017-10-03"),
        ("1980-10-03", "2017-10-04", "02-28", "2018-10-03"),
        ("1980-01-01", "2017-12-31", "02-28", "2018-01-01"),
        ("1980-02-29", "2017-02-27", "02-28", "2017-02-28"),
        ("1980-02-29", "2017-02-27", "03-01", "2017-03-01"),
        ("1980-02-29", "2016-02-27", "02-28", "2016-02-29"),
        ("1980-02-29", "2016-02-29", "03-01", "2016-02-29"),
        ("1980-02-29", "2017-03-01", "02-28", "2018-02-28"),
        ("1980-02-29", "2019-03-02", "03-01", "2020-02-29"),
        ("1980-02-28", "2017-02-28", "03-01", "2017-02-28"),
    ],
)
def test_the_next_birthday(born: str, today: str, leap_day: str, expected: str) -> None:
    assert _birthday(born, today, leap_day) == expected


def test_birthdays_are_found_ahead_once_a_year_and_never_after() -> None:
    customers = people(
        {"customer_id": f"c{n}", "birth_date": f"1980-10-{n:02d}"} for n in range(1, 10)
    )
    outcome = decided(customers, using=NO_CONTROL)
    # Sent from 2 October, three days ahead: up to the 5th; the 1st is over.
    assert sorted(outcome.decisions["customer_id"]) == ["c2", "c3", "c4", "c5"]
    assert set(outcome.decisions["period"]) == {"2017"}
    latest = dict(
        zip(outcome.triggers["customer_id"], outcome.triggers["send_not_after"], strict=True)
    )
    assert latest["c2"] == "2017-10-03T00:00:00+00:00"  # 20:00 of the birthday itself
    assert latest["c5"] == "2017-10-05T00:00:00+00:00"  # the ordinary window ends first
    again = decided(
        customers,
        history=earlier([("c3", date(2017, 9, 30), "birthday", "2017")]),
        using=NO_CONTROL,
    )
    assert reasons(again)["c3", "birthday"] == "already_in_period"
    assert (
        "October 3"
        in dict(zip(outcome.messages["customer_id"], outcome.messages["body"], strict=True))["c3"]
    )


def test_a_birthday_belongs_to_the_year_it_is_in() -> None:
    customers = people([{"customer_id": "c", "birth_date": "1980-01-02"}])
    outcome = decided(customers, using=NO_CONTROL, day=date(2017, 12, 30))
    assert list(outcome.decisions["period"]) == ["2018"]


# --- candidates ------------------------------------------------------------------------------------


def test_welcome_is_for_those_who_registered_lately() -> None:
    customers = people(
        {"customer_id": f"c{days}", "segment": "newcomer", "registered_at": DAY - timedelta(days)}
        for days in (0, 14, 15)
    )
    outcome = decided(customers, using=NO_CONTROL)
    assert sorted(outcome.decisions["customer_id"]) == ["c0", "c14"]
    assert set(outcome.decisions["period"]) == {"once"}


@pytest.mark.parametrize(
    ("repeat", "day", "expected"),
    [
        ("once", DAY, "once"),
        ("year", DAY, "2017"),
        ("quarter", date(2017, 9, 30), "2017-Q3"),
        ("quarter", DAY, "2017-Q4"),
        ("month", date(2017, 1, 31), "2017-01"),
    ],
)
def test_periods(repeat: str, day: date, expected: str) -> None:
    assert candidates.period_of(repeat, day) == expected


def test_a_basket_follows_predictions_within_reason() -> None:
    customers = people(
        [
            {"customer_id": "usual", "predicted_value": 500, "predicted_orders": 10},
            {"customer_id": "tiny", "predicted_value": 1, "predicted_orders": 10},
            {"customer_id": "wild", "predicted_value": 100, "predicted_orders": 0.001},
            {"customer_id": "none", "predicted_value": 100, "predicted_orders": 0},
            {"customer_id": "unknown"},
        ]
    )
    assert list(value.expected_basket(customers, 30.0)) == [50, 10, 90, 30, 30]


@pytest.mark.parametrize(
    ("predicted", "basket", "discount"),
    [
        (60, 60, 6.0),
        (150, 150, 10.0),  # a tenth, but never more than 10
        (21, 30, 3.0),  # the coupon is good from 30 on
    ],
)
def test_expected_value_is_the_documented_formula(
    predicted: float, basket: float, discount: float
) -> None:
    vip = {"customer_id": "c", "segment": "vip"}
    customers = people([vip | {"predicted_value": 10 * predicted, "predicted_orders": 10}])
    row = decided(customers, using=NO_CONTROL).decisions.iloc[0]
    gain = 0.15 * (0.50 * 0.30 * basket - discount) - 0.001
    assert row["expected_incremental_value"] == pytest.approx(gain, abs=1e-4)
    assert row["cost_expected"] == pytest.approx(0.15 * discount + 0.001)
    assert row["basis"] == "observational"


# --- guard -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"granted": False}, "no_consent"),
        ({"has_contact": False}, "no_contact_point"),
        ({"verified": False}, "contact_not_verified"),
        ({"suppressed": True}, "on_suppression_list"),
    ],
)
def test_a_closed_channel_refuses_with_its_reason(flags: dict[str, bool], reason: str) -> None:
    customers = people([{"customer_id": "c", "segment": "vip"}])
    outcome = decided(customers, permissions=allowed(["c"], **flags), using=NO_CONTROL)
    row = outcome.decisions.iloc[0]
    assert (row["decision"], row["decision_reason"]) == ("suppress", reason)
    assert outcome.triggers.empty
    assert outcome.messages.empty
    now = guard.Permission(
        **({"granted": True, "has_contact": True, "verified": True, "suppressed": False} | flags)
    )
    assert guard.refusal_of(now, verified_only=True) == reason


def test_of_several_reasons_the_one_that_matters_most_is_told() -> None:
    """Every set of reasons that may hold at once, each beside every reason of a channel, or none."""
    # From the mildest to the gravest, so that the last that holds is the one to tell.
    grave = [
        "contact_not_verified", "no_contact_point", "no_consent", "on_suppression_list",
        "kept_for_high_value", "out_of_stock", "frequency_cap", "too_soon", "too_late",
        "already_in_period", "open_return", "recent_complaint", "age_unknown", "minor",
    ]  # fmt: skip
    assert sorted(grave) == sorted(guard.REFUSALS)
    sets = np.array(list(product([False, True], repeat=len(grave))))
    told = guard._first_refusal(dict(zip(grave, sets.T, strict=True)))
    for held, place in zip(sets, told.tolist(), strict=True):
        last = [reason for reason, holds in zip(grave, held, strict=True) if holds][-1:]
        assert [guard.REFUSALS[place]] * (place >= 0) == last


def test_a_contact_point_need_not_be_verified_where_the_policy_says_so() -> None:
    activation = RULES.activation.model_copy(update={"verified_contacts_only": False})
    using = rules(activation=activation, control=NO_CONTROL.control)
    customers = people([{"customer_id": "c", "segment": "vip"}])
    found = reasons(decided(customers, allowed(["c"], verified=False), using=using))
    assert found["c", "vip_exclusive"] == "best_offer"
    unverified = guard.Permission(True, True, False, False)
    person = guard.Person(None, False)
    assert guard.refusal_now(unverified, person, [], DAY, using, capped=True) is None


def test_nobody_known_to_no_channel_is_sent_anything() -> None:
    customers = people([{"customer_id": "c", "segment": "vip"}])
    outcome = decided(customers, permissions=allowed([]).reindex(columns=allowed(["x"]).columns))
    assert list(outcome.decisions["decision_reason"]) == ["no_consent"]


def test_the_first_channel_that_is_open_is_taken() -> None:
    customers = people([{"customer_id": "c", "segment": "vip"}])
    permissions = allowed(["c"])
    permissions.loc[permissions["channel"] == "email", "granted"] = False
    outcome = decided(customers, permissions=permissions, using=NO_CONTROL)
    assert list(outcome.messages["channel"]) == ["sms"]
    assert outcome.messages["subject"].isna().all()


def test_a_text_message_is_expected_to_cost_every_part_that_it_may_take() -> None:
    shop = RULES.shop.model_copy(update={"region_locales": {"south": "es_US"}})
    campaigns = [
        c.model_copy(update={"budget_per_day": 2 * (0.15 * 6 + 2 * 0.03)}) for c in RULES.campaigns
    ]
    using = rules(shop=shop, control=NO_CONTROL.control, campaigns=campaigns)
    customers = people(
        {
            "customer_id": f"c{n}",
            "segment": "vip",
            "region": "south",
            "predicted_value": 600,
            "predicted_orders": 10,
        }
        for n in range(3)
    )
    permissions = allowed(customers["customer_id"])
    permissions.loc[permissions["channel"] == "email", "granted"] = False
    outcome = decided(customers, permissions=permissions, using=using)
    assert list(outcome.messages["copy_source"]) == ["template/vip_exclusive/sms.es"] * 2
    assert list(outcome.messages["parts"]) == [2, 2], "the day's budget pays for two messages"
    rows = outcome.decisions
    assert list(rows["cost_expected"]) == pytest.approx([0.15 * 6 + 2 * 0.03] * 3)
    gain = 0.15 * (0.50 * 0.30 * 60 - 6.0) - 2 * 0.03
    assert list(rows["expected_incremental_value"]) == pytest.approx([gain] * 3)
    # A longer text is never written, so no message costs more than what was expected of it.
    short = using.model_copy(update={"caps": RULES.caps.model_copy(update={"sms_parts": 1})})
    refused = decided(customers, permissions=permissions, using=short)
    assert set(refused.decisions["decision_reason"]) == {"copy_failed", "budget_spent"}
    assert refused.messages.empty


@pytest.mark.parametrize(
    ("born", "minor"),
    [
        ("1999-10-02", False),  # 18 on the day of sending
        ("1999-10-03", True),
        ("2010-01-01", True),
        ("1950-01-01", False),
        (None, False),
    ],
)
def test_minors_are_never_messaged(born: str | None, minor: bool) -> None:
    customers = people([{"customer_id": "c", "segment": "vip", "birth_date": born}])
    found = reasons(decided(customers, using=NO_CONTROL))["c", "vip_exclusive"]
    assert (found == "minor") is minor
    birth_date = date.fromisoformat(born) if born else None
    assert guard.is_minor(birth_date, DAY + timedelta(days=1), 18) is minor


def test_a_birthday_that_nobody_can_read_may_be_a_childs() -> None:
    customers = people([{"customer_id": "c", "segment": "vip", "is_birthday_faulty": True}])
    assert reasons(decided(customers, using=NO_CONTROL))["c", "vip_exclusive"] == "age_unknown"
    open_ = guard.Permission(True, True, True, False)
    for faulty, reason in ((True, "age_unknown"), (False, None)):
        person = guard.Person(None, faulty)
        assert guard.refusal_now(open_, person, [], DAY, RULES, capped=True) == reason
    anybody = RULES.activation.model_copy(update={"minimum_age": 0})
    using = rules(activation=anybody, control=NO_CONTROL.control)
    assert reasons(decided(customers, using=using))["c", "vip_exclusive"] == "best_offer"
    assert guard.refusal_now(open_, guard.Person(None, True), [], DAY, using, capped=True) is None


def test_caps_count_days_of_sending_and_one_message_a_day() -> None:
    cap = Cap(messages=2, window_days=7)
    assert not guard.is_capped([], DAY, cap)
    assert guard.is_capped([DAY], DAY, cap), "a second message on the same day"
    assert not guard.is_capped([DAY - timedelta(days=1)], DAY, cap)
    assert guard.is_capped([DAY - timedelta(days=1), DAY - timedelta(days=6)], DAY, cap)
    assert not guard.is_capped([DAY - timedelta(days=1), DAY - timedelta(days=7)], DAY, cap)
    assert guard.is_capped([DAY - timedelta(days=3), DAY + timedelta(days=3)], DAY, cap)
    assert guard.is_capped([], DAY, Cap(messages=0, window_days=7))


@pytest.mark.parametrize(
    ("region", "day", "opens", "closes"),
    [
        (None, DAY, "2017-10-02T13:00:00+00:00", "2017-10-05T00:00:00+00:00"),
        ("far west", DAY, "2017-10-02T16:00:00+00:00", "2017-10-05T03:00:00+00:00"),
        ("unheard of", DAY, "2017-10-02T13:00:00+00:00", "2017-10-05T00:00:00+00:00"),
        # Lord Howe sets its clock back by half an hour on 2 April: 20:00 is 09:30 UTC from then on.
        ("island", date(2017, 3, 31), "2017-03-31T22:00:00+00:00", "2017-04-03T09:30:00+00:00"),
    ],
)
def test_messages_follow_the_customers_own_clock(
    region: str | None, day: date, opens: str, closes: str
) -> None:
    zones = {"far west": "America/Los_Angeles", "island": "Australia/Lord_Howe"}
    shop = RULES.shop.model_copy(update={"region_timezones": zones})
    customers = people([{"customer_id": "c", "segment": "vip", "region": region}])
    using = rules(shop=shop, control=NO_CONTROL.control)
    message = decided(customers, using=using, day=day).messages.iloc[0]
    assert (message["send_not_before"], message["send_not_after"]) == (opens, closes)
    assert message["time_zone"] == zones.get(region or "", "America/New_York")


def test_a_campaign_keeps_its_distance_across_periods() -> None:
    """A quarter ends between the two days; the gap holds all the same, in either order."""
    customers = people([{"customer_id": "c", "segment": "vip"}])
    for day in (date(2017, 9, 29), DAY - timedelta(days=59), DAY + timedelta(days=59)):
        history = earlier([("c", day, "vip_exclusive", "2017-Q3")])
        assert reasons(decided(customers, history=history))["c", "vip_exclusive"] == "too_soon"
    for day in (DAY - timedelta(days=60), DAY + timedelta(days=60)):
        far = earlier([("c", day, "vip_exclusive", "2017-Q3")])
        found = reasons(decided(customers, history=far, using=NO_CONTROL))
        assert found["c", "vip_exclusive"] == "best_offer"


# --- caps ------------------------------------------------------------------------------------------


def _worst(days: list[int], width: int) -> int:
    return max((sum(start <= d < start + width for d in days) for start in days), default=0)


@settings(max_examples=150, deadline=None)
@given(
    order=st.permutations(range(20)),
    messages=st.integers(1, 4),
    width=st.integers(1, 9),
    wants=st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_caps_hold_in_any_order_of_days(
    order: list[int], messages: int, width: int, wants: list[bool]
) -> None:
    cap = Cap(messages=messages, window_days=width)
    sent: list[int] = []
    for offset in order:
        if not wants[offset]:
            continue
        days = np.array([d - offset for d in sent], dtype=np.int64)
        full = guard.capped_customers(np.full(len(sent), 7), days, cap)
        allows = _worst([*sent, offset], width) <= messages
        assert (7 not in full) is allows
        if 7 not in full:
            sent.append(offset)
    assert _worst(sent, width) <= messages


def test_the_cap_refuses_with_its_reason_and_leaves_transactional_alone() -> None:
    customers = people([{"customer_id": "c", "segment": "vip"}])
    history = earlier(
        [("c", DAY - timedelta(days=6), "x", "1"), ("c", DAY + timedelta(days=1), "y", "1")]
    )
    assert reasons(decided(customers, history=history))["c", "vip_exclusive"] == "best_offer"
    history = earlier(
        [("c", DAY - timedelta(days=3), "x", "1"), ("c", DAY + timedelta(days=1), "y", "1")]
    )
    assert reasons(decided(customers, history=history))["c", "vip_exclusive"] == "frequency_cap"
    free = [c.model_copy(update={"cap_class": "transactional"}) for c in RULES.campaigns]
    found = reasons(decided(customers, history=history, using=rules(campaigns=free)))
    assert found["c", "vip_exclusive"] == "best_offer"
    served = earlier([("c", DAY - timedelta(days=n), "service_recovery", str(n)) for n in (1, 2)])
    found = reasons(decided(customers, history=served))
    assert found["c", "vip_exclusive"] == "best_offer", "nor does it count for the others"


# --- arbitration and budget ------------------------------------------------------------------------


def test_one_offer_a_customer_the_best_one() -> None:
    customers = people([{"customer_id": "c", "segment": "vip", "birth_date": "1980-10-04"}])
    outcome = decided(customers, using=NO_CONTROL)
    assert len(outcome.triggers) == 1
    values = outcome.decisions.set_index("campaign")["expected_incremental_value"]
    assert reasons(outcome)["c", str(values.idxmax())] == "best_offer"
    assert sorted(reasons(outcome).values()) == ["best_offer", "better_offer"]


@settings(max_examples=20, deadline=None)
@given(
    total=st.floats(0.5, 40),
    mine=st.floats(0.5, 40),
    values=st.lists(st.floats(100, 900), min_size=1, max_size=40),
)
def test_budgets_are_never_exceeded_and_the_best_come_first(
    total: float, mine: float, values: list[float]
) -> None:
    campaigns = [
        c.model_copy(update={"budget_per_day": mine if c.name == "vip_exclusive" else 100.0})
        for c in RULES.campaigns
    ]
    tight = rules(
        campaigns=campaigns,
        budgets=RULES.budgets.model_copy(update={"per_day": total}),
        control=NO_CONTROL.control,
    )
    customers = people(
        {
            "customer_id": f"c{n:02d}",
            "segment": "vip",
            "predicted_value": value,
            "predicted_orders": 10,
            "birth_date": "1980-10-04" if n % 3 == 0 else None,
        }
        for n, value in enumerate(values)
    )
    outcome = decided(customers, using=tight)
    sent = outcome.decisions[outcome.decisions["decision"] == "send"]
    assert sent["cost_expected"].sum() <= total + 1e-6
    of_mine = sent[sent["campaign"] == "vip_exclusive"]
    assert of_mine["cost_expected"].sum() <= mine + 1e-6
    assert sent["customer_id"].is_unique
    again = decided(customers.sample(frac=1, random_state=3), using=tight)
    pd.testing.assert_frame_equal(outcome.decisions, again.decisions)


def test_what_gains_nothing_is_held() -> None:
    poor = [
        c.model_copy(update={"assumed": c.assumed.model_copy(update={"incremental_share": 0.0})})
        for c in RULES.campaigns
    ]
    customers = people([{"customer_id": "c", "segment": "vip"}])
    found = reasons(decided(customers, using=rules(campaigns=poor)))
    assert found["c", "vip_exclusive"] == "no_expected_gain"
    # Free, and it changes nothing: a gain of exactly 0.
    free = RULES.budgets.message_cost.model_copy(update={"email": 0.0})
    budgets = RULES.budgets.model_copy(update={"message_cost": free})
    idle = [c.model_copy(update={"offer": "no_coupon"}) for c in poor]
    found = reasons(decided(customers, using=rules(campaigns=idle, budgets=budgets)))
    assert found["c", "vip_exclusive"] == "no_expected_gain"


@pytest.mark.parametrize(("least", "reason"), [(0.44, "best_offer"), (0.46, "no_expected_gain")])
def test_what_gains_less_than_the_policy_asks_is_held(least: float, reason: str) -> None:
    """A VIP's basket of 60 is expected to gain 0.449."""
    activation = RULES.activation.model_copy(update={"minimum_expected_value": least})
    using = rules(activation=activation, control=NO_CONTROL.control)
    customers = people([{"customer_id": "c", "segment": "vip"}])
    assert reasons(decided(customers, using=using))["c", "vip_exclusive"] == reason


def test_a_day_that_is_too_old_is_history_and_never_sent() -> None:
    customers = people([{"customer_id": "c", "segment": "vip"}])
    fresh = decided(customers, using=NO_CONTROL, newest=DAY + timedelta(days=3))
    assert reasons(fresh)["c", "vip_exclusive"] == "best_offer"
    old = decided(customers, using=NO_CONTROL, newest=DAY + timedelta(days=4))
    row = old.decisions.iloc[0]
    assert (row["decision"], row["decision_reason"]) == ("hold", "stale")
    assert old.triggers.empty
    assert old.messages.empty


def test_spend_above_the_limit_and_first_runs_wait_for_a_person() -> None:
    customers = people({"customer_id": f"c{n}", "segment": "vip"} for n in range(30))
    dear = rules(approvals=RULES.approvals.model_copy(update={"spend_above": 5.0}))
    assert set(decided(customers, using=dear).triggers["status"]) == {"awaiting_approval"}
    half = replace_control(RULES, 0.5)
    sent = decided(customers, using=half).decisions.query("decision == 'send'")
    assert 0 < len(sent) < len(customers)
    for margin, status in ((0.01, "approved"), (-0.01, "awaiting_approval")):
        limit = {"spend_above": float(sent["cost_expected"].sum()) + margin}
        asked = half.model_copy(update={"approvals": RULES.approvals.model_copy(update=limit)})
        found = decided(customers, using=asked).triggers["status"]
        assert set(found) == {status}, "the control group costs nothing"
    for most, status in ((len(customers), "approved"), (len(customers) - 1, "awaiting_approval")):
        brake = RULES.caps.model_copy(update={"per_day": PerDay(messages=most)})
        asked = replace_control(RULES, 0.0).model_copy(update={"caps": brake})
        assert set(decided(customers, using=asked).triggers["status"]) == {status}
    first = rules(approvals=RULES.approvals.model_copy(update={"first_run": True}))
    assert set(decided(customers, using=first).triggers["status"]) == {"awaiting_approval"}
    history = earlier([("x", date(2017, 5, 1), "vip_exclusive", "2017-Q2")])
    rejected = decided(customers, history=history, using=first)
    assert set(rejected.triggers["status"]) == {"awaiting_approval"}
    known = decided(customers, history=history, using=first, released=frozenset({"vip_exclusive"}))
    assert set(known.triggers["status"]) == {"approved"}
    other = decided(customers, using=first, released=frozenset({"win_back"}))
    assert set(other.triggers["status"]) == {"awaiting_approval"}
    assert set(decided(customers).triggers["status"]) == {"approved"}


# --- control group ---------------------------------------------------------------------------------


def in_control(ids: list[str], **changes: Any) -> Any:
    using = RULES.control.model_copy(update=changes)
    people = np.array(ids, dtype=object)
    return control.in_group(people, no_accounts(), using.salt, using.share)[0]


def test_the_control_group_is_persistent_nested_and_of_its_share() -> None:
    ids = [f"customer-{n}" for n in range(20_000)]
    small, large = in_control(ids, share=0.05), in_control(ids, share=0.10)
    assert (in_control(ids) == small).all()
    assert not (small & ~large).any()
    deviation = math.sqrt(0.05 * 0.95 / len(ids))
    assert abs(small.mean() - 0.05) < 4 * deviation
    other = in_control(ids, salt="regulars-2")
    assert 0 < (small & other).sum() < 0.3 * small.sum()


def test_who_has_several_accounts_is_in_control_by_any_of_them() -> None:
    """Whichever account lends its number; and the chance that is told is that with which it happens."""
    alone = [f"alone-{n}" for n in range(5_000)]
    merged = [f"merged-{n}" for n in range(15_000)]
    accounts = pd.DataFrame(
        [(name, f"{name}/{k}") for name in merged for k in range(2)],
        columns=["person_id", "account_id"],
    )
    people = np.array(alone + merged, dtype=object)
    salt, share = RULES.control.salt, 0.05
    held, chance = control.in_group(people, accounts, salt, share)
    own = control.places(people, salt) < share
    others = control.places(accounts["account_id"], salt).reshape(-1, 2).min(axis=1) < share
    assert (held[: len(alone)] == own[: len(alone)]).all()
    assert (held[len(alone) :] == own[len(alone) :] | others).all()
    assert np.allclose(chance, [0.05] * len(alone) + [1 - 0.95**3] * len(merged))
    deviation = math.sqrt(chance[-1] * (1 - chance[-1]) / len(merged))
    assert abs(held[len(alone) :].mean() - chance[-1]) < 4 * deviation


def test_the_control_group_is_drawn_last_and_its_place_goes_to_nobody() -> None:
    customers = people({"customer_id": f"c{n:03d}", "segment": "vip"} for n in range(400))
    tight = RULES.budgets.model_copy(update={"per_day": 100.0})
    without = decided(customers, using=replace_control(rules(budgets=tight), 0.0)).decisions
    with_control = decided(customers, using=replace_control(rules(budgets=tight), 0.3)).decisions
    would = without[without["decision"] == "send"]
    does = with_control[with_control["decision"].isin(["send", "control"])]
    assert sorted(would["customer_id"]) == sorted(does["customer_id"])
    held = with_control[with_control["decision"] == "control"]
    assert 0 < len(held) < len(would)
    assert set(held["decision_reason"]) == {"control_group"}
    assert (does["propensity"] == 0.7).all()
    assert (
        with_control[~with_control["decision"].isin(["send", "control"])]["propensity"].isna().all()
    )


def replace_control(using: Policy, share: float) -> Policy:
    chance = {"share": share, "exploration_share": 0.0}
    return using.model_copy(update={"control": using.control.model_copy(update=chance)})


def test_the_control_group_is_not_decided_again_within_a_period() -> None:
    customers = people([{"customer_id": "c", "segment": "vip"}])
    history = earlier([("c", DAY - timedelta(days=1), "vip_exclusive", "2017-Q4")])
    assert reasons(decided(customers, history=history)) == {
        ("c", "vip_exclusive"): "already_in_period"
    }


# --- codes and identities --------------------------------------------------------------------------


def test_codes_are_long_readable_and_do_not_repeat() -> None:
    assert coupons.BITS >= 60
    assert len(set(coupons.ALPHABET)) == len(coupons.ALPHABET)
    assert not set(coupons.ALPHABET) & set("01258ABEIOLQSUZ")
    codes = {coupons.new_code() for _ in range(20_000)}
    assert len(codes) == 20_000
    for code in list(codes)[:100]:
        groups = code.split("-")
        assert [len(group) for group in groups] == [5, 5, 5]
        assert set("".join(groups)) <= set(coupons.ALPHABET)


def test_triggers_and_messages_follow_from_what_they_are() -> None:
    one = coupons.trigger_id("c", "welcome", "once")
    assert one == coupons.trigger_id("c", "welcome", "once")
    others = {
        coupons.trigger_id("d", "welcome", "once"),
        coupons.trigger_id("c", "birthday", "once"),
        coupons.trigger_id("c", "welcome", "2017"),
        coupons.message_id("c", "email", "welcome", "once"),
        coupons.message_id("c", "sms", "welcome", "once"),
    }
    assert len(others | {one}) == 6


def test_nothing_to_decide() -> None:
    outcome = decided(people([{"customer_id": "c"}]))
    assert outcome.decisions.empty
    assert outcome.triggers.empty
    assert outcome.messages.empty


def test_the_same_inputs_give_the_same_decisions_and_words() -> None:
    customers = people({"customer_id": f"c{n}", "segment": "vip"} for n in range(50))
    first, second = decided(customers), decided(customers)
    pd.testing.assert_frame_equal(first.decisions, second.decisions)
    fixed = [name for name in first.triggers if name != "coupon_code"]
    pd.testing.assert_frame_equal(first.triggers[fixed], second.triggers[fixed])
    assert first.triggers["coupon_code"].is_unique


def test_a_campaign_that_is_off_decides_nothing() -> None:
    off = [c.model_copy(update={"enabled": False}) for c in RULES.campaigns]
    customers = people([{"customer_id": "c", "segment": "vip"}])
    assert decided(customers, using=rules(campaigns=off)).decisions.empty

"""Campaigns on what customers did: whom each trigger finds, chance, budgets over many days, and the words."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.offers import arbitrate, control, guard
from include.offers.decide import Day, Outcome, decide
from include.offers.inputs import Inputs, Past, no_signals
from include.policy import Policy
from include.policy.limits import TotalBudget
from tests.unit.test_offers import (
    DAY,
    NO_CONTROL,
    RULES,
    allowed,
    decided,
    earlier,
    no_products,
    people,
    reasons,
    rules,
)


def only(*names: str, using: Policy = NO_CONTROL, **changes: object) -> Policy:
    """The policy with these campaigns alone, changed as said."""
    chosen = [c.model_copy(update=changes) for c in using.campaigns if c.name in names]
    return using.model_copy(update={"campaigns": chosen})


def did(*rows: dict[str, Any]) -> pd.DataFrame:
    """Signals, with ordinary values where a row says nothing."""
    ordinary = {"key": "p1", "product": "Aged Gouda", "happened_on": DAY, "number": 1.0}
    ordinary |= {"in_stock": None, "kept_back": None}
    found = pd.DataFrame([ordinary | row for row in rows])
    found["happened_on"] = pd.to_datetime(found["happened_on"])
    return found.astype({"in_stock": "boolean", "kept_back": "boolean"})


def held(*rows: tuple[str, str, str | None, date]) -> pd.DataFrame:
    """Member events, as the signals of the campaign that invites to them: number, name, region, day."""
    found = pd.DataFrame(rows, columns=["key", "name", "region", "starts_on"])
    found["starts_on"] = found["ends_on"] = pd.to_datetime(found["starts_on"])
    return pd.concat([no_signals(), found.assign(campaign="member_event")], ignore_index=True)


def found(outcome: Outcome) -> dict[str, list[str]]:
    """Campaign -> customers found, whatever was decided."""
    return {
        str(name): sorted(part["customer_id"])
        for name, part in outcome.decisions.groupby("campaign")
    }


# --- triggers --------------------------------------------------------------------------------------


def test_a_second_purchase_is_asked_for_after_exactly_one_order() -> None:
    customers = people(
        {"customer_id": name, "orders_total": orders, "first_order_day": DAY - timedelta(days)}
        for name, orders, days in [
            ("soon", 1, 2), ("first", 1, 3), ("last", 1, 28), ("late", 1, 29), ("two", 2, 10),
        ]
    )  # fmt: skip
    assert found(decided(customers, using=only("second_purchase"))) == {
        "second_purchase": ["first", "last"]
    }
    unknown = people([{"customer_id": "c", "orders_total": None, "first_order_day": None}])
    assert found(decided(unknown, using=only("second_purchase"))) == {}


def test_replenishment_is_for_those_about_to_shop_who_buy_something_regularly() -> None:
    customers = people(
        {"customer_id": name, "expected_next_order_date": DAY + timedelta(days)}
        for name, days in [("today", 0), ("due", 2), ("later", 3), ("rare", 1), ("none", 1)]
    )
    products = pd.DataFrame(
        {
            "customer_id": ["today", "due", "later", "rare", "none"],
            "list": ["replenish"] * 4 + ["discover"],
            "rank": 1,
            "name": "Milk",
            "score": [0.9, 0.5, 0.9, 0.49, 0.9],
        }
    )
    outcome = decided(customers, using=only("replenishment"), products=products)
    assert found(outcome) == {"replenishment": ["due", "today"]}
    assert outcome.messages["body"].str.contains("- Milk").all()
    assert outcome.triggers["coupon_code"].isna().all()


def test_members_are_invited_to_the_first_event_of_their_region() -> None:
    events = held(
        *(
            (number, name, region, DAY + timedelta(days))
            for number, name, region, days in [
                ("e1", "Cheese Evening", "north", 5), ("e2", "Open Day", None, 9),
                ("e3", "Too Soon", "north", 2), ("e4", "Far Off", "south", 15),
            ]
        )
    )  # fmt: skip
    customers = people(
        {"customer_id": name, "segment": "vip", "region": region}
        for name, region in [("n", "north"), ("s", "south"), ("x", None)]
    )
    outcome = decided(customers, using=only("member_event"), signals=events)
    periods = dict(zip(outcome.decisions["customer_id"], outcome.decisions["period"], strict=True))
    assert periods == {"n": "e1", "s": "e2", "x": "e2"}
    assert set(outcome.decisions["about"]) == {"e1", "e2"}
    latest = dict(
        zip(outcome.messages["customer_id"], outcome.messages["send_not_after"], strict=True)
    )
    assert latest["n"] == "2017-10-05T00:00:00+00:00"
    body = outcome.messages.set_index("customer_id")["body"]
    assert "invited to Cheese Evening on October 6, 2017" in body["n"]
    again = decided(
        customers,
        using=only("member_event"),
        signals=events,
        history=earlier([("n", DAY - timedelta(1), "member_event", "e1")]),
    )
    assert reasons(again)["n", "member_event"] == "already_in_period"
    assert reasons(again)["s", "member_event"] == "best_offer"


def test_an_event_ends_the_invitation() -> None:
    events = held(("e", "Brunch", None, date(2017, 10, 3)))
    trigger = RULES.campaign("member_event").trigger.model_copy(update={"at_least_days": 2})
    using = only("member_event", trigger=trigger)
    customers = people([{"customer_id": "c", "segment": "vip"}])
    outcome = decided(customers, using=using, signals=events)
    assert list(outcome.messages["send_not_after"]) == ["2017-10-03T00:00:00+00:00"]  # 20:00 EDT
    # The eve of an event tomorrow is over when the first message leaves, whatever a trigger finds.
    sooner = trigger.model_copy(update={"at_least_days": 0})
    for days in (0, 1):
        events = held(("e", "Brunch", None, DAY + timedelta(days)))
        outcome = decided(customers, using=only("member_event", trigger=sooner), signals=events)
        row = outcome.decisions.iloc[0]
        assert (row["decision"], row["decision_reason"]) == ("suppress", "too_late")
        assert outcome.messages.empty


def test_what_was_left_behind_is_brought_to_mind_once_a_month() -> None:
    signals = did(
        {"customer_id": "cart", "campaign": "abandoned_cart"},
        {"customer_id": "old", "campaign": "abandoned_cart", "happened_on": DAY - timedelta(2)},
        {"customer_id": "once", "campaign": "abandoned_browse", "number": 2},
        {"customer_id": "often", "campaign": "abandoned_browse", "number": 3, "key": "p9"},
        {"customer_id": "gone", "campaign": "abandoned_cart", "in_stock": False},
        {"customer_id": "both", "campaign": "abandoned_cart", "in_stock": False, "key": "p1"},
        {"customer_id": "both", "campaign": "abandoned_cart", "key": "p2", "product": "Bread"},
        {"customer_id": "stranger", "campaign": "abandoned_cart"},
    )
    names = ["cart", "old", "once", "often", "gone", "both"]
    customers = people({"customer_id": name} for name in names)
    outcome = decided(customers, using=only("abandoned_cart", "abandoned_browse"), signals=signals)
    assert found(outcome) == {
        "abandoned_browse": ["often"],
        "abandoned_cart": ["both", "cart", "gone"],
    }
    assert reasons(outcome)["gone", "abandoned_cart"] == "out_of_stock"
    subjects = outcome.messages.set_index("customer_id")["subject"]
    assert subjects["both"] == "Still thinking about Bread?"
    assert set(outcome.decisions["period"]) == {"2017-10"}
    about = outcome.decisions.set_index("customer_id")["about"]
    assert (about["often"], about["both"]) == ("p9", "p2")


def test_a_followed_product_that_became_cheaper_is_told_with_both_prices() -> None:
    prices = {"campaign": "price_drop", "price_before": 2.0, "happened_on": DAY - timedelta(60)}
    signals = did(
        prices | {"customer_id": "much", "price_now": 1.5},
        prices | {"customer_id": "much", "price_now": 1.0, "key": "p2", "product": "Milk"},
        prices | {"customer_id": "just", "price_now": 1.7},
        prices | {"customer_id": "little", "price_now": 1.75},
        prices | {"customer_id": "long", "price_now": 1.0, "happened_on": DAY - timedelta(91)},
    )
    customers = people({"customer_id": name} for name in ("much", "just", "little", "long"))
    outcome = decided(customers, using=only("price_drop"), signals=signals)
    assert found(outcome) == {"price_drop": ["just", "much"]}
    words = outcome.messages.set_index("customer_id")
    assert words["subject"]["much"] == "Milk is now $1"
    assert "$1 instead of $2" in words["body"]["much"]
    assert "$1.70 instead of $2" in words["body"]["just"]
    assert set(outcome.decisions["period"]) == {"p1/2017-10", "p2/2017-10"}


def test_overstock_goes_to_the_hundred_who_gain_most_and_leaves_the_others_their_week() -> None:
    names = [f"c{number}" for number in range(300)]
    signals = did(
        *(
            {"customer_id": name, "campaign": "overstock", "number": 2.0, "in_stock": True}
            for name in names
        )
    )
    customers = people({"customer_id": name} for name in names)
    outcome = decided(customers, using=only("overstock"), signals=signals)
    told = outcome.decisions.groupby(["decision", "decision_reason"], observed=True).size()
    assert told["send", "best_offer"] == 100
    assert told["hold", "budget_spent"] == 200


def test_reviews_are_answered_by_their_rating() -> None:
    signals = did(
        *(
            {"customer_id": f"r{rating}", "campaign": name, "number": rating, "key": f"{rating}"}
            for rating in (1, 2, 3, 4, 5)
            for name in ("review_thanks", "service_recovery")
        ),
        {"customer_id": "r5", "campaign": "review_thanks", "number": 5, "key": "0",
         "happened_on": DAY - timedelta(1)},
    )  # fmt: skip
    customers = people(
        {"customer_id": f"r{rating}", "complained_on": DAY if rating <= 2 else None}
        for rating in (1, 2, 3, 4, 5)
    )
    using = only("review_thanks", "service_recovery")
    outcome = decided(customers, using=using, signals=signals)
    assert found(outcome) == {"review_thanks": ["r4", "r5"], "service_recovery": ["r1", "r2"]}
    assert set(reasons(outcome).values()) == {"best_offer"}
    assert outcome.decisions.set_index("customer_id")["about"]["r5"] == "5", "the newest"
    caps = outcome.messages.set_index("customer_id")["cap_class"]
    assert (caps["r1"], caps["r4"]) == ("transactional", "marketing")


# --- complaints, stock -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "days", "reason"),
    [
        ("complained_on", 0, "recent_complaint"),
        ("complained_on", 13, "recent_complaint"),
        ("complained_on", 14, "best_offer"),
        ("returned_on", 6, "open_return"),
        ("returned_on", 7, "best_offer"),
    ],
)
def test_nothing_is_advertised_after_a_complaint_or_a_return(
    column: str, days: int, reason: str
) -> None:
    customers = people([{"customer_id": "c", "segment": "vip", column: DAY - timedelta(days)}])
    assert reasons(decided(customers, using=only("vip_exclusive")))["c", "vip_exclusive"] == reason


def test_every_refusal_is_a_reason_that_the_contract_knows() -> None:
    from include import contracts

    checks = contracts.load("marketing", "decisions").checks
    known = next(
        check.arguments["value_set"]
        for check in checks
        if check.arguments.get("column") == "decision_reason"
    )
    assert set(known) == {*guard.REFUSALS, *arbitrate.REASONS}


# --- value -----------------------------------------------------------------------------------------


def test_who_redeems_more_readily_is_expected_to_at_the_campaigns_level() -> None:
    customers = people({"customer_id": f"c{n}", "segment": "vip"} for n in range(4))
    chances = pd.DataFrame({"customer_id": ["c0", "c1", "c2"], "p_redeem": [0.1, 0.2, 0.4]})
    known: dict[str, Any] = {"chances": chances, "redemption_version": "redemption-1"}
    rows = decided(customers, using=only("vip_exclusive"), **known).decisions
    rows = rows.set_index("customer_id")
    assert 0 < rows["p_redeem"]["c0"] < rows["p_redeem"]["c1"] < rows["p_redeem"]["c2"] < 1
    assert rows["p_redeem"][:3].mean() == pytest.approx(0.15, abs=1e-6)
    assert rows["p_redeem"]["c3"] == pytest.approx(0.15)
    assert rows["redemption_version"].notna().tolist() == [True, True, True, False]
    past = {"vip_exclusive": Past(sent=150, redeemed=60)}
    moved = decided(customers, using=only("vip_exclusive"), past=past, **known).decisions
    assert moved["p_redeem"].iloc[:3].mean() == pytest.approx((60 + 50 * 0.15) / 200, abs=1e-6)


def test_a_gain_that_was_learnt_says_so_and_no_other_does() -> None:
    customers = people({"customer_id": f"c{n}", "segment": "vip"} for n in range(3))
    uplift = {"vip_exclusive": pd.Series({"c0": 3.0, "c1": -1.0})}
    known: dict[str, Any] = {"uplift": uplift, "uplift_version": "uplift-1"}
    rows = decided(customers, using=only("vip_exclusive"), **known).decisions
    rows = rows.set_index("customer_id")
    assert rows["basis"].tolist() == ["experiment", "experiment", "observational"]
    assert rows["uplift_version"].notna().tolist() == [True, True, False]
    cost = rows["cost_expected"]["c0"]
    assert rows["expected_incremental_value"]["c0"] == pytest.approx(3.0 - cost, abs=1e-4)
    assert rows["decision_reason"]["c1"] == "no_expected_gain"


# --- budgets ---------------------------------------------------------------------------------------


def many(count: int = 300) -> pd.DataFrame:
    """VIPs with different baskets, some of them with a birthday."""
    return people(
        {
            "customer_id": f"c{n:04d}",
            "segment": "vip",
            "predicted_value": 400 + 3 * (n % 97),
            "predicted_orders": 10,
            "birth_date": "1980-10-04" if n % 3 == 0 else None,
        }
        for n in range(count)
    )


def test_the_bound_is_stored_and_the_gap_is_small() -> None:
    using = rules(
        budgets=RULES.budgets.model_copy(update={"per_day": 60.0}), control=NO_CONTROL.control
    )
    outcome = decided(many(), using=using)
    budgets = outcome.budgets.set_index("budget")
    assert budgets["spent"]["day"] <= 60.0 + 1e-9
    assert budgets["price"]["day"] > 0
    assert budgets["gap"]["day"] <= 0.005
    sent = outcome.decisions[outcome.decisions["decision"] == "send"]
    gain = sent["expected_incremental_value"].sum()
    assert budgets["expected_gain"]["day"] == pytest.approx(gain, abs=0.02)
    assert budgets["gain_bound"]["day"] >= budgets["expected_gain"]["day"]
    assert "budget_spent" in set(outcome.decisions["decision_reason"])
    greedy = _greedy(outcome.decisions, 60.0)
    assert gain >= greedy - 0.01, "no worse than the highest gain first"


def _greedy(decisions: pd.DataFrame, most: float) -> float:
    left, gained, served = most, 0.0, set()
    open_ = decisions[decisions["decision"] != "suppress"]
    ordered = open_.sort_values("expected_incremental_value", ascending=False)
    names = ["customer_id", "cost_expected", "expected_incremental_value"]
    for customer, cost, gain in ordered[names].to_numpy(dtype=object):
        if customer not in served and cost <= left and gain > 0:
            served.add(customer)
            left -= float(cost)
            gained += float(gain)
    return gained


def test_budgets_of_many_days_count_what_other_days_spent() -> None:
    whole = TotalBudget(amount=100.0, starts_on=DAY, ends_on=DAY + timedelta(30))
    budgets = RULES.budgets.model_copy(update={"total": whole})
    using = only("vip_exclusive", using=rules(budgets=budgets, control=NO_CONTROL.control))
    spent = {None: 70.0, "vip_exclusive": 500.0}
    rows = decided(many(), using=using, spent=spent).budgets.set_index("budget")
    assert rows["amount"]["total"] == 30.0
    assert 29.0 < rows["spent"]["day"] <= 30.0 + 1e-9
    for day, is_inside in ((-1, False), (0, True), (30, True), (31, False)):
        on = decided(many(), using=using, spent=spent, day=DAY + timedelta(day)).budgets
        assert ("total" in set(on["budget"])) is is_inside
    own = only("vip_exclusive", using=using, budget_total=510.0)
    rows = decided(many(), using=own, spent=spent).budgets.set_index("budget")
    assert rows["amount"]["vip_exclusive"] == 10.0
    assert rows["spent"]["vip_exclusive"] <= 10.0
    # What is left over of a total allows no more on a day than the day's own limit, and the other way round.
    daily = only("vip_exclusive", using=own, budget_total=900.0, budget_per_day=20.0)
    rows = decided(many(), using=daily, spent=spent).budgets.set_index("budget")
    assert rows["amount"]["vip_exclusive"] == 20.0
    tight = using.model_copy(update={"budgets": budgets.model_copy(update={"per_day": 12.0})})
    rows = decided(many(), using=tight, spent=spent).budgets.set_index("budget")
    assert 11.0 < rows["spent"]["day"] <= 12.0 + 1e-9
    assert rows["price"]["day"] > 0, "the tighter of the two has the price"
    assert rows["price"]["total"] == 0


@pytest.mark.parametrize("share", [0.1, 0.9])
@pytest.mark.parametrize(
    ("day", "total", "own"), [(40.0, None, 1e4), (1e4, 40.0, 1e4), (1e4, None, 25.0)]
)
def test_what_is_left_to_chance_keeps_the_budgets_too(
    share: float, day: float, total: float | None, own: float
) -> None:
    whole = total and TotalBudget(amount=total, starts_on=DAY, ends_on=DAY)
    budgets = RULES.budgets.model_copy(update={"per_day": day, "total": whole})
    using = only("vip_exclusive", "birthday", using=chance(share=0.0, exploration_share=share))
    using = only("vip_exclusive", "birthday", using=using, budget_per_day=own)
    rows = decided(many(), using=using.model_copy(update={"budgets": budgets})).decisions
    sent = rows[rows["decision"] == "send"]
    told = {"exploration", "best_offer"} if share < 0.5 else {"exploration"}
    assert told <= set(sent["decision_reason"])
    spent = sent.groupby("campaign")["cost_expected"].sum()
    assert spent.sum() <= min(day, total or day) + 0.01
    assert spent.max() <= own + 0.01
    assert "budget_spent" in set(rows["decision_reason"])


# --- chance ----------------------------------------------------------------------------------------


def chance(**update: float) -> Policy:
    return rules(control=RULES.control.model_copy(update=update))


def test_a_share_of_offers_is_picked_at_random_with_its_chance_stored() -> None:
    rich = RULES.budgets.model_copy(update={"per_day": 1e6})
    using = only(*(c.name for c in RULES.campaigns), using=RULES, budget_per_day=1e5)
    using = using.model_copy(
        update={"budgets": rich, "control": chance(share=0.0, exploration_share=0.3).control}
    )
    outcome = decided(many(1500), using=using)
    rows = outcome.decisions
    sent = rows[rows["decision"] == "send"]
    explored = sent[sent["decision_reason"] == "exploration"]
    assert 0.25 < len(explored) / len(sent) < 0.35
    open_ = rows[rows["decision"] != "suppress"].groupby("customer_id").size()
    k = sent["customer_id"].map(open_)
    best = rows.loc[rows.groupby("customer_id")["expected_incremental_value"].idxmax()]
    is_best = sent.index.isin(best.index)
    expected = 0.3 / k + 0.7 * is_best
    assert np.allclose(sent["choice_propensity"], expected)
    # Of two open offers each is drawn as often.
    two = explored[k[explored.index] == 2]
    assert 0.35 < two.index.isin(best.index).mean() < 0.65
    assert rows[rows["decision"] != "send"]["choice_propensity"].isna().all()
    again = decided(many(1500).sample(frac=1, random_state=1), using=using)
    pd.testing.assert_frame_equal(rows, again.decisions)
    other = decided(many(1500), using=using, day=DAY + timedelta(1)).decisions
    drawn = set(other[other["decision_reason"] == "exploration"]["customer_id"])
    assert drawn != set(explored["customer_id"]), "who explores is drawn anew each day"


def test_the_best_offer_is_that_at_the_days_prices_where_money_is_short() -> None:
    """The chance of what explorers drew, told by the prices: high where it would have been theirs anyway."""
    share, budgets = 0.4, RULES.budgets.model_copy(update={"per_day": 60.0})
    using = only("vip_exclusive", "birthday", using=chance(share=0.0, exploration_share=share))
    using = using.model_copy(update={"budgets": budgets})
    outcome = decided(many(), using=using)
    price = outcome.budgets.set_index("budget")["price"]
    assert price["day"] > 0
    rows = outcome.decisions
    worth = rows["expected_incremental_value"] - rows["cost_expected"] * (
        price["day"] + rows["campaign"].map(price)
    )
    sent = rows[rows["decision_reason"] == "exploration"]
    sent = sent[sent["decision"] == "send"]
    k = sent["customer_id"].map(rows.groupby("customer_id").size())
    best = worth.groupby(rows["customer_id"]).transform("max")
    is_best = ((worth == best) & (worth > 0))[sent.index]
    assert 0 < is_best.sum() < len(sent)
    assert np.allclose(sent["choice_propensity"], share / k + (1 - share) * is_best)


def test_a_campaign_may_have_a_control_group_of_its_own() -> None:
    using = only("vip_exclusive", "birthday", using=chance(share=0.4, exploration_share=0.0))
    campaigns = [
        c.model_copy(update={"control_share": 0.4}) if c.name == "vip_exclusive" else c
        for c in using.campaigns
    ]
    using = using.model_copy(update={"campaigns": campaigns})
    rows = decided(many(2000), using=using).decisions
    drawn = rows[rows["decision"].isin(["send", "control"])]
    held = drawn.groupby("campaign")["decision"].agg(lambda d: (d == "control").mean())
    assert abs(held["vip_exclusive"] - 0.64) < 0.05, "drawn apart from the group of all campaigns"
    assert abs(held["birthday"] - 0.40) < 0.12
    for name, expected in (("vip_exclusive", 0.36), ("birthday", 0.6)):
        assert np.allclose(drawn.loc[drawn["campaign"] == name, "propensity"], expected)


def test_everybody_behind_one_person_is_in_one_arm_and_members_are_known() -> None:
    customers = people(
        {"customer_id": f"c{n:03d}", "person_id": f"p{n // 2}", "segment": "vip"}
        for n in range(600)
    )
    using = chance(share=0.3, exploration_share=0.0)
    inputs = Inputs(customers, allowed(customers["customer_id"]), earlier(), no_products(), DAY)
    day = Day(inputs, using, DAY)
    list(day.written())
    rows = pd.concat(list(day.decisions()))
    held = rows[rows["decision"] == "control"]["customer_id"]
    persons = customers.set_index("customer_id")["person_id"]
    arms = rows[rows["decision"].isin(["send", "control"])].set_index("customer_id")["decision"]
    assert arms.groupby(persons[arms.index].to_numpy()).nunique().max() == 1
    members = day.members()
    everybody = members[members["scope"] == control.EVERY_CAMPAIGN]
    assert set(held) <= set(everybody["customer_id"])
    assert abs(len(everybody) / 600 - 0.3) < 0.08
    assert set(members["scope"]) == {control.EVERY_CAMPAIGN, "replenishment"}


# --- words -----------------------------------------------------------------------------------------


def test_a_variable_that_is_missing_stops_that_message_alone() -> None:
    signals = did(
        {"customer_id": "named", "campaign": "abandoned_cart"},
        {"customer_id": "nameless", "campaign": "abandoned_cart", "product": None},
    )
    customers = people({"customer_id": name} for name in ("named", "nameless"))
    outcome = decided(customers, using=only("abandoned_cart"), signals=signals)
    assert reasons(outcome) == {
        ("named", "abandoned_cart"): "best_offer",
        ("nameless", "abandoned_cart"): "copy_failed",
    }
    assert list(outcome.messages["customer_id"]) == ["named"]
    everybody = chance(share=0.9999, exploration_share=0.0)
    held = decided(customers, using=only("abandoned_cart", using=everybody), signals=signals)
    assert reasons(held)["nameless", "abandoned_cart"] == "copy_failed", "treated and control alike"


def test_customers_are_written_to_in_the_locale_of_their_region() -> None:
    shop = RULES.shop.model_copy(update={"region_locales": {"south": "es_MX", "west": "de_DE"}})
    using = only("welcome", using=rules(shop=shop, control=NO_CONTROL.control))
    customers = people(
        {"customer_id": region, "segment": "newcomer", "registered_at": DAY, "region": region}
        for region in ("north", "south", "west")
    )
    outcome = decided(customers, using=using)
    words = outcome.messages.set_index("customer_id")
    assert "Valid until October 22, 2017" in words["body"]["north"]
    assert words["copy_source"]["south"] == "template/welcome/email.es"
    assert "Válido hasta el 22 de octubre de 2017" in words["body"]["south"]
    assert words["subject"]["south"].endswith("$3 de descuento en su siguiente compra")
    # Without words of their own, the shop's serve, days and amounts included: no message mixes languages.
    assert words["copy_source"]["west"] == "template/welcome/email"
    assert "Valid until October 22, 2017" in words["body"]["west"]
    assert "$25" in words["body"]["west"]


def test_a_text_message_that_takes_too_many_parts_is_held() -> None:
    long = RULES.delivery.model_copy(update={"sender_name": "Regulars " * 40})
    permissions = allowed(["c"])
    permissions.loc[permissions["channel"] == "email", "granted"] = False
    customers = people([{"customer_id": "c", "segment": "vip"}])
    outcome = decided(customers, permissions=permissions, using=only("vip_exclusive"))
    assert list(outcome.messages["parts"]) == [1]
    using = only("vip_exclusive", using=rules(delivery=long, control=NO_CONTROL.control))
    outcome = decided(customers, permissions=permissions, using=using)
    assert reasons(outcome)["c", "vip_exclusive"] == "copy_failed"


def test_days_of_any_size_are_decided_in_parts() -> None:
    customers = many(50)
    inputs = Inputs(customers, allowed(customers["customer_id"]), earlier(), no_products(), DAY)
    whole = decide(inputs, RULES, DAY, iter(map(str, range(999))).__next__)
    day = Day(replace(inputs), RULES, DAY, iter(map(str, range(999))).__next__)
    with pytest.raises(RuntimeError, match="once everything has been written"):
        next(day.decisions())
    parts = list(day.written(chunk=7))
    assert len(parts) > 1
    triggers = pd.concat([pair[0] for pair in parts], ignore_index=True)
    pd.testing.assert_frame_equal(triggers, whole.triggers)
    rows = pd.concat(list(day.decisions(chunk=9)), ignore_index=True)
    pd.testing.assert_frame_equal(rows, whole.decisions)


def test_a_day_before_any_customer_is_empty() -> None:
    customers = people([{"customer_id": "c"}]).iloc[:0]
    outcome = decided(customers, permissions=allowed(["c"]), day=date(2017, 1, 1))
    assert outcome.decisions.empty
    assert outcome.budgets["spent"].sum() == 0

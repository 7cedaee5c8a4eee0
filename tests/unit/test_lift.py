"""Lift: by hand, against known truth, and where the usual interval fails."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from include.models.campaigns import lift


def draw(random, people, share=0.05, effect=0.0, skewed=False):
    """Spend before and after with zeros; treated gain an effect on average."""
    before = random.gamma(1.0, 80.0, people)
    if skewed:
        buys = random.random(people) < 0.35
        after = np.where(buys, random.lognormal(3.0, 1.3, people), 0.0)
    else:
        after = np.where(random.random(people) < 0.85, before * random.gamma(4, 0.1, people), 0.0)
    treated = random.random(people) >= share
    gains = np.where(random.random(people) < 0.1, random.gamma(2, 5 * effect, people), 0.0)
    return np.where(treated, after + gains, after), treated, np.full(people, 1 - share), before


def rows(outcome, treated, propensity, before, campaign="spring"):
    return pd.DataFrame(
        {
            "customer_id": [f"p{k}" for k in range(len(outcome))],
            "campaign": campaign,
            "decided_on": "2017-06-04",
            "is_treated": treated,
            "propensity": propensity,
            "is_sent": treated,
            "is_redeemed": False,
            "is_bounced": False,
            "is_opted_out": False,
            "is_complained": False,
            "discount_given": 0.0,
            "cost_expected": 0.5,
            "cost": 0.4,
            "spend_before": before,
            "spend_after": outcome,
            "margin_after": 0.25 * outcome,
        }
    )


def test_without_a_covariate_it_is_the_difference_of_means_with_a_pooled_variance():
    random = np.random.default_rng(0)
    outcome, treated = random.normal(10, 2, 400), np.arange(400) % 2 == 0
    found = lift.effect(outcome, treated, np.full(400, 0.5))
    usual = stats.ttest_ind(outcome[treated], outcome[~treated], equal_var=True)
    ends = usual.confidence_interval(0.95)
    assert found.estimate == pytest.approx(outcome[treated].mean() - outcome[~treated].mean())
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=1e-9)
    assert found.p_value == pytest.approx(usual.pvalue, abs=1e-9)
    assert found.variance_explained == pytest.approx(0, abs=1e-12)


def test_a_covariate_sharpens_and_takes_out_a_lucky_draw():
    random = np.random.default_rng(1)
    before = random.gamma(2, 50, 2000)
    treated = np.arange(2000) % 4 > 0
    outcome = 0.5 * before + random.normal(0, 5, 2000) + 3 * treated
    plain = lift.effect(outcome, treated, np.full(2000, 0.75))
    sharp = lift.effect(outcome, treated, np.full(2000, 0.75), before)
    assert abs(sharp.estimate - 3) < 0.5
    assert (sharp.high - sharp.low) < 0.4 * (plain.high - plain.low)
    assert sharp.variance_explained == pytest.approx(
        np.corrcoef(before, outcome)[0, 1] ** 2, abs=0.02
    )
    unchanged = lift.effect(outcome, treated, np.full(2000, 0.75), before + 1000)
    assert unchanged.estimate == pytest.approx(sharp.estimate)


def test_people_of_different_chances_are_weighed():
    # Big spenders are treated with 90%, small ones with 10%: the plain difference is all selection.
    random = np.random.default_rng(2)
    big = np.arange(20_000) % 2 == 0
    chance = np.where(big, 0.9, 0.1)
    treated = random.random(20_000) < chance
    outcome = np.where(big, 100.0, 10.0) + random.normal(0, 5, 20_000) + 2 * treated
    plain = outcome[treated].mean() - outcome[~treated].mean()
    assert plain > 60
    found = lift.effect(outcome, treated, chance)
    assert found.estimate == pytest.approx(2, abs=2.5)
    assert found.low < 2 < found.high


def test_interval_and_p_value_agree_where_spend_is_skewed():
    random = np.random.default_rng(3)
    for _ in range(60):
        found = lift.effect(*draw(random, 1500, skewed=True)[:3])
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)
        assert 0 <= found.p_value <= 1
        assert found.low < found.estimate < found.high


def test_a_skewed_control_group_of_few_does_not_cry_success():
    """The point of the correction: 400 campaigns without effect, 60 people in control."""
    random = np.random.default_rng(4)
    ours = usual = 0
    for _ in range(400):
        outcome, treated, chance, _ = draw(random, 1200, skewed=True)
        found = lift.effect(outcome, treated, chance)
        ours += not found.low <= 0 <= found.high
        test = stats.ttest_ind(outcome[treated], outcome[~treated], equal_var=False)
        usual += test.pvalue < 0.05
    assert ours / 400 <= 0.07
    assert usual / 400 > 0.09, "where the usual interval fails, or this proves nothing"


def test_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        found = lift.effect(*draw(random, 1500, effect=3.0))
        held += found.low <= 3.0 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_the_minimum_detectable_effect_is_found_four_times_in_five():
    random = np.random.default_rng(6)
    size = np.mean([lift.effect(*draw(random, 2000)).minimum_detectable for _ in range(30)])
    found = 0
    for _ in range(300):
        outcome, treated, chance, before = draw(random, 2000)
        found += lift.effect(outcome + size * treated, treated, chance, before).low > 0
    assert found / 300 == pytest.approx(0.8, abs=0.08)


def test_nobody_to_compare_with_is_no_fault():
    spend, everybody = np.arange(50.0), np.ones(50, dtype=bool)
    assert np.isnan(lift.effect(spend, everybody, np.full(50, 0.95)).estimate)
    few = np.arange(50) < 45
    found = lift.effect(spend, few, np.full(50, 0.95))
    assert found.estimate == pytest.approx(22 - 47)
    assert np.isnan([found.low, found.high, found.p_value]).all()
    still = lift.effect(np.zeros(100), np.arange(100) < 50, np.full(100, 0.5), np.zeros(100))
    assert (still.estimate, still.low, still.high, still.p_value) == (0, 0, 0, 1)


def test_an_odd_split_is_seen_and_a_fair_one_is_not():
    treated = np.arange(1000) < 950
    assert lift.odd_split(treated, np.full(1000, 0.95)) > 0.5
    assert lift.odd_split(treated, np.full(1000, 0.90)) < 1e-6
    mixed = np.where(np.arange(1000) % 2 == 0, 0.9, 0.99)
    assert lift.odd_split(treated, mixed) > 0.3
    assert lift.odd_split(np.ones(1000, dtype=bool), mixed) < 1e-6


def test_a_person_counts_once_and_from_the_first_decision_on():
    random = np.random.default_rng(7)
    first = rows(*draw(random, 2000))
    later = first.assign(decided_on="2017-09-04", spend_after=1e6, campaign="autumn")
    again = first.assign(decided_on="2018-06-04", spend_after=1e6)
    alone = lift.summarise(first, "USD")
    found = lift.summarise(pd.concat([again, later, first]), "USD").set_index("campaign")
    assert list(found.index) == [lift.OVERALL, "autumn", "spring"]
    for name in (lift.OVERALL, "spring"):
        assert found.loc[name, "people_treated"] == alone["people_treated"].iloc[0]
        assert found.loc[name, "lift"] == pytest.approx(alone["lift"].iloc[0])
    assert found.loc["spring", "sends"] == 2 * alone["sends"].iloc[0]
    assert found.loc[lift.OVERALL, "sends"] == 3 * alone["sends"].iloc[0]


def test_the_order_of_rows_changes_nothing():
    random = np.random.default_rng(8)
    given = rows(*draw(random, 1500))
    shuffled = given.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(lift.summarise(given, "USD"), lift.summarise(shuffled, "USD"))


def test_money_is_added_up():
    random = np.random.default_rng(9)
    outcome, treated, chance, before = draw(random, 4000, share=0.5)
    found = lift.summarise(rows(outcome + 5 * treated, treated, chance, before), "USD").iloc[1]
    people = int(treated.sum())
    assert found["lift"] == pytest.approx(5, abs=4)
    assert found["incremental_revenue"] == pytest.approx(found["lift"] * people)
    assert found["incremental_margin"] == pytest.approx(0.25 * found["incremental_revenue"])
    assert found["cost_expected"] == pytest.approx(0.5 * people)
    assert found["cost"] == pytest.approx(0.4 * people), "what was really given counts"
    gain = found["incremental_margin"]
    assert found["return_on_cost"] == pytest.approx(gain / (0.4 * people) - 1)


@pytest.mark.parametrize(
    ("shift", "words"),
    [(30.0, "earns 30."), (-30.0, "of revenue a person less"), (0.0, "no effect seen")],
)
def test_the_verdict_says_it_in_words(shift, words):
    random = np.random.default_rng(10)
    outcome, treated, chance, before = draw(random, 4000, share=0.5)
    outcome = outcome - lift.effect(outcome, treated, chance, before).estimate * treated
    found = lift.summarise(rows(outcome + shift * treated, treated, chance, before), "USD")
    assert words in found["verdict"].iloc[1]


def test_no_outcomes_give_no_rows():
    random = np.random.default_rng(11)
    assert lift.summarise(rows(*draw(random, 40)).iloc[:0], "USD").empty

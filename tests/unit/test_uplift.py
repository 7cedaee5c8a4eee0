"""Uplift: learnt from chance alone, told apart only where people differ, and the same after storing."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.uplift import drawn
from include.errors import BadInput
from include.models import registry
from include.models.campaigns.uplift import (
    BLOCKS,
    UpliftModel,
    XLearner,
    _blocks,
    qini,
)


def test_who_gains_more_is_found_where_people_differ() -> None:
    world = drawn("mixed", 60_000, seed=1)
    model = UpliftModel().fit(world.seen)
    predicted = model.predict(world.later)["win_back"]
    assert model.judged_["win_back"]["qini_low"] > 0
    assert np.corrcoef(predicted, world.truth)[0, 1] > 0.8
    gained = np.where(predicted > 1.0, world.truth - 1.0, 0.0).mean()
    assert gained > 2 * (world.truth - 1.0).mean(), "twice what sending to everybody gains"
    stored = registry.dumps(model.state())
    again = UpliftModel.from_state(registry.loads(stored)).predict(world.later)["win_back"]
    pd.testing.assert_series_equal(predicted, again)


@pytest.mark.parametrize("chance", [0.02, 0.98])
def test_the_arm_of_many_tells_what_would_have_been_for_that_of_few(chance: float) -> None:
    """What people spend anyway differs by far more than the effect, and a fit of few knows little of it."""
    random = np.random.default_rng(7)
    known = random.normal(0.0, 1.0, (20_000, 2))
    truth = 2.0 + known[:, 1]
    treated = random.random(len(known)) < chance
    outcome = 50.0 * known[:, 0] + treated * truth + random.normal(0.0, 1.0, len(known))
    found = XLearner().fit(known, outcome, treated).predict(known, chance)
    assert np.abs(found - truth).mean() < 1.0


@pytest.mark.parametrize(("kind", "effect"), [("none", 0.0), ("constant", 2.0)])
def test_where_nobody_gains_more_everybody_gets_the_mean(kind: str, effect: float) -> None:
    world = drawn(kind, 20_000, seed=3)
    model = UpliftModel().fit(world.seen)
    assert model.campaigns_["win_back"].learner is None
    predicted = model.predict(world.later)["win_back"]
    assert np.ptp(predicted.to_numpy()) == 0
    assert predicted.iloc[0] == pytest.approx(effect, abs=1.5)


def test_small_arms_teach_nothing() -> None:
    world = drawn("constant", 2_900, seed=2)
    with pytest.raises(BadInput, match="at least 300 people treated and as many in control"):
        UpliftModel().fit(world.seen)


def test_a_person_counts_once_in_a_campaign() -> None:
    world = drawn("constant", 2_000, seed=2)
    with pytest.raises(BadInput):
        UpliftModel().fit(pd.concat([world.seen] * 3))


def test_a_person_counts_from_the_first_decision_on() -> None:
    """Who is reached again, and what they spend by then, may follow from the first message."""
    world = drawn("constant", 6_000, seed=3)
    again = world.seen.assign(
        decided_on=world.seen["decided_on"] + pd.Timedelta(days=90),
        is_treated=~world.seen["is_treated"],
        margin_after=1e4,
    )
    once, twice = UpliftModel().fit(world.seen), UpliftModel().fit(pd.concat([again, world.seen]))
    assert twice.campaigns_["win_back"].mean == pytest.approx(once.campaigns_["win_back"].mean)


def test_qini_is_zero_for_an_order_that_tells_nothing_and_more_for_one_that_does() -> None:
    random = np.random.default_rng(5)
    treated = random.random(40_000) < 0.5
    truth = random.normal(0, 1, 40_000)
    outcome = truth * treated + random.normal(0, 1, 40_000)
    chance = np.full(40_000, 0.5)
    assert abs(qini(outcome, treated, chance, random.random(40_000))) < 0.03
    assert qini(outcome, treated, chance, truth) > 0.2
    assert qini(outcome, treated, chance, -truth) < -0.2


def test_blocks_are_of_whole_days_in_order() -> None:
    days = pd.Series(pd.to_datetime(["2017-10-03", "2017-10-01", "2017-10-02", "2017-10-01"]))
    blocks = _blocks(days)
    assert list(blocks) == [2, 0, 1, 0]
    assert set(_blocks(pd.Series(pd.date_range("2017-10-01", periods=90)))) == set(range(BLOCKS))

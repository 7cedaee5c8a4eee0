"""The redemption model: what it sees, what it learns, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

from include.errors import BadInput
from include.models import registry
from include.models.campaigns import redemption
from include.models.campaigns.redemption import RedemptionModel, Settings


def rows(n=3000, seed=0):
    """Exposures in which readiness shows in past coupon use and decides redemption."""
    random = np.random.default_rng(seed)
    ready = random.gamma(0.7, 1.0, n)
    history = random.integers(40, 300, n)
    seen = {days: 1 - 0.5 ** (history / days) for days in (28, 91)}
    sent = random.integers(0, 8, n)
    redeemed = random.binomial(sent, np.clip(0.08 * ready, 0, 0.9))
    return pd.DataFrame(
        {
            "customer_id": [f"p{k % 900}" for k in range(n)],
            "campaign_id": "c",
            "history_days": history,
            "coupons": random.integers(5, 200, n),
            "products": random.integers(50, 20_000, n),
            "type_rate": 0.1,
            "campaigns_sent": sent,
            "campaigns_redeemed": redeemed,
            "campaigns_expected": 0.1 * sent,
            "days_hl91": random.gamma(3, 8, n) * seen[91],
            "coupon_days_hl91": ready * 2 * seen[91],
            "coupon_lines_hl28": ready * 2 * seen[28],
            "coupon_lines_hl91": ready * 5 * seen[91],
            "purchases_hl91": random.gamma(3, 100, n) * seen[91],
            "sales_hl28": random.gamma(3, 100, n) * seen[28],
            "days_since_order": pd.array(random.integers(1, 60, n), dtype="Int64"),
            "days_since_coupon": pd.array(random.integers(1, 90, n), dtype="Int64"),
            "fit_hl91": random.gamma(1, 10, n) * seen[91],
            "fit_best_hl91": random.gamma(1, 5, n) * seen[91],
            "fit_coupon_lines_hl91": ready * seen[91],
            "type_purchases_hl91": random.gamma(1, 40, n) * seen[91],
            "redemptions_hl91": redeemed * 0.5,
            "redemption_days_hl91": redeemed * 0.3,
            "same_coupons_redeemed": 0,
            "has_demographics": random.random(n) < 0.4,
            "is_redeemed": random.random(n) < np.clip(0.08 * ready**1.5, 0, 0.9),
        }
    )


def test_it_finds_who_redeems_and_how_many_will():
    past, later = rows(seed=1), rows(seed=2)
    model = RedemptionModel().fit(past)
    found = redemption.judge(model, later)
    assert found["roc_auc"]["ours"] > found["roc_auc"]["baseline"] + 0.08
    assert found["lift_top_decile"]["ours"] > 2
    assert found["ece"]["ours"] < 0.03
    assert model.predict(later).mean() == pytest.approx(later["is_redeemed"].mean(), abs=0.02)


def test_sums_are_compared_with_what_the_history_could_hold():
    young = rows(1).assign(history_days=28, coupon_lines_hl28=1.0)
    old = young.assign(history_days=28_000, coupon_lines_hl28=2.0)
    seen = [redemption.matrix(frame)["coupon_lines_hl28"].iloc[0] for frame in (young, old)]
    assert seen[0] == pytest.approx(seen[1], abs=1e-6)
    assert seen[0] == pytest.approx(np.log1p(2.0), abs=1e-6)


def test_who_never_bought_or_used_a_coupon_is_no_gap():
    blank = rows(5).assign(
        days_since_order=pd.array([None] * 5, dtype="Int64"),
        days_since_coupon=pd.array([None] * 5, dtype="Int64"),
    )
    found = redemption.matrix(blank)
    assert not found.isna().any().any()
    assert (found["coupon_recency"] == 0).all()
    today = redemption.matrix(blank.assign(days_since_coupon=30))["coupon_recency"]
    assert (today == 0.5).all()


def test_nothing_after_the_start_is_a_feature():
    later = rows(50)
    hidden = later.drop(columns="is_redeemed").assign(ends_on="2017-12-31", campaign_id="z")
    pd.testing.assert_frame_equal(redemption.matrix(later), redemption.matrix(hidden))


def test_baselines_by_hand():
    frame = pd.DataFrame({"campaigns_sent": [0, 4, 10], "campaigns_redeemed": [0, 1, 10]})
    assert list(redemption.past_rate(frame)) == [0, 0.25, 1]
    assert redemption.smoothed_rate(frame, 0.1) == pytest.approx([0.1, 2 / 14, 11 / 20])


def test_training_twice_is_one_model_and_it_survives_storing():
    past, later = rows(seed=3), rows(seed=4)
    first, second = (RedemptionModel(Settings()).fit(past) for _ in range(2))
    stored = registry.dumps(first.state())
    assert stored == registry.dumps(second.state())
    loaded = RedemptionModel.from_state(registry.loads(stored))
    np.testing.assert_array_equal(loaded.predict(later), first.predict(later))
    assert loaded.explained() == first.explained()
    assert loaded.rate_ == first.rate_
    named = first.explained()["coefficients"]
    assert named["coupon_lines_hl91"] > 0
    assert set(named) == {"intercept", *redemption.matrix(past).columns}


@pytest.mark.parametrize(
    "past", [rows(100), rows(2000).assign(is_redeemed=False), rows(2000).assign(is_redeemed=True)]
)
def test_too_little_to_learn_from_is_said(past):
    with pytest.raises(BadInput, match="Expected at least 200 exposures"):
        RedemptionModel().fit(past)


def test_another_level_keeps_the_order_and_hits_the_mean():
    chances = np.random.default_rng(5).beta(1, 8, 500)
    for mean in (0.02, 0.2, 0.7):
        moved = redemption.moved_to(chances, mean)
        assert moved.mean() == pytest.approx(mean, abs=1e-6)
        assert (
            np.argsort(moved, kind="stable") == np.argsort(chances, kind="stable")
        ).mean() > 0.99
    assert len(redemption.moved_to(chances[:0], 0.2)) == 0
    with pytest.raises(BadInput, match="between 0 and 1"):
        redemption.moved_to(chances, 0.0)


def test_the_level_of_an_offer_moves_from_what_is_assumed_to_what_is_seen():
    assert redemption.level_of(0, 0, 0.2) == 0.2
    assert redemption.level_of(5, 50, 0.2) == pytest.approx(0.15)
    assert redemption.level_of(1000, 10_000, 0.2) == pytest.approx(0.1, abs=1e-3)

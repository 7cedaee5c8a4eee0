"""Metrics against hand-made cases and scikit-learn; intervals that hold what they should."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics

from include.features import panels
from include.features.arrays import Floats
from include.models import evaluate

TRUTH = np.array([1.0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
SCORE = np.array([0.9, 0.8, 0.7, 0.7, 0.5, 0.4, 0.35, 0.3, 0.2, 0.1])


def test_areas_are_those_of_scikit_learn_ties_included():
    random = np.random.default_rng(1)
    truth = (random.random(500) < 0.2).astype(float)
    score = np.round(random.random(500) + truth / 3, 1)
    assert evaluate.roc_auc(truth, score) == pytest.approx(metrics.roc_auc_score(truth, score))
    assert evaluate.pr_auc(truth, score) == pytest.approx(
        metrics.average_precision_score(truth, score)
    )
    assert evaluate.roc_auc(truth, -score) == pytest.approx(1 - evaluate.roc_auc(truth, score))


def test_what_has_no_meaning_is_nan():
    nobody = np.zeros(10)
    assert math.isnan(evaluate.roc_auc(nobody, SCORE))
    assert math.isnan(evaluate.pr_auc(nobody, SCORE))
    assert math.isnan(evaluate.lift_top_decile(nobody, SCORE))
    assert math.isnan(evaluate.wape(nobody, SCORE))
    assert math.isnan(evaluate.gini(nobody, SCORE))
    assert math.isnan(evaluate.spearman(nobody, SCORE))


def test_lift_of_the_best_tenth_and_of_every_tenth():
    assert evaluate.lift_top_decile(TRUTH, SCORE) == pytest.approx(1 / 0.3)
    lifts = evaluate.lift_by_decile(TRUTH, SCORE)
    assert lifts[0] == pytest.approx(1 / 0.3)
    assert np.mean(lifts) == pytest.approx(1)


def test_captured_value_adds_up_to_all_of_it():
    spend = np.arange(20.0)
    captured = evaluate.captured_by_decile(spend, spend)
    assert sum(captured) == pytest.approx(1)
    assert captured == sorted(captured, reverse=True)
    assert captured[0] == pytest.approx((18 + 19) / 190)


def test_calibration_error_is_the_mean_gap_of_ten_bins():
    sure = np.repeat([0.0, 1.0], 50)
    assert evaluate.ece(sure, sure) == 0
    assert evaluate.ece(sure, np.full(100, 0.5) + sure * 1e-6) == pytest.approx(0.5, abs=1e-4)
    assert evaluate.brier(sure, np.full(100, 0.5)) == 0.25


def test_amounts():
    truth, said = np.array([10.0, 0, 30]), np.array([12.0, 4, 20])
    assert evaluate.mae(truth, said) == pytest.approx(16 / 3)
    assert evaluate.wape(truth, said) == pytest.approx(16 / 40)
    assert evaluate.bias(truth, said) == pytest.approx(36 / 40 - 1)


def test_gini_is_one_for_the_perfect_order_and_none_for_no_order():
    spend = np.array([5.0, 1, 0, 20, 3])
    assert evaluate.gini(spend, spend) == pytest.approx(1)
    assert evaluate.gini(spend, -spend) == pytest.approx(-1)
    assert evaluate.gini(spend, np.ones(5)) == pytest.approx(0, abs=1e-12)


def test_top_share_never_splits_equals_and_never_takes_who_spent_nothing():
    assert list(panels.top_share(np.array([3.0, 2, 2, 1, 0]), 0.4)) == [1, 1, 1, 0, 0]
    assert list(panels.top_share(np.array([3.0, 0, 0, 0, 0]), 0.4)) == [1, 0, 0, 0, 0]


def test_misjudged_counts_both_sides_of_the_line():
    assert evaluate.misjudged(TRUTH, TRUTH) == 0
    assert evaluate.misjudged(TRUTH, -TRUTH + np.arange(10) * 1e-9) == pytest.approx(0.6)


def test_intervals_hold_the_mean_about_as_often_as_they_say():
    random = np.random.default_rng(5)
    held = 0
    for seed in range(40):
        values = random.normal(2, 1, 200)

        def mean(drawn: npt.NDArray[np.int64], values: Floats = values) -> float:
            return float(values[drawn].mean())

        low, high = evaluate.bootstrap(mean, 200, seed=seed)
        held += low <= 2 <= high
    assert held >= 34


def test_many_intervals_at_once_are_those_of_one_at_a_time():
    values = np.arange(50.0)
    one = evaluate.bootstrap(lambda at: float(values[at].mean()), 50, seed=3)
    low, high = evaluate.bootstrap_many(
        lambda at: np.array([values[at].mean(), float("nan")]), 50, seed=3
    )
    assert (low[0], high[0]) == one
    assert math.isnan(low[1])

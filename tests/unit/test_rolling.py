"""Figures of one origin: complete, beside the naive rule, with intervals around them."""

import math

import numpy as np
import pytest

from include.features import panels
from include.features.panels import panel
from include.models import evaluate
from include.models.value import rolling
from include.models.value.model import Settings, ValueModel
from tests.unit.shoppers import cuts, day


@pytest.fixture(scope="module")
def figures() -> list[rolling.Figure]:
    past, later = cuts(), panel([("2017-07-05", *day(500, seed=8))])
    model = ValueModel(Settings(seed=3)).fit_high_value(past).fit_spend(past)
    return rolling.figures(rolling.judged(model, past, later), seed=3)


def test_every_metric_is_there_once_and_each_decile(figures: list[rolling.Figure]):
    whole = [figure.metric for figure in figures if figure.decile is None]
    assert sorted(whole) == sorted([*evaluate.CLASSIFICATION, *evaluate.SPEND, "coverage_80"])
    for metric in ("lift", "chance", "observed", "captured_value", "coverage_80"):
        assert [f.decile for f in figures if f.metric == metric and f.decile] == list(range(1, 11))


def test_intervals_hold_the_figures_and_differences_are_paired(figures: list[rolling.Figure]):
    # Sampling with replacement makes ties, which some metrics of order feel a little.
    for figure in figures:
        assert figure.low - 0.05 <= figure.ours <= figure.high + 0.05
        assert figure.n == 500
        if not math.isnan(figure.baseline):
            assert figure.difference_low <= figure.difference_high
    (auc,) = [f for f in figures if f.metric == "roc_auc"]
    difference = auc.ours - auc.baseline
    assert auc.difference_low <= difference <= auc.difference_high
    assert auc.difference_high - auc.difference_low < 2 * (auc.high - auc.low)


def test_an_amount_has_no_calibration(figures: list[rolling.Figure]):
    for figure in figures:
        no_amount = {*evaluate.PROBABILITY, "chance"}
        assert math.isnan(figure.baseline) == (figure.metric in no_amount)


def test_a_prophet_is_perfect_and_a_fool_is_not():
    spend = np.arange(100.0)
    high = panels.top_share(spend, 0.2).astype(float)
    found = rolling.Judged(spend, high, high, spend, np.ones(100), spend[::-1], np.zeros(100))
    by_name = {f.metric: f for f in rolling.figures(found, seed=1) if f.decile is None}
    assert by_name["roc_auc"].ours == by_name["gini"].ours == by_name["coverage_80"].ours == 1
    assert by_name["mae"].ours == by_name["misjudged"].ours == 0
    assert by_name["roc_auc"].baseline == 0
    assert by_name["roc_auc"].difference_low == pytest.approx(1)

"""Simple forecasts: the recursions by hand, and what each is for."""

import numpy as np
import pytest

from include.models.demand import methods, smoothing

SERIES = np.array([[2.0, 0.0, 4.0, 0.0, 0.0, 3.0]])


def test_croston_by_hand():
    # Sizes 2, 4, 3 and gaps 1, 2, 3, each smoothed by a tenth, and the bias taken off.
    size = 2 + 0.1 * (4 - 2)
    size += 0.1 * (3 - size)
    gap = 1 + 0.1 * (2 - 1)
    gap += 0.1 * (3 - gap)
    assert smoothing.croston_sba(SERIES) == pytest.approx(0.95 * size / gap)


def test_the_bias_of_croston_follows_from_its_own_weight():
    size = 2 + 0.4 * (4 - 2)
    size += 0.4 * (3 - size)
    gap = 1 + 0.4 * (2 - 1)
    gap += 0.4 * (3 - gap)
    assert smoothing.croston_sba(SERIES, alpha=0.4) == pytest.approx(0.8 * size / gap)


def test_tsb_by_hand():
    size = 2 + 0.1 * (4 - 2)
    size += 0.1 * (3 - size)
    chance = 1.0
    for sold in (1, 0, 1, 0, 0, 1):
        chance += 0.1 * (sold - chance)
    assert smoothing.tsb(SERIES) == pytest.approx(size * chance)


def test_adida_adds_up_over_the_mean_interval():
    # Six weeks with three sales: buckets of two weeks, 2, 4 and 3, smoothed by a fifth, halved.
    level = 2 + 0.2 * (4 - 2)
    level += 0.2 * (3 - level)
    assert smoothing.adida(SERIES) == pytest.approx(level / 2)


def test_what_no_longer_sells_fades_under_tsb_and_not_under_croston():
    dying = np.array([[5.0] * 10 + [0.0] * 20])
    assert smoothing.tsb(dying)[0] < 0.7
    assert smoothing.croston_sba(dying)[0] > 4.0


def test_smoothing_takes_the_weight_that_served_the_series():
    jump = np.array([[1.0] * 10 + [9.0] * 10])
    noise = np.array([[1.0, 9.0] * 10])
    assert smoothing.exponential_smoothing(jump)[0] > 8.9
    assert smoothing.exponential_smoothing(noise)[0] == pytest.approx(5.0, abs=1.0)


def test_seasonal_naive_needs_a_year():
    year = np.arange(60.0)[None]
    assert smoothing.seasonal_naive(year, 2).tolist() == [[8.0, 9.0]]
    assert np.isnan(smoothing.seasonal_naive(year[:, :40], 2)).all()


@pytest.mark.parametrize("name", methods.STEADY)
def test_nothing_sold_is_nothing_expected_and_a_constant_stays(name):
    units = np.array([[0.0] * 15, [4.0] * 15])
    nothing, constant = methods.STEADY[name](units)
    assert nothing == 0
    assert constant == pytest.approx(4.0 * (0.95 if name == "croston_sba" else 1.0))

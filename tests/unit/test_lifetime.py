"""BG/NBD and Gamma-Gamma against their papers' figures, and on customers with odd histories."""

import numpy as np
import pytest

from include.errors import BadInput
from include.models.lifetime import BetaGeo, GammaGamma

#: Fader, Hardie and Lee (2005), table 2.
PUBLISHED = {"r_": 0.243, "alpha_": 4.414, "a_": 0.793, "b_": 2.426}


def published() -> BetaGeo:
    model = BetaGeo()
    for name, value in PUBLISHED.items():
        setattr(model, name, value)
    return model


def simulated(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequency, recency and T in whole days, over 7, of customers who follow the model."""
    random = np.random.default_rng(seed)
    age = random.integers(27 * 7, 78 * 7, count) / 7
    rate, drop = random.gamma(0.243, 1 / 4.414, count), random.beta(0.793, 2.426, count)
    x, t_x = np.zeros(count), np.zeros(count)
    for row in range(count):
        now = 0.0
        while True:
            now += random.exponential(1 / max(rate[row], 1e-12))
            if now > age[row]:
                break
            x[row], t_x[row] = x[row] + 1, np.floor(now * 7) / 7
            if random.random() < drop[row]:
                break
    return x, t_x, age


def test_the_papers_customer_is_expected_to_buy_as_often_as_it_says():
    # Fader, Hardie and Lee, "Implementing the BG/NBD Model in Excel": x = 2, t_x = 30.43, T = 38.86, t = 39.
    assert published().expected_purchases(39, [2], [30.43], [38.86])[0] == pytest.approx(
        1.226, abs=5e-4
    )


def test_one_time_buyers_are_alive_and_long_silence_is_death():
    alive = published().probability_alive([0, 20, 20], [0, 38, 5], [39, 39, 39])
    assert alive[0] == 1
    assert alive[1] > 0.9
    assert alive[2] < 0.01


def test_parameters_are_found_again_from_their_own_customers():
    x, t_x, age = simulated(20_000)
    model = BetaGeo().fit(x, t_x, age)
    truth = published().log_likelihood(x, t_x, age).sum()
    assert model.log_likelihood_ >= truth
    assert model.log_likelihood_ - truth < 10
    assert model.r_ == pytest.approx(PUBLISHED["r_"], rel=0.1)
    assert model.alpha_ == pytest.approx(PUBLISHED["alpha_"], rel=0.1)


def test_equal_rows_counted_or_repeated_are_the_same_and_units_do_not_matter():
    x, t_x, age = simulated(400)
    once = BetaGeo().fit(x, t_x, age)
    twice = BetaGeo().fit(np.tile(x, 2), np.tile(t_x, 2), np.tile(age, 2))
    days = BetaGeo().fit(x, 7 * t_x, 7 * age)
    for name in PUBLISHED:
        assert getattr(twice, name) == pytest.approx(getattr(once, name), rel=1e-4)
    assert days.alpha_ == pytest.approx(7 * once.alpha_, rel=1e-3)
    assert days.r_ == pytest.approx(once.r_, rel=1e-3)


def test_ten_thousand_purchases_do_not_overflow():
    model = published()
    expected = model.expected_purchases(13, [10_000, 10_000], [520, 100], [520, 520])
    assert np.isfinite(expected).all()
    assert expected[0] == pytest.approx(13 * 10_000 / 524, rel=0.02)
    assert expected[1] == pytest.approx(0, abs=1e-6)
    assert np.isfinite(model.probability_alive([10_000], [519], [520])).all()


def test_gamma_gamma_expects_what_the_paper_says():
    # Fader and Hardie (2013): p = 6.25, q = 3.74, v = 15.44; the mean of the population is 35.17 for those
    # without repeat purchases.
    model = GammaGamma()
    model.p_, model.q_, model.v_, model.mean_ = 6.25, 3.74, 15.44, 30.0
    expected = model.expected_value([2, 1, 0], [22.35, 11.77, 0])
    assert expected == pytest.approx([24.66, 18.91, 35.22], abs=0.03)


def test_gamma_gamma_is_found_again_from_its_own_customers():
    random = np.random.default_rng(3)
    nu = random.gamma(3.74, 1 / 15.44, 20_000)
    x = random.integers(1, 8, 20_000)
    m = random.gamma(6.25 * x, 1 / (nu * x))
    model = GammaGamma().fit(x, m)
    assert [model.p_, model.q_, model.v_] == pytest.approx([6.25, 3.74, 15.44], rel=0.1)


def test_without_a_mean_the_fallback_is_what_was_seen():
    model = GammaGamma()
    model.p_, model.q_, model.v_, model.mean_ = 1.0, 0.5, 10.0, 42.0
    assert model.expected_value([0], [0])[0] == 42


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (([1, 2], [1], [3, 4]), "one length"),
        (([1.0, np.nan], [1, 1], [3, 4]), "frequency"),
        (([1, 1], [1, np.inf], [3, 4]), "recency"),
        (([1, 1], [1, 1], [3, -4]), "T to hold"),
        (([1, 1], [5, 1], [3, 4]), "at most T"),
        (([0, 0], [0, 0], [3, 4]), "repeat purchases"),
    ],
)
def test_impossible_histories_are_refused(arrays, words: str):
    with pytest.raises(BadInput, match=words):
        BetaGeo().fit(*arrays)


def test_gamma_gamma_needs_somebody_who_paid():
    with pytest.raises(BadInput, match="positive value"):
        GammaGamma().fit([1, 2, 0], [0, 0, 5])

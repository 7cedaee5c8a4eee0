"""The stability index, and when it calls for a new training."""

import numpy as np
import pandas as pd
import pytest

from include.models.value import population_drift
from include.steps.training.population_drift import alarm


def rows(shift: float = 0.0, count: int = 5000, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {"still": random.normal(size=count), "moves": random.normal(shift, 1, count), "flat": 1.0}
    )


def test_nothing_moves_between_two_draws_of_the_same():
    found = population_drift.psi(population_drift.reference(rows()), rows(seed=2))
    assert max(found.values()) < 0.02


def test_a_shifted_feature_is_found_and_no_other():
    found = population_drift.psi(population_drift.reference(rows()), rows(shift=1.0, seed=2))
    assert found["moves"] > population_drift.LIMIT
    assert found["still"] < 0.02
    assert found["flat"] == pytest.approx(0, abs=1e-6)


def test_index_is_the_formula():
    before = {"x": {"edges": [0.0], "shares": [0.5, 0.5, 0.0]}}
    now = pd.DataFrame({"x": [-1.0, 1, 1, 1]})
    expected = (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    assert population_drift.psi(before, now)["x"] == pytest.approx(expected)


def test_a_source_that_went_silent_is_drift():
    reference = population_drift.reference(rows())
    assert population_drift.psi(reference, rows().assign(still=np.nan))["still"] > 1
    assert population_drift.psi(reference, rows().drop(columns="still"))["still"] > 1


def test_reference_of_a_feature_that_nobody_has():
    found = population_drift.reference(pd.DataFrame({"empty": [np.nan] * 10}))
    assert found["empty"] == {"edges": [], "shares": [0.0, 1.0]}


def measured(beyond: int, at_training: float) -> pd.DataFrame:
    values = [0.5] * beyond + [0.01] * 3
    return pd.DataFrame(
        {
            "measure": "psi",
            "feature": [f"f{place}" for place in range(len(values))],
            "value": values,
            "at_training": at_training,
            "is_beyond": [value > population_drift.LIMIT for value in values],
        }
    )


def test_many_features_that_drifted_since_the_training_call_for_another():
    assert alarm(measured(population_drift.DRIFTED_FEATURES - 1, 0.1)) is None
    reason = alarm(measured(population_drift.DRIFTED_FEATURES, 0.1))
    assert reason is not None
    assert "5 features drifted" in reason


def test_what_was_off_on_the_day_of_training_calls_for_nothing():
    assert alarm(measured(20, at_training=0.4)) is None


def test_published_probabilities_that_did_not_come_true_call_for_a_training():
    lines = pd.DataFrame(
        {
            "measure": "calibration",
            "feature": ["published", "judged"],
            "value": [0.09, 0.2],
            "at_training": None,
            "is_beyond": [True, True],
        }
    )
    assert "off by 0.090" in str(alarm(lines))
    assert alarm(lines.iloc[1:]) is None

"""Coefficients with intervals, rules of a tree, and contributions that add up."""

import numpy as np
import pandas as pd
import pytest

from include.features import customers as features
from include.features.panels import high_value
from include.models.blend import Fitted, Member, ProbabilityBlend, logit
from include.models.value import algorithms, explain, reasons
from include.models.value.model import Settings, blends, matrix
from tests.unit.shoppers import cuts

SETTINGS = Settings(seed=5)


def test_intervals_hold_the_truth_and_odds_are_its_exponent():
    random = np.random.default_rng(1)
    names = list(features.NAMES[:3])
    rows = pd.DataFrame(random.normal(size=(4000, 3)), columns=names)
    truth = (random.random(4000) < 1 / (1 + np.exp(-(rows.to_numpy() @ [1.0, -0.5, 0])))).astype(
        float
    )
    member = Member(algorithms.logistic_regression(strength=100.0), tuple(names)).fit(rows, truth)
    customers = pd.Series(np.arange(4000))
    found = explain.coefficients(member, rows, truth, customers)
    for name, weight in zip(names, [1.0, -0.5, 0.0], strict=True):
        line = found[name]
        assert line["low"] < weight < line["high"]
        assert line["odds_ratio"] == pytest.approx(np.exp(line["coefficient"]), rel=1e-3)
        assert line["odds_ratio_low"] == pytest.approx(np.exp(line["low"]), rel=1e-3)
        assert line["high"] - line["low"] < 0.3
    assert set(found) == {"intercept", *names}


def test_customers_who_stand_in_the_rows_ten_times_count_once():
    random = np.random.default_rng(2)
    names = list(features.NAMES[:2])
    once = pd.DataFrame(random.normal(size=(500, 2)), columns=names)
    truth = (random.random(500) < 1 / (1 + np.exp(-once[names[0]]))).astype(float)
    rows, labels = pd.concat([once] * 10, ignore_index=True), np.tile(truth, 10)
    member = Member(algorithms.logistic_regression(100.0), tuple(names)).fit(rows, labels)
    clustered = explain.coefficients(member, rows, labels, pd.Series(np.tile(np.arange(500), 10)))
    naive = explain.coefficients(member, rows, labels, pd.Series(np.arange(5000)))

    def width(found: dict[str, dict[str, float]]) -> float:
        return found[names[0]]["high"] - found[names[0]]["low"]

    assert width(clustered) == pytest.approx(np.sqrt(10) * width(naive), rel=0.05)


def test_rules_read_in_the_units_of_the_features():
    rows = cuts(600)
    fitted = blends(SETTINGS, rows, ["decision_tree"])["decision_tree"]
    rules = explain.rules(fitted.members_["decision_tree"])
    assert len(rules) > 1
    assert all(" rows" in rule and ("<=" in rule or ">" in rule) for rule in rules)
    shares = [int(rule.split(": ")[1].split("%")[0]) for rule in rules]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    "algorithm", ["logistic_regression", "decision_tree", "gradient_boosting", "random_forest"]
)
def test_contributions_add_up_to_the_prediction(algorithm: str):
    rows = cuts(300)
    seen, labels = matrix(rows, SETTINGS), high_value(rows, 0.2)
    member = algorithms.classifiers(SETTINGS.names, 5)[algorithm].fit(seen, labels)
    blend = ProbabilityBlend()
    blend.intercept_, blend.slope_, blend.members_ = 0.0, 1.0, {algorithm: member}
    found = reasons.by_theme(blend, seen).sum(axis=1).to_numpy()
    said = logit(member.predict(seen))
    gap = said - found
    # What is left over is the base of the model, the same for everybody.
    assert np.ptp(gap) < 1e-4


def test_importance_is_a_share_of_each_theme():
    rows = cuts(300)
    blend = blends(SETTINGS, rows, ["blend"])["blend"]
    found = reasons.importance(blend, matrix(rows, SETTINGS))
    assert set(found) == set(features.THEMES)
    assert sum(found.values()) == pytest.approx(1, abs=1e-3)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert next(iter(found)) in {"recent_spend", "quarter_spend", "long_spend"}


def test_sentences_name_feature_value_and_direction():
    weights = pd.DataFrame([[2.0, -3.0]], columns=["recent_spend", "recency"])
    known = pd.DataFrame({"sales_4w": [120.0], "recency_days": [40.0]})
    found = reasons.sentences(weights, known, "USD", count=2)
    assert found.loc[0, "reason_1"] == (
        "days since the last order is 40: lowers the expected value"
    )
    assert found.loc[0, "reason_2"] == (
        "spend in the last 4 weeks is 120 USD: raises the expected value"
    )


def test_unseen_predictions_come_from_models_without_the_customer():
    rows = cuts(200)
    fitted = Fitted({}, {})
    assert fitted.members == {}
    blend = blends(SETTINGS, rows, ["logistic_regression"])["logistic_regression"]
    assert len(blend.unseen_) == len(rows)
    assert not np.allclose(blend.unseen_, blend.predict(matrix(rows, SETTINGS)))

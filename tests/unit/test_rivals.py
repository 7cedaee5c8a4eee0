"""Whoever is listed as a rival is complete: it fits, predicts, is told of and can be stored."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from include import contracts
from include.errors import BadInput
from include.features.purchases import Catalogue, Purchases
from include.models import registry
from include.models.blend import Member, ProbabilityBlend
from include.models.demand.methods import METHODS, Method, Origin, steady
from include.models.products import rivals
from include.models.products.recommender import Recommender
from include.models.products.rivals import RIVALS, Rival
from include.models.products.snapshot import Snapshot
from include.models.products.toplists import Ranked
from include.models.value import algorithms
from include.models.value.algorithms import CLASSIFIERS, Classifier
from include.models.value.baselines import BASELINES, Baseline
from include.models.value.model import Settings, ValueModel
from tests.unit import small_shop
from tests.unit.shoppers import cuts
from tests.unit.test_demand import made_up

VALUE = "include/models/value"


def fault_of_classifier(
    name: str, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> str | None:
    """What a listed classifier lacks, in one sentence; None of a complete one."""
    where = f"CLASSIFIERS['{name}'] in {VALUE}/algorithms.py"
    monkeypatch.setattr(algorithms, "BLENDED", ())
    monkeypatch.setattr(algorithms, "CLASSIFIERS", {name: algorithms.CLASSIFIERS[name]})
    model = ValueModel(Settings(seed=3), name)
    try:
        said = model.fit_high_value(rows).predict_high_value(rows)
    except Exception as error:
        return f"Expected {where} to fit and to predict, found {error!r}: mend its `make`."
    if not ((said > 0) & (said < 1)).all():
        return f"Expected probabilities of {where}, found {said.min()} to {said.max()}: mend its `make`."
    try:
        model.explained(rows)
    except BadInput as error:
        return f"Expected {where} to be explained; {error}"
    for change in algorithms.CLASSIFIERS[name].tried.values():
        if unknown := set(change) - set(algorithms.Tuning().as_dict()):
            return (
                f"Expected settings of Tuning in what {where} is tried with, found {sorted(unknown)}: add "
                "them to Tuning."
            )
    try:
        state = registry.loads(registry.dumps(model.high_.state()))
    except BadInput as error:
        return f"Expected {where} to be stored: {error}"
    matrix = model.fit_high_value(rows).predict_high_value(rows)
    model.high_ = ProbabilityBlend.from_state(state)
    if not np.array_equal(model.predict_high_value(rows), matrix):
        return f"Expected {where} to say the same when it is fitted twice, found another: seed it."
    return None


def fault_of_baseline(name: str, baseline: Baseline) -> str | None:
    where = f"BASELINES['{name}'] in {VALUE}/baselines.py"
    features = contracts.load("features", "customer_features").column_names
    if (baseline.weeks is None) == (baseline.column in features):
        return None
    return (
        f"Expected {where} to name a column of include/sql/features/customer_features.yml, or one of its own "
        f"and the weeks that fill it, found '{baseline.column}' and weeks {baseline.weeks}: give either."
    )


def fault_of_list(name: str, rival: Rival, now: Snapshot) -> str | None:
    where = f"RIVALS['{name}'] in include/models/products/rivals.py"
    if not rival.label:
        return f"Expected a label of {where} for the report, found none: say what it shows."
    if not rival.settings or set(rival.settings) - set(rivals.SETTINGS):
        return (
            f"Expected {where} to fill lists of some of {', '.join(rivals.SETTINGS)}, found "
            f"{rival.settings}: name its settings."
        )
    for setting in rival.settings:
        try:
            found = rival.lists(now, 5, setting)
        except Exception as error:
            return (
                f"Expected {where} to fill lists of '{setting}', found {error!r}: mend its `lists`."
            )
        known = now.pairs.find(found.customer * now.n_items + found.item) >= 0
        kept = now.catalogue.eligible[found.item].all() and (found.rank < 5).all()
        if (
            not len(found.item)
            or not kept
            or (setting != "all" and known.any() != (setting == "repeat"))
        ):
            return (
                f"Expected {where} to list at most so many eligible items that suit '{setting}', found "
                "others or none: mend its `lists`."
            )
    return None


def fault_of_method(name: str, method: Method, origin: Origin) -> str | None:
    where = f"METHODS['{name}'] in include/models/demand/methods.py"
    try:
        found = method.expect(origin)
    except Exception as error:
        return f"Expected {where} to forecast, found {error!r}: mend it."
    if found.shape != origin.boosted.shape or not (found >= 0).all():
        return (
            f"Expected {where} to give units of shape {origin.boosted.shape}, none below 0, found shape "
            f"{found.shape}: mend it."
        )
    never = np.zeros((1, 20))
    if method.level is not None and method.level(never).tolist() != [0.0]:
        return f"Expected {where} to expect nothing of what never sold, found something: mend it."
    return None


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return cuts(200)


@pytest.fixture(scope="module")
def now() -> Snapshot:
    known = Catalogue.from_frame(small_shop.catalogue())
    bought = Purchases.from_frame(small_shop.purchases(), known)
    als = Recommender(small_shop.SETTINGS).fit_als(bought, small_shop.DAY)
    assert als is not None
    return Snapshot(bought, known, small_shop.DAY, als)


@pytest.fixture(scope="module")
def origin() -> Origin:
    panel, _ = made_up()
    active = panel.active(panel.weeks)
    due = {panel.weeks: np.ones((len(panel.units), 8))}
    return Origin(panel, panel.weeks, active, np.ones((len(active), 8)), due)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_of_value_is_complete(
    name: str, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = fault_of_classifier(name, rows, monkeypatch)
    assert fault is None, fault


@pytest.mark.parametrize(("name", "baseline"), BASELINES.items())
def test_every_baseline_of_value_is_complete(name: str, baseline: Baseline) -> None:
    fault = fault_of_baseline(name, baseline)
    assert fault is None, fault


@pytest.mark.parametrize(("name", "rival"), RIVALS.items())
def test_every_rival_for_lists_is_complete(name: str, rival: Rival, now: Snapshot) -> None:
    fault = fault_of_list(name, rival, now)
    assert fault is None, fault


@pytest.mark.parametrize(("name", "method"), METHODS.items())
def test_every_method_of_demand_is_complete(name: str, method: Method, origin: Origin) -> None:
    fault = fault_of_method(name, method, origin)
    assert fault is None, fault


def nobody(*_: Any) -> Any:
    return None


def bayes(names: Any, seed: int, tuning: Any) -> Member:
    return Member(make_pipeline(SimpleImputer(), GaussianNB()), tuple(names))


@pytest.mark.parametrize(
    ("rival", "named"),
    [
        (Classifier(nobody), "to fit and to predict"),
        (Classifier(bayes), "to be explained; Expected a linear model.*GaussianNB"),
    ],
)
def test_an_incomplete_classifier_is_named(
    rival: Classifier, named: str, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(algorithms, "CLASSIFIERS", {"odd": rival})
    fault = fault_of_classifier("odd", rows, monkeypatch)
    is_sentence(fault, rf"CLASSIFIERS\['odd'\] in {VALUE}/algorithms.py {named}")


@pytest.mark.parametrize(
    ("baseline", "found"),
    [(Baseline("spent"), "'spent' and weeks None"), (Baseline("sales_13w", 13), "weeks 13")],
)
def test_an_incomplete_baseline_is_named(baseline: Baseline, found: str) -> None:
    is_sentence(fault_of_baseline("odd", baseline), rf"BASELINES\['odd'\].*{found}")


def nothing(now: Snapshot, n: int, setting: str) -> Ranked:
    return RIVALS["popularity"].lists(now, n, setting).where(np.zeros(0, dtype=bool))


@pytest.mark.parametrize(
    ("rival", "named"),
    [
        (Rival("", ("all",), rivals.popularity), "Expected a label of RIVALS"),
        (Rival("odd", (), rivals.popularity), "name its settings"),
        (Rival("odd", ("new",), rivals.repeat_count), "that suit 'new'"),
        (Rival("odd", ("all",), nothing), "that suit 'all', found others or none"),
    ],
)
def test_an_incomplete_rival_for_lists_is_named(rival: Rival, named: str, now: Snapshot) -> None:
    is_sentence(fault_of_list("odd", rival, now), named)


def broken(origin: Any) -> Any:
    return origin.nowhere


@pytest.mark.parametrize(
    ("method", "named"),
    [
        (Method(lambda origin: origin.units), "to give units of shape"),
        (Method(lambda origin: -origin.boosted), "none below 0"),
        (steady(lambda units: units.mean(axis=1) + 1), "of what never sold"),
        (Method(broken), "to forecast, found AttributeError"),
    ],
)
def test_an_incomplete_method_is_named(method: Method, named: str, origin: Origin) -> None:
    is_sentence(fault_of_method("odd", method, origin), named)


def is_sentence(fault: str | None, pattern: str) -> None:
    assert fault is not None
    assert re.search(pattern, fault), fault
    assert fault.startswith("Expected")
    assert fault.endswith(".")
    assert "\n" not in fault

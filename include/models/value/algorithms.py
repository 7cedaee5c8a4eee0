"""The classifiers of "high value" that compete, and the members of the other predictions: their settings.

A rival for "high value" joins by a line in `CLASSIFIERS`: it is then tuned with what it may be tried with,
fitted, judged beside the others and the baselines (`include.models.value.contest`), explained, stored, and
shown in `ml.backtests`, the report and `bench value`.

Settings were chosen on outcomes that ended by week 36 of the demo's data: on cut-off days 18 to 23 with
what could be learnt by then, and on customers left out of days up to 23. Forests and boosting with their
defaults lose to the naive rule here; strong smoothing and few leaves do not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import pandas as pd
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from include.features import customers as features
from include.features.arrays import Floats
from include.models.blend import Member
from include.models.value import explain

#: The column of `include.models.value.buy_till_you_die`: the root of the spend that it expects.
BUY_TILL_YOU_DIE = "root_buy_till_you_die"

#: What stands for a missing value where a tree looks: below everything that is known.
_MISSING = -1.0


@dataclass(frozen=True)
class Tuning:
    """What `include.models.value.search` may choose; the defaults are what it is to beat.

    Attributes
    ----------
    strength
        Inverse weight of the logistic regression's penalty (scikit-learn's C).
    linear_without
        Themes of features that the logistic regression does not see.
    leaf
        Fewest rows in a leaf of the extra trees.
    rounds
        Trees of the boosting.
    """

    strength: float = 0.01
    linear_without: tuple[str, ...] = ()
    leaf: int = 20
    rounds: int = 150

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        return asdict(self) | {"linear_without": list(self.linear_without)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """The settings that `as_dict` described."""
        return cls(**dict(stored) | {"linear_without": tuple(stored["linear_without"])})


#: What else the manifest keeps of a fitted classifier: of (member, rows, labels, customers), the rows it was
#: fitted on.
Explain = Callable[[Member, pd.DataFrame, Floats, "pd.Series[Any]"], dict[str, Any]]


@dataclass(frozen=True)
class Classifier:
    """How a classifier of "high value" is made.

    Attributes
    ----------
    make
        Names of the features, seed and tuning -> the unfitted member.
    blended
        Whether the blend averages it; otherwise it is a rival of the blend in every comparison.
    tried
        Changes of `Tuning` that `include.models.value.search` tries of a member of the blend, by name.
    explain
        What the manifest keeps of it beside the themes' importance (`include.models.value.reasons`, which
        has to know how a prediction of its kind comes about).
    """

    make: Callable[[Sequence[str], int, Tuning], Member]
    blended: bool = False
    tried: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    explain: Explain = lambda *_: {}


def _logistic_regression(names: Sequence[str], seed: int, tuning: Tuning) -> Member:
    """P = 1 / (1 + exp(-(b0 + b1 x1 + ... + bn xn))), on features standardised with the training rows."""
    left_out = {f.name for f in features.FEATURES if f.theme in tuning.linear_without}
    return Member(
        logistic_regression(tuning.strength), tuple(n for n in names if n not in left_out)
    )


def _extra_trees(names: Sequence[str], seed: int, tuning: Tuning) -> Member:
    model = ExtraTreesClassifier(
        n_estimators=60, min_samples_leaf=tuning.leaf, max_features=0.4, random_state=seed
    )
    return Member(_trees(model), tuple(names))


def _gradient_boosting(names: Sequence[str], seed: int, tuning: Tuning) -> Member:
    """Boosted trees that are told which features never lower the value."""
    model = HistGradientBoostingClassifier(
        monotonic_cst=_rising(names), **_boosting(seed, tuning.rounds)
    )
    return Member(_trees(model), tuple(names))


def _random_forest(names: Sequence[str], seed: int, tuning: Tuning) -> Member:
    model = RandomForestClassifier(
        n_estimators=60, min_samples_leaf=20, max_features=0.2, max_samples=0.4, random_state=seed
    )
    return Member(_trees(model), tuple(names))


def _decision_tree(names: Sequence[str], seed: int, tuning: Tuning) -> Member:
    model = DecisionTreeClassifier(max_depth=4, min_samples_leaf=100, random_state=seed)
    return Member(_trees(model), tuple(names))


#: Every classifier that competes, by the name that tables, reports and benches call it by.
CLASSIFIERS: Mapping[str, Classifier] = {
    "logistic_regression": Classifier(
        _logistic_regression,
        blended=True,
        tried={f"strength {v}": {"strength": v} for v in (0.003, 0.03, 0.1)},
        explain=lambda *fitted: {"coefficients": explain.coefficients(*fitted)},
    ),
    "extra_trees": Classifier(
        _extra_trees, blended=True, tried={f"leaf {v}": {"leaf": v} for v in (10, 40)}
    ),
    "gradient_boosting": Classifier(
        _gradient_boosting,
        blended=True,
        tried={f"rounds {v}": {"rounds": v} for v in (100, 250)},
    ),
    "random_forest": Classifier(_random_forest),
    "decision_tree": Classifier(
        _decision_tree, explain=lambda member, *_: {"rules": explain.rules(member)}
    ),
}

#: What the blend averages.
BLENDED = tuple(name for name, classifier in CLASSIFIERS.items() if classifier.blended)

#: Every algorithm that competes; the blend stands where none is clearly better.
STANDING = "blend"
ALGORITHMS = (STANDING, *CLASSIFIERS)


def members_of(algorithm: str) -> list[str]:
    """The classifiers that an algorithm averages."""
    return list(BLENDED) if algorithm == STANDING else [algorithm]


def classifiers(names: Sequence[str], seed: int, tuning: Tuning | None = None) -> dict[str, Member]:
    """Unfitted classifiers by name, on the named features."""
    return {
        name: classifier.make(names, seed, tuning or Tuning())
        for name, classifier in CLASSIFIERS.items()
    }


def churn_classifiers(names: Sequence[str], seed: int) -> dict[str, Member]:
    """Members of the churn blend."""
    columns = tuple(names)
    return {
        "logistic_regression": Member(logistic_regression(), columns),
        "extra_trees": classifiers(names, seed)["extra_trees"],
        "gradient_boosting": Member(
            _trees(HistGradientBoostingClassifier(**_boosting(seed))), columns
        ),
    }


def logistic_regression(strength: float = 0.01) -> Any:
    """A logistic regression on features standardised with the training rows alone."""
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=strength, max_iter=5000),
    )


def spend_members(names: Sequence[str], seed: int) -> dict[str, Member]:
    """Members of the spend blend, the stack of all of them.

    `two_part`: the chance of any spend, by boosting, times the spend of those who have some, by boosting
    with a gamma loss. `buy_till_you_die`: BG/NBD times Gamma-Gamma, brought to the shop's level. Then extra
    trees, a line, and the decayed rate alone. Trees see the features; the lines predict the square root of
    spend from the roots of the decayed rates of spend, so that a customer beyond all those seen is carried
    on instead of cut off.
    """
    columns = tuple(names)
    rates = tuple(f"root_{name}" for name in features.RATES)
    bands = tuple(f.name for f in features.FEATURES if f.unit == "band" and f.name in columns)
    return {
        "two_part": Member(
            _trees(
                HistGradientBoostingRegressor(
                    loss="gamma", monotonic_cst=_rising(columns), **_boosting(seed)
                )
            ),
            columns,
            gate=_trees(
                HistGradientBoostingClassifier(monotonic_cst=_rising(columns), **_boosting(seed))
            ),
        ),
        "extra_trees": Member(
            _trees(
                ExtraTreesRegressor(
                    n_estimators=60, min_samples_leaf=20, max_features=0.4, random_state=seed
                )
            ),
            columns,
            root=True,
        ),
        "ridge": Member(
            make_pipeline(StandardScaler(), Ridge(alpha=100.0)), (*rates, *bands), root=True
        ),
        "rate": Member(LinearRegression(fit_intercept=False), (rates[1],), root=True),
        "buy_till_you_die": Member(
            LinearRegression(fit_intercept=False), (BUY_TILL_YOU_DIE,), root=True
        ),
    }


def quantile_member(names: Sequence[str], seed: int, quantile: float) -> Member:
    """A quantile of spend, on the scale of its square root."""
    return Member(
        _trees(
            HistGradientBoostingRegressor(
                loss="quantile",
                quantile=quantile,
                max_iter=100,
                learning_rate=0.06,
                max_leaf_nodes=6,
                min_samples_leaf=80,
                early_stopping=False,
                random_state=seed,
            )
        ),
        tuple(names),
        root=True,
    )


def next_order_member(names: Sequence[str], seed: int) -> Member:
    """The median of the days to the next order."""
    return Member(
        _trees(HistGradientBoostingRegressor(loss="absolute_error", **_boosting(seed))),
        tuple(names),
    )


def _trees(model: Any) -> Any:
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=_MISSING, keep_empty_features=True), model
    )


def _rising(columns: Sequence[str]) -> list[int]:
    return [int(name in features.RISING) for name in columns]


def _boosting(seed: int, rounds: int = Tuning.rounds) -> dict[str, Any]:
    return {
        "max_iter": rounds,
        "learning_rate": 0.04,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 60,
        "l2_regularization": 20,
        "max_features": 0.3,
        "early_stopping": False,
        "random_state": seed,
    }

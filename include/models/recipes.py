"""The members of the value model: which estimators, with which settings.

Settings were chosen on outcomes that ended by week 36 of the demo's data: on cut-off days 18 to 23 with
what could be learnt by then, and on customers left out of days up to 23. Forests and boosting with their
defaults lose to the naive rule here; strong smoothing and few leaves do not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
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
from include.models.blend import Member

#: What the blend averages; the tree and the forest are its rivals in every comparison.
BLENDED = ("logistic_regression", "extra_trees", "gradient_boosting")

ALGORITHMS = ("blend", *BLENDED, "random_forest", "decision_tree")

#: What stands for a missing value where a tree looks: below everything that is known.
_MISSING = -1.0


def members_of(algorithm: str) -> list[str]:
    """The classifiers that an algorithm averages."""
    return list(BLENDED) if algorithm == "blend" else [algorithm]


def classifiers(names: Sequence[str], seed: int) -> dict[str, Member]:
    """Unfitted classifiers by name, on the named features.

    `logistic_regression`: P = 1 / (1 + exp(-(b0 + b1 x1 + ... + bn xn))) on features standardised with the
    training rows. `gradient_boosting` is told which features never lower the value.
    """
    columns = tuple(names)
    found = {
        "logistic_regression": logistic_regression(),
        "extra_trees": _trees(
            ExtraTreesClassifier(
                n_estimators=60, min_samples_leaf=20, max_features=0.4, random_state=seed
            )
        ),
        "gradient_boosting": _trees(
            HistGradientBoostingClassifier(monotonic_cst=_rising(columns), **_boosting(seed))
        ),
        "random_forest": _trees(
            RandomForestClassifier(
                n_estimators=60,
                min_samples_leaf=20,
                max_features=0.2,
                max_samples=0.4,
                random_state=seed,
            )
        ),
        "decision_tree": _trees(
            DecisionTreeClassifier(max_depth=4, min_samples_leaf=100, random_state=seed)
        ),
    }
    return {name: Member(model, columns) for name, model in found.items()}


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
    """Members of the spend blend: two kinds of trees, a line, and the decayed rate alone.

    Trees see the features; the lines predict the square root of spend from the roots of the decayed rates
    of spend, so that a customer beyond all those seen is carried on instead of cut off.
    """
    columns = tuple(names)
    rates = tuple(f"root_{name}" for name in features.RATES)
    bands = tuple(f.name for f in features.FEATURES if f.unit == "band" and f.name in columns)
    return {
        "gradient_boosting": Member(
            _trees(
                HistGradientBoostingRegressor(
                    loss="poisson", monotonic_cst=_rising(columns), **_boosting(seed)
                )
            ),
            columns,
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


def coefficients(member: Member) -> dict[str, float]:
    """The named coefficients of a fitted logistic regression, on standardised features.

    Returns
    -------
    dict of `intercept` and each feature's name to its coefficient
    """
    final = member.model[-1]
    return {"intercept": float(final.intercept_[0])} | {
        name: float(value) for name, value in zip(member.columns, final.coef_[0], strict=True)
    }


def importances(member: Member) -> dict[str, float]:
    """The share of each feature in what a fitted forest's splits gained."""
    shares = member.model[-1].feature_importances_
    return {name: float(share) for name, share in zip(member.columns, shares, strict=True)}


def rules(member: Member) -> list[str]:
    """A fitted decision tree as one sentence a leaf, in the units of the features, best leaf first."""
    tree = member.model[-1].tree_
    logged = {feature.name for feature in features.FEATURES if feature.logged}
    leaves: list[tuple[float, str]] = []

    def walk(node: int, conditions: list[str]) -> None:
        if tree.children_left[node] < 0:
            share = float(tree.value[node][0][1])
            text = " and ".join(conditions) or "always"
            leaves.append((share, f"{text}: {share:.0%} of {tree.n_node_samples[node]:,} rows"))
            return
        name = member.columns[tree.feature[node]]
        line = float(tree.threshold[node])
        shown = f"{np.expm1(line) if name in logged else line:,.4g}"
        walk(tree.children_left[node], [*conditions, f"{name} <= {shown}"])
        walk(tree.children_right[node], [*conditions, f"{name} > {shown}"])

    walk(0, [])
    return [text for _, text in sorted(leaves, key=lambda leaf: -leaf[0])]


def _trees(model: Any) -> Any:
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=_MISSING, keep_empty_features=True), model
    )


def _rising(columns: Sequence[str]) -> list[int]:
    return [int(name in features.RISING) for name in columns]


def _boosting(seed: int) -> dict[str, Any]:
    return {
        "max_iter": 150,
        "learning_rate": 0.04,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 60,
        "l2_regularization": 20,
        "max_features": 0.3,
        "early_stopping": False,
        "random_state": seed,
    }

"""What fitted models say of themselves: coefficients with their intervals, and the rules of a tree."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from include.features import customers as features
from include.features.arrays import Floats
from include.models.blend import Member, sigmoid

LEVEL = 0.95


def coefficients(
    member: Member, rows: pd.DataFrame, truth: Floats, customers: "pd.Series[Any]"
) -> dict[str, dict[str, float]]:
    """The named coefficients of a fitted logistic regression, on standardised features.

    Intervals come from the sandwich estimator with whole customers as clusters (Liang and Zeger 1986), since
    one customer stands in the rows once for each cut-off day. The penalty of the fit draws coefficients
    toward 0, and is part of the curvature here: the intervals are of what the penalised fit would find in
    other customers of the same shop, not of an unbiased effect.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_features)
        The rows that the member was fitted on.
    truth : array of 0 and 1, shape (n_rows,)
    customers : Series of shape (n_rows,), whose row each one is

    Returns
    -------
    dict of `intercept` and each feature's name to a dict of `coefficient`, `low`, `high` (the ends of the
    95% interval), `odds_ratio`, `odds_ratio_low` and `odds_ratio_high`, for one standard deviation more
    """
    final = member.model[-1]
    seen = member.model[:-1].transform(rows[list(member.columns)].to_numpy(np.float64))
    design = np.column_stack([np.ones(len(seen)), seen])
    weights = np.concatenate([final.intercept_, final.coef_[0]])
    said = sigmoid(design @ weights)
    penalty = np.r_[0.0, np.full(seen.shape[1], 1 / final.C)]
    curvature = (design * (said * (1 - said))[:, None]).T @ design + np.diag(penalty)
    owner, _ = pd.factorize(customers)
    scores = np.zeros((owner.max() + 1, design.shape[1]))
    np.add.at(scores, owner, design * (truth - said)[:, None])
    inverse = np.linalg.pinv(curvature)
    error = np.sqrt(np.maximum(np.diag(inverse @ (scores.T @ scores) @ inverse), 0))
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    found = {}
    for name, weight, margin in zip(("intercept", *member.columns), weights, reach, strict=True):
        ends = {"coefficient": weight, "low": weight - margin, "high": weight + margin}
        ratios = {
            "odds_ratio": np.exp(weight),
            "odds_ratio_low": np.exp(weight - margin),
            "odds_ratio_high": np.exp(weight + margin),
        }
        found[name] = {key: round(float(value), 5) for key, value in (ends | ratios).items()}
    return found


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

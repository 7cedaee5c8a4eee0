"""Why a customer's value is what it is, from the model's own contributions.

A linear member's contribution of a feature is its coefficient times the distance from the mean of the
training rows. A tree's is the sum of the changes of its mean prediction along the customer's path, each
change given to the feature that was asked there (Saabas 2014; exact: they add up to the prediction).
Contributions are in log-odds, averaged over the members as the prediction is, and added up by theme,
since features of one theme tell much the same.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from include.errors import BadInput
from include.features import customers as features
from include.features.arrays import Floats, Ints
from include.models.blend import Member, ProbabilityBlend, logit

_THEME_OF = {feature.name: feature.theme for feature in features.FEATURES}


def by_theme(blend: ProbabilityBlend, rows: pd.DataFrame) -> pd.DataFrame:
    """The contribution of each theme to the log-odds of each row.

    Returns
    -------
    DataFrame with the index of `rows` and a column for each theme
    """
    themes = list(features.THEMES)
    parts = [_member(member, rows, themes) for member in blend.members_.values()]
    total = blend.slope_ * np.mean(parts, axis=0)
    return pd.DataFrame(total, columns=themes, index=rows.index)


def importance(blend: ProbabilityBlend, rows: pd.DataFrame) -> dict[str, float]:
    """The share of each theme in the mean size of the contributions, the largest first."""
    sizes = by_theme(blend, rows).abs().mean()
    shares = (sizes / (sizes.sum() or 1.0)).sort_values(ascending=False, kind="stable")
    return {str(theme): round(float(share), 5) for theme, share in shares.items()}


def sentences(
    contributions: pd.DataFrame, known: pd.DataFrame, currency: str, count: int = 3
) -> pd.DataFrame:
    """The strongest themes of each customer in words, which name value and direction.

    Returns
    -------
    DataFrame with the index of `known`: reason_1, reason_2, ...
    """
    weights = contributions.to_numpy()
    strongest = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, :count]
    found = np.empty(strongest.shape, dtype=object)
    for theme, name in enumerate(contributions.columns):
        row, place = np.nonzero(strongest == theme)
        headline = features.THEMES[name].headline
        shown = (
            known[headline].iloc[row] if headline in known.columns else pd.Series([None] * len(row))
        )
        codes, words = features.wordings(name, shown, currency)
        both = np.array(
            [
                [f"{text}: {way} the expected value" for text in words]
                for way in ("lowers", "raises")
            ],
            dtype=object,
        ).reshape(2, len(words))
        found[row, place] = both[(weights[row, theme] > 0).astype(int), codes]
    names = [f"reason_{place + 1}" for place in range(count)]
    return pd.DataFrame(found, columns=names, index=known.index)


def _member(member: Member, rows: pd.DataFrame, themes: Sequence[str]) -> Floats:
    """A member's contributions in log-odds, shape (n_rows, n_themes)."""
    place = {theme: position for position, theme in enumerate(themes)}
    theme = np.array([place[_THEME_OF[name]] for name in member.columns])
    final = member.model[-1]
    seen = member.model[:-1].transform(rows[list(member.columns)].to_numpy(np.float64))
    if isinstance(final, LogisticRegression):
        one_hot = np.eye(len(themes))[theme]
        return np.asarray((seen * final.coef_[0]) @ one_hot)
    found = np.zeros((len(rows), len(themes)))
    if hasattr(final, "_predictors"):
        for (tree,) in final._predictors:
            found += _boosted(tree.nodes, seen, theme, len(themes))
        return found
    estimators = getattr(final, "estimators_", [final])
    if not all(hasattr(tree, "tree_") for tree in estimators):
        raise BadInput(
            f"Expected a linear model, boosted trees or trees, found {type(final).__name__}: say in "
            "include/models/value/reasons.py how its prediction comes about."
        )
    trees = [tree.tree_ for tree in estimators]
    as_stored = seen.astype(np.float32)
    for tree in trees:
        paths = _paths(
            tree.children_left,
            tree.children_right,
            tree.feature,
            tree.value[:, 0, 1],
            theme,
            len(themes),
        )
        found += paths[tree.apply(as_stored)]
    found /= len(trees)
    base = float(np.mean([tree.value[0, 0, 1] for tree in trees]))
    return found * _to_log_odds(found.sum(axis=1), base)[:, None]


def _to_log_odds(shift: Floats, base: float) -> Floats:
    """What a shift of a probability is worth in log-odds, as a factor."""
    small = np.abs(shift) < 1e-9
    ahead = logit(base + np.where(small, 0.0, shift)) - logit(np.array(base))
    return np.where(small, 1 / (base * (1 - base)), ahead / np.where(small, 1.0, shift))


def _paths(
    left: Ints,
    right: Ints,
    asked: Ints,
    value: Floats,
    theme: Ints,
    count: int,
) -> Floats:
    """For each node, what each theme added on the way to it; a parent stands before its children."""
    paths = np.zeros((len(value), count))
    for node in np.flatnonzero(left > 0):
        for child in (left[node], right[node]):
            paths[child] = paths[node]
            paths[child, theme[asked[node]]] += value[child] - value[node]
    return paths


def _boosted(nodes: Any, seen: Floats, theme: Ints, count: int) -> Floats:
    """The contributions of one boosted tree, whose inner nodes hold no value of their own."""
    leaf = nodes["is_leaf"].astype(bool)
    left = np.where(leaf, 0, nodes["left"]).astype(np.int64)
    right = np.where(leaf, 0, nodes["right"]).astype(np.int64)
    asked = nodes["feature_idx"].astype(np.int64)
    value, weight = nodes["value"].astype(np.float64), nodes["count"].astype(np.float64)
    for node in np.flatnonzero(~leaf)[::-1]:
        value[node] = np.average(
            value[[left[node], right[node]]], weights=weight[[left[node], right[node]]]
        )
    paths = _paths(left, right, asked, value, theme, count)
    at = np.zeros(len(seen), dtype=np.int64)
    while not leaf[at].all():
        goes_left = seen[np.arange(len(seen)), asked[at]] <= nodes["num_threshold"][at]
        at = np.where(leaf[at], at, np.where(goes_left, left[at], right[at]))
    return paths[at]

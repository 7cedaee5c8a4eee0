"""Several models whose predictions are weighted together, learnt so that nobody judges his own rows.

Stacked generalisation (Wolpert 1992) with non-negative weights (Breiman 1996): each member predicts the
customers it has not seen, the weights are fitted to those predictions, and the members are then fitted
once more on everybody. Folds are of whole customers, since one customer stands in the training rows once
for each cut-off day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize
from sklearn.base import clone

Array = npt.NDArray[np.float64]

#: Probabilities are kept this far from 0 and 1 before a logit is taken.
EDGE = 1e-4


def folds(customers: pd.Series, count: int) -> npt.NDArray[np.int64]:
    """The fold of each row: customers are dealt out in turn, in the order of their first rows."""
    position, _ = pd.factorize(customers)
    return np.asarray(position % count, dtype=np.int64)


def logit(probability: Array) -> Array:
    """Log-odds, with probabilities kept off 0 and 1."""
    kept = np.clip(probability, EDGE, 1 - EDGE)
    return np.log(kept / (1 - kept))


@dataclass(frozen=True)
class Fitted:
    """Models fitted on every row, and what each says of rows that it has not seen.

    Attributes
    ----------
    models : dict of name to the model fitted on every row
    unseen : dict of name to an array of shape (n_rows,), predictions by models of the other folds
    """

    models: dict[str, Any]
    unseen: dict[str, Array]


def cross_fit(
    members: Mapping[str, Any],
    rows: pd.DataFrame,
    truth: Array,
    customers: pd.Series,
    fold_count: int = 3,
) -> Fitted:
    """Fit every member once on all rows and once without each fold of customers.

    Parameters
    ----------
    members
        Unfitted scikit-learn classifiers or regressors by name.
    rows : DataFrame of shape (n_rows, n_features)
    truth : array of shape (n_rows,)
    customers : Series of shape (n_rows,), whose row each one is
    """
    fold = folds(customers, fold_count)
    unseen = {name: np.zeros(len(rows)) for name in members}
    for part in np.unique(fold):
        out = fold == part
        for name, member in members.items():
            model = _fitted(member, rows[~out], truth[~out])
            unseen[name][out] = _predicted(model, rows[out])
    return Fitted({name: _fitted(member, rows, truth) for name, member in members.items()}, unseen)


class ProbabilityBlend:
    """P(y = 1) from several classifiers: 1 / (1 + exp(-(c + sum of w_k logit p_k))).

    With one member this is Platt's calibration (1999) on rows the member has not seen.

    Attributes
    ----------
    members_ : dict of member to its classifier
    weights_ : dict of member to weight, each at least 0
    intercept_ : float
    unseen_ : array of shape (n_rows,), predictions of the training rows by models without them
    """

    members_: dict[str, Any]
    weights_: dict[str, float]
    intercept_: float
    unseen_: Array

    def fit(self, fitted: Fitted, truth: Array, names: Sequence[str]) -> Self:
        """Weigh the named members; `truth` holds 0 and 1, shape (n_rows,)."""
        logits = np.column_stack([logit(fitted.unseen[name]) for name in names])
        self.intercept_, weights = _log_loss_weights(logits, truth)
        self.weights_ = dict(zip(names, (float(w) for w in weights), strict=True))
        self.unseen_ = _sigmoid(self.intercept_ + logits @ weights)
        self.members_ = {name: fitted.models[name] for name in names}
        return self

    def predict(self, rows: pd.DataFrame) -> Array:
        """P(y = 1) of each row, shape (n_rows,)."""
        total = np.full(len(rows), self.intercept_)
        for name, weight in self.weights_.items():
            if weight > 0:
                total += weight * logit(_predicted(self.members_[name], rows))
        return _sigmoid(total)

    def state(self) -> dict[str, Any]:
        """What `from_state` needs; members without weight are left out."""
        return {
            "intercept": self.intercept_,
            "weights": {k: w for k, w in self.weights_.items() if w > 0},
            "members": {k: m for k, m in self.members_.items() if self.weights_[k] > 0},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted blend that `state` described."""
        blend = cls()
        blend.intercept_ = float(state["intercept"])
        blend.weights_ = dict(state["weights"])
        blend.members_ = dict(state["members"])
        return blend


class AmountBlend:
    """An amount from several regressors: sum of w_k m_k, then scaled to the total seen in training.

    Attributes as in `ProbabilityBlend`; the weights minimise the absolute error, which is what a spend
    forecast is judged by, and `scale_` takes the bias out again.
    """

    members_: dict[str, Any]
    weights_: dict[str, float]
    scale_: float
    unseen_: Array

    def fit(self, fitted: Fitted, truth: Array) -> Self:
        """Weigh every member; `truth` is an amount of 0 or more, shape (n_rows,)."""
        stacked = np.column_stack([np.maximum(seen, 0) for seen in fitted.unseen.values()])
        weights = _absolute_error_weights(stacked, truth)
        self.weights_ = dict(zip(fitted.unseen, (float(w) for w in weights), strict=True))
        mixed = stacked @ weights
        self.scale_ = float(truth.sum() / mixed.sum()) if mixed.sum() > 0 else 1.0
        self.unseen_ = self.scale_ * mixed
        self.members_ = dict(fitted.models)
        return self

    def predict(self, rows: pd.DataFrame) -> Array:
        """The amount of each row, 0 or more, shape (n_rows,)."""
        total = np.zeros(len(rows))
        for name, weight in self.weights_.items():
            if weight > 0:
                total += weight * np.maximum(_predicted(self.members_[name], rows), 0)
        return self.scale_ * total

    def state(self) -> dict[str, Any]:
        """What `from_state` needs; members without weight are left out."""
        return {
            "scale": self.scale_,
            "weights": {k: w for k, w in self.weights_.items() if w > 0},
            "members": {k: m for k, m in self.members_.items() if self.weights_[k] > 0},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted blend that `state` described."""
        blend = cls()
        blend.scale_ = float(state["scale"])
        blend.weights_ = dict(state["weights"])
        blend.members_ = dict(state["members"])
        return blend


def _fitted(member: Any, rows: pd.DataFrame, truth: Array) -> Any:
    return clone(member).fit(rows, truth)


def _predicted(model: Any, rows: pd.DataFrame) -> Array:
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows)[:, 1])
    return np.asarray(model.predict(rows))


def _sigmoid(value: Array) -> Array:
    return 1 / (1 + np.exp(-value))


def _log_loss_weights(logits: Array, truth: Array) -> tuple[float, Array]:
    """Intercept and non-negative weights of least log-loss."""
    n, count = logits.shape

    def loss(parameters: Array) -> tuple[float, Array]:
        score = parameters[0] + logits @ parameters[1:]
        value = np.mean(np.logaddexp(0, score) - truth * score)
        residual = (_sigmoid(score) - truth) / n
        return float(value), np.concatenate([[residual.sum()], logits.T @ residual])

    start = np.concatenate([[0.0], np.full(count, 1 / count)])
    bounds = [(None, None)] + [(0.0, None)] * count
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), found.x[1:]


def _absolute_error_weights(stacked: Array, truth: Array) -> Array:
    """Non-negative weights of least absolute error, by iteratively reweighted least squares."""
    scale = max(float(truth.mean()), 1e-9)
    weights = np.full(stacked.shape[1], 1 / stacked.shape[1])
    for _ in range(20):
        distance = np.maximum(np.abs(truth - stacked @ weights), 1e-3 * scale)
        root = 1 / np.sqrt(distance)
        weights, _ = optimize.nnls(stacked * root[:, None], truth * root)
    return np.asarray(weights)

"""Several models whose predictions are averaged, and then calibrated on customers none of them has seen.

The members of a blend count alike: on a few thousand customers learnt weights (stacked generalisation,
Wolpert 1992) follow the noise, and did worse on later periods. What is learnt is how the average has to
be stretched and shifted, from predictions of customers left out in turn. Folds are of whole customers,
since one customer stands in the training rows once for each cut-off day.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import optimize
from sklearn.base import clone

from include.features.arrays import Bools, Floats, Ints
from include.models.abreast import abreast

#: Probabilities are kept this far from 0 and 1 before a logit is taken.
EDGE = 1e-4


def folds(customers: "pd.Series[Any]", count: int) -> Ints:
    """The fold of each row: customers are dealt out in turn, in the order of their first rows."""
    position, _ = pd.factorize(customers)
    return np.asarray(position % count, dtype=np.int64)


def logit(probability: Floats) -> Floats:
    """Log-odds, with probabilities kept off 0 and 1."""
    kept = np.clip(probability, EDGE, 1 - EDGE)
    return np.log(kept / (1 - kept))


@dataclass(frozen=True)
class Member:
    """An unfitted scikit-learn model, and how it looks at the rows.

    Attributes
    ----------
    columns
        The columns it sees.
    root
        Whether it predicts the square root of an amount, which is far less skewed than the amount.
    gate
        For a two-part model (Cragg 1971): a classifier of whether there is any amount; the model then
        learns from the rows that have one, and the prediction is the product of the two.
    """

    model: Any
    columns: tuple[str, ...]
    root: bool = False
    gate: Any = None

    def fit(self, rows: pd.DataFrame, truth: Floats) -> "Member":
        """A copy of the member whose model is fitted."""
        seen, target = self._seen(rows), np.sqrt(truth) if self.root else truth
        if self.gate is None:
            return replace(self, model=clone(self.model).fit(seen, target))
        some = truth > 0
        # Where everybody has an amount there is nothing to tell apart, and the model stands alone.
        gate = clone(self.gate).fit(seen, some) if not some.all() else None
        return replace(self, model=clone(self.model).fit(seen[some], target[some]), gate=gate)

    def predict(self, rows: pd.DataFrame) -> Floats:
        """A classifier's P(y = 1), a regressor's amount; shape (n_rows,)."""
        seen = self._seen(rows)
        if hasattr(self.model, "predict_proba"):
            return np.asarray(self.model.predict_proba(seen)[:, 1])
        amount = np.asarray(self.model.predict(seen))
        amount = np.maximum(amount, 0) ** 2 if self.root else amount
        return amount if self.gate is None else amount * self.gate.predict_proba(seen)[:, 1]

    def _seen(self, rows: pd.DataFrame) -> Floats:
        return rows[list(self.columns)].to_numpy(np.float64)

    def state(self) -> dict[str, Any]:
        """What `from_state` needs."""
        return {
            "model": self.model,
            "columns": list(self.columns),
            "root": self.root,
            "gate": self.gate,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Member":
        """The fitted member that `state` described."""
        columns = tuple(state["columns"])
        return cls(state["model"], columns, bool(state["root"]), state.get("gate"))


@dataclass(frozen=True)
class Fitted:
    """Members fitted on every row, and what each says of rows that it has not seen.

    Attributes
    ----------
    members : dict of name to the member fitted on every row
    unseen : dict of name to an array of shape (n_rows,), predictions by models of the other folds
    """

    members: dict[str, Member]
    unseen: dict[str, Floats]


def cross_fit(
    members: Mapping[str, Member],
    rows: pd.DataFrame,
    truth: Floats,
    customers: "pd.Series[Any]",
    fold_count: int = 3,
    *,
    refit: bool = True,
) -> Fitted:
    """Fit every member once on all rows and once without each fold of customers.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_features)
    truth : array of shape (n_rows,)
    customers : Series of shape (n_rows,), whose row each one is
    refit
        Whether the members are fitted on all rows; otherwise there is only what they say unseen.
    """
    fold = folds(customers, fold_count)
    unseen = {name: np.zeros(len(rows)) for name in members}

    def fill(name: str, out: Bools) -> None:
        unseen[name][out] = members[name].fit(rows[~out], truth[~out]).predict(rows[out])

    whole = list(members) if refit else []
    work: list[Callable[[], Any]] = [partial(members[name].fit, rows, truth) for name in whole]
    work += [partial(fill, name, fold == part) for part in np.unique(fold) for name in members]
    return Fitted(dict(zip(whole, abreast(work), strict=False)), unseen)


class ProbabilityBlend:
    """P(y = 1) from several classifiers: 1 / (1 + exp(-(c + s * mean of their logits))).

    c and s are Platt's calibration (1999), learnt on customers that the members have not seen.

    Attributes
    ----------
    members_ : dict of name to fitted member
    intercept_, slope_ : float
    unseen_ : array of shape (n_rows,), predictions of the training rows by models without them
    """

    members_: dict[str, Member]
    intercept_: float
    slope_: float
    unseen_: Floats

    def fit(self, fitted: Fitted, truth: Floats, names: Sequence[str]) -> Self:
        """Average and calibrate the named members; `truth` holds 0 and 1, shape (n_rows,)."""
        mean = np.mean([logit(fitted.unseen[name]) for name in names], axis=0)
        self.intercept_, self.slope_ = _platt(mean, truth)
        self.unseen_ = sigmoid(self.intercept_ + self.slope_ * mean)
        self.members_ = {name: fitted.members[name] for name in names}
        return self

    def predict(self, rows: pd.DataFrame) -> Floats:
        """P(y = 1) of each row, shape (n_rows,)."""
        logits = [logit(member.predict(rows)) for member in self.members_.values()]
        return sigmoid(self.intercept_ + self.slope_ * np.mean(logits, axis=0))

    def state(self) -> dict[str, Any]:
        """What `from_state` needs."""
        return {
            "intercept": self.intercept_,
            "slope": self.slope_,
            "members": {name: member.state() for name, member in self.members_.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted blend that `state` described."""
        blend = cls()
        blend.intercept_, blend.slope_ = float(state["intercept"]), float(state["slope"])
        blend.members_ = _members(state)
        return blend


class AmountBlend:
    """An amount from several regressors: their mean, scaled to the total seen in training.

    Attributes as in `ProbabilityBlend`; `scale_` takes out the bias of members that predict a median or
    a square root.
    """

    members_: dict[str, Member]
    scale_: float
    unseen_: Floats

    def fit(self, fitted: Fitted, truth: Floats) -> Self:
        """Average and scale every member; `truth` is an amount of 0 or more, shape (n_rows,)."""
        mean = np.mean([np.maximum(seen, 0) for seen in fitted.unseen.values()], axis=0)
        self.scale_ = float(truth.sum() / mean.sum()) if mean.sum() > 0 else 1.0
        self.unseen_ = self.scale_ * mean
        self.members_ = dict(fitted.members)
        return self

    def predict(self, rows: pd.DataFrame) -> Floats:
        """The amount of each row, 0 or more, shape (n_rows,)."""
        amounts = [np.maximum(member.predict(rows), 0) for member in self.members_.values()]
        return np.asarray(self.scale_ * np.mean(amounts, axis=0))

    def state(self) -> dict[str, Any]:
        """What `from_state` needs."""
        return {
            "scale": self.scale_,
            "members": {name: member.state() for name, member in self.members_.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted blend that `state` described."""
        blend = cls()
        blend.scale_ = float(state["scale"])
        blend.members_ = _members(state)
        return blend


def _members(state: Mapping[str, Any]) -> dict[str, Member]:
    return {name: Member.from_state(part) for name, part in state["members"].items()}


def sigmoid(value: Floats) -> Floats:
    """The probability of log-odds."""
    return np.asarray(1 / (1 + np.exp(-value)))


def _platt(score: Floats, truth: Floats) -> tuple[float, float]:
    """Intercept and slope (0 or more) of least log-loss."""

    def loss(parameters: Floats) -> tuple[float, Floats]:
        fitted = parameters[0] + parameters[1] * score
        residual = (sigmoid(fitted) - truth) / len(truth)
        value = np.mean(np.logaddexp(0, fitted) - truth * fitted)
        return float(value), np.array([residual.sum(), residual @ score])

    found = optimize.minimize(
        loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[(None, None), (0.0, None)]
    )
    return float(found.x[0]), float(found.x[1])

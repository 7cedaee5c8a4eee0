"""What each customer will be worth: one model object for a business day, learnt from past cut-off days.

Training rows are panels (`include.features.panels`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.errors import BadInput
from include.features import customers as features
from include.features.arrays import Bools, Floats
from include.features.panels import (
    CHURN_DAYS,
    MINIMUM_POSITIVES,
    check,
    high_value,
)
from include.models.blend import AmountBlend, Member, ProbabilityBlend, cross_fit
from include.models.value import algorithms as recipes
from include.models.value import reasons
from include.models.value.algorithms import Tuning
from include.models.value.buy_till_you_die import BuyTillYouDie

#: Half of the customers that an interval may miss lie below it, half above.
INTERVAL_TAIL = 0.1

#: What a customer of the next tenth counts in a tenth's correction of the interval, one of the tenth after
#: that the square of it: a tenth alone is few customers, and its correction would follow the noise.
INTERVAL_NEAR = 0.3


@dataclass(frozen=True)
class Settings:
    """What decides a value model besides its data."""

    horizon_days: int = 91
    high_value_share: float = 0.2
    seed: int = 20170101
    leave_out: tuple[str, ...] = ()
    tuning: Tuning = field(default_factory=Tuning)

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        return asdict(self) | {
            "leave_out": list(self.leave_out),
            "tuning": self.tuning.as_dict(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """The settings that `as_dict` described."""
        return cls(
            **dict(stored)
            | {
                "leave_out": tuple(stored["leave_out"]),
                "tuning": Tuning.from_dict(stored["tuning"]),
            }
        )

    @property
    def names(self) -> list[str]:
        """The features in the order of the models' columns."""
        return [name for name in features.NAMES if name not in self.leave_out]

    @property
    def weeks(self) -> float:
        """The horizon in weeks."""
        return self.horizon_days / 7


class ValueModel:
    """Everything that is predicted of a customer from one set of features.

    Parameters
    ----------
    settings
        What decides the model besides its data.
    algorithm
        How "high value" is classified: one of `recipes.ALGORITHMS`.

    Attributes
    ----------
    high_, churn_ : ProbabilityBlend
    spend_ : AmountBlend
    quantiles_ : dict of `low` and `high` to the fitted member
    next_order_ : Member
    orders_, value_of_orders_ : BuyTillYouDie
        Fitted on the newest histories, and on those of the newest matured cut, for the spend blend.
    newcomer_ : dict of prediction to its value for a customer without any order
    """

    high_: ProbabilityBlend
    churn_: ProbabilityBlend
    spend_: AmountBlend
    quantiles_: dict[str, Member]
    interval_edges_: Floats
    interval_shift_: Floats
    next_order_: Member
    orders_: BuyTillYouDie
    value_of_orders_: BuyTillYouDie
    newcomer_: dict[str, float]

    def __init__(self, settings: Settings, algorithm: str = "blend") -> None:
        self.settings = settings
        self.algorithm = algorithm

    # One thread: sums then do not depend on how many cores a machine has, and threads that wait by
    # spinning would slow the other tasks that share few cores.
    @threadpool_limits.wrap(limits=1)
    def fit(self, matured: pd.DataFrame, recent: pd.DataFrame) -> Self:
        """Learn from the past.

        Parameters
        ----------
        matured
            Panel whose cuts lie at least the horizon back.
        recent
            Panel whose cuts lie at least `CHURN_DAYS` back, for churn and the next order.

        Raises
        ------
        BadInput
            When the rows are too few, of one class, or without any spend.
        """
        self.fit_high_value(matured)
        self.fit_spend(matured)
        self.fit_recent(recent)
        self._fit_newcomers(matured)
        return self

    @threadpool_limits.wrap(limits=1)
    def fit_high_value(self, matured: pd.DataFrame) -> Self:
        """Learn P(high value) alone.

        Raises
        ------
        BadInput
            When the rows are too few, of one class, or without any spend.
        """
        self.high_ = blends(self.settings, matured, [self.algorithm])[self.algorithm]
        return self

    @threadpool_limits.wrap(limits=1)
    def predict_high_value(self, known: pd.DataFrame) -> Floats:
        """P(high value in the horizon) of customers with at least one order."""
        return self.high_.predict(matrix(known, self.settings))

    @threadpool_limits.wrap(limits=1)
    def predict(self, known: pd.DataFrame) -> pd.DataFrame:
        """Every prediction for each row of `features.customer_features`.

        A customer without any order gets what customers with one order only turned out to be worth on
        average: the models have seen nobody like them.

        Returns
        -------
        DataFrame with the index of `known`: p_high_value, predicted_value, predicted_value_low,
        predicted_value_high, predicted_orders, p_alive, churn_probability, next_order_days
        """
        value, low, high = self.predict_spend(known)
        churn, next_order = self.predict_recent(known)
        found = pd.DataFrame(
            {
                "p_high_value": self.predict_high_value(known),
                "predicted_value": value,
                "predicted_value_low": low,
                "predicted_value_high": high,
                "predicted_orders": self.orders_.orders(known, self.settings.weeks),
                "p_alive": self.orders_.alive(known),
                "churn_probability": churn,
                "next_order_days": next_order,
            },
            index=known.index,
        )
        without = _without_order(known)
        for name, value_of_newcomer in self.newcomer_.items():
            found.loc[without, name] = value_of_newcomer
        return found

    def explained(self, matured: pd.DataFrame) -> dict[str, Any]:
        """How P(high value) comes about, as JSON can hold it.

        Parameters
        ----------
        matured
            The panel that the model was fitted on.

        Returns
        -------
        dict with the members, the calibration, the `importance` of each theme, and what each member tells
        of itself, such as the `coefficients` of the logistic regression and the `rules` of the tree
        """
        rows = matrix(matured, self.settings)
        found: dict[str, Any] = {
            "members": list(self.high_.members_),
            "calibration": [round(self.high_.intercept_, 5), round(self.high_.slope_, 5)],
            "importance": reasons.importance(self.high_, rows),
        }
        labels, customers = (
            high_value(matured, self.settings.high_value_share),
            matured["customer_id"],
        )
        for name, member in self.high_.members_.items():
            found |= recipes.CLASSIFIERS[name].explain(member, rows, labels, customers)
        return found

    def reasons(self, known: pd.DataFrame, currency: str) -> pd.DataFrame:
        """Why customers stand where they stand: reason_1 to reason_3, the strongest first."""
        found = reasons.by_theme(self.high_, matrix(known, self.settings))
        words = reasons.sentences(found, known, currency)
        without = _without_order(known)
        words.loc[without, :] = None
        words.loc[without, "reason_1"] = "no order yet: valued like customers who ordered once"
        return words

    @threadpool_limits.wrap(limits=1)
    def fit_spend(self, matured: pd.DataFrame) -> Self:
        """Learn the amount alone, and quantiles that hold for customers the model has not seen.

        Conformalised quantile regression (Romano, Patterson and Candes 2019): the quantiles are moved
        outward or inward until as many unseen customers fall inside as is said, with a correction of
        its own for each tenth of customers by predicted value, in which near tenths have a part.

        Raises
        ------
        BadInput
            When the rows are too few, of one class, or without any spend.
        """
        check(matured, self.settings.horizon_days, self.settings.high_value_share)
        newest = matured[matured["cut"] == matured["cut"].max()]
        self.value_of_orders_ = BuyTillYouDie().fit(newest)
        rows, customers = self._spend_rows(matured), matured["customer_id"]
        spend = matured["spend"].to_numpy(np.float64)
        seed = self.settings.seed
        self.spend_ = AmountBlend().fit(
            cross_fit(recipes.spend_members(self.settings.names, seed), rows, spend, customers),
            spend,
        )
        sides = {
            "low": recipes.quantile_member(self.settings.names, seed, INTERVAL_TAIL),
            "high": recipes.quantile_member(self.settings.names, seed, 1 - INTERVAL_TAIL),
        }
        fitted = cross_fit(sides, rows, spend, customers)
        root = np.sqrt(spend)
        # How far outside the truth lies, on whichever side: below 0 within. One quantile for both sides,
        # since nobody can spend less than nothing and a lower end of 0 is never missed.
        outside = np.maximum(
            np.sqrt(fitted.unseen["low"]) - root, root - np.sqrt(fitted.unseen["high"])
        )
        value = self.spend_.unseen_
        self.interval_edges_ = np.quantile(value, np.linspace(0.1, 0.9, 9))
        tenth = np.searchsorted(self.interval_edges_, value)
        self.interval_shift_ = np.array(
            [
                _quantile(outside, INTERVAL_NEAR ** np.abs(tenth - place), 1 - 2 * INTERVAL_TAIL)
                for place in range(10)
            ]
        )
        self.quantiles_ = dict(fitted.members)
        return self

    @threadpool_limits.wrap(limits=1)
    def predict_spend(self, known: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
        """Expected spend in the horizon, and the ends of its 80% interval."""
        rows = self._spend_rows(known)
        value = self.spend_.predict(rows)
        return (value, *self._interval(rows, value))

    def _spend_rows(self, known: pd.DataFrame) -> pd.DataFrame:
        spend = self.value_of_orders_.spend(known, self.settings.weeks)
        return matrix(known, self.settings).assign(**{recipes.BUY_TILL_YOU_DIE: np.sqrt(spend)})

    def _interval(self, rows: pd.DataFrame, value: Floats) -> tuple[Floats, Floats]:
        tenth = np.searchsorted(self.interval_edges_, value)
        low = np.sqrt(self.quantiles_["low"].predict(rows)) - self.interval_shift_[tenth]
        high = np.sqrt(self.quantiles_["high"].predict(rows)) + self.interval_shift_[tenth]
        low, high = np.maximum(low, 0) ** 2, np.maximum(high, 0) ** 2
        return np.minimum(low, value), np.maximum(high, value)

    @threadpool_limits.wrap(limits=1)
    def fit_recent(self, recent: pd.DataFrame) -> Self:
        """Learn churn, the next order and the rate of orders alone.

        Raises
        ------
        BadInput
            When everybody bought within `CHURN_DAYS`, or nobody.
        """
        rows, customers = matrix(recent, self.settings), recent["customer_id"]
        days = recent["days_to_next_order"].to_numpy(np.float64)
        gone = (~(days <= CHURN_DAYS)).astype(np.float64)
        if len(np.unique(gone)) < 2:
            raise BadInput(
                f"Expected customers who bought within {CHURN_DAYS} days and customers who did not, found "
                "one kind only: check the orders after the cut-off days; the present champion stays."
            )
        members = recipes.churn_classifiers(self.settings.names, self.settings.seed)
        fitted = cross_fit(members, rows, gone, customers)
        self.churn_ = ProbabilityBlend().fit(fitted, gone, list(members))
        capped = np.where(days <= CHURN_DAYS, days, CHURN_DAYS)
        active = (recent["recency_days"] < CHURN_DAYS).to_numpy()
        self.next_order_ = recipes.next_order_member(self.settings.names, self.settings.seed).fit(
            rows[active], capped[active]
        )
        newest = recent[recent["cut"] == recent["cut"].max()]
        self.orders_ = BuyTillYouDie().fit(newest)
        return self

    @threadpool_limits.wrap(limits=1)
    def predict_recent(self, known: pd.DataFrame) -> tuple[Floats, Floats]:
        """(P(no purchase within `CHURN_DAYS`), days to the next order) of customers with an order."""
        rows = matrix(known, self.settings)
        return self.churn_.predict(rows), np.clip(self.next_order_.predict(rows), 1, CHURN_DAYS)

    def _fit_newcomers(self, matured: pd.DataFrame) -> None:
        once = matured[matured["orders_total"] == 1]
        seen = once if len(once) >= MINIMUM_POSITIVES else matured
        spend = seen["spend"].to_numpy(np.float64)
        labels = high_value(matured, self.settings.high_value_share)[seen.index.to_numpy()]
        days = seen["days_to_next_order"].to_numpy(np.float64)
        low, high = np.quantile(spend, [INTERVAL_TAIL, 1 - INTERVAL_TAIL])
        mean = float(spend.mean())
        self.newcomer_ = {
            "p_high_value": float((labels.sum() + 0.5) / (len(labels) + 1)),
            "predicted_value": mean,
            "predicted_value_low": min(float(low), mean),
            "predicted_value_high": max(float(high), mean),
            "predicted_orders": float(seen["order_days"].mean()),
            "p_alive": 1.0,
            "churn_probability": float(np.mean(~(days <= CHURN_DAYS))),
            "next_order_days": float(CHURN_DAYS),
        }

    def state(self) -> dict[str, Any]:
        """The fitted model as plain values, arrays and scikit-learn estimators."""
        return {
            "settings": self.settings.as_dict(),
            "algorithm": self.algorithm,
            "high": self.high_.state(),
            "churn": self.churn_.state(),
            "spend": self.spend_.state(),
            "quantiles": {side: member.state() for side, member in self.quantiles_.items()},
            "interval_edges": self.interval_edges_,
            "interval_shift": self.interval_shift_,
            "next_order": self.next_order_.state(),
            "orders": self.orders_.state(),
            "value_of_orders": self.value_of_orders_.state(),
            "newcomer": self.newcomer_,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted model that `state` described."""
        model = cls(Settings.from_dict(state["settings"]), state["algorithm"])
        model.high_ = ProbabilityBlend.from_state(state["high"])
        model.churn_ = ProbabilityBlend.from_state(state["churn"])
        model.spend_ = AmountBlend.from_state(state["spend"])
        model.quantiles_ = {s: Member.from_state(part) for s, part in state["quantiles"].items()}
        model.interval_edges_ = np.asarray(state["interval_edges"])
        model.interval_shift_ = np.asarray(state["interval_shift"])
        model.next_order_ = Member.from_state(state["next_order"])
        model.orders_ = BuyTillYouDie.from_state(state["orders"])
        model.value_of_orders_ = BuyTillYouDie.from_state(state["value_of_orders"])
        model.newcomer_ = dict(state["newcomer"])
        return model


def matrix(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """What the members see: the features, and the roots of the decayed rates of spend."""
    return features.matrix(rows, settings.leave_out).join(features.roots(rows))


def _without_order(known: pd.DataFrame) -> Bools:
    return ~(features.numbers(known["orders_total"]) > 0)


def _quantile(values: Floats, weights: Floats, quantile: float) -> float:
    """The smallest value that so large a share of the weights lies at or below."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    place = min(int(np.searchsorted(reached, quantile)), len(values) - 1)
    return float(values[order][place])


def blends(
    settings: Settings, past: pd.DataFrame, algorithms: Sequence[str]
) -> dict[str, ProbabilityBlend]:
    """Each algorithm of "high value" on the same rows; a classifier that several use is fitted once.

    Raises
    ------
    BadInput
        When the rows are too few, of one class, or without any spend.
    """
    check(past, settings.horizon_days, settings.high_value_share)
    wanted = dict.fromkeys(m for algorithm in algorithms for m in recipes.members_of(algorithm))
    every = recipes.classifiers(settings.names, settings.seed, settings.tuning)
    labels = high_value(past, settings.high_value_share)
    fitted = cross_fit(
        {name: every[name] for name in wanted}, matrix(past, settings), labels, past["customer_id"]
    )
    return {
        algorithm: ProbabilityBlend().fit(fitted, labels, recipes.members_of(algorithm))
        for algorithm in algorithms
    }

"""What each customer will be worth: one model object for a business day, learnt from past cut-off days.

A *panel* is a frame with one row per cut-off day and customer: the features known at the end of the cut
(`features.customer_features`) and what happened after it (`spend`, `spend_4w`, `orders`, `order_days`,
`days_to_next_order`). Its rows must have matured: the days after the cut lie before the day of training.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.errors import BadInput
from include.features import customers as features
from include.models import evaluate, reasons, recipes
from include.models.blend import AmountBlend, Member, ProbabilityBlend, cross_fit
from include.models.lifetime import BetaGeo

Array = npt.NDArray[np.float64]

#: The naive rule every model is compared with: what a customer spent in the last 13 weeks.
BASELINE = "sales_13w"

#: Days within which a customer who buys nothing counts as churned, and the cap of the next order.
CHURN_DAYS = 28

#: Half of the customers that an interval may miss lie below it, half above.
INTERVAL_TAIL = 0.1

#: Fewer customers, or fewer of either class, than this are no training set.
MINIMUM_CUSTOMERS = 100
MINIMUM_POSITIVES = 20

#: Pull of the BG/NBD parameters toward 1: customers of a grocer hardly ever drop out, so that the
#: likelihood of a and b is flat.
LIFETIME_PENALTY = 1e-3

_OUTCOMES = ("spend", "spend_4w", "orders", "order_days", "days_to_next_order")


@dataclass(frozen=True)
class Settings:
    """What decides a value model besides its data."""

    horizon_days: int = 91
    high_value_share: float = 0.2
    seed: int = 20170101
    leave_out: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        return asdict(self) | {"leave_out": list(self.leave_out)}


#: Rows stand in the order of what customers did; their keyed pseudonyms only part equal ones.
_ROW_ORDER = ("first_order_day", "sales_total", "orders_total", "recency_days", "customer_id")


def panel(cuts: Iterable[tuple[str, pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    """Features and outcomes of several cut-off days as one frame of training rows.

    Parameters
    ----------
    cuts
        For each cut-off day: the day, the features of every customer at its end, and the outcomes of
        those customers who bought after it.

    Returns
    -------
    DataFrame with one row per cut and customer with an order by the cut, ordered by cut and then by
    what the customer did, so that no model depends on the keys by which customers are called; customers
    without an outcome bought nothing.
    """
    parts = []
    for cut, known, outcomes in cuts:
        customers = known[known["orders_total"] > 0]
        later = outcomes.set_index("customer_id").reindex(customers["customer_id"].to_numpy())
        joined = customers.assign(cut=cut).reset_index(drop=True)
        for name in _OUTCOMES:
            values = later[name].to_numpy(dtype=np.float64, na_value=np.nan)
            joined[name] = values if name == "days_to_next_order" else np.nan_to_num(values)
        parts.append(joined.sort_values(list(_ROW_ORDER), ignore_index=True))
    if not parts:
        raise BadInput(
            "Expected at least one cut-off day whose outcomes have matured, found none: the history is "
            "shorter than the horizon; wait, or shorten models.horizon_days."
        )
    return pd.concat(parts, ignore_index=True)


def high_value(rows: pd.DataFrame, share: float) -> Array:
    """1 for the top share of each cut's customers by spend in the horizon, 0 for the others."""
    labels = np.zeros(len(rows))
    for _, part in rows.groupby("cut", sort=False):
        labels[part.index] = evaluate.top_share(part["spend"].to_numpy(np.float64), share)
    return labels


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
    lifetime_ : dict of the BG/NBD parameters
    newcomer_ : dict of prediction to its value for a customer without any order
    """

    high_: ProbabilityBlend
    churn_: ProbabilityBlend
    spend_: AmountBlend
    quantiles_: dict[str, Member]
    interval_edges_: Array
    interval_shift_: Array
    next_order_: Member
    lifetime_: dict[str, float]
    newcomer_: dict[str, float]

    def __init__(self, settings: Settings, algorithm: str = "blend") -> None:
        self.settings = settings
        self.algorithm = algorithm

    @property
    def names(self) -> list[str]:
        """The features in the order of the models' columns."""
        return [name for name in features.NAMES if name not in self.settings.leave_out]

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
        self._fit_spend(matured)
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
        self.high_ = _contest(self.settings, matured, [self.algorithm])[self.algorithm]
        return self

    @threadpool_limits.wrap(limits=1)
    def predict_high_value(self, known: pd.DataFrame) -> Array:
        """P(high value in the horizon) of customers with at least one order."""
        return self.high_.predict(_matrix(known, self.settings))

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
        rows = _matrix(known, self.settings)
        value = self.spend_.predict(rows)
        low, high = self._interval(rows, value)
        orders, alive = self._orders(known)
        churn, next_order = self.predict_recent(known)
        found = pd.DataFrame(
            {
                "p_high_value": self.high_.predict(rows),
                "predicted_value": value,
                "predicted_value_low": low,
                "predicted_value_high": high,
                "predicted_orders": orders,
                "p_alive": alive,
                "churn_probability": churn,
                "next_order_days": next_order,
            },
            index=known.index,
        )
        without = _without_order(known)
        for name, value_of_newcomer in self.newcomer_.items():
            found.loc[without, name] = value_of_newcomer
        return found

    def explained(self) -> dict[str, Any]:
        """How P(high value) comes about, as JSON can hold it.

        Returns
        -------
        dict with the calibration, and, where the model holds such a member, the `coefficients` of the
        logistic regression, the `rules` of the tree and the `importances` of a forest
        """
        found: dict[str, Any] = {
            "members": list(self.high_.members_),
            "calibration": [round(self.high_.intercept_, 5), round(self.high_.slope_, 5)],
        }
        for name, member in self.high_.members_.items():
            if name == "logistic_regression":
                found["coefficients"] = _rounded(recipes.coefficients(member))
            elif name == "decision_tree":
                found["rules"] = recipes.rules(member)
            elif name in ("random_forest", "extra_trees"):
                found["importances"] = _rounded(recipes.importances(member))
        return found

    def reasons(self, known: pd.DataFrame, currency: str) -> pd.DataFrame:
        """Why customers stand where they stand: reason_1 to reason_3, the strongest first."""
        found = reasons.by_theme(self.high_, _matrix(known, self.settings))
        words = reasons.sentences(found, known, currency)
        without = _without_order(known)
        words.loc[without, :] = None
        words.loc[without, "reason_1"] = "no order yet: valued like customers who ordered once"
        return words

    def _fit_spend(self, matured: pd.DataFrame) -> None:
        """Fit the amount, and quantiles that hold for customers the model has not seen.

        Conformalised quantile regression (Romano, Patterson and Candes 2019): the quantiles are moved
        outward or inward until as many unseen customers fall inside as is said, with a correction of
        its own for each tenth of customers by predicted value.
        """
        rows, customers = _matrix(matured, self.settings), matured["customer_id"]
        spend = matured["spend"].to_numpy(np.float64)
        seed = self.settings.seed
        self.spend_ = AmountBlend().fit(
            cross_fit(recipes.spend_members(self.names, seed), rows, spend, customers), spend
        )
        sides = {
            "low": recipes.quantile_member(self.names, seed, INTERVAL_TAIL),
            "high": recipes.quantile_member(self.names, seed, 1 - INTERVAL_TAIL),
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
            [_quantile(outside[tenth == t], 1 - 2 * INTERVAL_TAIL) for t in range(10)]
        )
        self.quantiles_ = dict(fitted.members)

    def _interval(self, rows: pd.DataFrame, value: Array) -> tuple[Array, Array]:
        tenth = np.searchsorted(self.interval_edges_, value)
        low = np.sqrt(self.quantiles_["low"].predict(rows)) - self.interval_shift_[tenth]
        high = np.sqrt(self.quantiles_["high"].predict(rows)) + self.interval_shift_[tenth]
        low, high = np.maximum(low, 0) ** 2, np.maximum(high, 0) ** 2
        return np.minimum(low, value), np.maximum(high, value)

    @threadpool_limits.wrap(limits=1)
    def fit_recent(self, recent: pd.DataFrame) -> Self:
        """Learn churn, the next order and the lifetime model alone.

        Raises
        ------
        BadInput
            When everybody bought within `CHURN_DAYS`, or nobody.
        """
        rows, customers = _matrix(recent, self.settings), recent["customer_id"]
        days = recent["days_to_next_order"].to_numpy(np.float64)
        gone = (~(days <= CHURN_DAYS)).astype(np.float64)
        if len(np.unique(gone)) < 2:
            raise BadInput(
                f"Expected customers who bought within {CHURN_DAYS} days and customers who did not, found "
                "one kind only: check the orders after the cut-off days; the present champion stays."
            )
        members = recipes.churn_classifiers(self.names, self.settings.seed)
        fitted = cross_fit(members, rows, gone, customers)
        self.churn_ = ProbabilityBlend().fit(fitted, gone, list(members))
        capped = np.where(days <= CHURN_DAYS, days, CHURN_DAYS)
        active = (recent["recency_days"] < CHURN_DAYS).to_numpy()
        self.next_order_ = recipes.next_order_member(self.names, self.settings.seed).fit(
            rows[active], capped[active]
        )
        newest = recent[recent["cut"] == recent["cut"].max()]
        model = BetaGeo(penalizer=LIFETIME_PENALTY).fit(*purchase_history(newest))
        self.lifetime_ = {"r": model.r_, "alpha": model.alpha_, "a": model.a_, "b": model.b_}
        return self

    @threadpool_limits.wrap(limits=1)
    def predict_recent(self, known: pd.DataFrame) -> tuple[Array, Array]:
        """(P(no purchase within `CHURN_DAYS`), days to the next order) of customers with an order."""
        rows = _matrix(known, self.settings)
        return self.churn_.predict(rows), np.clip(self.next_order_.predict(rows), 1, CHURN_DAYS)

    def _orders(self, known: pd.DataFrame) -> tuple[Array, Array]:
        model = BetaGeo()
        model.r_, model.alpha_, model.a_, model.b_ = (
            self.lifetime_[name] for name in ("r", "alpha", "a", "b")
        )
        history = purchase_history(known)
        weeks = self.settings.horizon_days / 7
        return model.expected_purchases(weeks, *history), model.probability_alive(*history)

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
            "lifetime": self.lifetime_,
            "newcomer": self.newcomer_,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted model that `state` described."""
        settings = dict(state["settings"])
        settings["leave_out"] = tuple(settings["leave_out"])
        model = cls(Settings(**settings), state["algorithm"])
        model.high_ = ProbabilityBlend.from_state(state["high"])
        model.churn_ = ProbabilityBlend.from_state(state["churn"])
        model.spend_ = AmountBlend.from_state(state["spend"])
        model.quantiles_ = {s: Member.from_state(part) for s, part in state["quantiles"].items()}
        model.interval_edges_ = np.asarray(state["interval_edges"])
        model.interval_shift_ = np.asarray(state["interval_shift"])
        model.next_order_ = Member.from_state(state["next_order"])
        model.lifetime_ = dict(state["lifetime"])
        model.newcomer_ = dict(state["newcomer"])
        return model


def _matrix(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return features.matrix(rows, settings.leave_out).join(features.roots(rows))


def _without_order(known: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return ~(features.numbers(known["orders_total"]) > 0)


def _quantile(values: Array, quantile: float) -> float:
    """A quantile, or 0 where there is nothing to take it of."""
    return float(np.quantile(values, quantile)) if len(values) else 0.0


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(figure, 5) for name, figure in figures.items()}


def _contest(
    settings: Settings, past: pd.DataFrame, algorithms: Sequence[str]
) -> dict[str, ProbabilityBlend]:
    """Each algorithm of "high value" on the same rows; a classifier that several use is fitted once."""
    check(past, settings)
    names = [name for name in features.NAMES if name not in settings.leave_out]
    wanted = dict.fromkeys(m for algorithm in algorithms for m in recipes.members_of(algorithm))
    every = recipes.classifiers(names, settings.seed)
    labels = high_value(past, settings.high_value_share)
    fitted = cross_fit(
        {name: every[name] for name in wanted}, _matrix(past, settings), labels, past["customer_id"]
    )
    return {
        algorithm: ProbabilityBlend().fit(fitted, labels, recipes.members_of(algorithm))
        for algorithm in algorithms
    }


def check(matured: pd.DataFrame, settings: Settings) -> None:
    """Refuse training rows that no believable model can come from.

    Raises
    ------
    BadInput
        When customers are too few, nobody spent anything, or one class is all but empty.
    """
    newest = matured[matured["cut"] == matured["cut"].max()]
    if len(newest) < MINIMUM_CUSTOMERS:
        raise BadInput(
            f"Expected at least {MINIMUM_CUSTOMERS} customers with an order to learn from, found "
            f"{len(newest)}: the present champion stays."
        )
    if not (newest["spend"] > 0).any():
        raise BadInput(
            f"Expected spend in the {settings.horizon_days} days after the cut-off days, found none: check "
            "the orders; the present champion stays."
        )
    positives = int(high_value(matured, settings.high_value_share).sum())
    if not MINIMUM_POSITIVES <= positives <= len(matured) - MINIMUM_POSITIVES:
        raise BadInput(
            f"Expected at least {MINIMUM_POSITIVES} customers of high value and as many others, found "
            f"{positives} of {len(matured)}: the present champion stays."
        )


def purchase_history(known: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Frequency, recency and T in weeks, as `include.models.lifetime` means them.

    Days with an order count as purchases; a customer without any has no history, and 0 for all three.
    """
    days = known["order_days_total"].to_numpy(np.float64)
    age = np.nan_to_num(known["tenure_days"].to_numpy(dtype=np.float64, na_value=np.nan)) / 7
    since = np.nan_to_num(known["recency_days"].to_numpy(dtype=np.float64, na_value=np.nan)) / 7
    return np.maximum(days - 1, 0), np.maximum(age - since, 0), age


def judge(model: ValueModel, later: pd.DataFrame) -> dict[str, dict[str, float]]:
    """How P(high value) does on a later cut, beside the naive baseline.

    Returns
    -------
    dict of metric to {`ours`, `baseline`}; the baseline is an amount, so it has no calibration.
    """
    truth = high_value(later, model.settings.high_value_share)
    ours = model.predict_high_value(later)
    naive = later[BASELINE].to_numpy(np.float64)
    probabilities = {"ece", "brier"}
    return {
        name: {
            "ours": metric(truth, ours),
            "baseline": float("nan") if name in probabilities else metric(truth, naive),
        }
        for name, metric in evaluate.CLASSIFICATION.items()
    }


@threadpool_limits.wrap(limits=1)
def rivals(settings: Settings, past: pd.DataFrame) -> dict[str, ValueModel]:
    """Every algorithm of "high value", fitted on the same rows for a comparison.

    They can say P(high value) and nothing else.
    """
    found = {}
    for name, blend in _contest(settings, past, recipes.ALGORITHMS).items():
        found[name] = ValueModel(settings, name)
        found[name].high_ = blend
    return found


def winner(compared: Mapping[str, ValueModel], later: pd.DataFrame, standing: str = "blend") -> str:
    """The algorithm to go on with: the standing one, unless a rival is better by more than chance.

    Rivals are compared by ROC AUC on the same later customers; a rival wins where the lower end of the
    paired bootstrap interval of the difference lies above 0, the largest such difference first.
    """
    truth = high_value(later, compared[standing].settings.high_value_share)
    scores = {name: model.predict_high_value(later) for name, model in compared.items()}
    best, margin = standing, 0.0
    for name, score in scores.items():
        if name == standing:
            continue

        def gained(drawn: npt.NDArray[np.int64], score: Array = score) -> float:
            sample = truth[drawn]
            ours = evaluate.roc_auc(sample, score[drawn])
            return ours - evaluate.roc_auc(sample, scores[standing][drawn])

        low, _ = evaluate.bootstrap(gained, len(truth), seed=compared[standing].settings.seed)
        if low > margin:
            best, margin = name, low
    return best

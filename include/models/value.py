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
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.errors import BadInput
from include.features import customers as features
from include.models import evaluate
from include.models.blend import AmountBlend, ProbabilityBlend, cross_fit, folds
from include.models.lifetime import BetaGeo, GammaGamma

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


def classifiers(seed: int) -> dict[str, Any]:
    """The classifiers of "high value", unfitted, by name."""
    return {
        "logistic_regression": logistic_regression(),
        "decision_tree": make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            DecisionTreeClassifier(max_depth=4, min_samples_leaf=100, random_state=seed),
        ),
        "random_forest": make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            RandomForestClassifier(
                n_estimators=60,
                min_samples_leaf=10,
                max_features=0.2,
                max_samples=0.25,
                random_state=seed,
            ),
        ),
        "gradient_boosting": HistGradientBoostingClassifier(
            max_iter=150,
            learning_rate=0.04,
            max_leaf_nodes=8,
            min_samples_leaf=60,
            l2_regularization=20,
            max_features=0.3,
            early_stopping=False,
            random_state=seed,
        ),
    }


#: What the blend weighs together; the single tree is kept for its readable rules.
BLENDED = ("logistic_regression", "random_forest", "gradient_boosting")


def members_of(algorithm: str) -> list[str]:
    """The classifiers that an algorithm of "high value" weighs together."""
    return list(BLENDED) if algorithm == "blend" else [algorithm]


def logistic_regression(strength: float = 0.01) -> Any:
    """P = 1 / (1 + exp(-(b0 + b1 x1 + ... + bn xn))) on features standardised with the training rows."""
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=strength, max_iter=5000),
    )


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
        The classifier of "high value": a name of `classifiers`, or `blend`.

    Attributes
    ----------
    high_, churn_ : ProbabilityBlend
    spend_ : AmountBlend
    lifetime_ : dict of the BG/NBD and Gamma-Gamma parameters
    """

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
        check(matured, self.settings)
        rows, customers = self._matrix(matured), matured["customer_id"]
        labels = high_value(matured, self.settings.high_value_share)
        names = members_of(self.algorithm)
        every = classifiers(self.settings.seed)
        # The logistic regression gives the reasons, whichever algorithm gives the probability.
        wanted = {name: every[name] for name in dict.fromkeys([*names, "logistic_regression"])}
        fitted = cross_fit(wanted, rows, labels, customers)
        self.high_ = ProbabilityBlend().fit(fitted, labels, names)
        self.logistic_ = fitted.models["logistic_regression"]
        spend = matured["spend"].to_numpy(np.float64)
        self.spend_ = AmountBlend().fit(
            cross_fit(_spend_members(self.settings.seed), rows, spend, customers), spend
        )
        self._fit_interval(rows, spend, customers)
        self._fit_recent(recent)
        self._fit_lifetime(recent)
        self._fit_newcomers(matured)
        return self

    @threadpool_limits.wrap(limits=1)
    def predict_high_value(self, known: pd.DataFrame) -> Array:
        """P(high value in the horizon) of customers with at least one order."""
        return self.high_.predict(self._matrix(known))

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
        rows = self._matrix(known)
        value = self.spend_.predict(rows)
        low, high = self._interval(rows, value)
        orders, alive = self._orders(known)
        found = pd.DataFrame(
            {
                "p_high_value": self.high_.predict(rows),
                "predicted_value": value,
                "predicted_value_low": low,
                "predicted_value_high": high,
                "predicted_orders": orders,
                "p_alive": alive,
                "churn_probability": self.churn_.predict(rows),
                "next_order_days": np.clip(self.next_order_.predict(rows), 1, CHURN_DAYS),
            },
            index=known.index,
        )
        without = ~(known["orders_total"].to_numpy(dtype=np.float64, na_value=0.0) > 0)
        for name, value_of_newcomer in self.newcomer_.items():
            found.loc[without, name] = value_of_newcomer
        return found

    @property
    def names(self) -> list[str]:
        """The features in the order of the models' columns."""
        return [name for name in features.NAMES if name not in self.settings.leave_out]

    def explained(self) -> dict[str, Any]:
        """How P(high value) comes about, as JSON can hold it.

        Returns
        -------
        dict with `weights` of the members, and, where the model holds such a member, the
        `coefficients` of the logistic regression, the `rules` of the tree and the `importances` of the
        forest
        """
        members = self.high_.members_
        found: dict[str, Any] = {
            "weights": {name: round(w, 4) for name, w in self.high_.weights_.items()}
        }
        logistic = getattr(self, "logistic_", None) or members.get("logistic_regression")
        if logistic is not None:
            named = coefficients(logistic, self.names)
            found["coefficients"] = {name: round(value, 5) for name, value in named.items()}
        if "decision_tree" in members:
            found["rules"] = rules(members["decision_tree"], self.names)
        if "random_forest" in members:
            shares = members["random_forest"][-1].feature_importances_
            found["importances"] = {
                name: round(float(share), 5) for name, share in zip(self.names, shares, strict=True)
            }
        return found

    def reasons(self, known: pd.DataFrame, currency: str, count: int = 3) -> pd.DataFrame:
        """Why customers stand where they stand, in words, the strongest reason first.

        The contribution of a feature is its coefficient times how far the customer lies from the
        average training row; features of one theme are added up, since they tell much the same.

        Returns
        -------
        DataFrame with the index of `known`: reason_1, reason_2, ...
        """
        rows = self._matrix(known)
        standard = self.logistic_[:-1].transform(rows)
        parts = pd.DataFrame(
            standard * self.logistic_[-1].coef_[0], columns=self.names, index=known.index
        )
        theme_of = {feature.name: feature.theme for feature in features.FEATURES}
        by_theme = parts.T.groupby(parts.columns.map(theme_of)).sum().T
        themes = by_theme.columns.to_numpy()
        strongest = np.argsort(-by_theme.abs().to_numpy(), axis=1, kind="stable")[:, :count]
        without = ~(known["orders_total"].to_numpy(dtype=np.float64, na_value=0.0) > 0)
        found = {}
        for place in range(count):
            chosen = themes[strongest[:, place]]
            weight = by_theme.to_numpy()[np.arange(len(known)), strongest[:, place]]
            found[f"reason_{place + 1}"] = [
                _sentence(theme, w, known[features.THEMES[theme].headline].iloc[i], currency)
                for i, (theme, w) in enumerate(zip(chosen, weight, strict=True))
            ]
        words = pd.DataFrame(found, index=known.index)
        words.loc[without, :] = None
        words.loc[without, "reason_1"] = "no order yet: valued like customers who ordered once"
        return words

    def _matrix(self, rows: pd.DataFrame) -> pd.DataFrame:
        return features.matrix(rows, self.settings.leave_out)

    def _fit_interval(self, rows: pd.DataFrame, spend: Array, customers: pd.Series) -> None:
        """Quantiles of spend, widened or narrowed until unseen customers fall inside as often as said.

        Conformalised quantile regression (Romano, Patterson and Candes 2019), with one correction for
        each tenth of customers by predicted value.
        """
        unseen = {"low": np.zeros(len(rows)), "high": np.zeros(len(rows))}
        fold = folds(customers, 3)
        for part in np.unique(fold):
            out = fold == part
            for side, model in _quantile_members(self.settings.seed).items():
                model.fit(rows[~out], np.sqrt(spend[~out]))
                unseen[side][out] = model.predict(rows[out])
        root, value = np.sqrt(spend), self.spend_.unseen_
        self.interval_edges_ = np.quantile(value, np.linspace(0.1, 0.9, 9))
        tenth = np.searchsorted(self.interval_edges_, value)
        miss_low, miss_high = unseen["low"] - root, root - unseen["high"]
        self.interval_shift_ = np.array(
            [
                [np.quantile(miss[tenth == t], 1 - INTERVAL_TAIL) for t in range(10)]
                for miss in (miss_low, miss_high)
            ]
        )
        self.quantiles_ = {
            side: model.fit(rows, root)
            for side, model in _quantile_members(self.settings.seed).items()
        }

    def _interval(self, rows: pd.DataFrame, value: Array) -> tuple[Array, Array]:
        tenth = np.searchsorted(self.interval_edges_, value)
        low = self.quantiles_["low"].predict(rows) - self.interval_shift_[0][tenth]
        high = self.quantiles_["high"].predict(rows) + self.interval_shift_[1][tenth]
        low, high = np.maximum(low, 0) ** 2, np.maximum(high, 0) ** 2
        return np.minimum(low, value), np.maximum(high, value)

    def _fit_recent(self, recent: pd.DataFrame) -> None:
        rows, customers = self._matrix(recent), recent["customer_id"]
        days = recent["days_to_next_order"].to_numpy(np.float64)
        gone = (~(days <= CHURN_DAYS)).astype(np.float64)
        if len(np.unique(gone)) < 2:
            raise BadInput(
                f"Expected customers who bought within {CHURN_DAYS} days and customers who did not, found "
                "one kind only: check the orders after the cut-off days."
            )
        members = _churn_members(self.settings.seed)
        fitted = cross_fit(members, rows, gone, customers)
        self.churn_ = ProbabilityBlend().fit(fitted, gone, list(members))
        capped = np.where(days <= CHURN_DAYS, days, CHURN_DAYS)
        active = (recent["recency_days"] < CHURN_DAYS).to_numpy()
        self.next_order_ = HistGradientBoostingRegressor(
            loss="absolute_error",
            max_iter=120,
            learning_rate=0.05,
            max_leaf_nodes=8,
            min_samples_leaf=60,
            early_stopping=False,
            random_state=self.settings.seed,
        ).fit(rows[active], capped[active])

    def _fit_lifetime(self, recent: pd.DataFrame) -> None:
        newest = recent[recent["cut"] == recent["cut"].max()]
        x, t_x, age = purchase_history(newest)
        model = BetaGeo(penalizer=1e-3).fit(x, t_x, age)
        value = newest["sales_total"].to_numpy(np.float64) / newest["order_days_total"].to_numpy(
            np.float64
        )
        money = GammaGamma(penalizer=1e-3).fit(x, value)
        self.lifetime_ = {
            name: getattr(fitted, name + "_")
            for fitted, names in ((model, ("r", "alpha", "a", "b")), (money, ("p", "q", "v")))
            for name in names
        }

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
            "logistic": self.logistic_,
            "high": self.high_.state(),
            "churn": self.churn_.state(),
            "spend": self.spend_.state(),
            "quantiles": self.quantiles_,
            "interval_edges": self.interval_edges_,
            "interval_shift": self.interval_shift_,
            "next_order": self.next_order_,
            "lifetime": self.lifetime_,
            "newcomer": self.newcomer_,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted model that `state` described."""
        settings = dict(state["settings"])
        settings["leave_out"] = tuple(settings["leave_out"])
        model = cls(Settings(**settings), state["algorithm"])
        model.logistic_ = state["logistic"]
        model.high_ = ProbabilityBlend.from_state(state["high"])
        model.churn_ = ProbabilityBlend.from_state(state["churn"])
        model.spend_ = AmountBlend.from_state(state["spend"])
        model.quantiles_ = dict(state["quantiles"])
        model.interval_edges_ = np.asarray(state["interval_edges"])
        model.interval_shift_ = np.asarray(state["interval_shift"])
        model.next_order_ = state["next_order"]
        model.lifetime_ = dict(state["lifetime"])
        model.newcomer_ = dict(state["newcomer"])
        return model


def _sentence(theme: str, weight: float, value: Any, currency: str) -> str:
    number = float("nan") if pd.isna(value) else float(value)
    direction = "raises" if weight > 0 else "lowers"
    return f"{features.wording(theme, number, currency)}: {direction} the expected value"


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


def _spend_members(seed: int) -> dict[str, Any]:
    shape = {
        "max_iter": 150,
        "learning_rate": 0.04,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 60,
        "l2_regularization": 10,
        "max_features": 0.3,
        "early_stopping": False,
        "random_state": seed,
    }
    return {
        "mean": HistGradientBoostingRegressor(loss="poisson", **shape),
        "median": HistGradientBoostingRegressor(loss="absolute_error", **shape),
    }


def _quantile_members(seed: int) -> dict[str, Any]:
    return {
        side: HistGradientBoostingRegressor(
            loss="quantile",
            quantile=quantile,
            max_iter=100,
            learning_rate=0.06,
            max_leaf_nodes=6,
            min_samples_leaf=80,
            early_stopping=False,
            random_state=seed,
        )
        for side, quantile in (("low", INTERVAL_TAIL), ("high", 1 - INTERVAL_TAIL))
    }


def _churn_members(seed: int) -> dict[str, Any]:
    every = classifiers(seed)
    return {name: every[name] for name in ("logistic_regression", "gradient_boosting")}


def coefficients(model: Any, names: Sequence[str]) -> dict[str, float]:
    """The named coefficients of a fitted `logistic_regression`, on standardised features.

    Returns
    -------
    dict of `intercept` and each feature's name to its coefficient
    """
    final = model[-1]
    return {"intercept": float(final.intercept_[0])} | {
        name: float(value) for name, value in zip(names, final.coef_[0], strict=True)
    }


def rules(model: Any, names: Sequence[str]) -> list[str]:
    """A fitted decision tree as one sentence a leaf, in the units of the features, the best leaf first."""
    tree = model[-1].tree_
    logged = {feature.name for feature in features.FEATURES if feature.logged}
    leaves: list[tuple[float, str]] = []

    def walk(node: int, conditions: list[str]) -> None:
        if tree.children_left[node] < 0:
            share = float(tree.value[node][0][1])
            text = " and ".join(conditions) or "always"
            leaves.append((share, f"{text}: {share:.0%} of {tree.n_node_samples[node]:,} rows"))
            return
        name = names[tree.feature[node]]
        line = float(tree.threshold[node])
        shown = f"{np.expm1(line) if name in logged else line:,.4g}"
        walk(tree.children_left[node], [*conditions, f"{name} <= {shown}"])
        walk(tree.children_right[node], [*conditions, f"{name} > {shown}"])

    walk(0, [])
    return [text for _, text in sorted(leaves, key=lambda leaf: -leaf[0])]


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
    """Every algorithm of "high value", fitted on the same rows for a comparison; `blend` comes first.

    They can say P(high value) and nothing else.
    """
    check(past, settings)
    every = classifiers(settings.seed)
    labels = high_value(past, settings.high_value_share)
    found = {name: ValueModel(settings, name) for name in ("blend", *every)}
    rows = features.matrix(past, settings.leave_out)
    fitted = cross_fit(every, rows, labels, past["customer_id"])
    for name, model in found.items():
        model.high_ = ProbabilityBlend().fit(fitted, labels, members_of(name))
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

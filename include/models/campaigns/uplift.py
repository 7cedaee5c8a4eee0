"""What being sent a campaign adds to a customer's margin, learnt from our own control groups alone.

Rows are people whom chance put into a campaign's treated or control arm, with what was known of them when it
was decided and the margin they left afterwards. Nothing else is learnt from: who was chosen by a rule differs
from who was not in ways that no model can take out again.

The estimate is an X-learner (Kuenzel, Sekhon, Bickel and Yu 2019), which suits small control groups: outcomes
are fitted in each arm, each person's effect is filled in with the other arm's fit, effects are fitted in each
arm, and the two fits are weighted by the chance of treatment. Spend is skewed and effects are small, so every
fit is a ridge regression. Where ranking people by it was not better than chance on later decisions, everybody
gets the campaign's mean effect.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.errors import BadInput
from include.features.arrays import Bools, Floats, Ints
from include.models import evaluate
from include.models.campaigns import lift

#: What is known of a customer when a campaign is decided: columns of features.customer_features. Amounts and
#: counts enter on a log scale.
FEATURES = (
    "recency_days",
    "tenure_days",
    "orders_13w",
    "sales_13w",
    "sales_4w",
    "basket_mean_26w",
    "products_13w",
    "coupon_discount_share_13w",
    "redemptions_total",
)

#: Fewer people in an arm teach nothing about who gains more than others, nor much about the mean.
MINIMUM_ARM = 300

#: Blocks of days of decision; people are ranked by what was learnt from the other blocks, and that is judged.
BLOCKS = 3


@dataclass(frozen=True)
class Settings:
    """What decides an uplift model besides its data: the ridge penalty on standardised columns."""

    penalty: float = 100.0
    seed: int = 20170101

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        return asdict(self)


def matrix(rows: pd.DataFrame) -> Floats:
    """The rows as the model sees them, shape (n_rows, n_features); what is missing counts as nothing."""
    values = rows[list(FEATURES)].astype(float).to_numpy(dtype=np.float64)
    return np.log1p(np.maximum(np.nan_to_num(values), 0.0))


class XLearner:
    """The effect of a treatment that chance gave, for each row.

    Attributes
    ----------
    treated_, control_
        The fitted models of the effect, from the people of each arm.
    """

    treated_: Any
    control_: Any

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    @threadpool_limits.wrap(limits=1)
    def fit(self, known: Floats, outcome: Floats, treated: Bools) -> Self:
        """Learn from people of both arms.

        Parameters
        ----------
        known : array of shape (n_people, n_features)
        outcome : array of shape (n_people,)
        treated : array of shape (n_people,)
        """
        arms = {True: treated, False: ~treated}
        level = {
            arm: _regression(self.settings).fit(known[rows], outcome[rows])
            for arm, rows in arms.items()
        }
        filled_treated = outcome[treated] - level[False].predict(known[treated])
        filled_control = level[True].predict(known[~treated]) - outcome[~treated]
        self.treated_ = _regression(self.settings).fit(known[treated], filled_treated)
        self.control_ = _regression(self.settings).fit(known[~treated], filled_control)
        return self

    @threadpool_limits.wrap(limits=1)
    def predict(self, known: Floats, chance: float) -> Floats:
        """The effect on each row, shape (n_rows,); `chance` is that of treatment."""
        from_control, from_treated = self.control_.predict(known), self.treated_.predict(known)
        # The larger the treated arm, the better its fit of outcomes, which the control's effects rest on.
        return np.asarray(chance * from_control + (1 - chance) * from_treated)


def _regression(settings: Settings) -> Any:
    return make_pipeline(StandardScaler(), Ridge(alpha=settings.penalty))


@dataclass(frozen=True)
class CampaignUplift:
    """What a campaign adds to the margin of those it is sent to.

    Attributes
    ----------
    mean
        Mean effect a person, sharpened by what they spent before.
    chance
        Mean chance of treatment.
    learner
        Who gains more than others; None where that could not be told.
    """

    mean: float
    chance: float
    learner: XLearner | None

    def predict(self, rows: pd.DataFrame) -> Floats:
        """The effect on each row, shape (n_rows,)."""
        if self.learner is None:
            return np.full(len(rows), self.mean)
        return self.learner.predict(matrix(rows), self.chance)


@dataclass
class UpliftModel:
    """The uplift of every campaign with large enough arms."""

    settings: Settings = field(default_factory=Settings)
    campaigns_: dict[str, CampaignUplift] = field(default_factory=dict)
    judged_: dict[str, dict[str, float]] = field(default_factory=dict)

    def fit(self, outcomes: pd.DataFrame) -> Self:
        """Learn from what became of people whom chance decided about.

        Parameters
        ----------
        outcomes
            customer_id, campaign, decided_on, is_treated, propensity, spend_before, margin_after and
            `FEATURES` as of the day of the decision; the outcome window has passed.

        Raises
        ------
        BadInput
            When no campaign has large enough arms.
        """
        self.campaigns_, self.judged_ = {}, {}
        for name, every in outcomes.groupby("campaign", sort=True):
            # Who is reached again may depend on what the first message did.
            part = every.sort_values(["decided_on", "customer_id"]).drop_duplicates("customer_id")
            if _smaller_arm(part) < MINIMUM_ARM:
                continue
            found = _fitted(part, self.settings)
            self.campaigns_[str(name)], self.judged_[str(name)] = found
        if not self.campaigns_:
            raise BadInput(
                f"Expected a campaign with at least {MINIMUM_ARM} people treated and as many in control, "
                "their outcomes matured, found none: gains stay assumptions of the policy (observational)."
            )
        return self

    def predict(self, rows: pd.DataFrame) -> dict[str, pd.Series]:
        """For each campaign with a model, the gain in margin of being sent it, by customer_id."""
        return {
            name: pd.Series(model.predict(rows), index=rows["customer_id"].astype("str"))
            for name, model in self.campaigns_.items()
        }

    def state(self) -> dict[str, Any]:
        """The fitted model as plain values, arrays and scikit-learn estimators."""
        campaigns = {
            name: {
                "mean": model.mean,
                "chance": model.chance,
                "learner": None
                if model.learner is None
                else {"treated": model.learner.treated_, "control": model.learner.control_},
            }
            for name, model in self.campaigns_.items()
        }
        return {"settings": self.settings.as_dict(), "campaigns": campaigns}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted model that `state` described."""
        settings = Settings(**state["settings"])
        found = cls(settings)
        for name, kept in state["campaigns"].items():
            learner = None
            if kept["learner"] is not None:
                learner = XLearner(settings)
                learner.treated_ = kept["learner"]["treated"]
                learner.control_ = kept["learner"]["control"]
            found.campaigns_[name] = CampaignUplift(kept["mean"], kept["chance"], learner)
        return found


def _fitted(part: pd.DataFrame, settings: Settings) -> tuple[CampaignUplift, dict[str, float]]:
    """A campaign's model, and how ranking people by it does on days that it did not learn from."""
    treated, chance = _arms(part)
    margin = part["margin_after"].to_numpy(dtype=np.float64)
    before = part["spend_before"].to_numpy(dtype=np.float64)
    mean = lift.effect(margin, treated, chance, before).estimate
    judged = {"qini": float("nan"), "qini_low": float("nan"), "mean": mean}
    blocks = _blocks(part["decided_on"])
    others = [part[blocks != number] for number in range(BLOCKS)]
    if all(_smaller_arm(other) >= MINIMUM_ARM / 2 for other in others):
        score, anyway = np.zeros(len(part)), np.zeros(len(part))
        for number, other in enumerate(others):
            inside = blocks == number
            known = matrix(part[inside])
            score[inside] = _learner(other, settings).predict(known, float(chance.mean()))
            # What people would have spent anyway is noise here; what was known of them takes much of it out.
            fit = _regression(settings).fit(matrix(other), other["margin_after"])
            anyway[inside] = fit.predict(known)
        judged |= _judge(margin - anyway, treated, chance, score, settings.seed)
    is_better = judged["qini_low"] > 0
    learner = _learner(part, settings) if is_better else None
    return CampaignUplift(mean, float(chance.mean()), learner), judged


def _blocks(days: pd.Series) -> Ints:
    """The block of consecutive days that each day lies in, as equal in people as whole days allow."""
    names, counts = np.unique(pd.to_datetime(days).to_numpy(), return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    block = np.minimum((middle / counts.sum() * BLOCKS).astype(np.int64), BLOCKS - 1)
    return np.asarray(block[np.searchsorted(names, pd.to_datetime(days).to_numpy())])


def _learner(part: pd.DataFrame, settings: Settings) -> XLearner:
    treated, _ = _arms(part)
    outcome = part["margin_after"].to_numpy(dtype=np.float64)
    return XLearner(settings).fit(matrix(part), outcome, treated)


def _arms(part: pd.DataFrame) -> tuple[Bools, Floats]:
    return (
        part["is_treated"].to_numpy(dtype=bool),
        part["propensity"].to_numpy(dtype=np.float64),
    )


def _smaller_arm(part: pd.DataFrame) -> int:
    treated = int(part["is_treated"].sum())
    return min(treated, len(part) - treated)


def _judge(
    outcome: Floats, treated: Bools, chance: Floats, score: Floats, seed: int
) -> dict[str, float]:
    def of(rows: Ints) -> float:
        return qini(outcome[rows], treated[rows], chance[rows], score[rows])

    low, _ = evaluate.bootstrap(of, len(outcome), seed=seed)
    return {"qini": of(np.arange(len(outcome))), "qini_low": low}


def qini(outcome: Floats, treated: Bools, chance: Floats, score: Floats) -> float:
    """How much more is gained a person by treating in the order of a score than in any order.

    The area between the curve of what treating the first share of people gains (outcomes weighted by the
    inverse of the chance of the arm they are in) and the straight line to what treating all of them does
    (Radcliffe 2007), divided by the number of people; 0 for a score that tells nothing.

    Parameters
    ----------
    outcome, treated, chance, score : arrays of shape (n_people,)
    """
    order = np.argsort(-score, kind="stable")
    signed = np.where(treated, 1 / chance, -1 / (1 - chance))[order]
    # Centred: the level of outcomes, which is large beside the effect, would only add noise.
    gained = np.cumsum(signed * (outcome[order] - outcome.mean()))
    count = len(outcome)
    line = gained[-1] * np.arange(1, count + 1) / count
    return float((gained - line).sum() / count**2)

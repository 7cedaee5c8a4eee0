"""Who redeems a coupon: the chance that a customer who is sent a campaign redeems a coupon of it.

Rows are those of `queries/training/campaign_exposures.sql`: one per campaign and customer it was sent to,
with what was known before the campaign's first day. Columns that end in `hl28` or `hl91` are sums in which
a day counts half after 28 or 91 days.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import optimize
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.errors import BadInput
from include.features.arrays import Floats
from include.models import evaluate
from include.models.blend import logit

#: Fewer exposures, or fewer of either outcome, than this are no training set.
MINIMUM_EXPOSURES = 200
MINIMUM_POSITIVES = 20

#: The smoothed past rate adds this many campaigns redeemed at the rate of all: the strength that gives
#: the best ROC AUC on the campaigns that the settings were chosen on.
SMOOTHING_CAMPAIGNS = 10

#: Half-lives, in days, of the sums in the rows.
_HALF_LIVES = (28, 91)


@dataclass(frozen=True)
class Settings:
    """What decides a redemption model besides its data.

    Attributes
    ----------
    strength
        Inverse of the ridge penalty, as scikit-learn's C. Chosen, like the features, on campaigns that
        started before 2017-08-01: logistic regression was ahead of forests, boosting, splines, kernels and
        a blend of them; there are too few campaigns to learn more shape from.
    """

    strength: float = 0.01

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        return asdict(self)


def matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as the model sees them: rates on a log scale, shares and log-odds, without gaps.

    A sum over a half-life is divided by what a customer who counts 1 every day would have reached since the
    shop's first day, so that early campaigns, with little history behind them, compare with later ones.
    """
    seen = {
        name: rows[name].to_numpy(dtype=np.float64)
        for name in rows.columns
        if name.endswith(tuple(f"hl{days}" for days in _HALF_LIVES))
    }
    history = rows["history_days"].to_numpy(dtype=np.float64)
    full = {days: 1 - 0.5 ** (np.maximum(history, 1) / days) for days in _HALF_LIVES}
    rate = {name: value / full[int(name[-2:])] for name, value in seen.items()}
    redeemed = rows["campaigns_redeemed"].to_numpy(dtype=np.float64)
    expected = rows["campaigns_expected"].to_numpy(dtype=np.float64)
    found: dict[str, Floats] = {
        "past_redemption_ratio": np.log((redeemed + 0.3) / (expected + 0.3)),
        "past_redemptions_expected": np.log1p(expected),
        "type_redemption_rate": logit(rows["type_rate"].to_numpy(dtype=np.float64)),
        "coupons": np.log(np.maximum(rows["coupons"].to_numpy(dtype=np.float64), 1)),
        "products": np.log(np.maximum(rows["products"].to_numpy(dtype=np.float64), 1)),
        "coupon_line_share": rate["coupon_lines_hl91"] / (rate["purchases_hl91"] + 5),
        "coupon_day_share": rate["coupon_days_hl91"] / (rate["days_hl91"] + 2),
        "fit_share": seen["fit_hl91"] / (seen["purchases_hl91"] + 5),
        "same_coupons_redeemed": np.log1p(rows["same_coupons_redeemed"].to_numpy(np.float64)),
        "order_recency": _freshness(rows["days_since_order"], 7),
        "coupon_recency": _freshness(rows["days_since_coupon"], 30),
        "has_demographics": rows["has_demographics"].to_numpy(dtype=np.float64),
    }
    for name in sorted(seen):
        found[name] = np.log1p(rate[name])
    return pd.DataFrame(found, index=rows.index)


def _freshness(days: pd.Series, scale: float) -> Floats:
    """1 for today, a half after `scale` days, 0 for never."""
    known = days.to_numpy(dtype=np.float64, na_value=np.inf)
    return 1 / (1 + known / scale)


def past_rate(rows: pd.DataFrame) -> Floats:
    """The baseline: of the campaigns sent to the customer before, the share redeemed; 0 without any."""
    sent = rows["campaigns_sent"].to_numpy(dtype=np.float64)
    redeemed = rows["campaigns_redeemed"].to_numpy(dtype=np.float64)
    return redeemed / np.maximum(sent, 1)


def smoothed_rate(rows: pd.DataFrame, rate: float) -> Floats:
    """The past rate, drawn to the rate of all customers as if they had redeemed at it ten times before."""
    sent = rows["campaigns_sent"].to_numpy(dtype=np.float64)
    redeemed = rows["campaigns_redeemed"].to_numpy(dtype=np.float64)
    return (redeemed + SMOOTHING_CAMPAIGNS * rate) / (sent + SMOOTHING_CAMPAIGNS)


class RedemptionModel:
    """P(the customer redeems a coupon of the campaign), by logistic regression.

    P = 1 / (1 + exp(-(b0 + b1 x1 + ... + bn xn))) on the columns of `matrix`, standardised with the training
    rows, with a ridge penalty.

    Attributes
    ----------
    model_
        The fitted pipeline.
    rate_
        Share of training rows that were redeemed.
    """

    model_: Any
    rate_: float

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    @threadpool_limits.wrap(limits=1)
    def fit(self, ended: pd.DataFrame) -> Self:
        """Learn from campaigns that have ended.

        Parameters
        ----------
        ended
            Rows whose campaign's last day has passed, with `is_redeemed`.

        Raises
        ------
        BadInput
            When the rows are too few, or of one outcome.
        """
        truth = ended["is_redeemed"].to_numpy(dtype=np.float64)
        positives = int(truth.sum())
        few = len(ended) < MINIMUM_EXPOSURES
        if few or not MINIMUM_POSITIVES <= positives <= len(ended) - MINIMUM_POSITIVES:
            raise BadInput(
                f"Expected at least {MINIMUM_EXPOSURES} exposures to campaigns that have ended, at least "
                f"{MINIMUM_POSITIVES} of them redeemed and as many not, found {len(ended)} with {positives} "
                "redeemed: the assumed chances of the policy go on serving."
            )
        self.rate_ = float(truth.mean())
        self.model_ = make_pipeline(
            StandardScaler(), LogisticRegression(C=self.settings.strength, max_iter=5000)
        ).fit(matrix(ended), truth)
        return self

    @threadpool_limits.wrap(limits=1)
    def predict(self, rows: pd.DataFrame) -> Floats:
        """P(redeemed) of each row, shape (n_rows,)."""
        return np.asarray(self.model_.predict_proba(matrix(rows))[:, 1])

    def explained(self) -> dict[str, Any]:
        """The coefficients on standardised features, by name, as JSON can hold them."""
        final = self.model_[-1]
        names = self.model_[0].feature_names_in_
        named = {
            name: round(float(value), 5) for name, value in zip(names, final.coef_[0], strict=True)
        }
        return {"coefficients": {"intercept": round(float(final.intercept_[0]), 5)} | named}

    def state(self) -> dict[str, Any]:
        """The fitted model as plain values, arrays and scikit-learn estimators."""
        return {"settings": self.settings.as_dict(), "model": self.model_, "rate": self.rate_}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted model that `state` described."""
        model = cls(Settings(**state["settings"]))
        model.model_ = state["model"]
        model.rate_ = float(state["rate"])
        return model


def judge(model: RedemptionModel, later: pd.DataFrame) -> dict[str, dict[str, float]]:
    """How the model does on later campaigns, beside the smoothed past rate.

    Returns
    -------
    dict of metric to {`ours`, `baseline`}
    """
    truth = later["is_redeemed"].to_numpy(dtype=np.float64)
    ours, past = model.predict(later), smoothed_rate(later, model.rate_)
    return {
        name: {"ours": metric(truth, ours), "baseline": metric(truth, past)}
        for name, metric in METRICS.items()
    }


METRICS: Mapping[str, evaluate.Metric] = {
    "roc_auc": evaluate.roc_auc,
    "average_precision": evaluate.pr_auc,
    "lift_top_decile": evaluate.lift_top_decile,
    "ece": evaluate.ece,
}


def moved_to(chances: Floats, mean: float) -> Floats:
    """The same order of customers at another level: every log-odds shifted alike until the mean is `mean`.

    The shop's own campaigns tell who redeems more readily than others; how many redeem is a matter of the
    offer, so its level comes from the offer's own history or from what the policy assumes of it.

    Parameters
    ----------
    chances : array of shape (n_customers,), probabilities
    mean
        The wanted mean, between 0 and 1.

    Raises
    ------
    BadInput
        When `mean` is not between 0 and 1.
    """
    if not 0 < mean < 1:
        raise BadInput(f"Expected a chance between 0 and 1 to move to, found {mean}.")
    if not len(chances):
        return chances
    odds = logit(chances)

    def gap(shift: float) -> float:
        return float(np.mean(_sigmoid(odds + shift)) - mean)

    shift = optimize.brentq(gap, -40.0, 40.0, xtol=1e-10)
    return _sigmoid(odds + shift)


def level_of(redeemed: int, sent: int, assumed: float, weight: float = 50.0) -> float:
    """An offer's redemption rate: what was seen, drawn to what is assumed as if seen `weight` times."""
    return (redeemed + weight * assumed) / (sent + weight)


def _sigmoid(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-value)))

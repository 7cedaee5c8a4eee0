"""What a campaign changed: treated against control, by intention to treat, in money, with an interval.

Everybody whom chance put into the treated or the control arm counts in that arm, whatever became of the
message. The estimate is the difference of the arms' means, made sharper by what people spent before (CUPED:
Deng, Xu, Kohavi and Walker 2013).

Control groups are small and spend is skewed: most people of a win-back campaign buy nothing, a few buy a lot.
The usual interval with a variance of its own for each arm then calls one campaign without any effect in ten
a success, because a control group that happens to hold no large spender has both a low mean and a low
variance. Here variance and skewness are those of both arms together, and the interval's ends are moved for
skewness (as Johnson 1978 does for one mean). `benchmarks/measure.py` shows how often they hold.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from include.features.arrays import Bools, Floats

#: Confidence of every interval, and the chance with which the minimum detectable effect would be found.
LEVEL, POWER = 0.95, 0.8

#: With fewer people in an arm no interval is believable, and none is given.
MINIMUM_ARM = 30

#: A split as odd as this or odder means that assignment or records went wrong (as usual in the field:
#: Fabijan and others 2019 use limits between 0.0005 and 0.01).
ODD_SPLIT = 0.001

#: Skewness below this changes no digit of an interval.
_STRAIGHT = 1e-6

#: What the row over all campaigns is called; no campaign of a policy can have a blank in its name.
OVERALL = "all campaigns"


@dataclass(frozen=True)
class Effect:
    """Treated minus control, per person.

    Attributes
    ----------
    estimate, low, high
        The effect and its interval; NaN for the interval where an arm is too small.
    p_value
        Of no effect, two-sided, by the same distribution as the interval.
    minimum_detectable
        The smallest effect that this many people would have shown with chance `POWER`.
    variance_explained
        Share of the variance that the covariate took away.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    minimum_detectable: float
    variance_explained: float


def effect(
    outcome: Floats, treated: Bools, propensity: Floats, before: Floats | None = None
) -> Effect:
    """The average effect of treatment on an outcome.

    Parameters
    ----------
    outcome : array of shape (n_people,)
    treated : array of shape (n_people,)
    propensity : array of shape (n_people,)
        The chance with which each person was put into the treated arm, between 0 and 1; where it differs,
        people are weighted by the inverse of the chance of the arm they are in (Hajek 1971).
    before : array of shape (n_people,), optional
        The covariate, known before assignment.
    """
    arms = (_weights(propensity, treated), _weights(1 - propensity, ~treated))
    if not (treated.any() and (~treated).any()):
        return Effect(*[float("nan")] * 6)
    spread = _centred(outcome, arms)
    slope = 0.0
    if before is not None:
        moved = _centred(before, arms)
        total = float(moved @ moved)
        slope = float(moved @ spread) / total if total > 0 else 0.0
    adjusted = outcome if before is None else outcome - slope * (before - before.mean())
    estimate = float(arms[0] @ adjusted - arms[1] @ adjusted)
    residual = spread if before is None else spread - slope * moved
    raw = float(spread @ spread)
    explained = 1 - float(residual @ residual) / raw if raw > 0 else 0.0
    freedom = len(outcome) - 2 - (before is not None)
    smallest = min(int(treated.sum()), int((~treated).sum()))
    if smallest < MINIMUM_ARM or freedom < 1:
        nothing = float("nan")
        return Effect(estimate, nothing, nothing, nothing, nothing, explained)
    variance = float(residual @ residual) / freedom
    error = float(np.sqrt(variance * sum(float(w @ w) for w in arms)))
    if error == 0:
        return Effect(estimate, estimate, estimate, float(estimate == 0), 0.0, explained)
    cubes = float((arms[0] ** 3).sum() - (arms[1] ** 3).sum())
    skewness = float(np.mean(residual**3)) * cubes / error**3
    point = float(stats.t.ppf((1 + LEVEL) / 2, freedom))
    low = estimate - _stretched(point, skewness) * error
    high = estimate - _stretched(-point, skewness) * error
    score = _relaxed(estimate / error, skewness)
    return Effect(
        estimate=estimate,
        low=low,
        high=high,
        p_value=float(2 * stats.t.sf(abs(score), freedom)),
        minimum_detectable=float((point + stats.t.ppf(POWER, freedom)) * error),
        variance_explained=explained,
    )


def _weights(chance: Floats, arm: Bools) -> Floats:
    """Weights of one arm's people that add up to 1; 0 for everybody else."""
    raw = np.where(arm, 1 / np.clip(chance, 1e-9, None), 0.0)
    total = raw.sum()
    return np.asarray(raw / total if total > 0 else raw)


def _centred(values: Floats, arms: Iterable[Floats]) -> Floats:
    """Values minus the mean of the arm they are in."""
    found = values.astype(np.float64)
    for weights in arms:
        found = found - np.where(weights > 0, weights @ values, 0.0)
    return found


def _stretched(point: float, skewness: float) -> float:
    """The quantile of a standardised sum with some skewness, from that of the normal distribution.

    By the gamma distribution of that skewness (Pearson's type III): right to the first order, as Cornish
    and Fisher's correction is, and without turning back where the skewness is large.
    """
    if abs(skewness) < _STRAIGHT:
        return point
    return float(stats.pearson3.ppf(stats.norm.cdf(point), skewness))


def _relaxed(value: float, skewness: float) -> float:
    """The inverse of `_stretched`."""
    if abs(skewness) < _STRAIGHT:
        return value
    below = float(stats.pearson3.cdf(value, skewness))
    above = float(stats.pearson3.sf(value, skewness))
    return float(stats.norm.ppf(below) if below < above else stats.norm.isf(above))


def odd_split(treated: Bools, propensity: Floats) -> float:
    """Sample-ratio mismatch: the p-value of as odd a split as this under the propensities."""
    expected = float(propensity.sum())
    if np.ptp(propensity) < 1e-12:
        return float(stats.binomtest(int(treated.sum()), len(treated), propensity[0]).pvalue)
    spread = float(np.sqrt((propensity * (1 - propensity)).sum()))
    return float(2 * stats.norm.sf(abs(treated.sum() - expected) / spread)) if spread else 1.0


#: What `summarise` returns, one row per campaign and one over all.
COLUMNS = [
    "campaign",
    "decided_from",
    "decided_until",
    "people_treated",
    "people_control",
    "control_share",
    "sends",
    "redemptions",
    "redemption_rate",
    "bounces",
    "opt_outs",
    "complaints",
    "discounts_given",
    "revenue_treated",
    "revenue_control",
    "margin_treated",
    "margin_control",
    "lift",
    "lift_low",
    "lift_high",
    "lift_unadjusted",
    "lift_unadjusted_low",
    "lift_unadjusted_high",
    "p_value",
    "minimum_detectable_effect",
    "variance_explained",
    "margin_lift",
    "margin_lift_low",
    "margin_lift_high",
    "incremental_revenue",
    "incremental_margin",
    "cost_expected",
    "cost",
    "return_on_cost",
    "sample_ratio_p",
    "verdict",
]


def summarise(outcomes: pd.DataFrame, currency: str) -> pd.DataFrame:
    """The result of every campaign, and of all of them together.

    A person counts once in a campaign, from the first time that chance decided about them in it: who is
    reached again may depend on what the first message did. Over all campaigns a person counts from the
    very first one, so that what they spent before is untouched by any of them.

    Parameters
    ----------
    outcomes
        One row per customer, campaign and period that chance decided about and whose outcome window has
        passed: customer_id, campaign, decided_on, is_treated, propensity, is_sent, is_redeemed,
        is_bounced, is_opted_out, is_complained, discount_given, cost_expected, cost, spend_before,
        spend_after, margin_after.
    currency
        For the verdict's words.

    Returns
    -------
    DataFrame of `COLUMNS`: the row over all campaigns first, then the campaigns by name
    """
    if outcomes.empty:
        return pd.DataFrame(columns=COLUMNS)
    ordered = outcomes.sort_values(["decided_on", "campaign", "customer_id"], kind="stable")
    parts: list[tuple[str, pd.DataFrame]] = [(OVERALL, ordered)]
    parts += [(str(name), part) for name, part in ordered.groupby("campaign", sort=True)]
    return pd.DataFrame([_row(name, part, currency) for name, part in parts], columns=COLUMNS)


def _row(name: str, every: pd.DataFrame, currency: str) -> dict[str, Any]:
    part = every.drop_duplicates("customer_id", keep="first")
    treated = part["is_treated"].to_numpy(dtype=bool)
    chance = part["propensity"].to_numpy(dtype=np.float64)
    before = part["spend_before"].to_numpy(dtype=np.float64)
    revenue = part["spend_after"].to_numpy(dtype=np.float64)
    margin = part["margin_after"].to_numpy(dtype=np.float64)
    plain = effect(revenue, treated, chance)
    sharp = effect(revenue, treated, chance, before)
    earned = effect(margin, treated, chance, before)
    split = odd_split(treated, chance)
    sends = int(every["is_sent"].sum())
    redeemed = int(every["is_redeemed"].sum())
    reached = every["is_treated"].to_numpy(dtype=bool)
    expected, cost = (
        float(every[name].to_numpy(dtype=np.float64)[reached].sum())
        for name in ("cost_expected", "cost")
    )
    people = int(treated.sum())
    first_cost = float(part["cost"].to_numpy(dtype=np.float64)[treated].sum())
    gained = earned.estimate * people
    return {
        "campaign": name,
        "decided_from": every["decided_on"].min(),
        "decided_until": every["decided_on"].max(),
        "people_treated": people,
        "people_control": int((~treated).sum()),
        "control_share": float(1 - chance.mean()),
        "sends": sends,
        "redemptions": redeemed,
        "redemption_rate": redeemed / sends if sends else float("nan"),
        "bounces": int(every["is_bounced"].sum()),
        "opt_outs": _people(every, "is_opted_out"),
        "complaints": _people(every, "is_complained"),
        "discounts_given": float(every["discount_given"].to_numpy(dtype=np.float64).sum()),
        "revenue_treated": _mean(revenue[treated]),
        "revenue_control": _mean(revenue[~treated]),
        "margin_treated": _mean(margin[treated]),
        "margin_control": _mean(margin[~treated]),
        "lift": sharp.estimate,
        "lift_low": sharp.low,
        "lift_high": sharp.high,
        "lift_unadjusted": plain.estimate,
        "lift_unadjusted_low": plain.low,
        "lift_unadjusted_high": plain.high,
        "p_value": sharp.p_value,
        "minimum_detectable_effect": sharp.minimum_detectable,
        "variance_explained": sharp.variance_explained,
        "margin_lift": earned.estimate,
        "margin_lift_low": earned.low,
        "margin_lift_high": earned.high,
        "incremental_revenue": sharp.estimate * people,
        "incremental_margin": gained,
        "cost_expected": expected,
        "cost": cost,
        "return_on_cost": gained / first_cost - 1 if first_cost > 0 else float("nan"),
        "sample_ratio_p": split,
        "verdict": verdict(sharp, split, people, int((~treated).sum()), currency),
    }


def _people(every: pd.DataFrame, flag: str) -> int:
    """How many different people a flag stands at."""
    return int(every.loc[every[flag].astype(bool), "customer_id"].nunique())


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def verdict(found: Effect, split: float, treated: int, control: int, currency: str) -> str:
    """The result in one sentence, for people who decide on it."""
    if split < ODD_SPLIT:
        return (
            f"not to be trusted: {treated:,} treated and {control:,} in control is not the split that was "
            "drawn; look for lost records before reading the lift"
        )
    if np.isnan(found.low):
        fewer = "in control" if control <= treated else "treated"
        least = min(treated, control)
        people = "person" if least == 1 else "people"
        return f"too early to tell: {least:,} {people} {fewer}, at least {MINIMUM_ARM} needed"
    ends = f"{found.low:,.2f} to {found.high:,.2f}"
    if found.low > 0:
        return f"earns {found.estimate:,.2f} {currency} of revenue a person more ({ends})"
    if found.high < 0:
        return f"earns {-found.estimate:,.2f} {currency} of revenue a person less ({ends})"
    return (
        f"no effect seen ({ends} {currency} a person); one of {found.minimum_detectable:,.2f} or more would "
        "probably have been"
    )

"""Which algorithm to go on with, and whether a new model may take the champion's place.

Every comparison is on customers of a later cut whose outcomes have matured, which none of the compared has
learnt from. Rules:

* a model that the naive rule beats by more than `WORSE_THAN_NAIVE` never serves;
* the same recipe on newer data is promoted unless its lead over the naive rule has shrunk by more than
  `SHRUNK_LEAD`: two cuts differ in how hard they are, the lead much less;
* another recipe is promoted only where it is better than the champion on the same customers by more than
  chance, by a paired bootstrap of ROC AUC. A champion older than `TOO_OLD_DAYS`, which no run can fit anew,
  gives way to a recipe that is not worse by more than `SHRUNK_LEAD`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.features.panels import BASELINE, high_value
from include.models import evaluate
from include.models.value import algorithms
from include.models.value.model import Settings, ValueModel, blends

Array = npt.NDArray[np.float64]

WORSE_THAN_NAIVE = 0.005
SHRUNK_LEAD = 0.01
TOO_OLD_DAYS = 91

#: Predictions that agree to this are those of one recipe, whatever its code says.
SAME = 1e-6

Figures = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Verdict:
    """Whether the new model serves, and why in one sentence."""

    promoted: bool
    because: str

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON can hold it."""
        return asdict(self)


@threadpool_limits.wrap(limits=1)
def rivals(settings: Settings, past: pd.DataFrame) -> dict[str, ValueModel]:
    """Every algorithm of "high value", fitted on the same rows for a comparison.

    They can say P(high value) and nothing else.
    """
    found = {}
    for name, blend in blends(settings, past, algorithms.ALGORITHMS).items():
        found[name] = ValueModel(settings, name)
        found[name].high_ = blend
    return found


def judge(model: ValueModel, later: pd.DataFrame) -> dict[str, dict[str, float]]:
    """How P(high value) does on a later cut, beside the naive baseline.

    Returns
    -------
    dict of metric to {`ours`, `baseline`}; the baseline is an amount, so it has no calibration.
    """
    truth = high_value(later, model.settings.high_value_share)
    ours = model.predict_high_value(later)
    naive = later[BASELINE].to_numpy(np.float64)
    return {
        name: {
            "ours": metric(truth, ours),
            "baseline": float("nan") if name in evaluate.PROBABILITY else metric(truth, naive),
        }
        for name, metric in evaluate.CLASSIFICATION.items()
    }


def winner(compared: Mapping[str, ValueModel], later: pd.DataFrame, standing: str = "blend") -> str:
    """The algorithm to go on with: the standing one, unless a rival is better by more than chance.

    Rivals are compared by ROC AUC on the same later customers; a rival wins where the lower end of the
    paired bootstrap interval of the difference lies above 0, the largest such difference first.
    """
    settings = compared[standing].settings
    truth = high_value(later, settings.high_value_share)
    names = [name for name in compared if name != standing]
    scores = [compared[name].predict_high_value(later) for name in names]
    ours = compared[standing].predict_high_value(later)
    low, _ = evaluate.bootstrap_many(
        lambda drawn: _gains(truth[drawn], ours[drawn], [score[drawn] for score in scores]),
        len(truth),
        seed=settings.seed,
    )
    best = int(np.argmax(low))
    return names[best] if low[best] > 0 else standing


def _gains(truth: Array, standing: Array, scores: list[Array]) -> Array:
    """How much higher each score's ROC AUC is than the standing one's."""
    reached = evaluate.roc_auc(truth, standing)
    return np.array([evaluate.roc_auc(truth, score) - reached for score in scores])


def first(figures: Figures) -> Verdict:
    """Of a model that has no champion before it, or one that answered another question."""
    refused = _beaten(figures)
    return refused or Verdict(True, "there was no champion for what is asked")


def renewal(figures: Figures, before: Figures) -> Verdict:
    """Of the champion's own recipe on newer data.

    Parameters
    ----------
    figures, before
        What `judge` said of the new fit and of the champion, each on its own judge day.
    """
    refused = _beaten(figures)
    if refused:
        return refused
    now, then = _lead(figures), _lead(before)
    if now < then - SHRUNK_LEAD:
        return Verdict(
            False,
            f"the same recipe on newer data leads the naive rule by {now:+.4f} ROC AUC, the champion did by "
            f"{then:+.4f}: worse by more than {SHRUNK_LEAD}",
        )
    return Verdict(
        True,
        f"the same recipe on newer data leads the naive rule by {now:+.4f} ROC AUC, {then:+.4f} before",
    )


def challenge(
    figures: Figures, truth: Array, ours: Array, champion: Array, *, age_days: int, seed: int
) -> Verdict:
    """Of another recipe, on the customers that the champion was judged on.

    Parameters
    ----------
    figures
        What `judge` said of the new model on the newest judge day.
    truth, ours, champion : arrays of shape (n_customers,)
        Labels, and what the challenger and the champion say of the same customers, neither of which has
        learnt from the days of the labels.
    age_days
        Days since the champion's anchor day.
    """
    refused = _beaten(figures)
    if refused:
        return refused
    if np.abs(ours - champion).max() <= SAME:
        return Verdict(True, "the recipe says the same as the champion's, on newer data")
    low, high = evaluate.bootstrap(
        lambda drawn: float(_gains(truth[drawn], champion[drawn], [ours[drawn]])[0]),
        len(truth),
        seed=seed,
    )
    difference = float(_gains(truth, champion, [ours])[0])
    found = (
        f"another recipe: ROC AUC {difference:+.4f} beside the champion on {len(truth):,} customers, "
        f"95% interval {low:+.4f} to {high:+.4f}"
    )
    if low > 0:
        return Verdict(True, f"{found}: better by more than chance")
    if age_days > TOO_OLD_DAYS and difference >= -SHRUNK_LEAD:
        return Verdict(True, f"{found}: not worse, and the champion is {age_days} days old")
    return Verdict(False, f"{found}: not better by more than chance")


def _beaten(figures: Figures) -> Verdict | None:
    lead = _lead(figures)
    if lead >= -WORSE_THAN_NAIVE:
        return None
    return Verdict(
        False, f"the naive rule is better by {-lead:.4f} ROC AUC: no model that it beats may serve"
    )


def _lead(figures: Figures) -> float:
    return figures["roc_auc"]["ours"] - figures["roc_auc"]["baseline"]

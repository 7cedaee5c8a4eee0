"""Which algorithm to go on with, and whether a new model may take the champion's place.

Every comparison is on customers of a later cut whose outcomes have matured, which none of the compared has
learnt from. Rules:

* a model that any baseline beats by more than `WORSE_THAN_BASELINE` (one beside the usual: by more than
  chance as well) never serves, nor one that orders customers just as a baseline does: no baseline serves in
  disguise;
* the same recipe on newer data is promoted unless its lead over the strongest baseline has shrunk by more
  than `SHRUNK_LEAD`: two cuts differ in how hard they are, the lead much less. Baselines that the champion
  was not judged beside are left out of this one comparison;
* another recipe is promoted only where it is better than the champion on the same customers by more than
  chance, by a paired bootstrap of ROC AUC. A champion older than `TOO_OLD_DAYS`, which no run can fit anew,
  gives way to a recipe that is not worse by more than `SHRUNK_LEAD`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.features.arrays import Floats
from include.features.panels import high_value
from include.models import evaluate
from include.models.value import algorithms, baselines
from include.models.value.model import Settings, ValueModel, blends

WORSE_THAN_BASELINE = 0.005
SHRUNK_LEAD = 0.01
TOO_OLD_DAYS = 91

#: Predictions that agree to this are those of one recipe, whatever its code says.
SAME = 1e-6

#: A rank correlation above this is one order.
SAME_ORDER = 1 - 1e-9

#: By metric.
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Judged:
    """What a model and each baseline reach on the same later customers.

    Attributes
    ----------
    ours
        The model's figures.
    baselines
        Each baseline's, by name; an amount has no calibration, so those are NaN.
    repeats
        The baseline in whose order the model puts the customers; None where it has one of its own.
    chance
        By how much a baseline beside the usual one may lead by chance: half of the 95% interval of the
        difference. Of several baselines one is soon ahead of a good model among few customers.
    """

    ours: Figures
    baselines: Mapping[str, Figures]
    repeats: str | None = None
    chance: Mapping[str, float] = field(default_factory=dict)

    @property
    def strongest(self) -> str:
        """The baseline with the highest ROC AUC; of equal ones the first that is listed."""
        return max(self.baselines, key=lambda name: self.baselines[name]["roc_auc"])

    def lead(self, baseline: str) -> float:
        """How much higher the model's ROC AUC is than a baseline's."""
        return self.ours["roc_auc"] - self.baselines[baseline]["roc_auc"]

    def beside(self, names: Iterable[str]) -> "Judged":
        """The same beside some of the baselines alone."""
        return replace(
            self, baselines={n: self.baselines[n] for n in self.baselines if n in set(names)}
        )


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


def judge(compared: Mapping[str, ValueModel], later: pd.DataFrame) -> dict[str, Judged]:
    """How P(high value) of each model does on a later cut, beside every baseline.

    Parameters
    ----------
    later
        The rows of one cut, with the columns of the baselines (`include.models.value.baselines`).
    """
    settings = next(iter(compared.values())).settings
    truth, expected = high_value(later, settings.high_value_share), baselines.amounts(later)
    further = {name: amount for name, amount in expected.items() if name != baselines.USUAL}
    theirs = {name: _figures(truth, amount, is_amount=True) for name, amount in expected.items()}
    found = {}
    for name, model in compared.items():
        ours = model.predict_high_value(later)
        repeats = (
            n for n, amount in expected.items() if evaluate.spearman(amount, ours) > SAME_ORDER
        )
        chance = _chance(truth, ours, further, settings.seed)
        found[name] = Judged(_figures(truth, ours), theirs, next(repeats, None), chance)
    return found


def _chance(
    truth: Floats, ours: Floats, amounts: Mapping[str, Floats], seed: int
) -> dict[str, float]:
    """Half of the interval of how much more each baseline reaches than the model."""
    low, high = evaluate.bootstrap_many(
        lambda drawn: _gains(truth[drawn], ours[drawn], [a[drawn] for a in amounts.values()]),
        len(truth),
        seed=seed,
    )
    return dict(zip(amounts, np.nan_to_num((high - low) / 2).tolist(), strict=True))


def _figures(truth: Floats, score: Floats, *, is_amount: bool = False) -> dict[str, float]:
    return {
        name: float("nan") if is_amount and name in evaluate.PROBABILITY else metric(truth, score)
        for name, metric in evaluate.CLASSIFICATION.items()
    }


def winner(
    compared: Mapping[str, ValueModel], later: pd.DataFrame, standing: str = algorithms.STANDING
) -> str:
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


def _gains(truth: Floats, standing: Floats, scores: list[Floats]) -> Floats:
    """How much higher each score's ROC AUC is than the standing one's."""
    reached = evaluate.roc_auc(truth, standing)
    return np.array([evaluate.roc_auc(truth, score) - reached for score in scores])


def first(judged: Judged) -> Verdict:
    """Of a model that has no champion before it, or one that answered another question."""
    return _refused(judged) or Verdict(True, "there was no champion for what is asked")


def renewal(judged: Judged, before: Judged) -> Verdict:
    """Of the champion's own recipe on newer data.

    Parameters
    ----------
    judged, before
        What `judge` said of the new fit and of the champion, each on its own judge day.
    """
    refused = _refused(judged)
    if refused:
        return refused
    both = judged.beside(before.baselines)
    if not both.baselines:
        return Verdict(
            True, "the same recipe on newer data, and no baseline is that of the champion's day"
        )
    baseline = both.strongest
    now, then = judged.lead(baseline), before.lead(baseline)
    if now < then - SHRUNK_LEAD:
        return Verdict(
            False,
            f"the same recipe on newer data leads '{baseline}' by {now:+.4f} ROC AUC, the champion did by "
            f"{then:+.4f}: worse by more than {SHRUNK_LEAD}",
        )
    return Verdict(
        True,
        f"the same recipe on newer data leads '{baseline}' by {now:+.4f} ROC AUC, {then:+.4f} before",
    )


def challenge(
    judged: Judged, truth: Floats, ours: Floats, champion: Floats, *, age_days: int, seed: int
) -> Verdict:
    """Of another recipe, on the customers that the champion was judged on.

    Parameters
    ----------
    judged
        What `judge` said of the new model on the newest judge day.
    truth, ours, champion : arrays of shape (n_customers,)
        Labels, and what the challenger and the champion say of the same customers, neither of which has
        learnt from the days of the labels.
    age_days
        Days since the champion's anchor day.
    """
    refused = _refused(judged)
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


def _refused(judged: Judged) -> Verdict | None:
    """Why a model may not serve whatever served before it, or None."""
    if judged.repeats is not None:
        return Verdict(
            False, f"it puts customers in the order of '{judged.repeats}': no baseline may serve"
        )
    for baseline in sorted(judged.baselines, key=judged.lead):
        lead = judged.lead(baseline)
        if not lead >= -max(WORSE_THAN_BASELINE, judged.chance.get(baseline, 0.0)):
            return Verdict(
                False,
                f"the baseline '{baseline}' is better by {-lead:.4f} ROC AUC: no model that a baseline "
                "beats may serve",
            )
    return None

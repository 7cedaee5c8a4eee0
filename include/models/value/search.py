"""Feature selection and tuning of the classifiers, within the training rows alone.

Each trial is judged by the log-loss of customers left out in turn (three folds of whole customers), on rows
whose outcomes had matured before the period that the recipe is judged on later. The defaults stand unless a
trial is better by more than its noise; a theme of features is dropped from the logistic regression where
the loss does not grow without it. The trees select by themselves.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.features import customers as features
from include.features.arrays import Floats
from include.features.panels import check, high_value
from include.models.blend import EDGE, cross_fit
from include.models.value import algorithms
from include.models.value.algorithms import Tuning
from include.models.value.model import Settings, matrix

#: Trials in one search: the members' defaults, their settings, and a theme dropped at a time.
BUDGET = len(features.THEMES) + sum(
    1 + len(algorithms.CLASSIFIERS[name].tried) for name in algorithms.BLENDED
)


@dataclass(frozen=True)
class Trial:
    """One setting of one member, and how it did on customers left out."""

    member: str
    setting: str
    log_loss: float
    kept: bool

    def as_dict(self) -> dict[str, Any]:
        """The trial as JSON can hold it."""
        return {
            "member": self.member,
            "setting": self.setting,
            "log_loss": round(self.log_loss, 6),
            "kept": self.kept,
        }


@threadpool_limits.wrap(limits=1)
def search(settings: Settings, past: pd.DataFrame) -> tuple[Tuning, list[Trial]]:
    """Tune the members of the blend on training rows, in `BUDGET` trials.

    Parameters
    ----------
    settings
        What decides the model besides its data; the search starts from its tuning.
    past
        Panel whose outcomes had matured before the period that the recipe is judged on.

    Returns
    -------
    The tuning found, and every trial in the order it was made

    Raises
    ------
    BadInput
        When the rows are too few, of one class, or without any spend.
    """
    check(past, settings.horizon_days, settings.high_value_share)
    labels = high_value(past, settings.high_value_share)
    rows, customers = matrix(past, settings), past["customer_id"]
    tuning, trials = settings.tuning, []

    def losses(member: str, tried: Tuning) -> Floats:
        fitted = algorithms.classifiers(settings.names, settings.seed, tried)[member]
        said = cross_fit({member: fitted}, rows, labels, customers, refit=False).unseen[member]
        said = np.clip(said, EDGE, 1 - EDGE)
        return -(labels * np.log(said) + (1 - labels) * np.log(1 - said))

    for member in algorithms.BLENDED:
        best = losses(member, tuning)
        trials.append(Trial(member, "default", float(best.mean()), True))
        for setting, change in algorithms.CLASSIFIERS[member].tried.items():
            tried = losses(member, replace(tuning, **change))
            better = bool(_gain(best, tried, customers) > 0)
            trials.append(Trial(member, setting, float(tried.mean()), better))
            if better:
                best, tuning = tried, replace(tuning, **change)
        if member != "logistic_regression":
            continue
        for theme in features.THEMES:
            without = replace(tuning, linear_without=(*tuning.linear_without, theme))
            tried = losses(member, without)
            needless = bool(tried.mean() <= best.mean())
            trials.append(Trial(member, f"without {theme}", float(tried.mean()), needless))
            if needless:
                best, tuning = tried, without
    return tuning, trials


def _gain(standing: Floats, tried: Floats, customers: "pd.Series[Any]") -> float:
    """Mean fall of the loss less its standard error, with whole customers as clusters."""
    owner, _ = pd.factorize(customers)
    falls = np.bincount(owner, weights=standing - tried)
    error = falls.std(ddof=1) * np.sqrt(len(falls))
    return float((falls.sum() - error) / len(standing))

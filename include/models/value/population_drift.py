"""How far today's customers have moved from those that a model was trained beside.

Told by the population stability index (`include.features.stability`) of each feature. The bins are tenths of
the customers then, and one for "not known".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from include.features.arrays import Floats
from include.features.stability import stability_index

#: Above this a feature counts as drifted.
LIMIT = 0.25

#: So many drifted features are no accident of one source: the model is trained again.
DRIFTED_FEATURES = 5

#: Mean probability and observed share may differ by this, before the model is trained again.
CALIBRATION_LIMIT = 0.05

#: Fewer customers than this tell nothing of a distribution.
MINIMUM_CUSTOMERS = 100

#: Digits of the stored bins.
_DIGITS = 6

#: A share of nobody would make the index infinite.
_FLOOR = 1e-4


def reference(rows: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """What later days are compared with, as JSON can hold it.

    Parameters
    ----------
    rows : DataFrame of float64, NaN where a value is not known; one column a feature

    Returns
    -------
    dict of feature to `edges` (inner edges of the bins) and `shares` (of each bin; the last is "not known")
    """
    found = {}
    for name in rows.columns:
        values = rows[name].to_numpy(np.float64)
        known = values[~np.isnan(values)]
        edges = np.unique(np.quantile(known, np.linspace(0.1, 0.9, 9))) if len(known) else known
        edges = np.round(edges, _DIGITS)
        found[str(name)] = {
            "edges": edges.tolist(),
            "shares": np.round(_shares(values, edges), _DIGITS).tolist(),
        }
    return found


def psi(before: Mapping[str, Mapping[str, Any]], rows: pd.DataFrame) -> dict[str, float]:
    """The population stability index of each feature of `before`; a feature that is gone is not known."""
    found = {}
    for name, then in before.items():
        values = (
            rows[name].to_numpy(np.float64) if name in rows.columns else np.full(len(rows), np.nan)
        )
        now = np.maximum(_shares(values, np.asarray(then["edges"], dtype=np.float64)), _FLOOR)
        was = np.maximum(np.asarray(then["shares"], dtype=np.float64), _FLOOR)
        found[name] = stability_index(now, was)
    return found


def _shares(values: Floats, edges: Floats) -> Floats:
    """Share of the values in each bin (left, right], and of those not known, which come last."""
    place = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values))
    return np.bincount(place, minlength=len(edges) + 2) / max(len(values), 1)

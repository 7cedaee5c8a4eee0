"""Expected orders, chance to be alive and expected spend from a customer's order history alone.

BG/NBD and Gamma-Gamma (`include.models.lifetime`) on days with an order, in weeks. Nothing here looks at
outcomes, so the same fit may serve as an input of a model that is learnt from them.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd

from include.errors import BadInput
from include.features.arrays import Floats
from include.models.lifetime import BetaGeo, GammaGamma

#: Pull of the BG/NBD parameters toward 1: customers of a grocer hardly ever drop out, so that the
#: likelihood of a and b is flat.
PENALTY = 1e-3

_ORDERS = ("r_", "alpha_", "a_", "b_")
_VALUE = ("p_", "q_", "v_", "mean_")


def purchase_history(known: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Frequency, recency and T in weeks, as `include.models.lifetime` means them.

    Days with an order count as purchases; a customer without any has no history, and 0 for all three.
    """
    days = _column(known, "order_days_total")
    age = _column(known, "tenure_days") / 7
    since = _column(known, "recency_days") / 7
    return np.maximum(days - 1, 0), np.maximum(age - since, 0), age


class BuyTillYouDie:
    """The two models of one day, on columns of `features.customer_features`.

    Attributes
    ----------
    orders_ : BetaGeo
    value_ : GammaGamma or None
        None where hardly anybody spent anything: a day with an order is then worth nothing.
    """

    orders_: BetaGeo
    value_: GammaGamma | None

    def fit(self, known: pd.DataFrame) -> Self:
        """Learn from the histories of one day's customers.

        The mean value is that of all days with an order, the first one included: the features hold no
        amount of the first day, and among customers with many orders it hardly counts.

        Raises
        ------
        BadInput
            When nobody ordered on a second day.
        """
        history = purchase_history(known)
        self.orders_ = BetaGeo(penalizer=PENALTY).fit(*history)
        try:
            self.value_ = GammaGamma(penalizer=PENALTY).fit(history[0], _mean_value(known))
        except BadInput:
            self.value_ = None
        return self

    def orders(self, known: pd.DataFrame, weeks: float) -> Floats:
        """Days with an order expected in the next `weeks`, shape (n_customers,)."""
        return self.orders_.expected_purchases(weeks, *purchase_history(known))

    def alive(self, known: pd.DataFrame) -> Floats:
        """P(has not left for good), shape (n_customers,)."""
        return self.orders_.probability_alive(*purchase_history(known))

    def spend(self, known: pd.DataFrame, weeks: float) -> Floats:
        """Expected orders times the expected value of one, shape (n_customers,)."""
        if self.value_ is None:
            return np.zeros(len(known))
        frequency, _, _ = purchase_history(known)
        return self.orders(known, weeks) * self.value_.expected_value(frequency, _mean_value(known))

    def state(self) -> dict[str, Any]:
        """The parameters, as `from_state` needs them."""
        return {
            "orders": {name: getattr(self.orders_, name) for name in _ORDERS},
            "value": None
            if self.value_ is None
            else {name: getattr(self.value_, name) for name in _VALUE},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The fitted models that `state` described."""
        found = cls()
        found.orders_, found.value_ = BetaGeo(), None if state["value"] is None else GammaGamma()
        for name, value in state["orders"].items():
            setattr(found.orders_, name, float(value))
        for name, value in (state["value"] or {}).items():
            setattr(found.value_, name, float(value))
        return found


def _mean_value(known: pd.DataFrame) -> Floats:
    """Spend a day with an order; 0 for a customer without any."""
    days = _column(known, "order_days_total")
    return np.maximum(_column(known, "sales_total"), 0) / np.maximum(days, 1)


def _column(known: pd.DataFrame, name: str) -> Floats:
    """A column as finite numbers; what is missing or infinite counts as 0."""
    values = known[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)

"""The baselines of the value contest: what needs no learning and has to be beaten.

A baseline is an amount for each customer, known at the cut: customers are ordered by it, and it is the spend
that it expects of the next thirteen weeks. One joins by a line in `BASELINES`. Every model is then judged
beside it (`include.models.value.contest`), the strongest keeps a weaker model from serving, and
`ml.backtests`, the report and `bench value` have its figures. It never serves itself.

Spend in a window is brought to thirteen weeks by the days of it that the shop has had
(`include/sql/queries/training/spend.sql`): in a shop with 30 weeks of orders, "spend in the last 52 weeks
/ 4" is what a customer spent in those 30, times 13 / 30.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from include.features.arrays import Floats


@dataclass(frozen=True)
class Baseline:
    """Where the rows of a cut hold what the baseline expects of their customers.

    Attributes
    ----------
    column
        A feature, or with `weeks` the name of a column that is added to the rows.
    weeks
        The window of spend that the column is filled with, as thirteen weeks' worth; None for a feature.
    """

    column: str
    weeks: int | None = None

    def amounts(self, rows: "pd.DataFrame") -> "Floats":
        """What it expects of each row's customer, shape (n_rows,)."""
        return rows[self.column].to_numpy(np.float64)


#: What every figure stands beside: of the rows of `ml.backtests` that name no other.
USUAL = "spend in the last 13 weeks"

#: Every baseline by the name that tables, reports and benches call it by.
BASELINES: Mapping[str, Baseline] = {
    USUAL: Baseline("sales_13w"),
    "spend in the last 26 weeks / 2": Baseline("spend_26w_halved", weeks=26),
    "spend in the last 52 weeks / 4": Baseline("spend_52w_quartered", weeks=52),
}


def amounts(rows: "pd.DataFrame") -> "dict[str, Floats]":
    """What each baseline expects of the customers of a cut, by name."""
    return {name: baseline.amounts(rows) for name, baseline in BASELINES.items()}

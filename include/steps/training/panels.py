"""Training rows of past cut-off days, built from `core` by the features' own SQL."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from include import as_of, policy
from include.steps import features
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.value.model import Settings

#: Days between the cut-off days of the training rows.
CUT_STEP_DAYS = 28

#: No more cuts than two years of them: older customers were those of another shop, and a long history would
#: make training slower every month.
MAXIMUM_CUTS = 26

#: No cut before the shop had this many days of orders: a shorter history tells nobody apart.
MINIMUM_HISTORY_DAYS = 28

#: Days that the champion's recipe is judged at, and how far apart they may lie.
ORIGINS = 6
ORIGIN_STEPS_DAYS = (28, 14, 7)

#: Later cuts, besides the matured ones, that churn and the next order are learnt from.
RECENT_CUTS_DAYS = (28, 56)


def settings() -> "Settings":
    """What the policy says about the value model; no model learns from generated columns."""
    from include.models.value.model import Settings

    rules = policy.load().models
    return Settings(
        horizon_days=rules.horizon_days,
        high_value_share=rules.high_value_share,
        seed=rules.seed,
        leave_out=features.generated(),
    )


def matured_cuts(day: str, horizon_days: int) -> list[str]:
    """Cut-off days whose horizon has passed by the end of `day`, newest first, `MAXIMUM_CUTS` at most."""
    rules = policy.load()
    first = as_of.parse(as_of.days_before(rules.shop.opened_on.isoformat(), -MINIMUM_HISTORY_DAYS))
    newest = as_of.days_before(day, horizon_days)
    count = max(0, (as_of.parse(newest) - first).days // CUT_STEP_DAYS + 1)
    return [as_of.days_before(newest, CUT_STEP_DAYS * k) for k in range(min(count, MAXIMUM_CUTS))]


def origins(newest: str, horizon_days: int) -> list[str]:
    """Days to judge a recipe at, the newest first: `ORIGINS` of them, as far apart as the history allows.

    At each there is at least one cut to learn from. A history too short for so many gives fewer.
    """
    found: list[str] = []
    for step in ORIGIN_STEPS_DAYS:
        days = [as_of.days_before(newest, step * k) for k in range(ORIGINS)]
        found = [day for day in days if matured_cuts(day, horizon_days)]
        if len(found) == ORIGINS:
            break
    return found


class Panels:
    """Training rows; the features and outcomes of a cut are built once, whoever asks.

    Parameters
    ----------
    known
        Features by cut; hand in one dictionary for several horizons, and they share what is built.
    """

    def __init__(
        self, conn: Connection, horizon_days: int, known: "dict[str, pd.DataFrame] | None" = None
    ) -> None:
        self.conn = conn
        self.horizon_days = horizon_days
        self.known = {} if known is None else known
        self._outcomes: dict[tuple[str, int, str], pd.DataFrame] = {}

    def matured(self, day: str) -> "pd.DataFrame":
        """Rows of every cut whose horizon had passed by the end of `day`, as they were known then."""
        return self._panel(matured_cuts(day, self.horizon_days), self.horizon_days, day)

    def recent(self, day: str) -> "pd.DataFrame":
        """Rows of the matured cuts and of later ones whose next four weeks had passed by then."""
        from include.features.panels import CHURN_DAYS

        later = [as_of.days_before(day, days) for days in RECENT_CUTS_DAYS]
        return self._panel([*later, *matured_cuts(day, self.horizon_days)], CHURN_DAYS, day)

    def judged(self, cut: str, asked_on: str) -> "pd.DataFrame":
        """The rows of one cut, with what each baseline of the value contest expects of them.

        Of the days after the cut they hold what was known at the end of `asked_on`.
        """
        from include.models.value.baselines import BASELINES

        rows = self._panel([cut], self.horizon_days, asked_on)
        for baseline in BASELINES.values():
            if baseline.weeks is not None:
                spent = features.spend(self.conn, cut, baseline.weeks).set_index("customer_id")[
                    "spend"
                ]
                rows[baseline.column] = spent.reindex(rows["customer_id"]).fillna(0.0).to_numpy()
        return rows

    def features(self, cut: str) -> "pd.DataFrame":
        """The features of every customer as of one cut."""
        if cut not in self.known:
            self.known[cut] = features.customers(self.conn, cut)
        return self.known[cut]

    def _panel(self, cuts: Sequence[str], days: int, asked_on: str) -> "pd.DataFrame":
        from include.features.panels import panel

        return panel(
            (cut, self.features(cut), self._after(cut, days, asked_on)) for cut in sorted(set(cuts))
        )

    def _after(self, cut: str, days: int, asked_on: str) -> "pd.DataFrame":
        key = (cut, days, asked_on)
        if key not in self._outcomes:
            self._outcomes[key] = features.outcomes(self.conn, cut, days, asked_on)
        return self._outcomes[key]

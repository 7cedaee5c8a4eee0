"""One business day, from its inputs to decisions, coupon triggers and messages."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from include.offers import arbitrate, codes, control
from include.offers.candidates import candidates
from include.offers.guard import guard
from include.offers.inputs import Inputs
from include.offers.write import MESSAGES, TRIGGERS, Writer
from include.policy import Policy

__all__ = ["Day", "Inputs", "Outcome", "decide"]

DECISIONS = [
    "as_of",
    "customer_id",
    "campaign",
    "period",
    "external_id",
    "segment",
    "offer",
    "channel",
    "about",
    "currency",
    "cost_expected",
    "p_redeem",
    "expected_incremental_value",
    "basis",
    "propensity",
    "choice_propensity",
    "decision",
    "decision_reason",
    "model_version",
    "redemption_version",
    "uplift_version",
]

#: What the expected gain rests on: our own control groups, or assumptions and what was merely observed.
EXPERIMENT, OBSERVATIONAL = "experiment", "observational"

#: Rows that are turned into texts at once: what they take at most, in memory, is some hundred megabytes.
CHUNK = 250_000


@dataclass(frozen=True)
class Outcome:
    """What was decided: a row for every candidate, and a trigger and a message for all that is sent."""

    decisions: pd.DataFrame
    triggers: pd.DataFrame
    messages: pd.DataFrame
    budgets: pd.DataFrame


class Day:
    """A business day: candidates, guard, arbitration within the budgets, copy, and the control group last.

    The same inputs give the same decisions; only coupon codes are drawn anew, for triggers that are new.
    `written` comes first; `decisions` are known once all of it has been taken, because what cannot be
    written is not sent.

    Attributes
    ----------
    budgets
        As made by `include.offers.arbitrate`.
    """

    def __init__(
        self,
        inputs: Inputs,
        policy: Policy,
        as_of: date,
        new_code: Callable[[], str] = codes.new_code,
    ) -> None:
        self.policy, self.as_of, self.new_code = policy, as_of, new_code
        # In the order of customers, so that nothing depends on that of the rows.
        customers = inputs.customers.sort_values("customer_id", ignore_index=True)
        self.inputs = replace(inputs, customers=customers)
        found = candidates(self.inputs, policy, as_of)
        found = guard(found, self.inputs, policy, as_of)
        found, self.budgets = arbitrate.arbitrate(found, self.inputs, policy, as_of)
        self._decided = arbitrate.hold_stale(
            found, as_of, inputs.newest_day, policy.activation.max_age_days
        )
        self._failed: list[int] | None = None

    def written(self, chunk: int = CHUNK) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """Triggers and messages of what is sent, some at a time.

        The control group's messages are written too and thrown away, so that a fault of the copy takes
        treated and control alike.
        """
        drawn = arbitrate.draw_control(self._decided, self.inputs, self.policy)
        waiting = arbitrate.awaiting_approval(
            drawn, self.inputs.released, self.policy, len(self.inputs.customers)
        )
        is_sent = (drawn["decision"] == "send").to_numpy()
        row = np.flatnonzero(is_sent | (drawn["decision"] == "control").to_numpy())
        writer = Writer(self.inputs, self.policy, self.as_of, self.new_code, waiting)
        failed: list[int] = []
        for start in range(0, len(row), chunk):
            some = row[start : start + chunk]
            triggers, messages, faults = writer.write(self._decided.iloc[some], is_sent[some])
            failed += some[faults].tolist()
            yield triggers, messages
        self._failed = failed

    def decisions(self, chunk: int = CHUNK) -> Iterator[pd.DataFrame]:
        """A row of `DECISIONS` for every candidate, some at a time."""
        if self._failed is None:
            raise RuntimeError("Decisions are known once everything has been written.")
        rows = np.zeros(len(self._decided), dtype=bool)
        rows[self._failed] = True
        decided = arbitrate.held(self._decided, rows, arbitrate.COPY)
        decided = arbitrate.draw_control(decided, self.inputs, self.policy)
        for start in range(0, max(len(decided), 1), chunk):
            yield self._told(decided.iloc[start : start + chunk])

    def members(self) -> pd.DataFrame:
        """Who is in a control group on the day: customer_id, external_id, scope, share."""
        found = control.members(self.inputs, self.policy)
        people = self.inputs.customers.iloc[found["customer"].to_numpy()]
        for name in ("customer_id", "external_id"):
            found[name] = people[name].to_numpy()
        return found.drop(columns="customer")

    def _told(self, some: pd.DataFrame) -> pd.DataFrame:
        people = self.inputs.customers.iloc[some["customer"].to_numpy()].reset_index(drop=True)
        found = some.reset_index(drop=True)
        campaign = found["campaign"].astype("str")
        offers = {c.name: c.offer for c in self.policy.campaigns}
        coupon = {c.name: self.policy.offer(c.offer).has_coupon for c in self.policy.campaigns}
        is_experiment = found["is_experiment"].to_numpy(dtype=bool)
        told = pd.DataFrame(
            {
                "as_of": self.as_of.isoformat(),
                "customer_id": people["customer_id"],
                "campaign": campaign,
                "period": found["period"].astype("str"),
                "external_id": people["external_id"],
                "segment": people["segment"],
                "offer": campaign.map(offers),
                "channel": found["channel"].astype("object"),
                "about": self._about(found),
                "currency": self.policy.shop.currency,
                "cost_expected": found["cost_expected"].round(4),
                "p_redeem": found["p_redeem"].round(6),
                "expected_incremental_value": found["expected_incremental_value"].round(4),
                "basis": np.where(is_experiment, EXPERIMENT, OBSERVATIONAL),
                "propensity": found["propensity"],
                "choice_propensity": found["choice_propensity"],
                "decision": found["decision"].astype("str"),
                "decision_reason": found["decision_reason"].astype("str"),
                "model_version": people["model_version"],
                "redemption_version": pd.Series(None, index=found.index, dtype="object"),
                "uplift_version": pd.Series(None, index=found.index, dtype="object"),
            }
        )
        if self.inputs.redemption_version and not self.inputs.chances.empty:
            scored = people["customer_id"].isin(self.inputs.chances["customer_id"])
            used = scored.to_numpy() & campaign.map(coupon).to_numpy(dtype=bool)
            told.loc[used, "redemption_version"] = self.inputs.redemption_version
        if self.inputs.uplift_version:
            told.loc[is_experiment, "uplift_version"] = self.inputs.uplift_version
        return told[DECISIONS]

    def _about(self, found: pd.DataFrame) -> pd.Series:
        """The product, review or event that each candidate is about."""
        about = pd.Series(None, index=found.index, dtype="object")
        place = found["signal"].to_numpy()
        rows = place >= 0
        about[rows] = self.inputs.signals["key"].to_numpy(dtype=object)[place[rows]]
        return about


def decide(
    inputs: Inputs,
    policy: Policy,
    as_of: date,
    new_code: Callable[[], str] = codes.new_code,
) -> Outcome:
    """Decide a day at once, for days that fit into memory as texts."""
    day = Day(inputs, policy, as_of, new_code)
    written = list(day.written())
    triggers = [pair[0] for pair in written] or [pd.DataFrame(columns=TRIGGERS)]
    messages = [pair[1] for pair in written] or [pd.DataFrame(columns=MESSAGES)]
    return Outcome(
        decisions=pd.concat(list(day.decisions()), ignore_index=True),
        triggers=pd.concat(triggers, ignore_index=True),
        messages=pd.concat(messages, ignore_index=True),
        budgets=day.budgets,
    )

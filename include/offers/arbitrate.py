"""From what may be sent to what is sent: one offer a customer, the best first, within the budgets."""

from datetime import date

import numpy as np
import pandas as pd

from include.offers.control import in_control
from include.policy import Policy

#: Reasons beside those of the guard.
SEND, CONTROL = "best_offer", "control_group"


def arbitrate(guarded: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Decide every candidate of a day.

    Candidates are taken by expected incremental value, highest first (ties: the campaign's priority, its
    name, the customer). One is sent when its customer has none yet and the day's and the campaign's
    budgets have room for its expected cost; where they have not, the customer's next best is tried.

    Parameters
    ----------
    guarded
        As made by `include.offers.guard`.
    policy
        The rules.

    Returns
    -------
    pd.DataFrame
        The candidates with `decision` (send, hold, suppress) and `decision_reason`, ordered by customer
        and campaign. The control group is drawn later, from what this sends.
    """
    found = guarded.sort_values(
        ["expected_incremental_value", "priority", "campaign", "customer_id"],
        ascending=[False, True, True, True],
        ignore_index=True,
        kind="stable",
    )
    decision = np.full(len(found), "suppress", dtype=object)
    reason = found["refusal"].to_numpy(dtype=object).copy()
    served: set[str] = set()
    left_today = policy.budgets.per_day
    left = {campaign.name: campaign.budget_per_day for campaign in policy.campaigns}
    least = policy.activation.minimum_expected_value
    rows = zip(
        found["refusal"],
        found["customer_id"],
        found["campaign"],
        found["cost_expected"],
        found["expected_incremental_value"],
        strict=True,
    )
    for index, (refusal, customer, campaign, cost, gain) in enumerate(rows):
        if isinstance(refusal, str):
            continue
        if customer in served:
            decision[index], reason[index] = "hold", "better_offer"
        elif gain < least:
            decision[index], reason[index] = "hold", "no_expected_gain"
        elif cost > left_today or cost > left[campaign]:
            decision[index], reason[index] = "hold", "budget_spent"
        else:
            decision[index], reason[index] = "send", SEND
            served.add(customer)
            left_today -= cost
            left[campaign] -= cost
    found["decision"], found["decision_reason"] = decision, reason
    return found.sort_values(["customer_id", "campaign"], ignore_index=True)


def hold_stale(decided: pd.DataFrame, as_of: date, newest: date, max_age_days: int) -> pd.DataFrame:
    """What would be sent for a day that is too old is written as history and never sent.

    Parameters
    ----------
    decided
        As made by `arbitrate`.
    as_of
        The business day that is decided.
    newest
        The newest business day the warehouse knows.
    max_age_days
        From the policy.
    """
    if (newest - as_of).days <= max_age_days:
        return decided
    found = decided.copy()
    sent = found["decision"] == "send"
    found.loc[sent, "decision"], found.loc[sent, "decision_reason"] = "hold", "stale"
    return found


def draw_control(decided: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Hold back the control group, last of all, from what would have been sent.

    Their budget and place are given to nobody else, so that treated and control are alike. `propensity`
    is the chance of being sent where chance decided, and missing elsewhere.
    """
    found = decided.copy()
    chosen = (found["decision"] == "send").to_numpy()
    held = chosen & in_control(found["customer_id"], policy.control)
    found["propensity"] = np.where(chosen, 1.0 - policy.control.share, np.nan)
    found.loc[held, "decision"], found.loc[held, "decision_reason"] = "control", CONTROL
    return found


def awaiting_approval(
    decided: pd.DataFrame, earlier_campaigns: set[str], policy: Policy
) -> set[str]:
    """The campaigns whose messages of the day wait for a person.

    All of them where the day's expected cost is above `approvals.spend_above`; where
    `approvals.first_run` asks for it, those that have never been decided before.

    Parameters
    ----------
    decided
        As made by `draw_control`.
    earlier_campaigns
        Campaigns with decisions on other days.
    policy
        The rules.
    """
    sent = decided[decided["decision"] == "send"]
    limit = policy.approvals.spend_above
    if limit is not None and float(sent["cost_expected"].sum()) > limit:
        return set(sent["campaign"])
    if policy.approvals.first_run:
        return set(sent["campaign"]) - earlier_campaigns
    return set()

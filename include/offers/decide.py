"""One business day, from its inputs to decisions, coupon triggers and messages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from include.offers import arbitrate, copy, coupons, windows
from include.offers.candidates import candidates
from include.offers.guard import guard
from include.policy import Policy

DECISIONS = [
    "as_of",
    "customer_id",
    "campaign",
    "period",
    "external_id",
    "segment",
    "offer",
    "channel",
    "currency",
    "cost_expected",
    "p_redeem",
    "expected_incremental_value",
    "basis",
    "propensity",
    "decision",
    "decision_reason",
    "model_version",
]

#: What the expected gain rests on as long as no effect has been measured against a control group.
BASIS = "observational"

_CENT = 0.005


@dataclass(frozen=True)
class Inputs:
    """What is known at the end of a business day.

    Attributes
    ----------
    customers
        One row per customer: customer_id, external_id, segment, priority_service, predicted_value,
        predicted_orders, model_version, birth_date, is_birthday_faulty, first_name, region, registered_at.
    permissions
        One row per customer and channel, as `include.offers.guard` takes them.
    history
        Decisions of other days that were sent or held as control: customer_id, as_of, campaign, period.
    products
        Names of recommended products, best first: customer_id, list (replenish or discover), rank, name.
    newest_day
        The newest business day that the warehouse knows.
    """

    customers: pd.DataFrame
    permissions: pd.DataFrame
    history: pd.DataFrame
    products: pd.DataFrame
    newest_day: date


@dataclass(frozen=True)
class Outcome:
    """What was decided: a row for every candidate, and a trigger and a message for all that is sent."""

    decisions: pd.DataFrame
    triggers: pd.DataFrame
    messages: pd.DataFrame


def decide(
    inputs: Inputs,
    policy: Policy,
    as_of: date,
    new_code: Callable[[], str] = coupons.new_code,
) -> Outcome:
    """Decide a day: candidates, guard, arbitration and budget, copy, and the control group last.

    The same inputs give the same decisions; only coupon codes are drawn anew, for triggers that are new.
    """
    known = inputs.customers.set_index("customer_id", drop=False)
    wanted = candidates(inputs.customers, policy, as_of)
    guarded = guard(wanted, inputs.customers, inputs.permissions, inputs.history, policy, as_of)
    decided = arbitrate.arbitrate(guarded, policy)
    decided = arbitrate.hold_stale(
        decided, as_of, inputs.newest_day, policy.activation.max_age_days
    )
    writer = _Writer(inputs, policy, as_of, new_code)
    decided, written = writer.write_all(decided, known)
    decided = arbitrate.draw_control(decided, policy)
    waiting = arbitrate.awaiting_approval(decided, set(inputs.history["campaign"]), policy)
    sent = {
        (row.customer_id, row.campaign)
        for row in decided[decided["decision"] == "send"].itertuples()
    }
    chosen = [pair for key, pair in written.items() if key in sent]
    triggers = [
        trigger | {"status": "awaiting_approval" if trigger["campaign"] in waiting else "approved"}
        for trigger, _ in chosen
    ]
    return Outcome(
        decisions=_decisions(decided, known, policy, as_of),
        triggers=pd.DataFrame(triggers, columns=TRIGGERS),
        messages=pd.DataFrame([message for _, message in chosen], columns=MESSAGES),
    )


def _decisions(
    decided: pd.DataFrame, known: pd.DataFrame, policy: Policy, as_of: date
) -> pd.DataFrame:
    found = decided.copy()
    found["as_of"] = as_of.isoformat()
    found["external_id"] = found["customer_id"].map(known["external_id"])
    found["model_version"] = found["customer_id"].map(known["model_version"])
    found["currency"] = policy.shop.currency
    found["basis"] = BASIS
    for name in ("cost_expected", "expected_incremental_value"):
        found[name] = found[name].astype(float).round(4)
    return found[DECISIONS]


TRIGGERS = [
    "trigger_id",
    "customer_id",
    "campaign",
    "period",
    "external_id",
    "as_of",
    "segment",
    "offer",
    "offer_title",
    "discount_kind",
    "discount_value",
    "discount_at_most",
    "minimum_spend",
    "currency",
    "coupon_code",
    "channel",
    "valid_from",
    "valid_until",
    "send_not_before",
    "send_not_after",
    "priority_service",
    "status",
    "model_version",
]

MESSAGES = [
    "message_id",
    "trigger_id",
    "customer_id",
    "external_id",
    "as_of",
    "campaign",
    "period",
    "channel",
    "cap_class",
    "time_zone",
    "subject",
    "body",
    "body_html",
    "copy_source",
    "send_not_before",
    "send_not_after",
    "status",
    "attempts",
]

_Key = tuple[str, str]
_Pair = tuple[dict[str, Any], dict[str, Any]]


class _Writer:
    """Triggers and messages of one day."""

    def __init__(
        self, inputs: Inputs, policy: Policy, as_of: date, new_code: Callable[[], str]
    ) -> None:
        self.policy, self.as_of, self.new_code = policy, as_of, new_code
        ranked = inputs.products.sort_values(["customer_id", "list", "rank"])
        self.products: dict[tuple[str, str], list[str]] = {}
        for customer, which, name in ranked[["customer_id", "list", "name"]].to_numpy(dtype=object):
            self.products.setdefault((customer, which), []).append(name)
        self.between: dict[str, tuple[datetime, datetime]] = {}

    def write_all(
        self, decided: pd.DataFrame, known: pd.DataFrame
    ) -> tuple[pd.DataFrame, dict[_Key, _Pair]]:
        """Write everything that would be sent; what cannot be written is held as `copy_failed`.

        The control group's messages are written too and thrown away, so that a fault of the copy takes
        treated and control alike.
        """
        written: dict[_Key, _Pair] = {}
        failed = np.zeros(len(decided), dtype=bool)
        records = cast(list[dict[str, Any]], decided.to_dict("records"))
        for index, row in enumerate(records):
            if row["decision"] != "send":
                continue
            customer = known.loc[row["customer_id"]].to_dict()
            try:
                written[row["customer_id"], row["campaign"]] = self._write(row, customer)
            except copy.CopyError:
                failed[index] = True
        found = decided.copy()
        found.loc[failed, "decision"], found.loc[failed, "decision_reason"] = "hold", "copy_failed"
        return found, written

    def _write(self, row: dict[str, Any], customer: dict[str, Any]) -> _Pair:
        campaign = self.policy.campaign(row["campaign"])
        offer = self.policy.offer(campaign.offer)
        identity = (row["customer_id"], row["campaign"], row["period"])
        message_id = coupons.message_id(identity[0], row["channel"], *identity[1:])
        first = self.as_of + timedelta(days=1)
        last = self.as_of + timedelta(days=offer.valid_days)
        region = customer["region"]
        time_zone = self.policy.shop.timezone_of(region if isinstance(region, str) else None)
        not_before, not_after = self._window(row, time_zone)
        shared = {
            "trigger_id": coupons.trigger_id(*identity),
            "customer_id": row["customer_id"],
            "external_id": customer["external_id"],
            "as_of": self.as_of.isoformat(),
            "campaign": campaign.name,
            "period": row["period"],
            "channel": row["channel"],
            "send_not_before": not_before.isoformat(),
            "send_not_after": not_after.isoformat(),
        }
        code = self.new_code() if offer.has_coupon else None
        trigger = shared | {
            "segment": row["segment"],
            "offer": offer.name,
            "offer_title": offer.title,
            "discount_kind": offer.kind,
            "discount_value": offer.value,
            "discount_at_most": offer.at_most,
            "minimum_spend": offer.minimum_spend,
            "currency": self.policy.shop.currency,
            "coupon_code": code,
            "valid_from": first.isoformat(),
            "valid_until": last.isoformat(),
            "priority_service": bool(customer["priority_service"]),
            "model_version": customer["model_version"],
        }
        words = copy.write(
            campaign.template,
            row["channel"],
            self._variables(row, customer, trigger, message_id, last),
        )
        message = shared | {
            "message_id": message_id,
            "cap_class": campaign.cap_class,
            "time_zone": time_zone,
            "subject": words.subject,
            "body": words.body,
            "body_html": words.body_html,
            "copy_source": words.source,
            "status": "pending",
            "attempts": 0,
        }
        return trigger, message

    def _window(self, row: dict[str, Any], time_zone: str) -> tuple[datetime, datetime]:
        """When it may be sent, by the customer's clock; a birthday message never after the birthday."""
        rules, zone = self.policy.activation, ZoneInfo(time_zone)
        if time_zone not in self.between:
            self.between[time_zone] = windows.send_between(self.as_of, rules, zone)
        not_before, not_after = self.between[time_zone]
        if pd.isna(row["occasion"]):
            return not_before, not_after
        end = windows.daily_bounds(rules)[1]
        day = pd.Timestamp(row["occasion"]).date()
        return not_before, min(not_after, windows.moment(day, end, zone, last=True))

    def _variables(
        self,
        row: dict[str, Any],
        customer: dict[str, Any],
        trigger: dict[str, Any],
        message_id: str,
        valid_until: date,
    ) -> dict[str, Any]:
        delivery = self.policy.delivery
        first_name = customer["first_name"]
        values: dict[str, Any] = {
            "first_name": first_name if isinstance(first_name, str) else "",
            "sender_name": delivery.sender_name,
            "postal_address": delivery.postal_address,
            "unsubscribe_url": delivery.unsubscribe_link(message_id),
            "offer_title": trigger["offer_title"],
            "minimum_spend": money(trigger["minimum_spend"], trigger["currency"]),
            "valid_until": day_in_words(valid_until),
            "to_replenish": self.products.get((row["customer_id"], "replenish"), []),
            "to_discover": self.products.get((row["customer_id"], "discover"), []),
            "priority_service": trigger["priority_service"],
        }
        if trigger["coupon_code"]:
            values["coupon_code"] = trigger["coupon_code"]
        if not pd.isna(row["occasion"]):
            values["birthday"] = day_in_words(pd.Timestamp(row["occasion"]).date(), year=False)
        return values


def money(amount: float, currency: str) -> str:
    """An amount as people write it: `$15`, `$7.50`, `15 EUR`."""
    whole = abs(amount - round(amount)) < _CENT
    text = f"{amount:,.0f}" if whole else f"{amount:,.2f}"
    return f"${text}" if currency == "USD" else f"{text} {currency}"


def day_in_words(day: date, *, year: bool = True) -> str:
    """A day as people write it: `2 October 2017`."""
    text = f"{day.day} {_MONTHS[day.month - 1]}"
    return f"{text} {day.year}" if year else text


# Named here, because strftime's month names follow the machine's locale.
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

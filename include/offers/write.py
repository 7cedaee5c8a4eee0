"""Coupon triggers and messages of what a day sends."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from include import contracts
from include.offers import (
    codes,
    copy,
    windows,
    words,
)
from include.offers.inputs import Inputs
from include.policy import Policy

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
    "currency_decimals",
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
    "parts",
    "send_not_before",
    "send_not_after",
    "status",
    "attempts",
]

#: Columns of the customers that a message or trigger needs.
_PERSON = (
    "customer_id",
    "external_id",
    "first_name",
    "segment",
    "priority_service",
    "region",
    "model_version",
)

#: What a template may list below what the message is about.
_LISTED = ("to_replenish", "to_discover", "goes_with")

_Pair = tuple[dict[str, Any], dict[str, Any]]


class Writer:
    """Triggers and messages of one day.

    Parameters
    ----------
    inputs, policy, as_of
        As for deciding.
    new_code
        Draws a coupon code.
    waiting
        Campaigns whose messages wait for a person's approval.
    """

    def __init__(
        self,
        inputs: Inputs,
        policy: Policy,
        as_of: date,
        new_code: Callable[[], str],
        waiting: set[str],
    ) -> None:
        self.inputs, self.policy, self.as_of = inputs, policy, as_of
        self.new_code, self.waiting = new_code, waiting
        self._between: dict[str, tuple[datetime, datetime]] = {}
        self._day_end = windows.daily_bounds(policy.activation)[1]

    def write(
        self, decided: pd.DataFrame, wanted: npt.NDArray[np.bool_]
    ) -> tuple[pd.DataFrame, pd.DataFrame, npt.NDArray[np.bool_]]:
        """Triggers and messages of some candidates, and which of them could not be written.

        Parameters
        ----------
        decided
            Candidates, as made by `include.offers.arbitrate`.
        wanted : array of shape (n,)
            Whose triggers and messages are kept; the others are only tried.
        """
        customer = decided["customer"].to_numpy(dtype=np.int64)
        columns = {name: self.inputs.customers[name].iloc[customer].tolist() for name in _PERSON}
        people = zip(*columns.values(), strict=True)
        rows = zip(
            decided["campaign"].astype("str"),
            decided["period"].astype("str"),
            decided["channel"].astype("str"),
            decided["signal"].tolist(),
            decided["last_day"],
            strict=True,
        )
        lists = _Lists(self.inputs, customer)
        failed = np.zeros(len(decided), dtype=bool)
        triggers, messages = [], []
        for index, (person, row) in enumerate(zip(people, rows, strict=True)):
            known = dict(zip(_PERSON, person, strict=True))
            try:
                trigger, message = self._one(known, row, lists.of(customer[index]))
            except copy.CopyError:
                failed[index] = True
                continue
            if wanted[index]:
                triggers.append(trigger)
                messages.append(message)
        return (
            pd.DataFrame(triggers, columns=TRIGGERS),
            pd.DataFrame(messages, columns=MESSAGES),
            failed,
        )

    def _one(
        self, person: dict[str, Any], row: tuple[Any, ...], products: dict[str, list[str]]
    ) -> _Pair:
        name, period, channel, signal, last_day = row
        campaign = self.policy.campaign(name)
        offer = self.policy.offer(campaign.offer)
        region = person["region"] if isinstance(person["region"], str) else None
        time_zone = self.policy.shop.timezone_of(region)
        locale = copy.locale_of(
            campaign.template, channel, self.policy.shop.locale_of(region), self.policy.shop.locale
        )
        not_before, not_after = self._window(time_zone, last_day)
        message_id = codes.message_id(person["customer_id"], channel, name, period)
        valid_until = self.as_of + timedelta(days=offer.valid_days)
        shared = {
            "trigger_id": codes.trigger_id(person["customer_id"], name, period),
            "customer_id": person["customer_id"],
            "external_id": person["external_id"],
            "as_of": self.as_of.isoformat(),
            "campaign": name,
            "period": period,
            "channel": channel,
            "send_not_before": not_before.isoformat(),
            "send_not_after": not_after.isoformat(),
        }
        trigger = shared | {
            "segment": person["segment"],
            "offer": offer.name,
            "offer_title": offer.title_in(locale),
            "discount_kind": offer.kind,
            "discount_value": offer.value,
            "discount_at_most": offer.at_most,
            "minimum_spend": offer.minimum_spend,
            "currency": self.policy.shop.currency,
            "currency_decimals": contracts.decimals(self.policy.shop.currency),
            "coupon_code": self.new_code() if offer.has_coupon else None,
            "valid_from": (self.as_of + timedelta(days=1)).isoformat(),
            "valid_until": valid_until.isoformat(),
            "priority_service": bool(person["priority_service"]),
            "status": "awaiting_approval" if name in self.waiting else "approved",
            "model_version": person["model_version"],
        }
        values = self._shop_values(message_id) | {
            "first_name": person["first_name"] if isinstance(person["first_name"], str) else "",
            "offer_title": trigger["offer_title"],
            "minimum_spend": self._money(offer.minimum_spend, locale),
            "at_most": self._money(offer.at_most, locale),
            "valid_until": words.day(valid_until, locale),
            "to_replenish": products["replenish"],
            "to_discover": products["discover"],
            "priority_service": trigger["priority_service"],
        }
        if trigger["coupon_code"]:
            values["coupon_code"] = trigger["coupon_code"]
        values |= campaign.trigger.occasion(
            self.inputs.signals.iloc[signal].to_dict() if signal >= 0 else None,
            None if pd.isna(last_day) else last_day.date(),
            words.Words(self.policy.shop.currency, locale),
        )
        for name in _LISTED:
            # Who is told of a product does not need to be told that they may like it, too.
            values[name] = [one for one in values.get(name, []) if one != values.get("product")]
        text = copy.write(campaign.template, channel, values, locale, self.policy.caps.sms_parts)
        message = shared | {
            "message_id": message_id,
            "cap_class": campaign.cap_class,
            "time_zone": time_zone,
            "subject": text.subject,
            "body": text.body,
            "body_html": text.body_html,
            "copy_source": text.source,
            "parts": text.parts,
            "status": "pending",
            "attempts": 0,
        }
        return trigger, message

    def _window(self, time_zone: str, last_day: Any) -> tuple[datetime, datetime]:
        """When it may be sent, by the customer's clock; never after the last day it makes sense on."""
        zone = ZoneInfo(time_zone)
        if time_zone not in self._between:
            self._between[time_zone] = windows.send_between(
                self.as_of, self.policy.activation, zone
            )
        not_before, not_after = self._between[time_zone]
        if pd.isna(last_day):
            return not_before, not_after
        end = windows.moment(last_day.date(), self._day_end, zone, last=True)
        return not_before, min(not_after, end)

    def _money(self, amount: float | None, locale: str) -> str:
        """An amount in words; nothing for none, so that a template leaves out what does not apply."""
        return words.money(amount, self.policy.shop.currency, locale) if amount else ""

    def _shop_values(self, message_id: str) -> dict[str, Any]:
        delivery = self.policy.delivery
        return {
            "sender_name": delivery.sender_name,
            "postal_address": delivery.postal_address,
            "unsubscribe_url": delivery.unsubscribe_link(message_id),
        }


class _Lists:
    """Names of recommended products of some customers."""

    def __init__(self, inputs: Inputs, customer: npt.NDArray[np.int64]) -> None:
        place = inputs.positions(inputs.products["customer_id"], missing=-1)
        row = np.flatnonzero(np.isin(place, customer))
        some = inputs.products.iloc[row].assign(place=place[row])
        some = some.sort_values(["place", "list", "rank"], kind="stable")
        self._names: dict[int, dict[str, list[str]]] = {}
        for at, which, name in zip(some["place"], some["list"], some["name"], strict=True):
            names = self._names.setdefault(int(at), {}).setdefault(str(which), [])
            # Sizes and brands of one thing may share a name: once is enough.
            if str(name) not in names:
                names.append(str(name))

    def of(self, customer: int) -> dict[str, list[str]]:
        """The customer's lists by name; empty ones where there are none."""
        return {"replenish": [], "discover": []} | self._names.get(int(customer), {})

"""Offers and campaigns of the policy: who gets what, when, by which channel, within which limits."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from include.policy.base import (
    LocaleName,
    Money,
    Name,
    Place,
    Section,
    Share,
    Text,
    one_of,
    twice,
)
from include.policy.triggers import AnyTrigger

if TYPE_CHECKING:
    from include.policy import Policy

TEMPLATES = Path(__file__).resolve().parents[1] / "offers" / "templates"

Channel = Literal["email", "sms", "push"]


class Offer(Section):
    """What a customer can be given."""

    name: Name
    title: Text
    #: The title in other languages, or locales, than the shop's.
    titles: dict[LocaleName, Text] = Field(default_factory=dict)
    kind: Literal["amount_off", "percent_off", "none"]
    value: Money = 0.0
    at_most: Money | None = None
    minimum_spend: Money = 0.0
    valid_days: Annotated[int, Field(ge=1, le=366)]

    def title_in(self, locale: str) -> str:
        """The title for a locale: its own, that of its language, or the shop's."""
        language = locale.partition("_")[0]
        return self.titles.get(locale) or self.titles.get(language) or self.title

    @property
    def has_coupon(self) -> bool:
        return self.kind != "none"

    def cost(self, basket: float) -> float:
        """What one redemption on a basket of this amount costs the shop."""
        if self.kind == "amount_off":
            return self.value
        if self.kind == "percent_off":
            cost = self.value * max(basket, self.minimum_spend)
            return cost if self.at_most is None else min(cost, self.at_most)
        return 0.0

    @property
    def worst_cost(self) -> float:
        """The most that one redemption can cost, as far as the offer bounds it."""
        if self.kind == "percent_off":
            return self.at_most if self.at_most is not None else self.value * self.minimum_spend
        return self.cost(0.0)


class Assumed(Section):
    """What a campaign is believed to do until it has been measured.

    Attributes
    ----------
    p_redeem
        Chance that the coupon is redeemed or, without a coupon, that the message is acted on.
    incremental_share
        Of those, how many would not have bought without the message.
    margin_share, basket
        What is earned on the money they then leave.
    """

    p_redeem: Share
    incremental_share: Share
    margin_share: Share
    basket: Annotated[float, Field(gt=0)]


class Campaign(Section):
    """Who gets which offer, when, by which channel.

    Attributes
    ----------
    repeat
        At most one message in each such period; `each`: one for each event, product or review.
    gap_days
        And never two less than this many days apart.
    budget_per_day, budget_total
        Expected cost that a day, and all days of the campaign together, may reach.
    cap_class
        `transactional` messages do not count towards the caps and are not held back by them.
    control_share
        Of those who would be sent this campaign, the part who never are, beside the control group of all.
    after_complaint
        Whether somebody who has just complained, or brought goods back, may be sent it.
    """

    name: Name
    enabled: bool
    trigger: AnyTrigger
    audience: Literal["all"] | list[str]
    offer: str
    channels: Annotated[list[Channel], Field(min_length=1)]
    template: Name
    repeat: Literal["once", "year", "quarter", "month", "each"]
    gap_days: Annotated[int, Field(ge=0, le=366)] = 0
    priority: Annotated[int, Field(ge=1)]
    budget_per_day: Money
    budget_total: Money | None = None
    cap_class: Literal["marketing", "transactional"]
    control_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    after_complaint: bool = False
    success_metric: Text
    assumed: Assumed
    starts_on: date | None = None
    ends_on: date | None = None

    def runs_on(self, day: date) -> bool:
        """Whether the campaign is on for a business day."""
        begun = self.starts_on is None or self.starts_on <= day
        return self.enabled and begun and (self.ends_on is None or day <= self.ends_on)


# --- contradictions --------------------------------------------------------------------------------


def offer_contradictions(index: int, offer: Offer) -> Iterator[tuple[Place, str]]:
    """What an offer says against itself."""
    here = ("offers", index)
    if offer.has_coupon and offer.value <= 0:
        yield (
            (*here, "value"),
            (
                f"expected more than 0 for a coupon of kind {offer.kind}, found {offer.value:g}; set what it "
                "is worth, or write kind: none."
            ),
        )
    if offer.kind == "percent_off" and offer.value > 1:
        yield (
            (*here, "value"),
            (
                f"expected a share between 0 and 1 for percent_off, found {offer.value:g}; write 0.1 for 10%."
            ),
        )
    if offer.kind != "percent_off" and offer.at_most is not None:
        yield (
            (*here, "at_most"),
            (
                f"expected at_most only beside kind: percent_off, found it beside {offer.kind}; remove it."
            ),
        )
    if offer.kind == "amount_off" and 0 < offer.minimum_spend < offer.value:
        yield (
            (*here, "minimum_spend"),
            (
                f"expected at least the offer's value ({offer.value:g}), found {offer.minimum_spend:g}; "
                "otherwise the shop pays customers to take goods: raise it."
            ),
        )


def campaign_contradictions(
    index: int, campaign: Campaign, policy: "Policy"
) -> Iterator[tuple[Place, str]]:
    """What a campaign says against itself or the rest of the policy."""
    here = ("campaigns", index)
    segments = [segment.name for segment in policy.segments.named]
    yield from _audience(here, campaign, segments)
    yield from _words(here, campaign)
    yield from _trigger(here, campaign, policy)
    if campaign.starts_on and campaign.ends_on and campaign.ends_on < campaign.starts_on:
        yield (
            (*here, "ends_on"),
            (
                f"expected a day on or after starts_on ({campaign.starts_on}), found {campaign.ends_on}; "
                "correct one of the two."
            ),
        )
    offers = {offer.name: offer for offer in policy.offers}
    offer = offers.get(campaign.offer)
    if offer is None:
        yield (
            (*here, "offer"),
            (
                f"expected one of the offers ({', '.join(offers)}), found '{campaign.offer}'; "
                f"{one_of(campaign.offer, list(offers))}."
            ),
        )
        return
    yield from _validity(here, campaign, offer, policy)
    total = policy.budgets.total
    budgets: dict[Place, float | None] = {
        (*here, "budget_per_day"): campaign.budget_per_day,
        (*here, "budget_total"): campaign.budget_total,
        ("budgets", "per_day"): policy.budgets.per_day,
        ("budgets", "total", "amount"): None if total is None else total.amount,
    }
    for place, amount in budgets.items():
        whose = "" if place[0] == "campaigns" else f" of campaign '{campaign.name}'"
        too_little = amount is not None and amount < offer.worst_cost
        if campaign.enabled and offer.has_coupon and too_little:
            yield (
                place,
                (
                    f"expected at least one '{offer.name}'{whose} ({offer.worst_cost:g}), found "
                    f"{amount:g}; raise it, or switch the campaign off (enabled: false)."
                ),
            )


def _audience(
    here: Place, campaign: Campaign, segments: Sequence[str]
) -> Iterator[tuple[Place, str]]:
    if not isinstance(campaign.audience, list):
        return
    for position, name in enumerate(campaign.audience):
        if name not in segments:
            yield (
                (*here, "audience", position),
                (
                    f"expected a segment of segments.named ({', '.join(segments)}), found '{name}'; "
                    f"{one_of(name, list(segments))}."
                ),
            )
    if not campaign.audience:
        yield (
            (*here, "audience"),
            "expected at least one segment, found none; name one, or all.",
        )


def doubts(policy: "Policy") -> Iterator[str]:
    """What of the campaigns and their limits is no fault and may be a slip of the pen, a sentence each."""
    on = [campaign for campaign in policy.campaigns if campaign.enabled]
    if on and all(campaign.cap_class == "transactional" for campaign in on):
        yield (
            "every campaign that is on is transactional, so no cap and no approval holds any of them back; "
            "write cap_class: marketing for what advertises."
        )
    rules = policy.activation
    if rules.minimum_age == 0:
        yield "activation.minimum_age is 0, so children are written to; 18 is usual."
    if rules.quiet_hours.start == rules.quiet_hours.end:
        yield "activation.quiet_hours are empty, so messages may leave at any hour of the send window."
    for campaign in on:
        offer = policy.offer(campaign.offer)
        if offer.has_coupon:
            continue
        needing = [name for name in campaign.channels if _wants_coupon(campaign.template, name)]
        if needing:
            yield (
                f"campaign {campaign.name} has the template {campaign.template}, whose words by "
                f"{', '.join(needing)} fill in coupon_code, and the offer {offer.name}, which has none: "
                "nothing can be written; name another offer or template."
            )
    for offer in policy.offers:
        if offer.kind == "percent_off" and offer.at_most is None:
            yield (
                f"offer {offer.name} takes {offer.value:.0%} off without at_most: of a basket of 10,000 "
                f"that is {10_000 * offer.value:,.0f}; say the most that it may take off."
            )


def _wants_coupon(template: str, channel: str) -> bool:
    text = (TEMPLATES / template / f"{channel}.txt").read_text(encoding="utf-8")
    return "coupon_code" in text


def _words(here: Place, campaign: Campaign) -> Iterator[tuple[Place, str]]:
    for position, channel in twice(campaign.channels):
        yield (
            (*here, "channels", position),
            (f"expected each channel once, found '{channel}' a second time; remove it."),
        )
    for channel in dict.fromkeys(campaign.channels):
        if not (TEMPLATES / campaign.template / f"{channel}.txt").is_file():
            yield (
                (*here, "template"),
                (
                    f"expected the file include/offers/templates/{campaign.template}/{channel}.txt, found "
                    "none; add it, or name a template that has one."
                ),
            )


def _trigger(here: Place, campaign: Campaign, policy: "Policy") -> Iterator[tuple[Place, str]]:
    trigger = campaign.trigger
    if campaign.repeat == "each" and not trigger.is_about_one:
        yield (
            (*here, "repeat"),
            (
                f"expected once, year, quarter or month for a campaign on {trigger.when}, which speaks of no "
                "one event, product or review; found each; write another."
            ),
        )
    for place, sentence in trigger.contradictions(campaign, policy):
        yield (*here, *place), sentence


def _validity(
    here: Place, campaign: Campaign, offer: Offer, policy: "Policy"
) -> Iterator[tuple[Place, str]]:
    last_send = max(policy.activation.send_within_days, campaign.trigger.waits_days)
    if offer.has_coupon and offer.valid_days < last_send:
        yield (
            (*here, "offer"),
            (
                f"expected an offer valid for at least the {last_send} days in which it may still be sent or "
                f"is waited for, found '{offer.name}' with valid_days {offer.valid_days}; lengthen it, or "
                "shorten activation.send_within_days or lead_days."
            ),
        )

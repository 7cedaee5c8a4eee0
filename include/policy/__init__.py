"""`config/policy.yml`, validated: what marketing may change without touching code.

`load()` returns a `Policy`. Whatever is wrong with the file is said in one sentence for each fault, with
the file, the line, what was expected, what was found and what to do. Unknown keys are refused, and so is
a policy that contradicts itself (a campaign of an unknown offer, a cap of nothing with campaigns on, a
budget below a single offer, ...).

`Policy.hash` is written into every marketing row, so that a row says under which rules it came about.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import Field

from include.errors import RegularsError
from include.policy import reading
from include.policy.base import (
    Days,
    Money,
    Name,
    Place,
    PolicyError,
    Section,
    Share,
    Text,
    TimeOfDay,
    Zone,
    one_of,
    twice,
)
from include.policy.recommendations import Recommendations

__all__ = ["Policy", "PolicyError", "Recommendations", "load", "parse"]

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PATH = ROOT / "config" / "policy.yml"
TEMPLATES = ROOT / "include" / "offers" / "templates"
SOURCES = ROOT / "include" / "sql" / "extract"

Lifecycle = Literal["new", "active", "lapsing", "lost"]
ValueTier = Literal["high", "low"]
Channel = Literal["email", "sms"]


class Shop(Section):
    """Where the data comes from, and the zone and moment it lives in."""

    source: Name
    timezone: Zone
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    opened_on: date
    clock: datetime | None
    #: The zone that the customers of a sales region live in, where it is not the shop's.
    region_timezones: dict[str, Zone] = Field(default_factory=dict)

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def timezone_of(self, region: str | None) -> str:
        """The time zone of a customer's region; the shop's where the region, or its zone, is not known."""
        return self.region_timezones.get(region or "", self.timezone)

    def fixed_clock(self) -> datetime | None:
        """`clock` with the shop's zone, or None where the wall clock counts. Delivery alone asks."""
        if self.clock is None:
            return None
        return self.clock if self.clock.tzinfo else self.clock.replace(tzinfo=self.zone)


class Ingest(Section):
    """What is extracted, and how far back late rows are looked for."""

    lookback_days: Annotated[int, Field(ge=0, le=366)]
    sources: dict[str, bool]

    def is_on(self, source: str) -> bool:
        """Whether a source table is extracted; one that the policy does not name is."""
        return self.sources.get(source, True)


class Models(Section):
    """When champions are trained and what they predict."""

    anchor_start: date
    anchor_every_days: Days
    horizon_days: Days
    high_value_share: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class LifecycleDays(Section):
    """Thresholds in days, counted at the end of the business day."""

    new_days: Days
    active_days: Days
    lapsing_days: Days


class NamedSegment(Section):
    """A group of customers with a strategy. `value_tier: any` takes both tiers."""

    name: Name
    lifecycle: Annotated[list[Lifecycle], Field(min_length=1)]
    value_tier: Literal["high", "low", "any"]
    strategy: Text
    priority_service: bool = False

    def covers(self, lifecycle: str, value_tier: str) -> bool:
        """Whether a customer of this lifecycle and value tier fits."""
        return lifecycle in self.lifecycle and self.value_tier in ("any", value_tier)


class Segments(Section):
    """The first of `named` that covers a customer's lifecycle and value tier is the segment."""

    lifecycle: LifecycleDays
    named: Annotated[list[NamedSegment], Field(min_length=1, max_length=12)]

    def of(self, lifecycle: str, value_tier: str) -> NamedSegment:
        """The segment of a lifecycle and value tier (every combination has one: checked on load)."""
        return next(s for s in self.named if s.covers(lifecycle, value_tier))


class Offer(Section):
    """What a customer can be given."""

    name: Name
    title: Text
    kind: Literal["amount_off", "percent_off", "none"]
    value: Money = 0.0
    at_most: Money | None = None
    minimum_spend: Money = 0.0
    valid_days: Annotated[int, Field(ge=1, le=366)]

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


class OnRegistration(Section):
    """Customers who registered at most `within_days` ago."""

    when: Literal["registration"]
    within_days: Days


class OnBirthday(Section):
    """Customers whose birthday is at most `lead_days` ahead of the day after the business day."""

    when: Literal["birthday"]
    lead_days: Annotated[int, Field(ge=0, le=60)]
    leap_day: Literal["02-28", "03-01"]


class OnSegment(Section):
    """Everybody in the audience."""

    when: Literal["segment"]


Trigger = Annotated[OnRegistration | OnBirthday | OnSegment, Field(discriminator="when")]


class Assumed(Section):
    """What a campaign is believed to do until it has been measured."""

    p_redeem: Share
    incremental_share: Share
    margin_share: Share
    basket: Annotated[float, Field(gt=0)]


class Campaign(Section):
    """Who gets which offer, when, by which channel."""

    name: Name
    enabled: bool
    trigger: Trigger
    audience: Literal["all"] | list[str]
    offer: str
    channels: Annotated[list[Channel], Field(min_length=1)]
    template: Name
    repeat: Literal["once", "year", "quarter", "month"]
    gap_days: Annotated[int, Field(ge=0, le=366)] = 0
    priority: Annotated[int, Field(ge=1)]
    budget_per_day: Money
    cap_class: Literal["marketing", "transactional"]
    success_metric: Text
    assumed: Assumed
    starts_on: date | None = None
    ends_on: date | None = None

    def runs_on(self, day: date) -> bool:
        """Whether the campaign is on for a business day."""
        begun = self.starts_on is None or self.starts_on <= day
        return self.enabled and begun and (self.ends_on is None or day <= self.ends_on)


class Cap(Section):
    """At most `messages` in any `window_days` consecutive days."""

    messages: Annotated[int, Field(ge=0)]
    window_days: Annotated[int, Field(ge=1, le=366)]


class Caps(Section):
    """The most a customer may be sent, over all campaigns and channels."""

    marketing: Cap


class MessageCost(Section):
    """What one message costs."""

    email: Money
    sms: Money


class Budgets(Section):
    """Expected cost that a day may reach, and what messages cost."""

    per_day: Money
    message_cost: MessageCost


class Control(Section):
    """The share of customers who would be sent something and are sent nothing, to measure against."""

    share: Annotated[float, Field(ge=0, lt=1)]
    salt: Text


class ClockWindow(Section):
    """From `start` until `end`, wall-clock times in the customer's zone; may pass midnight."""

    start: TimeOfDay
    end: TimeOfDay

    def covers(self, moment: time) -> bool:
        """Whether a time of day lies in the window (start included, end not)."""
        if self.start <= self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


class Activation(Section):
    """When messages may go out, and to whom never."""

    max_age_days: Annotated[int, Field(ge=0, le=366)]
    send_window: ClockWindow
    quiet_hours: ClockWindow
    send_within_days: Annotated[int, Field(ge=1, le=60)]
    minimum_age: Annotated[int, Field(ge=0, le=120)]
    verified_contacts_only: bool
    minimum_expected_value: float


class Approvals(Section):
    """What waits for a person before it is sent."""

    spend_above: Money | None
    first_run: bool
    timeout_hours: Annotated[int, Field(ge=1)]


class DeliveryChannels(Section):
    """Through what each channel's messages leave."""

    email: Literal["outbox", "smtp", "webhook"]
    sms: Literal["outbox", "webhook"]


class Delivery(Section):
    """How messages are sent, and what every one of them must say."""

    channels: DeliveryChannels
    sender_name: Text
    sender_address: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    postal_address: Text
    unsubscribe_url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    batch_size: Annotated[int, Field(ge=1, le=100_000)]
    max_attempts: Annotated[int, Field(ge=1, le=100)]
    backoff_minutes: Annotated[float, Field(ge=0)]

    def unsubscribe_link(self, message_id: str) -> str:
        """Where the receiver of a message says that no more is wanted."""
        joint = "&" if "?" in self.unsubscribe_url else "?"
        return f"{self.unsubscribe_url}{joint}m={message_id}"


class Policy(Section):
    """The whole of `config/policy.yml`."""

    shop: Shop
    ingest: Ingest
    models: Models
    recommendations: Recommendations
    segments: Segments
    offers: Annotated[list[Offer], Field(min_length=1)]
    campaigns: list[Campaign]
    caps: Caps
    budgets: Budgets
    control: Control
    activation: Activation
    approvals: Approvals
    delivery: Delivery

    @cached_property
    def hash(self) -> str:
        """16 hex digits of the content. Comments, order of keys and `shop.clock` do not move it.

        The clock stays out because delivery alone reads it: no row that carries the hash depends on it.
        """
        content = self.model_dump(mode="json", exclude={"shop": {"clock"}})
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def offer(self, name: str) -> Offer:
        """The offer of a name (campaigns name only known ones: checked on load)."""
        return next(offer for offer in self.offers if offer.name == name)

    def campaign(self, name: str) -> Campaign:
        """The campaign of a name."""
        return next(campaign for campaign in self.campaigns if campaign.name == name)


# --- reading ---------------------------------------------------------------------------------------

_loaded: dict[Path, tuple[tuple[int, int], Policy]] = {}


def default_path() -> Path:
    """The policy in force: `REGULARS_POLICY`, or the project's own."""
    return Path(os.environ.get("REGULARS_POLICY") or DEFAULT_PATH)


def load(path: str | Path | None = None) -> Policy:
    """The policy in a file (default: `REGULARS_POLICY`, else `config/policy.yml`), validated.

    A file that has not changed is read once a process.

    Raises
    ------
    PolicyError
        With one sentence for each thing that is wrong.
    """
    file = Path(path) if path is not None else default_path()
    try:
        stat = file.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = _loaded.get(file)
        if known is not None and known[0] == stamp:
            return known[1]
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PolicyError(
            [
                (
                    f"{_shown(file)}: expected a readable policy file, found: {reason}; "
                    "set REGULARS_POLICY to one, or restore config/policy.yml."
                )
            ]
        ) from error
    policy = parse(text, _shown(file))
    _loaded[file] = (stamp, policy)
    return policy


def parse(text: str, name: str = "policy.yml") -> Policy:
    """The policy in a YAML text; `name` is the file that errors speak of."""
    return reading.parse(text, name, Policy, _contradictions)


def _shown(file: Path) -> str:
    """The file as a person would name it: relative to the project where it lies within."""
    try:
        return str(file.resolve().relative_to(ROOT))
    except ValueError:
        return str(file)


# --- contradictions --------------------------------------------------------------------------------


def _contradictions(policy: Policy) -> Iterator[tuple[Place, str]]:
    """What each section allows and the whole does not."""
    yield from _shop_contradictions(policy)
    yield from _segment_contradictions(policy)
    for section, names in (
        ("offers", [offer.name for offer in policy.offers]),
        ("campaigns", [campaign.name for campaign in policy.campaigns]),
    ):
        for index, name in twice(names):
            yield (
                (section, index, "name"),
                (f"expected each name once, found '{name}' a second time; rename or remove one."),
            )
    for index, offer in enumerate(policy.offers):
        yield from _offer_contradictions(index, offer)
    for index, campaign in enumerate(policy.campaigns):
        yield from _campaign_contradictions(index, campaign, policy)
    yield from _limit_contradictions(policy)


def _shop_contradictions(policy: Policy) -> Iterator[tuple[Place, str]]:
    shop = policy.shop
    if not (SOURCES / shop.source).is_dir():
        yield (
            ("shop", "source"),
            (
                f"expected a folder include/sql/extract/{shop.source}, found none; name an existing one "
                "or write its extraction SQL."
            ),
        )
    clock = shop.fixed_clock()
    if clock is not None and clock.astimezone(shop.zone).date() <= shop.opened_on:
        yield (
            ("shop", "clock"),
            (
                f"expected a moment after shop.opened_on ({shop.opened_on}), found {clock:%Y-%m-%d}; "
                "move the clock, or write null for the wall clock."
            ),
        )
    if policy.models.anchor_start > shop.opened_on + timedelta(
        days=policy.models.anchor_every_days
    ):
        yield (
            ("models", "anchor_start"),
            (
                f"expected at most one anchor step after shop.opened_on ({shop.opened_on}), found "
                f"{policy.models.anchor_start}; start them earlier, so that early days have a champion."
            ),
        )


def _segment_contradictions(policy: Policy) -> Iterator[tuple[Place, str]]:
    days, named = policy.segments.lifecycle, policy.segments.named
    if days.lapsing_days <= days.active_days:
        yield (
            ("segments", "lifecycle", "lapsing_days"),
            (
                f"expected more than active_days ({days.active_days}), found {days.lapsing_days}; "
                "otherwise nobody is ever lapsing: raise it."
            ),
        )
    for index, name in twice(segment.name for segment in named):
        yield (
            ("segments", "named", index, "name"),
            (f"expected each name once, found '{name}' a second time; rename or remove one."),
        )
    open_ = {(c, t) for c in get_args(Lifecycle) for t in get_args(ValueTier)}
    for index, segment in enumerate(named):
        taken = {pair for pair in open_ if segment.covers(*pair)}
        if not taken:
            yield (
                ("segments", "named", index),
                (
                    f"expected a segment that somebody can fall into, found '{segment.name}' wholly covered "
                    "by those before it; move it up, narrow an earlier one or remove it."
                ),
            )
        open_ -= taken
    if open_:
        pairs = ", ".join(sorted(f"{lifecycle}/{tier}" for lifecycle, tier in open_))
        yield (
            ("segments", "named"),
            (
                f"expected segments for every lifecycle and value tier, found none for {pairs}; add one "
                "(value_tier: any covers both)."
            ),
        )


def _offer_contradictions(index: int, offer: Offer) -> Iterator[tuple[Place, str]]:
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


def _campaign_contradictions(
    index: int, campaign: Campaign, policy: Policy
) -> Iterator[tuple[Place, str]]:
    here = ("campaigns", index)
    segments = [segment.name for segment in policy.segments.named]
    offers = {offer.name: offer for offer in policy.offers}
    if isinstance(campaign.audience, list):
        for position, name in enumerate(campaign.audience):
            if name not in segments:
                yield (
                    (*here, "audience", position),
                    (
                        f"expected a segment of segments.named ({', '.join(segments)}), found '{name}'; "
                        f"{one_of(name, segments)}."
                    ),
                )
        if not campaign.audience:
            yield (
                (*here, "audience"),
                "expected at least one segment, found none; name one, or all.",
            )
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
    if campaign.starts_on and campaign.ends_on and campaign.ends_on < campaign.starts_on:
        yield (
            (*here, "ends_on"),
            (
                f"expected a day on or after starts_on ({campaign.starts_on}), found {campaign.ends_on}; "
                "correct one of the two."
            ),
        )
    if isinstance(campaign.trigger, OnBirthday) and campaign.repeat != "year":
        yield (
            (*here, "repeat"),
            (
                f"expected year for a birthday campaign, found {campaign.repeat}; write repeat: year."
            ),
        )
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
    last_send = policy.activation.send_within_days
    if isinstance(campaign.trigger, OnBirthday):
        last_send = max(last_send, campaign.trigger.lead_days + 1)
    if offer.has_coupon and offer.valid_days < last_send:
        yield (
            (*here, "offer"),
            (
                f"expected an offer valid for at least the {last_send} days in which it may still be sent or "
                f"is waited for, found '{offer.name}' with valid_days {offer.valid_days}; lengthen it, or "
                "shorten activation.send_within_days or lead_days."
            ),
        )
    if campaign.enabled and offer.has_coupon and campaign.budget_per_day < offer.worst_cost:
        yield (
            (*here, "budget_per_day"),
            (
                f"expected at least one '{offer.name}' ({offer.worst_cost:g}), found "
                f"{campaign.budget_per_day:g}; raise it, or write enabled: false."
            ),
        )
    if campaign.enabled and offer.has_coupon and policy.budgets.per_day < offer.worst_cost:
        yield (
            ("budgets", "per_day"),
            (
                f"expected at least one '{offer.name}' of campaign '{campaign.name}' ({offer.worst_cost:g}), "
                f"found {policy.budgets.per_day:g}; raise it, or switch the campaign off."
            ),
        )


def _limit_contradictions(policy: Policy) -> Iterator[tuple[Place, str]]:
    on = [c.name for c in policy.campaigns if c.enabled and c.cap_class == "marketing"]
    if policy.caps.marketing.messages == 0 and on:
        yield (
            ("caps", "marketing", "messages"),
            (
                f"expected at least 1 while campaigns are enabled ({', '.join(on)}), found 0; raise it, or "
                "switch them off."
            ),
        )
    rules = policy.activation
    window, quiet = rules.send_window, rules.quiet_hours
    if window.start == window.end:
        yield (
            ("activation", "send_window"),
            (f"expected a start before the end, found {window.start:%H:%M} for both; widen it."),
        )
    elif window.start > window.end:
        yield (
            ("activation", "send_window"),
            (
                f"expected a start before the end, found {window.start:%H:%M} to {window.end:%H:%M}; a send "
                "window stays within one day."
            ),
        )
    elif not any(not quiet.covers(minute) for minute in _minutes(window.start, window.end)):
        yield (
            ("activation", "quiet_hours"),
            (
                f"expected some of the send window ({window.start:%H:%M} to {window.end:%H:%M}) outside, "
                "found "
                f"quiet hours {quiet.start:%H:%M} to {quiet.end:%H:%M} over all of it; shorten them."
            ),
        )


def _minutes(start: time, end: time) -> Iterator[time]:
    for minute in range(start.hour * 60 + start.minute, end.hour * 60 + end.minute):
        yield time(minute // 60, minute % 60)


# --- command ---------------------------------------------------------------------------------------

USAGE = """usage: regulars policy check [FILE]      say whether the policy is valid
       regulars policy preview [FILE]    say who would gain or lose what, against the decisions in force"""


def main(argv: list[str]) -> int:
    """`regulars policy check|preview`; the exit code is 0 when the policy is valid, 1 if not, 2 for usage."""
    if not argv or argv[0] not in ("check", "preview") or len(argv) > 2:
        sys.stderr.write(USAGE + "\n")
        return 2
    path = Path(argv[1]) if len(argv) > 1 else default_path()
    try:
        policy = load(path)
    except PolicyError as error:
        sys.stderr.write("\n".join(error.problems) + "\n")
        return 1
    if argv[0] == "check":
        on = [campaign.name for campaign in policy.campaigns if campaign.enabled]
        sys.stdout.write(
            f"{_shown(path)}: valid. {len(policy.segments.named)} segments, {len(policy.offers)} offers, "
            f"{len(on)} of {len(policy.campaigns)} campaigns on ({', '.join(on) or 'none'}). "
            f"Hash {policy.hash}.\n"
        )
        return 0
    from include.steps import activate

    try:
        sys.stdout.write(activate.preview(policy) + "\n")
    except RegularsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0

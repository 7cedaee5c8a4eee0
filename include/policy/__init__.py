"""`config/policy.yml`, validated: what marketing may change without touching code.

`load()` returns a `Policy`. Whatever is wrong with the file is said in one sentence for each fault, with
the file, the line, what was expected, what was found and what to do. Unknown keys are refused, and so is
a policy that contradicts itself (a campaign of an unknown offer, a cap of nothing with campaigns on, a
budget below a single offer, ...).

`Policy.hash` is written into every marketing row, so that a row says under which rules it came about.

- `base`: what sections are made of; `reading`: a text as a model, each fault with its line.
- `campaigns`, `ingest`, `limits`, `recommendations`, `stock`: the sections.
- `trigger`: what a trigger of campaigns is; `triggers`: each of them; `finding`: what they look at.
- `schedule`: what a DAG file reads of it.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from include.policy import campaigns, ingest, limits, reading
from include.policy.base import (
    Days,
    LocaleName,
    Money,
    Name,
    Place,
    PolicyError,
    Region,
    Section,
    Text,
    Zone,
    twice,
)
from include.policy.campaigns import Campaign, Offer
from include.policy.ingest import Ingest
from include.policy.limits import Activation, Budgets, Caps, Control
from include.policy.recommendations import Recommendations
from include.policy.stock import Stock

__all__ = [
    "Campaign",
    "Policy",
    "PolicyError",
    "Recommendations",
    "default_path",
    "instead",
    "load",
    "parse",
    "shown",
]

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PATH = ROOT / "config" / "policy.yml"
SOURCES = ROOT / "include" / "sql" / "extract"

Lifecycle = Literal["new", "active", "lapsing", "lost"]
ValueTier = Literal["high", "low"]


_Value = TypeVar("_Value")


def as_written(region: str) -> str:
    """A region as core writes it: small letters, no blanks around."""
    return region.strip().lower()


def _by_region(value: dict[str, _Value]) -> dict[str, _Value]:
    found = {as_written(region): one for region, one in value.items()}
    if len(found) < len(value) or "" in found:
        raise PydanticCustomError(
            "regions", "Input should name each region once, whatever its capitals and blanks"
        )
    return found


ByRegion = Annotated[dict[str, _Value], AfterValidator(_by_region)]


class Shop(Section):
    """Where the data comes from, and the zone and moment it lives in."""

    source: Name
    timezone: Zone
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    opened_on: date
    #: Days that an exchange rate holds where no newer one is known.
    rates_max_age_days: Annotated[int, Field(ge=0, le=366)] = 7
    clock: datetime | None
    #: The country of telephone numbers that do not say theirs; without it such a number is none.
    phone_region: Region | None = None
    #: The zone that the customers of a sales region live in, where it is not the shop's.
    region_timezones: ByRegion[Zone] = Field(default_factory=dict)
    #: The language and country that messages are written for, and those of regions that differ.
    locale: LocaleName
    region_locales: ByRegion[LocaleName] = Field(default_factory=dict)

    @property
    def is_demo(self) -> bool:
        """Whether it is the shop that comes with the project."""
        return self.source == "complete_journey"

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def timezone_of(self, region: str | None) -> str:
        """The time zone of a customer's region; the shop's where the region, or its zone, is not known."""
        return self.region_timezones.get(as_written(region or ""), self.timezone)

    def locale_of(self, region: str | None) -> str:
        """The locale of a customer's region; the shop's where the region, or its locale, is not known."""
        return self.region_locales.get(as_written(region or ""), self.locale)

    def fixed_clock(self) -> datetime | None:
        """`clock` with the shop's zone, or None where the wall clock counts. Delivery alone asks."""
        if self.clock is None:
            return None
        return self.clock if self.clock.tzinfo else self.clock.replace(tzinfo=self.zone)


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


def _from_to(value: list[int]) -> list[int]:
    if not 1 <= value[0] <= value[1] <= 5:
        raise PydanticCustomError(
            "fifths", "Input should be two fifths from 1 to 5, the lower one first, such as [4, 5]"
        )
    return value


Fifths = Annotated[list[int], Field(min_length=2, max_length=2), AfterValidator(_from_to)]


class RfmCells(Section):
    """Fifths of the customers, from and to: 5 is the latest order, the most orders, the most spend."""

    recency: Fifths = [1, 5]
    frequency: Fifths = [1, 5]
    monetary: Fifths = [1, 5]

    def covers(self, cell: str) -> bool:
        """Whether a cell, as `5-4-1`, lies within."""
        ranges = (self.recency, self.frequency, self.monetary)
        return all(
            low <= int(fifth) <= high
            for fifth, (low, high) in zip(cell.split("-"), ranges, strict=True)
        )


class NamedSegment(Section):
    """A group of customers with a strategy. `value_tier: any` takes both tiers; no `rfm` takes every cell."""

    name: Name
    lifecycle: Annotated[list[Lifecycle], Field(min_length=1)]
    value_tier: Literal["high", "low", "any"]
    rfm: RfmCells = RfmCells()
    strategy: Text
    priority_service: bool = False

    def covers(self, lifecycle: str, value_tier: str, rfm: str) -> bool:
        """Whether a customer of this lifecycle, value tier and RFM cell fits."""
        return (
            lifecycle in self.lifecycle
            and self.value_tier in ("any", value_tier)
            and self.rfm.covers(rfm)
        )


class Segments(Section):
    """The first of `named` that covers a customer's lifecycle, value tier and RFM cell is the segment."""

    lifecycle: LifecycleDays
    named: Annotated[list[NamedSegment], Field(min_length=1, max_length=12)]

    def of(self, lifecycle: str, value_tier: str, rfm: str) -> NamedSegment:
        """The segment of a combination (every one has a segment: checked on load)."""
        return next(s for s in self.named if s.covers(lifecycle, value_tier, rfm))


class Approvals(Section):
    """What waits for a person before it is sent."""

    spend_above: Money | None
    first_run: bool
    timeout_hours: Annotated[int, Field(ge=1)]


class Coupons(Section):
    """What tills are held to."""

    #: How far a till's day and moment may lie from the shop's clock.
    clock_tolerance_hours: Annotated[int, Field(ge=1, le=24 * 366)] = 48


class DeliveryChannels(Section):
    """Through what each channel's messages leave."""

    email: Literal["outbox", "smtp", "webhook"]
    sms: Literal["outbox", "webhook"]
    push: Literal["outbox", "webhook"] = "outbox"


class DeliveryRates(Section):
    """At most so many messages a minute through each channel; null for no limit."""

    email: Annotated[int, Field(ge=1)] | None = None
    sms: Annotated[int, Field(ge=1)] | None = None
    push: Annotated[int, Field(ge=1)] | None = None

    def of(self, channel: str) -> int | None:
        """The limit of a channel."""
        limit: int | None = getattr(self, channel)
        return limit


class DeliveryGateways(Section):
    """The profile of the gateway that each channel's webhook speaks to; null for our own form."""

    email: Text | None = None
    sms: Text | None = None
    push: Text | None = None

    def of(self, channel: str) -> str | None:
        """The profile of a channel: a name in config/gateways, or a path."""
        name: str | None = getattr(self, channel)
        return name


class Delivery(Section):
    """How messages are sent, and what every one of them must say."""

    channels: DeliveryChannels
    gateways: DeliveryGateways = DeliveryGateways()
    per_minute: DeliveryRates = DeliveryRates()
    sender_name: Text
    sender_address: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    postal_address: Text
    unsubscribe_url: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=900)]
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
    stock: Stock
    segments: Segments
    offers: Annotated[list[Offer], Field(min_length=1)]
    campaigns: list[Campaign]
    caps: Caps
    budgets: Budgets
    control: Control
    activation: Activation
    approvals: Approvals
    coupons: Coupons = Coupons()
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
_instead: list[Policy] = []


@contextmanager
def instead(policy: Policy) -> Iterator[None]:
    """Let `load()` answer with a policy that stands in no file, in this whole process."""
    _instead.append(policy)
    try:
        yield
    finally:
        _instead.remove(policy)


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
    if path is None and _instead:
        return _instead[-1]
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
                    f"{shown(file)}: expected a readable policy file, found: {reason}; "
                    "set REGULARS_POLICY to one, or restore config/policy.yml."
                )
            ]
        ) from error
    policy = parse(text, shown(file))
    _loaded[file] = (stamp, policy)
    return policy


def parse(text: str, name: str = "policy.yml") -> Policy:
    """The policy in a YAML text; `name` is the file that errors speak of."""
    return reading.parse(text, name, Policy, _contradictions)


def shown(file: Path) -> str:
    """The file as a person would name it: relative to the project where it lies within."""
    try:
        return str(file.resolve().relative_to(ROOT))
    except ValueError:
        return str(file)


# --- contradictions --------------------------------------------------------------------------------


def _contradictions(policy: Policy) -> Iterator[tuple[Place, str]]:
    """What each section allows and the whole does not."""
    yield from _shop_contradictions(policy)
    yield from ingest.contradictions(policy.ingest)
    yield from _segment_contradictions(policy)
    named = [segment.name for segment in policy.segments.named]
    yield from policy.recommendations.contradictions(named)
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
        yield from campaigns.offer_contradictions(index, offer)
    for index, campaign in enumerate(policy.campaigns):
        yield from campaigns.campaign_contradictions(index, campaign, policy)
    yield from limits.contradictions(
        policy.caps, policy.activation, policy.budgets, policy.campaigns
    )


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
    cells = ["-".join(fifths) for fifths in product("12345", repeat=3)]
    open_ = set(product(get_args(Lifecycle), get_args(ValueTier), cells))
    for index, segment in enumerate(named):
        taken = {one for one in open_ if segment.covers(*one)}
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
        pairs = ", ".join(sorted({f"{lifecycle}/{tier}" for lifecycle, tier, _ in open_}))
        yield (
            ("segments", "named"),
            (
                "expected segments for every lifecycle, value tier and RFM cell, found none for (some cells "
                f"of) {pairs}; add one (value_tier: any covers both, no rfm every cell)."
            ),
        )

"""Triggers of campaigns: what a customer did, or what is about to happen, that a message answers."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from include.policy.base import Days, Section, Share

EventType = Literal["browse", "cart", "follow", "wishlist"]
Rating = Annotated[int, Field(ge=1, le=5)]


class _On(Section):
    """A trigger; `needs` names the sources beside customers and orders that it finds customers in."""

    needs: ClassVar[tuple[str, ...]] = ()


class OnRegistration(_On):
    """Customers who registered at most `within_days` ago."""

    when: Literal["registration"]
    within_days: Days


class OnFirstOrder(_On):
    """Customers with one order so far, `after_days` to `within_days` ago."""

    when: Literal["first_order"]
    after_days: Annotated[int, Field(ge=0, le=366)]
    within_days: Days


class OnReplenish(_On):
    """Customers expected to shop by `lead_days` after the day of sending, who buy something regularly.

    Regularly: a product of their replenish list whose chance of being bought again is `minimum_score` or
    more.
    """

    when: Literal["replenish"]
    lead_days: Annotated[int, Field(ge=0, le=60)]
    minimum_score: Share


class OnSegment(_On):
    """Everybody in the audience."""

    when: Literal["segment"]


class OnBirthday(_On):
    """Customers whose birthday is at most `lead_days` ahead of the day after the business day."""

    when: Literal["birthday"]
    lead_days: Annotated[int, Field(ge=0, le=60)]
    leap_day: Literal["02-28", "03-01"]


class OnMemberEvent(_On):
    """Customers of the region where an event starts in `at_least_days` to `lead_days` days.

    At least two: messages leave from the day after the business day, and none leaves later than on the eve.
    """

    needs: ClassVar[tuple[str, ...]] = ("member_events",)

    when: Literal["member_event"]
    lead_days: Annotated[int, Field(ge=1, le=120)]
    at_least_days: Annotated[int, Field(ge=2, le=60)]


class OnAbandoned(_On):
    """Customers who looked at a product, or put it into the cart, and have not bought it since.

    The last of at least `at_least` such events was at most `within_days` ago.
    """

    needs: ClassVar[tuple[str, ...]] = ("events",)

    when: Literal["abandoned"]
    event: Literal["browse", "cart"]
    within_days: Annotated[int, Field(ge=1, le=60)]
    at_least: Annotated[int, Field(ge=1, le=100)]


class OnPriceDrop(_On):
    """Customers who follow, or wish for, a product that has become cheaper.

    The price of the last `recent_days` lies at least `minimum_drop` (a share) below that of the
    `compared_days` before them; they began to follow it within `followed_days`.
    """

    needs: ClassVar[tuple[str, ...]] = ("events",)

    when: Literal["price_drop"]
    minimum_drop: Annotated[float, Field(gt=0, lt=1)]
    recent_days: Annotated[int, Field(ge=1, le=60)]
    compared_days: Annotated[int, Field(ge=1, le=366)]
    followed_days: Annotated[int, Field(ge=1, le=366)]


class OnOverstock(_On):
    """Customers who buy a product of which their region has more than is wanted.

    Bought on `at_least` days within `within_days`; `promote_to` is clear in the stock priorities published
    for the day before.
    """

    needs: ClassVar[tuple[str, ...]] = ("stock_levels",)

    when: Literal["overstock"]
    at_least: Annotated[int, Field(ge=1, le=100)]
    within_days: Annotated[int, Field(ge=1, le=366)]


class OnReview(_On):
    """Customers who wrote a review with one of `ratings` at most `within_days` ago."""

    needs: ClassVar[tuple[str, ...]] = ("reviews",)

    when: Literal["review"]
    ratings: Annotated[list[Rating], Field(min_length=1, max_length=5)]
    within_days: Annotated[int, Field(ge=1, le=60)]


Trigger = Annotated[
    OnRegistration
    | OnFirstOrder
    | OnReplenish
    | OnSegment
    | OnBirthday
    | OnMemberEvent
    | OnAbandoned
    | OnPriceDrop
    | OnOverstock
    | OnReview,
    Field(discriminator="when"),
]

#: Triggers that speak of one thing (an event, a product, a review), so that each can have its own message.
OCCASIONS = (OnMemberEvent, OnAbandoned, OnPriceDrop, OnOverstock, OnReview)

"""The `recommendations` section of the policy: how product lists are made, and marketing's rules for them."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from include.policy.base import Days, Name, Place, Section, Share, Text, one_of, twice

ListName = Literal["replenish", "discover"]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Some = Annotated[list[Text], Field(min_length=1)]


class Alternative(Section):
    """Settings to try against the declared ones; what is not given stays as declared."""

    factors: Annotated[int, Field(ge=1, le=1024)] | None = None
    regularization: Weight | None = None
    alpha: Positive | None = None
    half_life_days: Positive | None = None


class Als(Section):
    """Settings of implicit's alternating least squares."""

    factors: Annotated[int, Field(ge=1, le=1024)]
    regularization: Weight
    alpha: Positive
    iterations: Annotated[int, Field(ge=1, le=200)]
    alternatives: Annotated[list[Alternative], Field(max_length=20)]


class Confidence(Section):
    """How much evidence each thing is beside a purchase, which counts 1; 0 leaves it out.

    `quantity` is what each doubling of the pieces bought on a day adds.
    """

    quantity: Weight
    browse: Weight
    cart: Weight
    follow: Weight
    wishlist: Weight
    review: Weight


class Eligibility(Section):
    """What may not be shown to a customer, whatever the models say."""

    minimum_margin: Annotated[float, Field(ge=-1, le=1)]
    stock_counts_days: Days
    replacement_share: Annotated[float, Field(ge=0, le=5)]


class NewProducts(Section):
    """Room for products that too few have bought to learn from, placed by what they are like."""

    slots: Annotated[int, Field(ge=0, le=100)]
    within_days: Days


class Reviews(Section):
    """How much the rating that a customer is expected to give moves a product, in log odds a star."""

    weight: Weight
    neighbours: Annotated[int, Field(ge=1, le=1000)]


class Products(Section):
    """A choice of products: those that meet everything which is given."""

    product_ids: Some | None = None
    types: Some | None = None
    categories: Some | None = None
    manufacturers: Some | None = None
    minimum_price: Weight | None = None
    maximum_price: Weight | None = None


class _Rule(Section):
    """What every rule has: a name to find it by, and whom and which lists it is for."""

    name: Name
    lists: Annotated[list[ListName], Field(min_length=1)] = ["replenish", "discover"]
    audience: Literal["all"] | list[str] = "all"

    def contradictions(self) -> Iterator[tuple[Place, str]]:
        """What is wrong with the rule by itself."""
        yield from ()


class _ProductRule(_Rule):
    products: Products

    def contradictions(self) -> Iterator[tuple[Place, str]]:
        chosen = self.products
        if not chosen.model_dump(exclude_none=True):
            yield (
                ("products",),
                (
                    f"expected at least one of {', '.join(Products.model_fields)}, found none; "
                    "say which products the rule is for."
                ),
            )
        low, high = chosen.minimum_price, chosen.maximum_price
        if low is not None and high is not None and low > high:
            yield (
                ("products", "maximum_price"),
                (
                    f"expected at least minimum_price ({low:g}), found {high:g}; otherwise no product "
                    "is chosen: correct one of the two."
                ),
            )


class Include(_ProductRule):
    """Bring products up as candidates, whether or not a model did."""

    rule: Literal["include"]
    reason: Text | None = None


class Exclude(_ProductRule):
    """Never show products."""

    rule: Literal["exclude"]


class Sensitive(_ProductRule):
    """Products that tell much about a person: left out where they were not asked for, and never named.

    They are not proposed as new, whatever was looked at; no reason for another product names them, and
    no message does. Who buys them finds them among the things to buy again, unless `lists` says both.
    """

    rule: Literal["sensitive"]
    lists: Annotated[list[ListName], Field(min_length=1)] = ["discover"]


class Boost(_ProductRule):
    """Multiply the odds of products by a factor when lists are ordered; below 1 pushes down."""

    rule: Literal["boost"]
    factor: Positive


class Pin(_ProductRule):
    """Put the best of the products at a position, where one may be shown to the customer."""

    rule: Literal["pin"]
    position: Annotated[int, Field(ge=1, le=100)]
    reason: Text | None = None


class PriceBand(_Rule):
    """Keep to prices around what the customer usually pays in the category."""

    rule: Literal["price_band"]
    lowest: Weight
    highest: Positive

    def contradictions(self) -> Iterator[tuple[Place, str]]:
        if self.lowest >= self.highest:
            yield (
                ("highest",),
                (
                    f"expected more than lowest ({self.lowest:g}), found {self.highest:g}; otherwise "
                    "every price is outside: correct one of the two."
                ),
            )


class Limit(_Rule):
    """At most so many of one category, type or manufacturer in a list."""

    rule: Literal["limit"]
    by: Literal["category", "type", "manufacturer"]
    at_most: Annotated[int, Field(ge=1, le=100)]


class OneOfAFamily(_Rule):
    """Never two products of one type in a list."""

    rule: Literal["one_of_a_family"]


class Cadence(_Rule):
    """Remind of a product only after a share of the days that the customer lets pass between purchases."""

    rule: Literal["cadence"]
    after: Annotated[float, Field(gt=0, le=5)]


class FavouriteBrand(_Rule):
    """Bring up what is new from the manufacturers that the customer buys from most, and favour it."""

    rule: Literal["favourite_brand"]
    brands: Annotated[int, Field(ge=1, le=20)]
    within_days: Days
    factor: Positive = 1.0


class NotReturned(_Rule):
    """Never show what the customer returned lately."""

    rule: Literal["not_returned"]
    within_days: Days


class NotRatedLow(_Rule):
    """Never show what the customer gave this rating or less."""

    rule: Literal["not_rated_low"]
    at_most: Annotated[int, Field(ge=1, le=5)]


Rule = Annotated[
    Include
    | Exclude
    | Sensitive
    | Boost
    | Pin
    | PriceBand
    | Limit
    | OneOfAFamily
    | Cadence
    | FavouriteBrand
    | NotReturned
    | NotRatedLow,
    Field(discriminator="rule"),
]


class Recommendations(Section):
    """How product lists are made."""

    half_life_days: Positive
    list_length: Annotated[int, Field(ge=1, le=100)]
    als: Als
    confidence: Confidence
    variety: Share
    eligibility: Eligibility
    new_products: NewProducts
    reviews: Reviews
    rules: list[Rule]

    def contradictions(self, segments: list[str]) -> Iterator[tuple[Place, str]]:
        """What each rule allows and the whole does not; places are relative to the whole policy."""
        rules = self.rules
        for index, name in twice(rule.name for rule in rules):
            yield (
                ("recommendations", "rules", index, "name"),
                (f"expected each name once, found '{name}' a second time; rename or remove one."),
            )
        if self.new_products.slots > self.list_length:
            yield (
                ("recommendations", "new_products", "slots"),
                (
                    f"expected at most list_length ({self.list_length}), found "
                    f"{self.new_products.slots}; lower it."
                ),
            )
        for index, rule in enumerate(rules):
            here = ("recommendations", "rules", index)
            for place, sentence in rule.contradictions():
                yield (*here, *place), sentence
            yield from _audience_contradictions(here, rule, segments)
            if isinstance(rule, Pin):
                yield from _pin_contradictions(here, rule, self, rules[:index])
            if isinstance(rule, Cadence) and "replenish" not in rule.lists:
                yield (
                    (*here, "lists"),
                    (
                        "expected the replenish list for a cadence rule, found "
                        f"{', '.join(rule.lists)}; nothing there was bought before: add replenish."
                    ),
                )


def _audience_contradictions(
    here: Place, rule: _Rule, segments: list[str]
) -> Iterator[tuple[Place, str]]:
    if rule.audience == "all":
        return
    if not rule.audience:
        yield (*here, "audience"), "expected at least one segment, found none; name one, or all."
    for position, name in enumerate(rule.audience):
        if name not in segments:
            yield (
                (*here, "audience", position),
                (
                    f"expected a segment of segments.named ({', '.join(segments)}), found '{name}'; "
                    f"{one_of(name, segments)}."
                ),
            )


def _pin_contradictions(
    here: Place, rule: Pin, asked: Recommendations, before: list[Rule]
) -> Iterator[tuple[Place, str]]:
    if rule.position > asked.list_length:
        yield (
            (*here, "position"),
            (
                f"expected at most list_length ({asked.list_length}), found {rule.position}; "
                "lower it, or lengthen the lists."
            ),
        )
    for other in before:
        if not isinstance(other, Pin) or not set(other.lists) & set(rule.lists):
            continue
        if other.position == rule.position and "all" in (other.audience, rule.audience):
            yield (
                (*here, "position"),
                (
                    f"expected a position of its own, found {rule.position}, which '{other.name}' "
                    "has for the same list; choose another."
                ),
            )

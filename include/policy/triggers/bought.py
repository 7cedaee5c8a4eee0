"""A customer has bought a product, type, category or brand lately, or has not."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from include.policy.base import Place
from include.policy.recommendations import Sensitive, Some
from include.policy.trigger import Trigger, Words

if TYPE_CHECKING:
    from include.policy import Campaign, Policy
    from include.policy.finding import Day, Found

#: Key -> column of core.products.
COLUMNS = {
    "product_ids": "product_id",
    "types": "type",
    "categories": "category",
    "brands": "brand",
}


class Bought(Trigger):
    """Customers who bought some products at most `within_days` ago; with `bought: false` those who did not.

    The products are those that meet everything that is given of `product_ids`, `types`, `categories` and
    `brands`. With `bought: false` and `bought_before_days` only who bought some in those days and none of
    them in the last `within_days`: cheese in eight weeks, not in three.

    Counted are pieces that were not all brought back. Products that a rule calls sensitive are none of these
    products, so a choice of nothing else, or of what the shop does not have, finds nobody.
    """

    finds: ClassVar[str] = (
        "who bought one of these products lately or, with `bought: false`, did not"
    )
    ends: ClassVar[str] = "the product is brought back; with `bought: false`, one of them is bought"
    template: ClassVar[str] = "bought"
    query: ClassVar[str | None] = "bought"

    when: Literal["bought"]
    product_ids: Some | None = None
    types: Some | None = None
    categories: Some | None = None
    brands: Some | None = None
    within_days: Annotated[int, Field(ge=1, le=366)]
    bought: bool = True
    bought_before_days: Annotated[int, Field(ge=2, le=732)] | None = None

    @property
    def is_about_one(self) -> bool:
        """About the product that was bought, where one was."""
        return self.bought or self.bought_before_days is not None

    @property
    def is_offer(self) -> bool:
        """What was just bought is not offered again; what was not bought for a while is."""
        return not self.bought

    @property
    def products(self) -> Mapping[str, list[str]]:
        """What the keys ask for."""
        return {column: values for key, column in COLUMNS.items() if (values := getattr(self, key))}

    def contradictions(self, campaign: "Campaign", policy: "Policy") -> Iterator[tuple[Place, str]]:
        """Some products are named, and days before go with what was not bought since."""
        if not self.products:
            yield (
                ("trigger",),
                (
                    f"expected at least one of {', '.join(COLUMNS)}, found none; say which products it is "
                    "about."
                ),
            )
        before = self.bought_before_days
        if before is not None and self.bought:
            yield (
                ("trigger", "bought_before_days"),
                (
                    "expected bought_before_days only beside bought: false, found it without; remove it, or "
                    "write bought: false."
                ),
            )
        elif before is not None and before <= self.within_days:
            yield (
                ("trigger", "bought_before_days"),
                (
                    f"expected more than within_days ({self.within_days}), found {before}; otherwise nobody "
                    "is ever found: raise it."
                ),
            )

    def doubts(self, policy: "Policy") -> Iterator[str]:
        """Values that a rule calls sensitive as a whole."""
        for rule in policy.recommendations.rules:
            if not isinstance(rule, Sensitive):
                continue
            # A price limit is not looked at: the rule holds for the whole kind.
            kinds = rule.products.model_dump(
                exclude_none=True, exclude={"minimum_price", "maximum_price"}
            )
            for key in kinds if len(kinds) == 1 else ():
                for value in getattr(self, key, None) or ():
                    if value in kinds[key]:
                        yield (
                            f"asks for '{value}' ({key}), which the rule {rule.name} calls sensitive, so "
                            "it brings nobody a message; leave it out."
                        )

    def find(self, day: "Day") -> "Found":
        """Those of the query's rows, each by the product bought last."""
        from include.policy.finding import Found

        found = day.newest()
        return found if self.is_about_one else Found(found.customer)

    def occasion(
        self, row: Mapping[str, Any] | None, last_day: date | None, words: Words
    ) -> dict[str, Any]:
        """The product bought last, and whether that was lately; none where none was bought."""
        about = super().occasion(row, last_day, words)
        return {"bought": self.bought} | (about if self.is_about_one else {"product": ""})

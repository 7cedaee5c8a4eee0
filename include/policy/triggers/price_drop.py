"""A product that a customer follows has become cheaper."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from include.policy.base import Place
from include.policy.trigger import Trigger, Words

if TYPE_CHECKING:
    from include.policy import Campaign, Policy
    from include.policy.finding import Day, Found


class PriceDrop(Trigger):
    """Customers who follow, or wish for, a product that has become cheaper.

    The price of the last `recent_days` lies at least `minimum_drop` (a share) below that of the
    `compared_days` before them; they began to follow it within `followed_days`.
    """

    finds: ClassVar[str] = "who follow or wish for a product that became cheaper"
    ends: ClassVar[str] = "the price is up again, or the product bought or gone"
    template: ClassVar[str] = "price_drop"
    needs: ClassVar[tuple[str, ...]] = ("events",)
    query: ClassVar[str | None] = "price_drop"

    when: Literal["price_drop"]
    minimum_drop: Annotated[float, Field(gt=0, lt=1)]
    recent_days: Annotated[int, Field(ge=1, le=60)]
    compared_days: Annotated[int, Field(ge=1, le=366)]
    followed_days: Annotated[int, Field(ge=1, le=366)]

    def contradictions(self, campaign: "Campaign", policy: "Policy") -> Iterator[tuple[Place, str]]:
        """Every campaign compares the same days."""
        first = next(t for c in policy.campaigns if isinstance(t := c.trigger, PriceDrop))
        for name in ("recent_days", "compared_days"):
            if getattr(self, name) != getattr(first, name):
                yield (
                    ("trigger", name),
                    (
                        f"expected the {name} of every other price_drop campaign ({getattr(first, name)}), "
                        f"because a product has one price of before, found {getattr(self, name)}; "
                        "write the same."
                    ),
                )

    def find(self, day: "Day") -> "Found":
        """Those with a product that is cheaper by enough, each by the greatest drop; once a month each."""
        rows = day.rows
        drop = 1 - rows["price_now"].to_numpy(float) / rows["price_before"].to_numpy(float)
        fits = day.within(self.followed_days) & (drop >= self.minimum_drop - 1e-9)
        # A product may become cheaper again in another month, and is news then.
        return day.by_month(day.newest(fits, first=-drop))

    def occasion(
        self, row: Mapping[str, Any] | None, last_day: date | None, words: Words
    ) -> dict[str, Any]:
        """The product, and both prices."""
        values = super().occasion(row, last_day, words)
        if row is not None:
            values |= {
                name: words.money(float(row[name])) for name in ("price_now", "price_before")
            }
        return values

"""A customer has written a review."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from include.policy.base import Place, twice
from include.policy.trigger import Trigger, Words

if TYPE_CHECKING:
    from include.policy import Campaign, Policy
    from include.policy.finding import Day, Found

Rating = Annotated[int, Field(ge=1, le=5)]


class Review(Trigger):
    """Customers who wrote a review with one of `ratings` at most `within_days` ago."""

    finds: ClassVar[str] = "who wrote a review with one of these ratings"
    ends: ClassVar[str] = "the review is taken back, or has another rating"
    template: ClassVar[str] = "review_thanks"
    needs: ClassVar[tuple[str, ...]] = ("reviews",)
    query: ClassVar[str | None] = "review"

    when: Literal["review"]
    ratings: Annotated[list[Rating], Field(min_length=1, max_length=5)]
    within_days: Annotated[int, Field(ge=1, le=60)]

    @property
    def is_offer(self) -> bool:
        """An answer to a review is no offer of the product."""
        return False

    def contradictions(self, campaign: "Campaign", policy: "Policy") -> Iterator[tuple[Place, str]]:
        """Each rating once; none that is a complaint, unless the campaign is for after one."""
        for position, rating in twice(map(str, self.ratings)):
            yield (
                ("trigger", "ratings", position),
                f"expected each rating once, found {rating} a second time; remove it.",
            )
        rules = policy.activation.complaints
        angry = [rating for rating in self.ratings if rating <= rules.rating]
        if angry and rules.days > 0 and not campaign.after_complaint:
            yield (
                ("trigger", "ratings"),
                (
                    f"expected ratings above activation.complaints.rating ({rules.rating}), after which "
                    f"nothing is advertised, found {angry[0]}; write after_complaint: true, or leave it out."
                ),
            )

    def occasion(
        self, row: Mapping[str, Any] | None, last_day: date | None, words: Words
    ) -> dict[str, Any]:
        """The product, and what is bought together with it."""
        with_it = None if row is None else row.get("goes_with")
        listed = json.loads(with_it) if isinstance(with_it, str) else []
        return super().occasion(row, last_day, words) | {"goes_with": listed}

    def find(self, day: "Day") -> "Found":
        """Those with such a review, each by the newest."""
        rated = day.rows["number"].isin(self.ratings).to_numpy(dtype=bool)
        return day.newest(day.within(self.within_days) & rated)

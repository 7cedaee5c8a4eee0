"""A region has more than is wanted of a product that a customer buys."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from include.policy.trigger import Trigger

if TYPE_CHECKING:
    from include.policy.finding import Day, Found


class Overstock(Trigger):
    """Customers who buy a product of which their region has more than is wanted.

    Bought on `at_least` days within `within_days`; `promote_to` is clear in the stock priorities published
    for the day before.
    """

    finds: ClassVar[str] = "who buy a product that the region has too much of"
    ends: ClassVar[str] = "there is not too much of it any more, or it is gone"
    template: ClassVar[str] = "overstock"
    needs: ClassVar[tuple[str, ...]] = ("stock_levels",)
    query: ClassVar[str | None] = "overstock"

    when: Literal["overstock"]
    at_least: Annotated[int, Field(ge=1, le=100)]
    within_days: Annotated[int, Field(ge=1, le=366)]

    def find(self, day: "Day") -> "Found":
        """Those who buy one often enough, each by the product of the most days; once a month each."""
        number = day.rows["number"]
        often = (number >= self.at_least).to_numpy(dtype=bool, na_value=False)
        first = -number.to_numpy(dtype=float)
        return day.by_month(day.newest(day.within(self.within_days) & often, first=first))

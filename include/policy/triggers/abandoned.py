"""A customer looked at a product, or put it into the cart, and left it there."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from include.policy.trigger import Trigger

if TYPE_CHECKING:
    from include.policy.finding import Day, Found


class Abandoned(Trigger):
    """Customers who looked at a product, or put it into the cart, and have not bought it since.

    The last of at least `at_least` such events was at most `within_days` ago.
    """

    finds: ClassVar[str] = (
        "who looked at a product, or put it into the cart, and have not bought it since"
    )
    ends: ClassVar[str] = "the product is bought, or gone"
    template: ClassVar[str] = "abandoned"
    needs: ClassVar[tuple[str, ...]] = ("events",)
    query: ClassVar[str | None] = "abandoned"

    when: Literal["abandoned"]
    event: Literal["browse", "cart"]
    within_days: Annotated[int, Field(ge=1, le=60)]
    at_least: Annotated[int, Field(ge=1, le=100)]

    def find(self, day: "Day") -> "Found":
        """Those who did it often enough, each by the product of the newest day."""
        often = (day.rows["number"] >= self.at_least).to_numpy(dtype=bool, na_value=False)
        return day.newest(day.within(self.within_days) & often)

"""A customer is about to shop, and buys something regularly."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from include.policy.base import Share
from include.policy.trigger import Trigger

if TYPE_CHECKING:
    from include.policy.finding import Day, Found


class Replenish(Trigger):
    """Customers expected to shop by `lead_days` after the day of sending, who buy something regularly.

    Regularly: a product of their replenish list whose chance of being bought again is `minimum_score` or
    more.
    """

    finds: ClassVar[str] = "about to shop, who buy something regularly"
    ends: ClassVar[str] = "the customer has shopped"
    template: ClassVar[str] = "replenishment"

    when: Literal["replenish"]
    lead_days: Annotated[int, Field(ge=0, le=60)]
    minimum_score: Share

    def find(self, day: "Day") -> "Found":
        """Those with a product that is likely enough, and whose next order is near or overdue."""
        lists = day.products
        regular = (lists["list"] == "replenish") & (lists["score"] >= self.minimum_score)
        buys = day.among(lists.loc[regular.to_numpy(dtype=bool), "customer_id"])
        ahead = -day.days_since(day.customers["expected_next_order_date"])
        return day.those(buys & (ahead <= 1 + self.lead_days))

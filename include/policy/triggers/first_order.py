"""A customer has ordered for the first time, and not again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from include.policy.base import Days, Place
from include.policy.trigger import Trigger

if TYPE_CHECKING:
    from include.policy import Campaign, Policy
    from include.policy.finding import Day, Found


class FirstOrder(Trigger):
    """Customers with one order so far, `after_days` to `within_days` ago."""

    finds: ClassVar[str] = "with one order so far"
    ends: ClassVar[str] = "there is a second order"
    template: ClassVar[str] = "second_purchase"

    when: Literal["first_order"]
    after_days: Annotated[int, Field(ge=0, le=366)]
    within_days: Days

    def contradictions(self, campaign: "Campaign", policy: "Policy") -> Iterator[tuple[Place, str]]:
        """The window is some days long."""
        if self.within_days <= self.after_days:
            yield (
                ("trigger", "within_days"),
                (
                    f"expected more than after_days ({self.after_days}), found {self.within_days}; "
                    "otherwise nobody is ever reached: raise it."
                ),
            )

    def find(self, day: "Day") -> "Found":
        """Those whose only order lies in the window."""
        age = day.days_since(day.customers["first_order_day"])
        only = (day.customers["orders_total"] == 1).to_numpy(dtype=bool, na_value=False)
        return day.those(only & (age >= self.after_days) & (age <= self.within_days))

"""A customer has registered."""

from typing import TYPE_CHECKING, ClassVar, Literal

from include.policy.base import Days
from include.policy.trigger import Trigger

if TYPE_CHECKING:
    from include.policy.finding import Day, Found


class Registration(Trigger):
    """Customers who registered at most `within_days` ago."""

    finds: ClassVar[str] = "who registered lately"
    ends: ClassVar[str] = "the account is gone, or older than believed"
    template: ClassVar[str] = "welcome"

    when: Literal["registration"]
    within_days: Days

    def find(self, day: "Day") -> "Found":
        """Those who registered lately."""
        age = day.days_since(day.customers["registered_at"])
        return day.those((age >= 0) & (age <= self.within_days))

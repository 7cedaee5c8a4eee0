"""A customer is in the audience; nothing else is asked."""

from typing import TYPE_CHECKING, ClassVar, Literal

from include.policy.trigger import Trigger

if TYPE_CHECKING:
    from include.policy.finding import Day, Found


class Segment(Trigger):
    """Everybody in the audience."""

    finds: ClassVar[str] = "of the audience"
    template: ClassVar[str] = "vip_exclusive"

    when: Literal["segment"]

    def find(self, day: "Day") -> "Found":
        """Everybody: the audience of the campaign chooses."""
        return day.everybody()

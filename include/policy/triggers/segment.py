"""A customer is in the audience; nothing else is asked."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from include.policy.trigger import Trigger

if TYPE_CHECKING:
    from include.policy import Campaign, Policy
    from include.policy.finding import Day, Found


class Segment(Trigger):
    """Everybody in the audience."""

    finds: ClassVar[str] = "of the audience"
    ends: ClassVar[str] = "the customer is in another segment, or came back"
    template: ClassVar[str] = "vip_exclusive"

    when: Literal["segment"]

    def asked_again(self, campaign: "Campaign", policy: "Policy") -> dict[str, Any]:
        """The audience, and whether all of it has stayed away: then an order is an end of that."""
        if campaign.audience == "all":
            return {"audience": None, "is_of_absent": False}
        lately = {"new", "active"}
        return {
            "audience": list(campaign.audience),
            "is_of_absent": not any(
                lately & set(segment.lifecycle)
                for segment in policy.segments.named
                if segment.name in campaign.audience
            ),
        }

    def find(self, day: "Day") -> "Found":
        """Everybody: the audience of the campaign chooses."""
        return day.everybody()

"""An event for members is held where a customer shops."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from include.policy.base import Place
from include.policy.trigger import Trigger, Words

if TYPE_CHECKING:
    from include.policy import Campaign, Policy
    from include.policy.finding import Day, Found


class MemberEvent(Trigger):
    """Customers of the region where an event starts in `at_least_days` to `lead_days` days.

    At least two: messages leave from the day after the business day, and none leaves later than on the eve.
    """

    finds: ClassVar[str] = "of the region where an event is held"
    ends: ClassVar[str] = "the event is called off, has begun, or is held elsewhere"
    template: ClassVar[str] = "member_event"
    needs: ClassVar[tuple[str, ...]] = ("member_events",)
    query: ClassVar[str | None] = "member_event"

    when: Literal["member_event"]
    lead_days: Annotated[int, Field(ge=1, le=120)]
    at_least_days: Annotated[int, Field(ge=2, le=60)]

    def contradictions(self, campaign: "Campaign", policy: "Policy") -> Iterator[tuple[Place, str]]:
        """There is a day on which somebody is invited."""
        if self.lead_days < self.at_least_days:
            yield (
                ("trigger", "lead_days"),
                (
                    f"expected at least at_least_days ({self.at_least_days}), found {self.lead_days}; "
                    "otherwise nobody is ever invited: raise it."
                ),
            )

    def find(self, day: "Day") -> "Found":
        """Everybody where an event is near: of the region, or of all, the one that starts first."""
        import numpy as np
        import pandas as pd

        from include.policy.finding import Found

        events = day.rows
        ahead = -day.days_since(events["starts_on"])
        near = np.flatnonzero((ahead >= self.at_least_days) & (ahead <= self.lead_days))
        order = near[np.lexsort((events["key"].to_numpy(dtype=str)[near], ahead[near]))]
        regions = day.customers["region"].to_numpy(dtype=object)
        chosen = np.full(len(regions), -1, dtype=np.int64)
        for event in order[::-1]:  # the first one to start is set last
            region = events["region"].iloc[event]
            here = np.ones(len(regions), dtype=bool) if pd.isna(region) else regions == region
            chosen[here] = event
        customer = np.flatnonzero(chosen >= 0)
        event = chosen[customer]
        eve = pd.to_datetime(events["starts_on"]) - pd.Timedelta(days=1)
        last = eve.to_numpy(dtype="datetime64[s]")[event]
        return Found(customer, events["key"].to_numpy(dtype=object)[event], last, event)

    def occasion(
        self, row: Mapping[str, Any] | None, last_day: date | None, words: Words
    ) -> dict[str, Any]:
        """The event's name and days."""
        if row is None:
            return {}
        return {
            "event_name": row["name"],
            "event_starts": words.day(row["starts_on"].date()),
            "event_ends": words.day(row["ends_on"].date()),
        }

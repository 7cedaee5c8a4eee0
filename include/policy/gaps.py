"""What a valid policy promises and its sources cannot keep: no fault, but somebody should know."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.policy import Policy

#: Sources without which no day can be worked out.
NEEDED = ("customers", "stores", "products", "orders", "order_lines")

#: Sources without which nobody may be written to.
PERMISSIONS = ("contact_points", "consents")


def gaps(policy: "Policy") -> Iterator[str]:
    """A sentence for each switched-off source that something relies on."""
    ingest = policy.ingest
    for source in NEEDED:
        if not ingest.is_on(source):
            yield f"{_off(source)}, and every run stops without it; switch it on."
    for source in PERMISSIONS:
        if not ingest.is_on(source):
            yield (
                f"{_off(source)}, so nobody may be written to: everything is worked out, and no campaign "
                "sends anything."
            )
    for campaign in policy.campaigns:
        for source in campaign.trigger.needs:
            if campaign.enabled and not ingest.is_on(source):
                yield (
                    f"campaign {campaign.name} is on and finds its customers in {source}, which is switched "
                    f"off (ingest.sources.{source}), so it finds nobody; switch the source on or the "
                    "campaign off."
                )


def _off(source: str) -> str:
    return f"{source} is switched off (ingest.sources.{source})"

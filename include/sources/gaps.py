"""What a valid policy promises and cannot keep: no fault, but somebody should know."""

from collections.abc import Iterator

from include.policy import Policy, campaigns
from include.sources import offered
from include.sources.offered import NEEDED

#: Sources without which nobody may be written to.
PERMISSIONS = ("contact_points", "consents")


def gaps(policy: Policy) -> Iterator[str]:
    """A sentence for each source that is off or missing and relied on, and each campaign in vain."""
    yield from offered.missing(policy)
    yield from offered.absent(policy).values()
    for source in NEEDED:
        if policy.ingest.sources.get(source) is False:
            yield f"{_off(policy, source)}, and every run stops without it; switch it on."
    for source in PERMISSIONS:
        if not offered.is_on(policy, source):
            yield (
                f"{_off(policy, source)}, so nobody may be written to: everything is worked out, and no "
                "campaign sends anything."
            )
    yield from campaigns.doubts(policy)
    for campaign in policy.campaigns:
        if not campaign.enabled:
            continue
        for doubt in campaign.trigger.doubts(policy):
            yield f"campaign {campaign.name} {doubt}"
        for source in campaign.trigger.needs:
            if not offered.is_on(policy, source):
                yield (
                    f"campaign {campaign.name} is on and finds its customers in {source}, which is switched "
                    f"off (ingest.sources.{source}), so it finds nobody; switch the source on or the "
                    "campaign off."
                )


def _off(policy: Policy, source: str) -> str:
    if source in policy.ingest.sources:
        return f"{source} is switched off (ingest.sources.{source})"
    return f"{source} is not in the shop's folder"

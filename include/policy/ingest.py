"""What is read of the shop, how far back late rows are looked for, and how much may be set aside."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from include.policy.base import Place, Section, Share


class SetAside(Section):
    """Shares of a table's money: above `warn` it is told, above `stop` the day is not published."""

    warn: Share = 0.01
    stop: Share = 0.05


class Ingest(Section):
    """What is extracted, how far back late rows are looked for, and how much may be set aside."""

    lookback_days: Annotated[int, Field(ge=0, le=366)]
    #: The share of the keys that allow something (customers, contact points, consents) which the shop may
    #: delete between two runs; more is taken for a fault of the read and stops it.
    lost_share: Share = 0.05
    set_aside: SetAside = SetAside()
    #: Days between an order and the return that cancels it, at most; 0: only on the day itself.
    cancelled_within_days: Annotated[int, Field(ge=0, le=366)] = 7
    #: Whether each source table is taken; what of one that is not named: `include.sources.offered`.
    sources: dict[str, bool]


def contradictions(rules: Ingest) -> Iterator[tuple[Place, str]]:
    """Shares that cannot hold together."""
    shares = rules.set_aside
    if shares.warn > shares.stop:
        yield (
            ("ingest", "set_aside", "warn"),
            (
                f"expected at most stop ({shares.stop:g}), found {shares.warn:g}; nothing would be told "
                "before it stops."
            ),
        )

"""The assets by which DAGs wake one another: one a dataset, with the business day as its key."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, IdentityMapper, PartitionedAssetTimetable

from include.errors import BadInput

#: The datasets that wake one another; the address of an asset never holds a host or a port.
DATASETS = (
    "core",
    "features",
    "champions",
    "scores",
    "stock_priorities",
    "decisions",
    "campaign_results",
)


def asset(name: str) -> Asset:
    """The asset that says a dataset of a day was checked and published."""
    if name not in DATASETS:
        raise BadInput(f"Expected one of {', '.join(DATASETS)}, found the asset '{name}'.")
    return Asset(name=name, uri=f"regulars://{name}")


def woken_by(name: str) -> PartitionedAssetTimetable:
    """A run for each business day of an asset."""
    return PartitionedAssetTimetable(assets=asset(name), default_partition_mapper=IdentityMapper())


def announce(context: Mapping[str, Any], name: str, day: str) -> None:
    """Put the business day on the asset event, where a run started by hand carries no key itself."""
    if context["dag_run"].partition_key != day:
        context["outlet_events"][asset(name)].add_partitions(day)

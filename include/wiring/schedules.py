"""The clocks of the DAGs that no asset wakes."""

from airflow.sdk import CronPartitionTimetable, CronTriggerTimetable


def daily(timezone: str) -> CronPartitionTimetable:
    """Midnight in the shop's zone; the partition key is the business day that has just ended."""
    return CronPartitionTimetable(
        "0 0 * * *", timezone=timezone, run_offset=-1, key_format="%Y-%m-%d"
    )


def weekly(timezone: str) -> CronTriggerTimetable:
    """Monday morning in the shop's zone, when nothing else runs."""
    return CronTriggerTimetable("30 4 * * 1", timezone=timezone)

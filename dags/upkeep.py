"""What piles up in the warehouse is cleared away once a week.

What it does: removes rows older than their contract's retention, staging schemas of batches that died, and
models that no champion needs; then brings the planner's statistics up to date.
Normal: a minute or two, on Monday morning. Business days are old beside the newest published one, so
nothing is removed from a shop that stands still.
If it fails: safe to clear at any time, and next week's run does the same by itself. Nobody is affected:
tables grow a little longer.
"""

from typing import Any

from airflow.sdk import dag, task

from include import wiring
from include.policy import schedule
from include.wiring import Audience, Tier


@task
def remove_expired() -> dict[str, int]:
    from include.steps import upkeep

    return upkeep.remove_expired()


@task
def drop_dead_batches() -> int:
    from include.steps import upkeep

    return upkeep.drop_dead_batches()


@task
def remove_old_models() -> dict[str, int]:
    from include.steps import upkeep

    return upkeep.remove_old_models()


@task
def analyze_tables() -> int:
    from include.steps import upkeep

    return upkeep.analyze_tables()


@dag(
    schedule=wiring.weekly(schedule.timezone()),
    max_active_runs=1,
    **wiring.settings(__doc__, Tier.INFORMS, Audience.DATA_ENGINEERING, Audience.ON_CALL),
)
def regulars_upkeep() -> None:
    cleared: list[Any] = [remove_expired(), drop_dead_batches(), remove_old_models()]
    cleared >> analyze_tables()


regulars_upkeep()

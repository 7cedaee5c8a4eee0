"""What Airflow sees: assets, schedules, what every DAG declares, and the task that asks a person.

Imported by `dags/` when they are parsed, so nothing heavy is imported here.

- `assets`: the datasets that wake DAGs. `schedules`: the clocks.
- `dag`: tags, retries, notices and the business day of a run.
- `coverage`: whether the day that a run needs has been published.
- `approval`: the question to a person before offers above the policy's limit leave.
"""

from include.wiring.assets import DATASETS, announce, asset, woken_by
from include.wiring.dag import Audience, Tier, run_of, settings
from include.wiring.schedules import daily, weekly

__all__ = [
    "DATASETS",
    "Audience",
    "Tier",
    "announce",
    "asset",
    "daily",
    "run_of",
    "settings",
    "weekly",
    "woken_by",
]

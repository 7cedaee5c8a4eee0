"""What a DAG file needs of the policy while it is read: never a reason for the DAG to disappear.

A policy with a fault anywhere would otherwise take the DAG out of the UI: no run, no failure, no notice.
So the DAG stands with the values that can be read, its run fails with the policy's own sentence, and that is
told like any other failure.
"""

from typing import Any
from zoneinfo import ZoneInfo

import yaml

from include import policy


def timezone() -> str:
    """`shop.timezone`; UTC where it cannot be read."""
    try:
        return policy.load().shop.timezone
    except policy.PolicyError:
        found = _as_written("shop", "timezone")
    try:
        return ZoneInfo(found).key
    except (OSError, TypeError, ValueError, LookupError):  # no such zone is a LookupError
        return "UTC"


def approval_hours() -> int:
    """`approvals.timeout_hours`; a day where it cannot be read, so that no question ends early."""
    try:
        return policy.load().approvals.timeout_hours
    except policy.PolicyError:
        found = _as_written("approvals", "timeout_hours")
    return found if isinstance(found, int) and found > 0 else 24


def _as_written(section: str, key: str) -> Any:
    """What stands in the file, whether or not the rest of it is right; None where it cannot be read."""
    try:
        return yaml.safe_load(policy.default_path().read_text(encoding="utf-8"))[section][key]
    except (OSError, ValueError, TypeError, LookupError, yaml.YAMLError):
        return None

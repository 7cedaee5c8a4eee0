"""Health check of a container: is this component of Airflow alive?

    python -m include.launcher.health scheduler

Asks the API server, which knows the last heartbeat of every component; exits 0 when it is healthy.
Standard library only: importing Airflow every fifteen seconds would cost more than the service.
"""

import json
import os
import sys
from collections.abc import Sequence
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")


def state(component: str, server: str, timeout: float = 8.0) -> str:
    """The status that the API server at `server` gives for a component.

    Returns
    -------
    str
        `healthy`, `unhealthy`, or a sentence that says why there is no answer.
    """
    try:
        with urlopen(f"{server}/api/v2/monitor/health", timeout=timeout) as answer:  # noqa: S310
            found = json.load(answer)
    except (URLError, OSError, ValueError) as error:
        return f"no answer from {server}: {error}"
    return str((found.get(component) or {}).get("status") or "unknown")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one component; 0 when it is healthy."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 1 or given[0] not in COMPONENTS:
        print(f"Expected one of {', '.join(COMPONENTS)}, found: {' '.join(given) or 'nothing'}.")
        return 2
    parts = urlsplit(
        os.environ.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://localhost:8080/")
    )
    found = state(given[0], f"{parts.scheme}://{parts.netloc}")
    print(f"{given[0]}: {found}")
    return 0 if found == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main())

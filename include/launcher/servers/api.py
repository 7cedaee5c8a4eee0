"""A small client of Airflow's REST API: start runs, follow them, read their logs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.errors import RegularsError, Unreachable

#: States in which a run or task has come to its end.
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


@dataclass(frozen=True)
class Run:
    """One run of a DAG."""

    dag: str
    id: str
    state: str
    partition_key: str | None
    started: datetime | None
    ended: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it took, once it has ended."""
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()


@dataclass(frozen=True)
class Task:
    """One task of a run."""

    name: str
    state: str | None
    tries: int
    map_index: int = -1


class Api:
    """The REST API of one Airflow, as one user.

    Parameters
    ----------
    url
        Where the API server listens, such as http://127.0.0.1:8080.
    user, password
        A login of its auth manager.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        import httpx

        self.url = url
        self._login = {"username": user, "password": password}
        self._client = httpx.Client(base_url=url, timeout=30.0, trust_env=False)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def health(self) -> dict[str, str | None]:
        """Component -> `healthy`, `unhealthy` or None; empty while nothing answers."""
        import httpx

        try:
            answer = self._client.get("/api/v2/monitor/health", timeout=5.0)
        except httpx.HTTPError:
            return {}
        if answer.status_code != httpx.codes.OK:
            return {}
        return {name: (row or {}).get("status") for name, row in answer.json().items()}

    def dags(self) -> set[str]:
        """The ids of the DAGs that Airflow has read."""
        found = self._call("GET", "/dags", params={"limit": 200, "exclude_stale": True})
        return {row["dag_id"] for row in found["dags"]}

    def import_errors(self) -> dict[str, str]:
        """DAG file -> why Airflow could not read it."""
        found = self._call("GET", "/importErrors", params={"limit": 100})
        return {row["filename"]: row["stack_trace"] for row in found["import_errors"]}

    def unpause(self, dags: Iterable[str]) -> None:
        """Let the scheduler start the DAGs' runs."""
        for dag in dags:
            self._call("PATCH", f"/dags/{dag}", json={"is_paused": False})

    def trigger(
        self, dag: str, partition_key: str | None = None, conf: dict[str, Any] | None = None
    ) -> Run:
        """Start one run by hand; with a partition key it wakes the DAGs behind it by that key."""
        body = {"logical_date": None, "partition_key": partition_key, "conf": conf or {}}
        return _run(self._call("POST", f"/dags/{dag}/dagRuns", json=body))

    def backfill(
        self, dag: str, first: str, last: str, conf: dict[str, Any] | None = None, **more: Any
    ) -> int:
        """Start one run a day, both ends included (YYYY-MM-DD); the backfill's id."""
        body = {
            "dag_id": dag,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T00:00:00Z",
            "dag_run_conf": conf or {},
            **more,
        }
        return int(self._call("POST", "/backfills", json=body)["id"])

    def runs(self, dag: str = "~", partition_key: str | None = None) -> list[Run]:
        """The runs of a DAG, or of all; the newest first."""
        params: dict[str, Any] = {"limit": 100, "order_by": "-run_after"}
        if partition_key is not None:
            params["partition_key_pattern"] = partition_key
        found = self._call("GET", f"/dags/{dag}/dagRuns", params=params)
        return [_run(row) for row in found["dag_runs"]]

    def run(self, dag: str, run_id: str) -> Run:
        """One run as it stands."""
        return _run(self._call("GET", f"/dags/{dag}/dagRuns/{run_id}"))

    def give_up(self, run: Run, note: str) -> None:
        """End an unfinished run as failed, its running tasks with it."""
        body = {"state": "failed", "note": note}
        self._call("PATCH", f"/dags/{run.dag}/dagRuns/{run.id}", json=body)

    def tasks(self, run: Run) -> list[Task]:
        """The tasks of a run, in the order in which they were made."""
        path = f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances"
        found = self._call("GET", path, params={"limit": 100})
        return [
            Task(row["task_id"], row["state"], row["try_number"], row["map_index"])
            for row in found["task_instances"]
        ]

    def clear(self, run: Run, task: str, *, downstream: bool = True) -> list[str]:
        """Let a task run again, with everything behind it in its DAG; the tasks' names."""
        body = {
            "dry_run": False,
            "dag_run_id": run.id,
            "task_ids": [task],
            "include_downstream": downstream,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        found = self._call("POST", f"/dags/{run.dag}/clearTaskInstances", json=body)
        return [row["task_id"] for row in found["task_instances"]]

    def log(self, run: Run, task: Task) -> list[str]:
        """The lines of a task's last try; an exception as the lines of its traceback."""
        path = f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances/{task.name}/logs/{task.tries}"
        params = {"full_content": True, "map_index": task.map_index}
        found = self._call("GET", path, params=params, headers={"Accept": "application/json"})
        lines: list[str] = []
        for row in found["content"]:
            lines += log_lines(row)
        return lines

    def _call(self, method: str, path: str, **more: Any) -> Any:
        import httpx

        headers = more.pop("headers", {})
        try:
            if "Authorization" not in self._client.headers:
                self._sign_in()
            answer = self._client.request(method, f"/api/v2{path}", headers=headers, **more)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                self._sign_in()
                answer = self._client.request(method, f"/api/v2{path}", headers=headers, **more)
        except httpx.HTTPError as error:
            raise Unreachable(
                f"Expected Airflow's API at {self.url} to answer, found: {error}. Look at its log."
            ) from None
        if answer.is_error:
            raise RegularsError(
                f"Expected Airflow to accept {method} {path}, found {answer.status_code}: "
                f"{answer.text[:500]}"
            )
        return answer.json() if answer.content else None

    def _sign_in(self) -> None:
        answer = self._client.post("/auth/token", json=self._login)
        if answer.is_error:
            raise RegularsError(
                f"Expected Airflow to accept the login '{self._login['username']}', found "
                f"{answer.status_code}: {answer.text[:200]}"
            )
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def log_lines(row: Any) -> list[str]:
    """One structured entry of a task's log as plain lines."""
    if isinstance(row, str):
        return row.splitlines()
    text = str(row.get("event", ""))
    if text.startswith("::"):
        return []
    lines = [" ".join(filter(None, [str(row.get("level", "")).upper(), text]))]
    for error in row.get("error_detail") or ():
        for frame in error.get("frames", ())[-3:]:
            lines.append(f"  {frame['filename']}:{frame['lineno']} in {frame['name']}")
        lines.append(f"{error.get('exc_type')}: {error.get('exc_value')}")
    return lines


def _run(row: dict[str, Any]) -> Run:
    def stamp(name: str) -> datetime | None:
        return datetime.fromisoformat(row[name]) if row.get(name) else None

    return Run(
        dag=row["dag_id"],
        id=row["dag_run_id"],
        state=row["state"],
        partition_key=row.get("partition_key"),
        started=stamp("start_date"),
        ended=stamp("end_date"),
    )

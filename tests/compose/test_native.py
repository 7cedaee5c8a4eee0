"""The Compose file's own commands, run natively: init to completion, every component to health.

Only names and paths are changed, from the containers' to this machine's: the host `postgres` to an
embedded server, the ports to free ones, the image's folders to the project's.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psycopg2
import pytest

from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import State, free_port
from tests.compose.composefile import ROOT, compose, fresh_env, image_environment, interpolate
from tests.conftest import CARELESS

#: Components have to be healthy after this many seconds, on a busy machine too.
PATIENCE = 180


@dataclass
class Stack:
    """The services of the Compose file, as processes of this machine."""

    folder: Path
    database: str
    variables: dict[str, str]
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def services(self) -> dict[str, Any]:
        found: dict[str, Any] = interpolate(compose(), self.variables)["services"]
        return found

    def here(self, text: str) -> str:
        """A value as it stands in a container -> as it holds on this machine."""
        for container, machine in (
            ("@postgres:5432/", f"@{self.database}/"),
            ("//airflow-apiserver:8080/", f"//127.0.0.1:{self.port}/"),
            ("//localhost:8080", f"//127.0.0.1:{self.port}"),
            ("/opt/regulars/logs", str(self.folder / "logs")),
            ("/opt/regulars/state", str(self.folder / "state")),
            ("/opt/regulars/airflow", str(self.folder / "airflow")),
            ("/opt/regulars", str(ROOT)),
        ):
            text = text.replace(container, machine)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """Nothing of this process's environment but the way to its programs."""
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        given = image_environment() | (self.services[service].get("environment") or {})
        return {"PATH": programs, "HOME": str(self.folder), "LANG": "C.UTF-8"} | {
            name: self.here(str(value)) for name, value in given.items()
        }

    def command(self, service: str) -> list[str]:
        words = [self.here(word) for word in self.services[service]["command"]]
        return [str(self.port) if word == "8080" else word for word in words]

    def run(self, service: str) -> subprocess.CompletedProcess[str]:
        """A service that ends by itself."""
        return subprocess.run(
            self.command(service),
            env=self.environment(service),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def start(self, service: str) -> None:
        with (self.folder / f"{service}.log").open("wb") as log:
            self.running[service] = subprocess.Popen(
                self.command(service),
                env=self.environment(service),
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_healthy(self, service: str) -> None:
        """Until the service's own health check succeeds."""
        marker, *check = self.services[service]["healthcheck"]["test"]
        assert marker == "CMD"
        deadline = time.monotonic() + PATIENCE
        while True:
            done = subprocess.run(
                check,
                env=self.environment(service),
                cwd=self.folder,
                capture_output=True,
                text=True,
            )
            if done.returncode == 0:
                return
            assert self.running[service].poll() is None, f"{service} ended: {self.tail(service)}"
            assert time.monotonic() < deadline, f"{done.stdout}\n{self.tail(service)}"
            time.sleep(1)

    def tail(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        for signum in (signal.SIGTERM, signal.SIGKILL):
            for process in self.running.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signum)
            for process in self.running.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=15)

    def ask(self, path: str, token: str | None = None, body: Any = None) -> tuple[int, str]:
        """Status and text of the API server's answer."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None else None
        request = Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers)
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("compose")
    state = State(folder / "postgres")
    with Server(state, CARELESS).use() as server:
        admin = urlsplit(server.admin_url())
        variables = fresh_env() | {
            "POSTGRES_PASSWORD": str(admin.password),
            "DAGS_PAUSED_AT_CREATION": "True",
        }
        made = Stack(folder, f"{admin.hostname}:{admin.port}", variables)
        done = made.run("init")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the warehouse's tables stand" in done.stdout
        try:
            yield made
        finally:
            made.stop()


def test_services_start_in_order_and_become_healthy(stack: Stack) -> None:
    stack.start("airflow-apiserver")
    stack.wait_healthy("airflow-apiserver")
    others = ("airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
    for service in others:
        stack.start(service)
    for service in others:
        stack.wait_healthy(service)

    status, _ = stack.ask("/regulars/")
    assert status == 401
    login = {
        "username": stack.variables["REGULARS_UI_USER"],
        "password": stack.variables["REGULARS_UI_PASSWORD"],
    }
    status, _ = stack.ask("/auth/token", body=login | {"password": "wrong"})
    assert status == 401
    status, text = stack.ask("/auth/token", body=login)
    assert status == 201, text
    token = json.loads(text)["access_token"]

    # The console logs in by the role and the password that init has made.
    status, text = stack.ask("/regulars/", token)
    assert (status, "Nothing has been published yet" in text) == (200, True), text

    wanted = {path.stem for path in (ROOT / "dags").glob("*.py")}
    deadline = time.monotonic() + PATIENCE
    while True:
        _, text = stack.ask("/api/v2/dags?limit=100", token)
        found = {dag["dag_id"] for dag in json.loads(text)["dags"]}
        if found >= {f"regulars_{name}" for name in wanted}:
            break
        assert time.monotonic() < deadline, f"found {sorted(found)}"
        time.sleep(1)


def test_init_runs_again_over_what_stands(stack: Stack) -> None:
    done = stack.run("init")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 changes" in done.stdout


def test_demo_shop_fills_the_shop_that_tasks_read(stack: Stack) -> None:
    done = stack.run("demo-shop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the demo shop stands" in done.stdout
    address = stack.environment("airflow-scheduler")["AIRFLOW_CONN_SHOP"]
    reader = psycopg2.connect(address)
    try:
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM order_lines")
            found = cursor.fetchone()
    finally:
        reader.close()
    assert found is not None
    assert found[0] > 1_400_000

"""The whole of Regulars as a stranger runs it: the demo, then its servers kept up, on the real shop."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler

from include import warehouse
from include.launcher.servers.api import ENDED, Api, Run
from include.launcher.servers.platform import Platform, platform
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import State, free_port
from include.warehouse import ROOT

CHAIN = (
    "regulars_ingest",
    "regulars_features",
    "regulars_models",
    "regulars_score",
    "regulars_stock",
    "regulars_activate",
)
DAY = "2017-10-01"


@contextmanager
def platform_in(home: Path, environment: Mapping[str, str]) -> Iterator[Platform]:
    """The servers of a state folder under exactly this environment; the folder's databases go at the end."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name not in environment]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        with platform("test", lambda _: None) as held:
            yield held
        Server(State(home)).remove()


class Mailbox(MessageHandler):
    """What a real SMTP server was handed."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.received.append(message)


@dataclass
class Demo:
    """One state folder, what `demo --exit` printed, and the servers kept up after it."""

    home: Path
    output: str
    seconds: float
    mailbox: Mailbox
    api: Api
    environment: dict[str, str] = field(repr=False)

    def command(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run `bin/regulars` over the state folder."""
        return subprocess.run(
            [ROOT / "bin" / "regulars", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def rows(self, query: str, name: str = "warehouse") -> list[tuple[Any, ...]]:
        with warehouse.connect(name) as conn:
            return warehouse.rows(conn, query)

    def runs(self, day: str, after: frozenset[str] = frozenset()) -> dict[str, list[Run]]:
        """DAG -> its runs for a business day, without those of the given ids."""
        found: dict[str, list[Run]] = {}
        for run in self.api.runs(partition_key=day):
            if run.id not in after:
                found.setdefault(run.dag, []).append(run)
        return found

    def await_chain(
        self,
        days: list[str],
        dags=CHAIN,
        after: frozenset[str] = frozenset(),
        seconds: float = 900,
    ) -> None:
        """Until each DAG has one ended run for each day; a failed run fails the test."""

        def ended() -> bool:
            for day in days:
                runs = self.runs(day, after)
                for dag in dags:
                    for run in runs.get(dag, []):
                        assert run.state != "failed", f"{dag} failed for {day}"
                if not all(dag in runs and runs[dag][0].state in ENDED for dag in dags):
                    return False
            return True

        wait(ended, seconds, f"{dags[-1]} for {', '.join(days)}")


def wait(until: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(1)


def clean_environment(home: Path) -> dict[str, str]:
    """The machine's environment without what a test run or Airflow put into it."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("AIRFLOW", "REGULARS", "PYTEST"))
    }
    return kept | {"REGULARS_HOME": str(home)}


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    home = Path(tempfile.mkdtemp(prefix="regulars-e2e-"))
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    server.start()
    environment = clean_environment(home) | {
        "REGULARS_NOTICE_SMTP_URL": f"smtp://127.0.0.1:{server.port}",
        "REGULARS_NOTICE_TO": "on-call@example.com",
    }
    regulars = str(ROOT / "bin" / "regulars")
    patch = pytest.MonkeyPatch()
    try:
        begun = time.monotonic()
        first = subprocess.run(
            [regulars, "demo", "--exit"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=2400,
            check=False,
        )
        seconds = time.monotonic() - begun
        assert first.returncode == 0, f"{first.stdout[-6000:]}\n{first.stderr[-3000:]}"
        up = subprocess.run(
            [regulars, "up"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert up.returncode == 0, up.stdout + up.stderr
        where = re.search(r"Airflow: (\S+)  login: (\S+)  password: (\S+)", up.stdout)
        assert where, up.stdout
        for name in list(os.environ):
            if name.startswith("AIRFLOW_CONN_"):
                patch.delenv(name)
        patch.setenv("REGULARS_HOME", str(home))
        yield Demo(home, first.stdout, seconds, mailbox, Api(*where.groups()), environment)
    finally:
        patch.undo()
        subprocess.run(
            [regulars, "down", "--purge"], env=environment, capture_output=True, check=False
        )
        server.stop()
        shutil.rmtree(home, ignore_errors=True)

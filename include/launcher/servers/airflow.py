"""Airflow's components as processes of our own: API server, scheduler, DAG processor, triggerer.

They are started one by one rather than by `airflow standalone`, so that each has a log and a health of its
own, and so that what a killed launcher left behind can be found by name.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.version import Version

from include.errors import RegularsError
from include.launcher.servers.api import Api
from include.launcher.servers.connections import environment
from include.launcher.servers.state import (
    ROOT,
    State,
    end_processes,
    free_port,
)

#: Component -> its name in Airflow's health report.
COMPONENTS = {
    "api-server": "metadatabase",
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}

#: The API server reads the logs from the same disk, so nobody has to serve them on a port.
ARGUMENTS = {"scheduler": ["--skip-serve-logs"], "triggerer": ["--skip-serve-logs"]}

USER = "admin"
HEALTHY_SECONDS = 240
#: A component is started again this often within this time, then given up.
REVIVALS = 3
REVIVAL_SECONDS = 600
#: A component's log is put aside at its start when it is larger.
LOG_BYTES = 20 * 2**20


class Airflow:
    """The Airflow of one state folder.

    Parameters
    ----------
    state
        The state folder, held by the caller.
    database
        Address of the metadata database.
    """

    def __init__(self, state: State, database: str) -> None:
        self.state = state
        self.database = database
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._revived: dict[str, list[float]] = {}
        self._port = free_port(self.state.read("airflow.json").get("port"))

    @property
    def url(self) -> str:
        """Where the UI and the API are."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def password(self) -> str:
        """The password of the user `admin`."""
        return self.state.secret("airflow_admin", 8)

    def api(self) -> Api:
        """A client of the API."""
        return Api(self.url, USER, self.password)

    def environment(self) -> dict[str, str]:
        """What every component and every task runs with."""
        passwords = self.state.home / "airflow_users.json"
        settings = {
            "CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__UNIT_TEST_MODE": "False",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": "3",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            # The tasks of a killed launcher are noticed by their silence, then tried again.
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
            "CORE__FERNET_KEY": self._fernet_key(),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "DATABASE__SQL_ALCHEMY_CONN": _driver(self.database, "psycopg2"),
            "DATABASE__SQL_ALCHEMY_CONN_ASYNC": _driver(self.database, "asyncpg"),
            "LOGGING__BASE_LOG_FOLDER": str(self.state.logs / "tasks"),
            "API__HOST": "127.0.0.1",
            "API__PORT": str(self._port),
            "API__BASE_URL": self.url,
            "API__WORKERS": "1",
            "API__SECRET_KEY": self.state.secret("airflow_api", 32),
            "API_AUTH__JWT_SECRET": self.state.secret("airflow_jwt", 64),
        }
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        return {
            **environment(self.state),
            "PATH": programs,
            **past_proxies(os.environ),
            "AIRFLOW_HOME": str(self.state.home / "airflow"),
            **{f"AIRFLOW__{name}": text for name, text in settings.items()},
        }

    def migrate(self, say: Callable[[str], None] = print) -> None:
        """Bring the metadata database to the installed Airflow's form, once a version.

        Parameters
        ----------
        say
            Told before a database of an older Airflow is changed: there is no way back from that.

        Raises
        ------
        RegularsError
            With the end of the log, when Airflow cannot; before anything is changed, when a newer Airflow
            has brought the database up.
        """
        (self.state.home / "airflow").mkdir(exist_ok=True)
        wanted = metadata.version("apache-airflow")
        # The mark goes with the cluster: a new cluster is written a new server.json.
        known = self.state.read("server.json").get("airflow")
        if known == wanted:
            return
        if known and Version(known) > Version(wanted):
            raise RegularsError(
                f"Expected a database of Airflow {wanted} or older, found one that Airflow {known} has "
                "brought up: run the version of Regulars that did, or go back as docs/upgrading.md says. "
                "Nothing was changed."
            )
        if known:
            say(
                "There is no way back from this upgrade but a copy from before: Airflow's database goes "
                f"from {known} to {wanted}."
            )
        log = self.state.logs / "migrate.log"
        with log.open("w") as file:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "airflow", "db", "migrate"],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise RegularsError(
                f"Expected `airflow db migrate` to end well, found exit code {done.returncode}; the "
                f"end of {log}:\n{tail(log)}"
            )
        self.state.write("server.json", {**self.state.read("server.json"), "airflow": wanted})

    def start(self) -> None:
        """Start every component; `wait` says when they are healthy."""
        self.state.write("airflow_users.json", json.dumps({USER: self.password}) + "\n")
        self.state.write("airflow.json", {"port": self._port, "url": self.url})
        for name in COMPONENTS:
            self._launch(name)

    def _launch(self, name: str) -> None:
        log = self.log(name)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as file:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", "airflow", name, *ARGUMENTS.get(name, [])],
                env=self.environment(),
                cwd=self.state.home,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                # Ctrl-C is the launcher's to answer, and a session can be ended as one.
                start_new_session=True,
            )
        self.state.record(name, self._running[name].pid)

    def wait(self, seconds: float = HEALTHY_SECONDS) -> float:
        """Wait until every component is healthy; the seconds it took.

        Raises
        ------
        RegularsError
            When one has ended, or is not healthy in time, with the end of its log.
        """
        started = time.monotonic()
        api = self.api()
        try:
            while True:
                self.check()
                health = api.health()
                sick = [name for name, key in COMPONENTS.items() if health.get(key) != "healthy"]
                if not sick:
                    return time.monotonic() - started
                if time.monotonic() - started > seconds:
                    raise RegularsError(
                        f"Expected Airflow's {sick[0]} to be healthy within {seconds:.0f} s, found "
                        f"{health or 'no answer'}; the end of its log:\n{tail(self.log(sick[0]))}"
                    )
                time.sleep(0.5)
        finally:
            api.close()

    def check(self) -> None:
        """Raise when a component has ended by itself, with the end of its log."""
        for name in self._ended():
            code = self._running[name].returncode
            raise RegularsError(
                f"Expected Airflow's {name} to run, found that it ended with exit code {code}; the "
                f"end of {self.log(name)}:\n{tail(self.log(name))}"
            )

    def revive(self) -> list[str]:
        """Start again what has ended by itself; the components' names.

        A component that ends again and again is given up, with the end of its log.
        """
        ended = self._ended()
        for name in ended:
            now = time.monotonic()
            recent = [then for then in self._revived.get(name, []) if now - then < REVIVAL_SECONDS]
            if len(recent) >= REVIVALS:
                self.check()
            self._revived[name] = [*recent, now]
            # Its tasks would otherwise run on beside their second try.
            end_processes([self.state.read("processes.json")[name]], self.state.home)
            self._launch(name)
        return ended

    def _ended(self) -> list[str]:
        return [name for name, process in self._running.items() if process.poll() is not None]

    def stop(self) -> None:
        """Stop every component, tasks included."""
        end_leftovers(self.state)
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def log(self, name: str) -> Path:
        """The log of a component."""
        return self.state.logs / f"{name}.log"

    def _fernet_key(self) -> str:
        digest = hashlib.sha256(self.state.secret("airflow_fernet", 32).encode()).digest()
        return base64.urlsafe_b64encode(digest).decode()


def standing(state: State) -> Api:
    """A client of the Airflow that another command keeps up over a state folder.

    Raises
    ------
    RegularsError
        When none is up.
    """
    known = state.read("airflow.json")
    if state.holder() and known:
        api = Api(known["url"], USER, state.secret("airflow_admin", 8))
        if api.health():
            return api
        api.close()
    raise RegularsError(
        "Expected Airflow to be up, found it down: run `bin/regulars up` first. With Docker, "
        "docs/runbook.md has the command."
    )


def end_leftovers(state: State) -> list[str]:
    """End the components that are recorded in the state folder; the names of those still running."""
    records = state.read("processes.json")
    running = sorted(state.leftovers())
    end_processes(list(records.values()), state.home)
    state.forget()
    return running


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def _driver(url: str, name: str) -> str:
    return url.replace("postgresql://", f"postgresql+{name}://", 1)


def past_proxies(known: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep a machine's web proxy away from what the components say to one another."""
    found = [known[name] for name in ("NO_PROXY", "no_proxy") if known.get(name)]
    past = ",".join(dict.fromkeys([*",".join(found).split(","), "127.0.0.1", "localhost"])).strip(
        ","
    )
    return {"NO_PROXY": past, "no_proxy": past}

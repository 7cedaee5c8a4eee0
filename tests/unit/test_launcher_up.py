"""The servers as a person starts, loses and stops them, with the real components of Airflow."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.errors import RegularsError
from include.launcher.servers.airflow import COMPONENTS, Airflow
from include.launcher.servers.api import ENDED, Api
from include.launcher.servers.postgresql import postmaster
from include.launcher.servers.state import State, wait_until
from include.warehouse import ROOT


class Folder:
    """A state folder and the commands over it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("AIRFLOW", "REGULARS"))
        }
        # A machine behind a web proxy, which knows nothing of this one's loopback.
        proxy = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
        kept = {name: text for name, text in kept.items() if name.lower() != "no_proxy"}
        self.environment = {**kept, **proxy, "REGULARS_HOME": str(home)}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / "bin" / "regulars"), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / name).read_text())
        return found

    def ours(self) -> list[psutil.Process]:
        """Every process that works in the folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.home):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Folder]:
    home = Path(tempfile.gettempdir()) / f"regulars-tests-{os.getpid()}-up"
    found = Folder(home)
    yield found
    found("down", "--purge")
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def up(folder: Folder) -> Folder:
    done = folder("up")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def client(folder: Folder) -> Api:
    known = folder.read("up.json")["where"]
    where = re.fullmatch(r"Airflow: (\S+)  login: (\S+)  password: (\S+)", known)
    assert where
    return Api(*where.groups())


def test_every_component_is_healthy_and_the_dags_are_read(up: Folder):
    api = client(up)
    assert set(api.health().values()) == {"healthy"}
    assert wait_until(lambda: "regulars_ingest" in api.dags(), 60)
    assert api.import_errors() == {}


def test_a_task_runs_though_the_machine_has_a_web_proxy(up: Folder):
    api = client(up)
    assert wait_until(lambda: "regulars_deliver" in api.dags(), 60)
    run = api.trigger("regulars_deliver")
    api.unpause([run.dag])
    assert wait_until(lambda: api.run(run.dag, run.id).state in ENDED, 90)
    assert api.run(run.dag, run.id).state == "success"


def test_no_component_serves_beyond_the_loopback(up: Folder):
    listening = {
        connection.laddr.ip
        for process in up.ours()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_second_launcher_is_refused_and_told_by_whom(up: Folder):
    pid = up.read("holder.json")["pid"]
    again = up("up")
    assert again.returncode == 0
    assert f"It is up already (pid {pid})." in again.stdout
    demo = up("demo", "--exit")
    assert demo.returncode == 1
    assert f"found `bin/regulars up` working on it (pid {pid})" in demo.stderr
    assert demo.stderr.count("\n") == 1


def test_servers_of_another_version_are_to_be_stopped_before_an_upgrade(up: Folder):
    known = (up.home / "up.json").read_text()
    try:
        (up.home / "up.json").write_text(json.dumps(json.loads(known) | {"version": "0.0.9"}))
        again = up("up")
    finally:
        (up.home / "up.json").write_text(known)
    assert again.returncode == 1
    assert "found servers of 0.0.9: run `bin/regulars down`" in again.stderr


def test_the_database_of_a_newer_airflow_is_left_alone(tmp_path: Path):
    state = State(tmp_path)
    state.write("server.json", {"airflow": "99.0.0"})
    with pytest.raises(RegularsError, match=r"found one that Airflow 99\.0\.0 has brought up"):
        Airflow(state, "postgresql://nowhere/airflow").migrate()


def test_that_an_older_airflows_database_cannot_go_back_is_said_before_it_is_changed(
    tmp_path: Path,
):
    class Heard(Exception):
        pass

    def say(sentence: str) -> None:
        raise Heard(sentence)

    state = State(tmp_path)
    state.write("server.json", {"airflow": "3.0.0"})
    with pytest.raises(Heard, match=r"no way back .* from 3\.0\.0 to"):
        Airflow(state, "postgresql://nowhere/airflow").migrate(say)


def test_other_commands_work_beside_it_and_leave_it_up(up: Folder):
    assert up("psql", "-At", "-c", "SELECT current_user").stdout == "regulars_etl\n"
    reading = ["-U", "regulars_marketing", "-At", "-c", "SELECT count(*) FROM marketing.decisions"]
    assert up("psql", *reading).stdout == "0\n"
    assert up("psql", "-c", "SELECT * FROM nothing").returncode == 1
    code = "from include import warehouse as w\nwith w.connect() as c: print(w.value(c, 'SELECT 40+2'))"
    assert up("run", "-c", code).stdout == "42\n"
    assert up("pause-sends", "--note", "test").returncode == 0
    switch = ["-At", "-c", "SELECT value, note FROM ops.switches WHERE key = 'pause_sends'"]
    assert up("psql", *switch).stdout == "t|test\n"
    assert up("pause-sends", "--off").returncode == 0
    assert up("psql", *switch).stdout == "f|\n"
    assert set(client(up).health().values()) == {"healthy"}


def test_what_ends_by_itself_is_started_again(up: Folder):
    data = up.home / up.read("server.json")["data"]
    before = up.read("processes.json")
    killed = postmaster(data)
    assert killed is not None
    for pid in (killed, before["triggerer"]["pid"]):
        os.kill(pid, signal.SIGKILL)
    api = client(up)

    def back() -> bool:
        fresh = up.read("processes.json")["triggerer"] != before["triggerer"]
        return fresh and postmaster(data) not in (None, killed)

    assert wait_until(back, 60)
    assert wait_until(lambda: set(api.health().values()) == {"healthy"}, 120)
    said = (up.home / "logs" / "up.log").read_text()
    assert "PostgreSQL had ended; starting it again." in said
    assert "Airflow's triggerer had ended; started it again." in said


def test_after_kill_9_of_the_launcher_the_next_one_ends_what_it_left(up: Folder):
    left = up.read("processes.json")
    os.kill(up.read("holder.json")["pid"], signal.SIGKILL)
    assert wait_until(lambda: State(up.home).holder() is None, 10)
    assert set(State(up.home).leftovers()) == set(COMPONENTS)
    done = up("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "An earlier command was killed; ended what it had left: api-server" in done.stdout
    fresh = up.read("processes.json")
    assert all(fresh[name]["pid"] != left[name]["pid"] for name in COMPONENTS)
    assert set(client(up).health().values()) == {"healthy"}


def test_a_day_is_backfilled_by_one_command_though_its_dag_is_paused(up: Folder):
    done = up("backfill", "2017-10-02")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Queued regulars_ingest for 2017-10-02; the other DAGs follow it." in done.stdout
    api = client(up)

    def started() -> bool:
        runs = api.runs("regulars_ingest", "2017-10-02")
        return bool(runs) and runs[0].state != "queued"

    assert wait_until(started, 90)
    told = up("clock")
    assert told.returncode == 0, told.stderr
    assert "stands still at Monday, 2 October 2017, 10:00 (America/New_York)." in told.stdout
    assert "No message waits for it." in told.stdout


def test_down_ends_everything_and_purge_removes_it(up: Folder):
    assert up("down").stdout == "Stopped: up.\n"
    assert [process.cmdline() for process in up.ours()] == []
    assert postmaster(up.home / up.read("server.json")["data"]) is None
    assert up("down").stdout == "Nothing was running.\n"
    assert up("down", "--purge").returncode == 0
    assert not up.home.exists()

"""The state folder: secrets, locks, and the processes of a launcher that was killed."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from include.errors import RegularsError
from include.launcher.servers.airflow import end_leftovers
from include.launcher.servers.state import (
    Busy,
    State,
    end_processes,
    free_port,
    identity,
    is_same,
)
from include.warehouse import ROOT


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def python(code: str, home: Path, *arguments: str) -> subprocess.Popen[str]:
    """A Python of its own session that works on the state folder, and says when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, "REGULARS_HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=home,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


@pytest.fixture
def sleeper(state: State) -> Iterator[subprocess.Popen[str]]:
    """A process that has a child of its own and does not care for SIGTERM."""
    process = python(
        """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("ready", flush=True)
        time.sleep(600)
        """,
        state.home,
    )
    yield process
    process.kill()
    process.wait()


def test_a_secret_is_made_once_and_is_its_owners_alone(state: State):
    first = state.secret("a")
    assert State(state.home).secret("a") == first
    assert state.secret("b") != first
    assert len(first) >= 32
    for path in state.home.glob("*.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_written_whole_over_an_older_one(state: State):
    state.write("x.json", {"a": 1})
    state.write("x.json", {"b": 2})
    assert state.read("x.json") == {"b": 2}
    assert state.read("absent.json") == {}
    assert [path.name for path in state.home.iterdir()] == ["x.json"]


def test_a_broken_file_is_named(state: State):
    (state.home / "server.json").write_text("{")
    with pytest.raises(RegularsError, match=r"server\.json, found something else"):
        state.read("server.json")


def test_the_permissions_of_a_folder_that_was_there_are_left_alone(tmp_path: Path):
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o750)
    State(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


@pytest.mark.parametrize(
    ("home", "found"),
    [
        ("/proc/regulars", "No such file or directory"),
        ("/dev/null", "Not a folder"),
        ("/dev/null/regulars", "File exists"),
    ],
)
def test_a_folder_that_cannot_be_is_one_sentence(home: str, found: str):
    with pytest.raises(
        RegularsError, match=f"state folder {home}, found: {found}. Set REGULARS_HOME"
    ):
        State(Path(home))


def test_two_commands_never_hold_one_folder(state: State):
    other = python(
        """
        import time
        from include.launcher.servers.state import State
        with State().hold("demo"):
            print("ready", flush=True)
            time.sleep(600)
        """,
        state.home,
    )
    try:
        with pytest.raises(Busy, match=rf"bin/regulars demo` working on it \(pid {other.pid}\)"):
            state.hold("up").__enter__()
        found = state.holder()
        assert found is not None
        assert found["pid"] == other.pid
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
    # The kernel gives the lock back, whatever its holder left in the folder.
    assert state.holder() is None
    with state.hold("up"):
        assert state.holder() is not None
    assert state.holder() is None


def test_leftovers_are_ended_with_their_children(state: State, sleeper: subprocess.Popen[str]):
    children = psutil.Process(sleeper.pid).children()
    assert len(children) == 1
    state.record("scheduler", sleeper.pid)
    assert list(state.leftovers()) == ["scheduler"]
    end_processes([identity(sleeper.pid)], state.home, grace=0.2)
    sleeper.wait(5)
    assert not children[0].is_running()
    assert state.leftovers() == {}


def test_children_are_found_when_the_component_itself_is_gone(
    state: State, sleeper: subprocess.Popen[str]
):
    children = psutil.Process(sleeper.pid).children()
    state.record("scheduler", sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert children[0].is_running()
    assert end_leftovers(state) == []
    assert not children[0].is_running()
    assert not (state.home / "processes.json").exists()


def test_a_process_that_took_an_old_id_is_not_ours(state: State, sleeper: subprocess.Popen[str]):
    stranger = {**identity(sleeper.pid), "started": time.time() - 3600}
    assert not is_same(stranger)
    state.write("processes.json", {"scheduler": stranger})
    # Of another state folder: neither by its id nor by its session may it be ended.
    other = State(state.home.parent / "other")
    assert end_processes([stranger], other.home, grace=0.2) == []
    assert sleeper.poll() is None


def test_a_port_is_kept_while_it_is_free():
    port = free_port()
    assert free_port(port) == port
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert free_port(port) != port


def test_records_say_who_and_since_when(state: State):
    state.record("triggerer", os.getpid())
    row = json.loads((state.home / "processes.json").read_text())["triggerer"]
    assert row["pid"] == os.getpid()
    assert row["started"] == pytest.approx(psutil.Process().create_time())

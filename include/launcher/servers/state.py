"""The state folder: secrets, ports, what runs and who holds it.

One folder (`REGULARS_HOME`, or `.regulars` in the project) belongs to one set of servers. A lock that
the kernel drops with its holder keeps two launchers out of it, and what a killed launcher left running
is found again by process id and start time, so that nobody else's process is ever ended.
"""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from include.errors import RegularsError
from include.warehouse import ROOT, state_folder

__all__ = ["ROOT", "Busy", "State", "end_processes", "free_port"]

#: Seconds by which two readings of one process's start may differ: the kernel's boot time moves
#: when the clock is set.
START_TOLERANCE = 2.0


class Busy(RegularsError):
    """Another launcher works on this state folder."""


class State:
    """The state folder and everything small that is kept in it.

    Parameters
    ----------
    home
        The folder; created when absent, never changed in its permissions when it was there.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = (home or state_folder()).resolve()
        found = None
        try:
            if not self.home.exists():
                self.home.parent.mkdir(parents=True, exist_ok=True)
                # Root's PostgreSQL runs under another user, which has to pass through this folder.
                self.home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700)
        except OSError as error:
            found = error.strerror
        if found is None and not self.home.is_dir():
            found = "Not a folder"
        if found is None and not os.access(self.home, os.W_OK | os.X_OK):
            found = "Permission denied"
        if found:
            raise RegularsError(
                f"Expected to write in the state folder {self.home}, found: {found}. Set REGULARS_HOME "
                "to a folder of your own."
            )

    @property
    def logs(self) -> Path:
        """The folder of the components' logs."""
        folder = self.home / "logs"
        folder.mkdir(exist_ok=True)
        return folder

    def read(self, name: str) -> dict[str, Any]:
        """A small JSON file of the folder; empty when absent."""
        try:
            found: dict[str, Any] = json.loads((self.home / name).read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            raise RegularsError(
                f"Expected JSON in {self.home / name}, found something else: remove the file and "
                "start again."
            ) from None
        return found

    def write(self, name: str, content: dict[str, Any] | str) -> Path:
        """Write a file of the folder whole or not at all, readable by its owner only."""
        path = self.home / name
        fresh = path.with_name(f".{name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, indent=1) + "\n"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return path

    def secret(self, name: str, length: int = 24) -> str:
        """A secret of the folder, made the first time it is asked for; letters and digits."""
        with self.mutex("secrets"):
            known = self.read("secrets.json")
            if name not in known:
                known[name] = secrets.token_hex(length)
                self.write("secrets.json", known)
        return str(known[name])

    @contextmanager
    def mutex(self, name: str) -> Iterator[None]:
        """Wait for a short critical section between commands that share the folder."""
        with (self.home / f"{name}.lock").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def hold(self, command: str) -> Iterator[None]:
        """Hold the folder for one long-lived command.

        Raises
        ------
        Busy
            When another command holds it, naming its process id.
        """
        with (self.home / "launcher.lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = self.holder() or {"command": "another command", "pid": "unknown"}
                raise Busy(
                    f"Expected the state folder {self.home} to be free, found `bin/regulars "
                    f"{holder['command']}` working on it (pid {holder['pid']}): stop it with "
                    "`bin/regulars down`, or set REGULARS_HOME to another folder."
                ) from None
            self.write("holder.json", {"command": command, **identity(os.getpid())})
            try:
                yield
            finally:
                (self.home / "holder.json").unlink(missing_ok=True)

    def holder(self) -> dict[str, Any] | None:
        """Command, pid and start of the command that holds the folder, while it lives."""
        found = self.read("holder.json")
        return found if found and is_same(found) else None

    def record(self, name: str, pid: int) -> None:
        """Remember a process that this launcher started, for the case that it is killed."""
        kept = self.read("processes.json")
        self.write("processes.json", {**kept, name: identity(pid)})

    def leftovers(self) -> dict[str, dict[str, Any]]:
        """Recorded processes that still run, by name."""
        return {name: row for name, row in self.read("processes.json").items() if is_same(row)}

    def forget(self) -> None:
        """Forget the recorded processes, once they have ended."""
        (self.home / "processes.json").unlink(missing_ok=True)


def identity(pid: int) -> dict[str, Any]:
    """What tells a process from a later one of the same id."""
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def is_same(row: dict[str, Any]) -> bool:
    """Whether the process of a record still runs, and is not another that took its id."""
    try:
        process = psutil.Process(row["pid"])
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and abs(process.create_time() - row["started"]) < START_TOLERANCE
        )
    except psutil.NoSuchProcess:
        return False


def end_processes(rows: Collection[dict[str, Any]], home: Path, grace: float = 6.0) -> list[int]:
    """End recorded processes and all that they started: asked first, forced after `grace` seconds.

    Every recorded process leads a session of its own, so what it started is found by that session
    even when the process itself is gone; that they work in the state folder says they are ours.

    Returns
    -------
    The ids of the processes that were ended.
    """
    leaders = {row["pid"]: psutil.Process(row["pid"]) for row in rows if is_same(row)}
    family = {
        child.pid: child
        for leader in leaders.values()
        for child in _quietly(lambda: leader.children(recursive=True), [])  # noqa: B023
    }
    sessions = {row["pid"] for row in rows}
    for process in psutil.process_iter():
        session = _quietly(lambda: os.getsid(process.pid), 0)  # noqa: B023
        # Not its environment, which a process that changes its title writes over.
        if session in sessions and _quietly(process.cwd, "") == str(home):
            family[process.pid] = process
    family.update(leaders)
    family.pop(os.getpid(), None)
    for process in leaders.values():
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs(list(leaders.values()), timeout=grace)
    # What a component's own children had been doing is over once the component is gone.
    for process in family.values():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(list(family.values()), timeout=5)
    return sorted(family)


def _quietly(ask: Callable[[], Any], otherwise: Any) -> Any:
    """An answer about a process that may end, or be another user's, while it is asked."""
    try:
        return ask()
    except (psutil.Error, OSError):
        return otherwise


def free_port(preferred: int | None = None) -> int:
    """A free port on the loopback: the preferred one while nobody has it."""
    for port in ([preferred] if preferred else []) + [0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise RegularsError(
        "Expected a free port on 127.0.0.1, found none: end something that listens."
    )


def wait_until(ready: Callable[[], Any], seconds: float, pause: float = 0.2) -> bool:
    """Ask again until `ready()` is true or the time is up."""
    end = time.monotonic() + seconds
    while True:
        if ready():
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(pause)

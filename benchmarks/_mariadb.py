"""A MariaDB of our own for a while: the system's server on a data folder that is made and removed again."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pymysql

from include.errors import Unreachable
from include.launcher.servers.postgresql import own_user
from include.launcher.servers.state import free_port, wait_until

#: Who may do everything on it, and who may only read.
ADMIN, READER = "root", "regulars_reader"
NAMED = "regulars-mariadb-"
PASSWORD = "read/only"  # noqa: S105 - of a server that lives for minutes

#: A server like those out there: texts in another character set than ours, and no time zones known.
SETTINGS = {
    "character-set-server": "latin1",
    "default-time-zone": "+05:00",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
    "innodb-doublewrite": "0",
    "innodb-log-file-size": "64M",
    "bind-address": "127.0.0.1",
}


def program() -> str | None:
    """The server of the system's packages, or None."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/libexec"])
    return shutil.which("mariadbd", path=folders)


class MariaDB:
    """A server that listens on the loopback."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.folder, self.process, self.port = folder, process, port

    def url(self, database: str, options: str = "", user: str = READER) -> str:
        """The address of a database, as Airflow spells it."""
        return f"mysql://{user}:read%2Fonly@127.0.0.1:{self.port}/{database}{options}"

    def connect(self, database: str | None = None) -> Any:
        """A session of the administrator."""
        return pymysql.connect(
            unix_socket=str(self.folder / "socket"),
            user=ADMIN,
            password=PASSWORD,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS,
        )

    def run(self, statements: str, database: str | None = None) -> None:
        """Statements of the administrator, in full UTF-8 and in UTC."""
        conn = self.connect(database)
        try:
            with conn.cursor() as cursor:
                cursor.execute(f"SET sql_mode = '', time_zone = '+00:00'; {statements}")
                while cursor.nextset():
                    pass
        finally:
            conn.close()


@contextmanager
def serving(settings: dict[str, str] | None = None) -> Iterator[MariaDB]:
    """A fresh server with a user who may only read; ended and removed at the end.

    Raises
    ------
    Unreachable
        When it does not come up, with the end of its log.
    """
    binary = program()
    if binary is None:
        raise Unreachable(
            "Expected MariaDB among the system's packages, found none: install it (Debian: apt-get install "
            "mariadb-server; its own service need not run)."
        )
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=f"{NAMED}{os.getpid()}-"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        own = own_user()
        os.chown(folder, own.pw_uid, own.pw_gid)
        as_user = [f"--user={own.pw_name}"]
    port = free_port()
    with (folder / "log").open("wb") as log:
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--skip-test-db",
             "--auth-root-authentication-method=normal", "--skip-name-resolve", *as_user],
            check=True, stdout=log, stderr=log,
        )  # fmt: skip
        process = subprocess.Popen(
            [binary, "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/socket",
             f"--port={port}", f"--pid-file={folder}/pid", *as_user,
             *(f"--{name}={value}" for name, value in (SETTINGS | (settings or {})).items())],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        if not wait_until(lambda: (folder / "socket").exists() or process.poll() is not None, 60):
            process.poll()
        if not (folder / "socket").exists():
            tail = (folder / "log").read_text(errors="replace").splitlines()[-8:]
            raise Unreachable("Expected MariaDB to start, found:\n" + "\n".join(tail))
        _let_in(folder)
        yield MariaDB(folder, process, port)
    finally:
        process.kill()  # nothing on it is worth a quiet end
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _let_in(folder: Path) -> None:
    conn = pymysql.connect(unix_socket=str(folder / "socket"), user=ADMIN, autocommit=True)
    try:
        with conn.cursor() as cursor:
            cursor.execute(f"ALTER USER root@localhost IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"CREATE USER {READER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"GRANT SELECT ON *.* TO {READER}@'127.0.0.1'")
    finally:
        conn.close()


def _remove_abandoned() -> None:
    """End and remove the servers of runs that were killed: their folders' names begin with their pid."""
    for folder in Path(tempfile.gettempdir()).glob(f"{NAMED}*"):
        maker = folder.name.removeprefix(NAMED).partition("-")[0]
        if not maker.isdecimal() or psutil.pid_exists(int(maker)):
            continue
        with suppress(OSError, ValueError, psutil.Error):
            left = psutil.Process(int((folder / "pid").read_text()))
            if f"--datadir={folder}/data" in left.cmdline():
                left.kill()
        shutil.rmtree(folder, ignore_errors=True)

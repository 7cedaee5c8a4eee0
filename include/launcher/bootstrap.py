"""Make the environment `.venv` from the locked requirements, once, then become the launcher in it.

Standard library only: it runs before anything is installed. A file in `.venv` holds the hash of the
requirements that were installed, so that a changed lock is installed again and an unchanged one costs
nothing.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

#: Lock files, and whether only `bin/regulars test` needs them.
LOCKS = {"requirements.txt": False, "requirements-dev.txt": True}


class Failed(Exception):
    """The environment could not be made; the message is for a person."""


def main(arguments: Sequence[str]) -> int:
    """Prepare the environment and replace this process by the command line in it."""
    try:
        prepare(development=list(arguments[:1]) == ["test"] and arguments[1:] != ["--help"])
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    command = [str(PYTHON), "-P", "-m", "include.launcher.cli", *arguments]
    os.execve(PYTHON, command, environment)


def prepare(*, development: bool) -> None:
    """Bring `.venv` to what the lock files say.

    Raises
    ------
    Failed
        With one sentence that says what is missing and what to do.
    """
    wanted = [name for name, only_tests in LOCKS.items() if development or not only_tests]
    if all(installed(name) for name in wanted) and works():
        return
    try:
        VENV.mkdir(exist_ok=True)
        lock = (VENV / ".lock").open("w")
    except OSError as error:
        raise Failed(
            f"Expected to make the environment {VENV}, found: {error.strerror}. Clone the project to "
            "a folder that you may write in."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command is making the environment; waiting for it.", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not works():
            make()
        for name in wanted:
            if not installed(name):
                install(name)


def marker(name: str) -> Path:
    """The file that says which content of a lock file stands in the environment."""
    return VENV / f".{name}.sha256"


def digest(name: str) -> str:
    """The hash of a lock file."""
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def installed(name: str) -> bool:
    """Whether a lock file, as it reads now, has been installed."""
    try:
        return marker(name).read_text() == digest(name)
    except FileNotFoundError:
        return False


def works() -> bool:
    """Whether the environment's Python and pip start."""
    try:
        done = subprocess.run([PYTHON, "-c", "import pip"], check=False, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def make() -> None:
    """An environment with nothing in it but pip."""
    for name in LOCKS:
        marker(name).unlink(missing_ok=True)
    print(f"Making the Python environment {VENV}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "venv", VENV], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        reason = (done.stdout + done.stderr).strip().splitlines()[:1]
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Failed(
            f"Expected Python {version} to make a virtual environment in {VENV}, found: "
            f"{' '.join(reason)} Install its venv module (Debian: apt-get install "
            f"python{version}-venv) and run the command again."
        )


def install(name: str) -> None:
    """Install a lock file, every package checked by its hash, with a line of progress."""
    packages = sum("==" in line for line in (ROOT / name).read_text().splitlines())
    log = VENV / f"{name}.log"
    command = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-deps"]
    command += ["--no-input", "--disable-pip-version-check", "-r", str(ROOT / name)]
    progress = Progress(f"Installing {name}", packages)
    with log.open("w") as file:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout or ():
                file.write(line)
                progress.see(line)
        code = process.returncode
    progress.end()
    if code != 0:
        errors = [row for row in log.read_text().splitlines() if row.startswith("ERROR")]
        reason = errors[-1].removeprefix("ERROR: ") if errors else f"pip ended with {code}"
        raise Failed(
            f"Expected to install {name}, found: {reason}\nThe whole log is {log}. Check the network "
            "or the package index (pip config list), then run the command again."
        )
    marker(name).write_text(digest(name))


class Progress:
    """How far an installation is: one moving line on a terminal, a line every few seconds elsewhere."""

    EVERY = 10.0

    def __init__(self, title: str, total: int) -> None:
        self.title = title
        self.total = total
        self.seen = 0
        self.started = time.monotonic()
        self.last = -self.EVERY
        self.tty = sys.stderr.isatty()

    def see(self, line: str) -> None:
        """Take one line of pip's output into account."""
        words = line.split()
        if words[:1] == ["Collecting"]:
            self.seen += 1
            self._show(f"{min(self.seen, self.total)} of {self.total} packages read: {words[1]}")
        elif words[:1] == ["Installing"]:
            self._show("writing the packages", now=True)

    def end(self) -> None:
        """Leave the line."""
        self._show(f"done after {time.monotonic() - self.started:.0f} s", now=True)
        if self.tty:
            print(file=sys.stderr)

    def _show(self, what: str, *, now: bool = False) -> None:
        if self.tty:
            print(f"\r\x1b[K{self.title}: {what}"[:118], end="", file=sys.stderr, flush=True)
        elif now or time.monotonic() - self.last > self.EVERY:
            self.last = time.monotonic()
            print(f"{self.title}: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`bin/regulars test`: pytest, with what the tests need."""

import argparse
import os
import shutil
import subprocess
import sys

from include.launcher.commands import inside
from include.launcher.servers.state import ROOT


def run_tests(_: argparse.Namespace, rest: list[str]) -> int:
    """Run pytest; the long tests only when asked for, the whole of them on several cores."""
    if not shutil.which("chromium"):
        install_chromium()
    everything = "--all" in rest
    given = [text for text in rest if text != "--all"]
    chosen = [] if everything else ["-m", "not slow"]
    cores = len(os.sched_getaffinity(0))
    if not given and cores > 1:
        # A file's tests share a database, so a file stays whole; those that take longest come first.
        chosen += ["-n", str(min(cores, 4)), "--dist", "loadfile", "--no-loadscope-reorder"]
    # The tests have servers and folders of their own, wherever this machine's state is.
    env = {name: text for name, text in os.environ.items() if name != "REGULARS_HOME"}
    return inside.attend([sys.executable, "-m", "pytest", *chosen, *given], env, cwd=ROOT)


def install_chromium() -> None:
    """Install the browser where that is ours to do: as root on a machine with apt."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests", file=sys.stderr, flush=True)
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(
                ["apt-get", "--quiet", "--quiet", *command],
                env=env,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
    if not shutil.which("chromium"):
        print(
            "Expected Chromium for the browser tests, found none, so they will fail: install it "
            "(Debian: sudo apt-get install chromium).",
            file=sys.stderr,
            flush=True,
        )

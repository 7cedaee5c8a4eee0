"""`up` and `down`: the servers that stay until somebody stops them."""

import argparse
import os
import signal
import subprocess
import sys
import time

from include import VERSION
from include.errors import RegularsError
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import State, is_same, wait_until

#: How long `down` waits for the command that holds the servers to end in order.
DOWN_SECONDS = 60.0


def bring_up(options: argparse.Namespace, _: list[str]) -> int:
    """Start the servers, here or in the background."""
    return stay_up() if options.foreground else up_in_background()


def stay_up() -> int:
    """Start the servers and see after them until the end."""
    from include import contracts, policy, warehouse
    from include.demo_shop import load
    from include.launcher.servers.platform import platform
    from include.steps.delivery import clock

    rules = policy.load()  # a fault in it is told before anything is started

    def say(text: str) -> None:
        print(text, flush=True)

    with platform("up", say) as held:
        os.environ["REGULARS_HOME"] = str(held.state.home)
        say("Bringing the warehouse up to date")
        with warehouse.connect() as conn:
            changes = contracts.migrate(conn, say)
            clock.write(conn, rules)
        if changes:
            say(
                f"The warehouse is at version {VERSION} now: {len(changes)} changes, in ops.upgrades"
            )
        if rules.shop.is_demo and load.is_outdated(held.urls["shop_owner"]):
            say("Loading the demo shop again, as this version's SELECTs expect it")
            load.load(held.urls["shop_owner"])
        say("Starting Airflow")
        held.airflow.migrate(say)
        held.airflow.start()
        say(f"Airflow is healthy after {held.airflow.wait():.0f} s")
        held.state.write("up.json", {"pid": os.getpid(), "version": VERSION, "where": held.where()})
        say(held.where())
        try:
            held.stay()
        finally:
            (held.state.home / "up.json").unlink(missing_ok=True)
    return 0


def up_in_background() -> int:
    """Start the servers in a process of their own, and wait until they are healthy.

    Raises
    ------
    RegularsError
        When those of another version are up: they would go on by its form of the tables.
    """
    state = State()
    if holder := state.holder():
        known = state.read("up.json")
        if known.get("pid") == holder["pid"]:
            if known.get("version") != VERSION:
                raise RegularsError(
                    f"Expected what is up to be of version {VERSION}, found servers of "
                    f"{known.get('version', 'an earlier one')}: run `bin/regulars down`, then "
                    "`bin/regulars up` again, which upgrades (docs/upgrading.md)."
                )
            print(f"It is up already (pid {holder['pid']}).\n{known['where']}")
            return 0
    log = state.logs / "up.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "include.launcher.cli", "up", "--foreground"],
            env={**os.environ, "REGULARS_HOME": str(state.home)},
            cwd=state.home,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    shown = 0
    while True:
        lines = log.read_text(errors="replace").splitlines()
        code = process.poll()
        for line in lines[shown:]:
            print(line, file=sys.stderr if code else sys.stdout, flush=True)
        shown = len(lines)
        if code is not None:
            return code or 1
        if state.read("up.json").get("pid") == process.pid:
            print("It stays up; `bin/regulars down` stops it.")
            return 0
        time.sleep(0.2)


def bring_down(options: argparse.Namespace, _: list[str]) -> int:
    """End the command that holds the servers, and whatever a killed one left."""
    from include.launcher.servers.airflow import end_leftovers

    state = State()
    holder = state.holder()
    if holder:
        os.kill(holder["pid"], signal.SIGTERM)
        if not wait_until(lambda: not is_same(holder), DOWN_SECONDS):
            raise RegularsError(
                f"Expected `bin/regulars {holder['command']}` (pid {holder['pid']}) to end within "
                f"{DOWN_SECONDS:.0f} s, found it still there: end it with `kill -9 {holder['pid']}`, "
                "then run `bin/regulars down` again."
            )
    with state.hold("down"):
        left = end_leftovers(state)
        stopped = Server(state).stop_unused()
    was = [holder["command"]] if holder else []
    if was or left:
        print(f"Stopped: {', '.join([*was, *left])}.")
    else:
        print("Nothing was running.")
    if not stopped:
        print("PostgreSQL stays up for another command that uses it (psql, run, ...).")
        return int(options.purge)
    if options.purge:
        Server(state).remove()
        print(f"Removed {state.home} with all its data.")
    return 0

"""The demo: everything on one machine, and the chain run once on the real shop through the scheduler."""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rich.console import Console

from include import contracts, policy, warehouse
from include.launcher.commands import chain, summary
from include.launcher.screen import Screen
from include.launcher.servers.api import Api, Run
from include.launcher.servers.databases import CONNECTIONS
from include.launcher.servers.memory import PeakMemory
from include.launcher.servers.platform import Platform, platform
from include.launcher.servers.postgresql import postmaster
from include.steps.delivery import clock

#: The day that is run: 13 weeks of truth lie after it in the data.
DAY = "2017-10-01"
#: The shop's first day.
SINCE = "2017-01-01"

#: Characters that a line of a table may take where the output is no terminal.
WIDTH = 132

SHOP, TABLES, AIRFLOW = "demo shop", "warehouse tables", "Airflow"


def run(*, leave: bool, again: bool) -> int:
    """Set everything up, run the chain for `DAY`, and show what came out.

    Parameters
    ----------
    leave
        Stop everything at the end; otherwise the UI stays up until Ctrl-C.
    again
        Run the day again although it has been run.

    Returns
    -------
    The exit code: 0 when the chain went well.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    begun = time.monotonic()
    policy.load()  # a fault in it is told before anything is started
    # The demo is about its own shop and warehouse, whatever else this machine knows.
    for name in CONNECTIONS:
        if os.environ.pop(f"AIRFLOW_CONN_{name.upper()}", None):
            console.print(f"The demo uses its own '{name}', not AIRFLOW_CONN_{name.upper()}.")
    with platform("demo", console.print) as held:
        os.environ["REGULARS_HOME"] = str(held.state.home)
        try:
            with (
                PeakMemory(postmaster(held.server.data) or os.getpid()) as memory,
                Screen((TABLES, SHOP, AIRFLOW, *chain.CHAIN, chain.DELIVER), console) as screen,
            ):
                api = prepare(held, screen, console.print)
                runs, reused = run_day(api, held, screen, again=again)
        except chain.ChainFailed as failure:
            if leave:
                raise
            console.print(f"\n{failure}", markup=False)
            code = 1
        else:
            if reused:
                console.print(
                    f"Reused what was there: {DAY} had been run already. `bin/regulars demo --again` "
                    "runs it again."
                )
            summary.show(console, DAY)
            summary.show_times(console, runs, time.monotonic() - begun, memory.peak)
            code = 0
        if leave:
            console.print(
                "\nStopping everything; the data stay. `bin/regulars up` starts Airflow again and "
                "says its address and login."
            )
        else:
            console.print(f"\n{held.where()}", markup=False)
            console.print("Ctrl-C stops everything; `bin/regulars up` starts it again.")
            with suppress(KeyboardInterrupt):
                held.stay()
    return code


def prepare(held: Platform, screen: Screen, say: Callable[[str], None]) -> Api:
    """Bring the tables up to date, then fill the shop while Airflow starts; a client of the API."""
    from include.demo_shop.load import load

    def tables() -> None:
        screen.show(TABLES, "running")
        with warehouse.connect() as conn:
            changes = contracts.migrate(conn, say)
            clock.write(conn, policy.load())
        screen.show(TABLES, "done", f"{len(changes)} changes" if changes else "up to date")

    def shop() -> None:
        screen.show(SHOP, "running")
        rows = load(
            held.urls["shop_owner"], progress=lambda text: screen.show(SHOP, "running", text)
        )
        screen.show(SHOP, "done", f"{sum(rows.values()):,} rows in {len(rows)} tables")

    def airflow() -> None:
        screen.show(AIRFLOW, "running", "preparing its database")
        held.airflow.migrate(say)
        screen.show(AIRFLOW, "running", "starting its components")
        held.airflow.start()
        held.airflow.wait()
        screen.show(AIRFLOW, "done", held.airflow.url)

    # A warehouse that cannot be brought up to date stops it before Airflow's database is changed.
    tables()
    together(shop, airflow)
    return held.airflow.api()


def run_day(api: Api, held: Platform, screen: Screen, *, again: bool) -> tuple[list[Run], bool]:
    """Run the chain and the delivery for the day; their runs, and whether they were there already."""
    chain.await_dags(api, (*chain.CHAIN, chain.DELIVER))
    runs = chain.newest(api, DAY)
    reused = chain.is_complete(runs) and not again
    if reused:
        for dag in chain.CHAIN:
            screen.show(dag, "done", "was there", runs[dag].seconds)
    else:
        runs = chain.run_chain(api, screen, DAY, SINCE, held.watch)
    sent = chain.run_one(api, screen, chain.DELIVER, held.watch)
    return [*(runs[dag] for dag in chain.CHAIN), sent], reused


def together(*works: Callable[[], None]) -> None:
    """Do pieces of work at once; the first error of any is raised when it happens.

    The threads are daemons: when the command is ended they go with it.
    """
    errors: list[BaseException] = []

    def guarded(work: Callable[[], Any]) -> None:
        try:
            work()
        except BaseException as error:  # handed to the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not errors:
        threads[0].join(0.2) if threads[0].is_alive() else time.sleep(0.2)
    if errors:
        raise errors[0]

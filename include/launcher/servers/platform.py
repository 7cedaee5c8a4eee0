"""Everything that stays up together: PostgreSQL and Airflow, held by one command."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from include.launcher.servers.airflow import USER, Airflow, end_leftovers
from include.launcher.servers.connections import embedded
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import State

CHECK_SECONDS = 2.0


class Platform:
    """The servers of one state folder, while one command holds them.

    Attributes
    ----------
    urls
        Connection name -> address on the embedded PostgreSQL.
    airflow
        Airflow's components.
    """

    def __init__(self, state: State, urls: dict[str, str], server: Server) -> None:
        self.state = state
        self.urls = urls
        self.server = server
        self.airflow = Airflow(state, urls["airflow"])

    def watch(self) -> None:
        """Start again what has ended by itself, and say so."""
        if not self.server.is_up():
            print("PostgreSQL had ended; starting it again.", file=sys.stderr, flush=True)
            self.server.start()
        for name in self.airflow.revive():
            print(f"Airflow's {name} had ended; started it again.", file=sys.stderr, flush=True)

    def stay(self) -> None:
        """See after the servers until the command is ended."""
        while True:
            self.watch()
            time.sleep(CHECK_SECONDS)

    def where(self) -> str:
        """The sentence that says where to look."""
        return f"Airflow: {self.airflow.url}  login: {USER}  password: {self.airflow.password}"


@contextmanager
def platform(command: str, say: Callable[[str], None]) -> Iterator[Platform]:
    """Hold the state folder and keep PostgreSQL up; Airflow is the caller's to start.

    What a killed launcher left running is ended first, and everything is ended at the end.

    Raises
    ------
    Busy
        When another command holds the folder.
    """
    state = State()
    with state.hold(command), _terminable():
        if left := end_leftovers(state):
            say(f"An earlier command was killed; ended what it had left: {', '.join(left)}.")
        with embedded(state) as urls:
            held = Platform(state, urls, Server(state))
            try:
                yield held
            finally:
                held.airflow.stop()


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the command in order, as Ctrl-C does, also where a shell has it ignored."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, leave),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

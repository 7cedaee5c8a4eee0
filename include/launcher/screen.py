"""What is running and how far it is: a table that moves on a terminal, lines elsewhere."""

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

#: Where lines are printed, a piece of work that goes on says so at most this often.
EVERY_SECONDS = 3.0
#: One that goes on without news says at this distance that it does, and for how long it has.
SILENT_SECONDS = 15.0

MARKS = {"waiting": " ", "running": ">", "done": "✓", "failed": "✗"}


@dataclass
class Line:
    """One piece of work."""

    state: str = "waiting"
    detail: str = ""
    started: float | None = None
    seconds: float | None = None
    printed: tuple[str, str] = ("waiting", "")
    printed_at: float = 0.0


@dataclass
class Screen:
    """The work in order, and its progress.

    Parameters
    ----------
    names
        Every piece of work, in the order in which it is shown.
    console
        Where it is shown.
    """

    names: tuple[str, ...]
    console: Console = field(default_factory=lambda: Console(highlight=False))

    def __post_init__(self) -> None:
        self._lines = {name: Line() for name in self.names}
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> "Screen":
        if self.console.is_terminal:
            self._live = Live(
                get_renderable=self._table, console=self.console, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def show(self, name: str, state: str, detail: str = "", seconds: float | None = None) -> None:
        """Say how a piece of work stands; may be called as often as one likes.

        Parameters
        ----------
        name
            One of `names`.
        state
            waiting, running, done or failed.
        detail
            What it is doing, or what came out.
        seconds
            How long it took, where that was measured elsewhere.
        """
        with self._lock:
            line = self._lines[name]
            now = time.monotonic()
            if state != "waiting" and line.started is None:
                line.started = now
            if state in ("done", "failed") and line.state != state:
                line.seconds = seconds if seconds is not None else now - (line.started or now)
            line.state, line.detail = state, detail
            if self._live is None:
                self._print(name, line, now)

    def _print(self, name: str, line: Line, now: float) -> None:
        silent = now - line.printed_at
        known = line.printed == (line.state, line.detail)
        if known and line.state == "running" and silent >= SILENT_SECONDS:
            known = False
        soon = line.printed[0] == line.state and silent < EVERY_SECONDS
        if known or soon:
            return
        line.printed, line.printed_at = (line.state, line.detail), now
        took = f" ({line.seconds:.0f} s)" if line.seconds is not None else ""
        if line.state == "running" and line.started is not None and now > line.started + 1:
            took = f" for {now - line.started:.0f} s"
        text = ": ".join(filter(None, [f"{name} {line.state}{took}", line.detail]))
        self.console.print(f"[{now - self._begun:4.0f} s] {text}", markup=False, soft_wrap=True)

    def _table(self) -> Table:
        now = time.monotonic()
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for name, line in self._lines.items():
                took = line.seconds
                if took is None and line.started is not None:
                    took = now - line.started
                table.add_row(
                    MARKS[line.state],
                    name,
                    f"{took:.0f} s" if took is not None else "",
                    line.detail,
                )
        table.add_row("", "", f"{now - self._begun:.0f} s", "in all")
        return table

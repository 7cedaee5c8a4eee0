"""How much memory a tree of processes takes, as the sum of proportional set sizes.

PSS counts a page that n processes share as 1/n of it in each, so the sum is what the machine gives; summed
resident sizes would count PostgreSQL's shared buffers once for every connection.
"""

import os
import threading
from types import TracebackType

import psutil

EVERY_SECONDS = 2.0


class PeakMemory:
    """Samples the memory of this process, all its descendants and further trees, in the background.

    Parameters
    ----------
    roots
        Ids of processes that are not ours but belong to the work (the embedded server's).
    """

    def __init__(self, *roots: int) -> None:
        self.peak = 0
        self.samples = 0
        self._roots = (os.getpid(), *roots)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, total_pss(*self._roots))
            self.samples += 1
            if self._done.wait(EVERY_SECONDS):
                return


def total_pss(*roots: int) -> int:
    """The summed PSS of processes and all their descendants, in bytes."""
    family: set[psutil.Process] = set()
    for root in roots:
        try:
            process = psutil.Process(root)
            family.update([process, *process.children(recursive=True)])
        except psutil.Error:
            continue
    return sum(map(pss, (process.pid for process in family)))


def pss(pid: int) -> int:
    """The PSS of one process in bytes; 0 when it has ended or may not be looked into."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0

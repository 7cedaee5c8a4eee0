"""Fits that need nothing of one another, side by side.

Each has one thread for its sums, so that no result depends on how many cores a machine has; and threads that
wait by spinning would slow the other tasks that share few cores.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

T = TypeVar("T")

#: So many at once at most: each holds a copy of its rows.
MOST = 4


def abreast(work: Iterable[Callable[[], T]]) -> list[T]:
    """The results of some functions without arguments, in their order; the first error stops."""
    with ThreadPoolExecutor(
        min(MOST, os.cpu_count() or 1), initializer=threadpool_limits, initargs=(1,)
    ) as threads:
        return [done.result() for done in [threads.submit(task) for task in work]]

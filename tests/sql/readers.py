"""A hundred readers that ask again and again while something is published."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from include import warehouse

POLLERS = 100


def watch(queries: Mapping[str, str], publish: Callable[[], None]) -> dict[str, set[Any]]:
    """What the readers were answered while `publish` ran, by the name of the query; errors are answers too.

    Each reader asks one query, of one row, over a connection of its own.
    """
    names = list(queries)
    stop = threading.Event()
    answers: dict[str, set[Any]] = {name: set() for name in names}

    def poll(number: int) -> None:
        name = names[number % len(names)]
        try:
            with warehouse.connect() as conn:
                conn.autocommit = True
                while not stop.is_set():
                    answers[name].add(warehouse.rows(conn, queries[name])[0])
                    time.sleep(0.05)
        except Exception as error:  # a missing relation is one of them
            answers[name].add(repr(error))

    readers = [threading.Thread(target=poll, args=(n,)) for n in range(POLLERS)]
    for reader in readers:
        reader.start()
    try:
        publish()
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    return answers

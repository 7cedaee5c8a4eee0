"""`bin/regulars source try`: what a source gives, as it would be published, before anything is written."""

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict

from include.errors import BadInput
from include.launcher.servers import databases
from include.launcher.servers.connections import embedded
from include.launcher.servers.postgresql import Server
from include.launcher.servers.scratch import scratch
from include.launcher.servers.state import State
from include.sources import file_mapping
from include.steps import trial

#: What goes on without news says so at this distance, in seconds.
SILENT_SECONDS = 10.0


def command(options: argparse.Namespace, _: list[str]) -> int:
    """Try a source; 0 when it was read, 2 for what is wrong with it."""
    try:
        return _try(options)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _try(options: argparse.Namespace) -> int:
    asked = trial.Asked(
        options.source, options.all, options.until, options.timezone, options.currency
    )
    if options.files is not None:
        if not options.files.is_dir():
            raise BadInput(f"Expected a folder after --files, found none at {options.files}.")
        os.environ["REGULARS_FILE_DROP"] = str(options.files.resolve())
    elsewhere: AbstractContextManager[None] = nullcontext()
    if options.mapping is not None:
        if not options.mapping.is_file():
            raise BadInput(f"Expected a file after --mapping, found none at {options.mapping}.")
        elsewhere = file_mapping.standing_at(options.source, options.mapping)
    state = State()
    # As for the tasks; said before numpy is imported, which reads it once.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["REGULARS_HOME"] = str(state.home)
    with _told() as told, embedded(state), elsewhere:
        owner = state.secret(databases.OWNERS["warehouse"])
        with scratch(state, Server(state).admin_url(), owner) as address:
            os.environ["AIRFLOW_CONN_WAREHOUSE"] = address
            _interruptible(lambda: _print(asked, options), told)
    return 0


def _print(asked: trial.Asked, options: argparse.Namespace) -> None:
    rows = trial.table_of(options.rows) if options.rows else None
    with trial.trial(asked) as found:
        for finding in found.findings:
            kind = "A run would stop" if finding.severity == "critical" else "Warning"
            print(f"{kind}: {finding.message}", file=sys.stderr)
        if rows:
            found.write_rows(rows, sys.stdout.buffer, as_json=options.json)
            sys.stdout.buffer.flush()
            return
        for account in found.accounts:
            print(json.dumps(asdict(account)) if options.json else _line(account), flush=True)


def _line(account: trial.Account) -> str:
    text = (
        f"{account.table:<22}{account.read:>12,} read {account.publish:>12,} to publish "
        f"{account.set_aside:>9,} set aside {account.duplicates:>9,} duplicates"
    )
    if account.money_read is not None:
        text += f" {account.money_read:>18,.2f} in money, {account.money_set_aside:,.2f} set aside"
    if account.reasons:
        text += f" ({', '.join(f'{reason} {n:,}' for reason, n in account.reasons.items())})"
    return text


class _Told(logging.Handler):
    """Lines of progress on stderr, and when the last one was."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = self.last = time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        # The policy was made up for the trial: what it leaves out the source does not give.
        return "switched off in the policy" not in record.getMessage()

    def emit(self, record: logging.LogRecord) -> None:
        self.last = time.monotonic()
        print(record.getMessage(), file=sys.stderr, flush=True)

    def say_it_goes_on(self) -> None:
        if time.monotonic() - self.last >= SILENT_SECONDS:
            self.last = time.monotonic()
            print(f"... {self.last - self.begun:.0f} s", file=sys.stderr, flush=True)


@contextmanager
def _told() -> Iterator[_Told]:
    """Let what the steps log be seen."""
    handler, logger = _Told(), logging.getLogger("include")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _interruptible(work: Callable[[], None], told: _Told) -> None:
    """Do the work on a thread of its own: the driver hears no Ctrl-C before a statement has ended."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # raised again below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.5)
        told.say_it_goes_on()
    if failed:
        raise failed[0]

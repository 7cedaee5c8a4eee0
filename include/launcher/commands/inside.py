"""The commands that need the databases and not Airflow: the server is up for as long as they take."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from include import as_of, warehouse
from include.errors import RegularsError
from include.launcher.commands import chain
from include.launcher.servers import databases
from include.launcher.servers.airflow import standing
from include.launcher.servers.connections import embedded, environment
from include.launcher.servers.postgresql import ADMIN, Server
from include.launcher.servers.state import ROOT, State


@contextmanager
def warehouse_at_hand() -> Iterator[None]:
    """Let this process reach the databases of its state folder by the names of their connections."""
    state = State()
    # As for the tasks; said before numpy is imported, which reads it once.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with embedded(state):
        os.environ["REGULARS_HOME"] = str(state.home)
        yield


def run_python(_: argparse.Namespace, rest: list[str]) -> int:
    """Run Python with the project, its connections and the server at hand."""
    if not rest:
        raise RegularsError("Expected `run PATH ARGS` or `run -m MODULE ARGS`, found nothing.")
    state = State()
    with embedded(state):
        return attend([sys.executable, *rest], environment(state))


def run_bench(_: argparse.Namespace, rest: list[str]) -> int:
    """Run one script of benchmarks/, or all of them; the worst exit code."""
    known = benches()
    if rest and rest[0] not in known:
        raise RegularsError(f"Expected one of {', '.join(known)}, found the bench '{rest[0]}'.")
    state = State()
    with embedded(state):
        codes = [
            attend(
                [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *rest[1:]],
                environment(state),
            )
            for name in (rest[:1] or known)
        ]
    return max(codes, default=0)


def benches() -> list[str]:
    """The names of the benchmarks."""
    return sorted(path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py"))


def open_psql(_: argparse.Namespace, rest: list[str]) -> int:
    """Open psql on the warehouse; the server is up for as long as that takes."""
    known = (*databases.ROLES, ADMIN)
    for role in _users(rest):
        if role not in known:
            raise RegularsError(
                f"Expected one of the roles {', '.join(known)} after -U, found '{role}'."
            )
    state = State()
    with embedded(state) as urls:
        place = urlsplit(urls["warehouse"])
        login = {
            "PGHOST": str(place.hostname),
            "PGPORT": str(place.port),
            "PGUSER": str(place.username),
            "PGDATABASE": place.path.lstrip("/"),
            "PGPASSFILE": str(state.home / "pgpass"),
        }
        return attend([Server(state).binary("psql"), *rest], {**os.environ, **login})


def _users(arguments: list[str]) -> list[str]:
    """The roles that arguments of psql name."""
    asked = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    asked.add_argument("-U", "--username", action="append", default=[])
    found: list[str] = asked.parse_known_args(arguments)[0].username
    return found


def write_report(options: argparse.Namespace, _: list[str]) -> int:
    """Write the report."""
    from include.reports import daily, quality, weekly

    kind = "weekly" if options.weekly else "quality" if options.quality else "report"
    writers = {"weekly": weekly.write, "quality": quality.write, "report": daily.write}
    path = (options.path or Path(f"{kind}.html")).resolve()
    if not path.parent.is_dir():
        raise RegularsError(
            f"Expected a folder that exists for {path.name}, found none at {path.parent}: make it first."
        )
    if path.is_dir():
        raise RegularsError(f"Expected the name of a file, found the folder {path}.")
    with warehouse_at_hand():
        writers[kind](path)
    print(f"Wrote {path}")
    return 0


def run_replay(options: argparse.Namespace, _: list[str]) -> int:
    """Replay the quarantine and say what became of it."""
    # Before a server is started for it.
    last, first = (
        text and as_of.parse(text, name).isoformat()
        for text, name in ((options.as_of, "--as-of"), (options.since, "--since"))
    )
    with warehouse_at_hand():
        from include.steps import replay

        before, after = replay.replay(last, first)
        day = replay.newest_day()
    gone = before.total() - after.total()
    print(f"{before.total():,} rows were in quarantine; {gone:,} passed and left it.")
    for reasons, count in after.items():
        print(f"{count:>8,}  {reasons}")
    if gone:
        _wake_chain(day)
    return 0


def _wake_chain(day: str) -> None:
    """Let the chain see what a replay has published, where Airflow is up."""
    follower = chain.CHAIN[1]
    try:
        api = standing(State())
    except RegularsError:
        print(
            f"Airflow is down: once it is up, trigger {follower} with as_of {day}, so that the chain sees "
            "them."
        )
        return
    try:
        chain.wake(api, follower, day)
    finally:
        api.close()
    print(
        f"Woke {follower} for {day}; the other DAGs follow it. Watch {api.url}/dags/{follower}/runs."
    )


def check_policy(_: argparse.Namespace, rest: list[str]) -> int:
    """Check the policy by itself, or preview it against the warehouse."""
    from include.launcher.commands import policy

    if rest[:1] != ["preview"]:
        return policy.main(rest)
    with warehouse_at_hand():
        return policy.main(rest)


def manage_models(_: argparse.Namespace, rest: list[str]) -> int:
    """List, show, roll back, release or export models."""
    from include.launcher.commands import models

    with warehouse_at_hand():
        return models.main(rest)


def explain_lists(_: argparse.Namespace, rest: list[str]) -> int:
    """Explain one customer's product lists."""
    from include.steps import lists

    with warehouse_at_hand():
        return lists.main(rest)


def pause_sends(options: argparse.Namespace, _: list[str]) -> int:
    """Throw the switch that every claim of delivery looks at."""
    with warehouse_at_hand(), warehouse.connect() as conn:
        if warehouse.value(conn, "SELECT to_regclass('ops.switches')") is None:
            raise RegularsError(
                "Expected a warehouse with the table ops.switches, found none: run "
                "`bin/regulars demo` or `bin/regulars up` first."
            )
        warehouse.execute(
            conn,
            """
                INSERT INTO ops.switches (key, value, note, changed_at)
                VALUES ('pause_sends', %(value)s, %(note)s, now())
                ON CONFLICT (key) DO UPDATE SET
                    value = excluded.value, note = excluded.note, changed_at = excluded.changed_at
                """,
            {"value": not options.off, "note": options.note},
        )
    print("Sends go out again." if options.off else "Sends are paused: no message is claimed.")
    return 0


def attend(command: list[str], env: dict[str, str], cwd: Path | None = None) -> int:
    """Run a command in the foreground; its exit code.

    Ctrl-C is the command's own to answer: psql, for one, only gives up its query.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.call(
            command,
            env=env,
            cwd=cwd,
            preexec_fn=lambda: signal.signal(signal.SIGINT, before),
        )
    finally:
        signal.signal(signal.SIGINT, before)

"""The commands of `bin/regulars`."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from include.errors import RegularsError
from include.launcher.connections import embedded, environment
from include.launcher.server import Server
from include.launcher.state import State


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options, rest = parser().parse_known_args(arguments)
    try:
        return int(options.run(options, rest))
    except RegularsError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="bin/regulars", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    psql = commands.add_parser(
        "psql",
        add_help=False,
        help="open the warehouse; further arguments go to psql (-U regulars_marketing, -d shop, ...)",
    )
    psql.set_defaults(run=open_psql)

    run = commands.add_parser(
        "run",
        add_help=False,
        help="run Python inside the environment: run PATH ARGS, run -m MODULE",
    )
    run.set_defaults(run=run_python)
    return top


def open_psql(_: argparse.Namespace, rest: list[str]) -> int:
    """Open psql on the warehouse; the server is up for as long as that takes."""
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


def run_python(_: argparse.Namespace, rest: list[str]) -> int:
    """Run Python with the project, its connections and the server at hand."""
    state = State()
    with embedded(state):
        return attend([sys.executable, *rest], environment(state))


def attend(command: list[str], env: dict[str, str]) -> int:
    """Run a command in the foreground; its exit code.

    Ctrl-C is the command's own to answer: psql, for one, only gives up its query.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.call(
            command,
            env=env,
            preexec_fn=lambda: signal.signal(signal.SIGINT, before),
        )
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main())

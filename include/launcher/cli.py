"""Regulars: which customers will be worth the most, and what to send each of them.

State (servers, logs, secrets) lives in .regulars, or in the folder named by REGULARS_HOME.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from psycopg2 import errors

from include.errors import RegularsError
from include.launcher.connections import embedded, environment
from include.launcher.server import Server
from include.launcher.state import ROOT, State, is_same, wait_until

Command = Callable[[argparse.Namespace, list[str]], int]

#: How long `down` waits for the command that holds the servers to end in order.
DOWN_SECONDS = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options, rest = parser().parse_known_args(given)
    if rest and not options.passes_on:
        parser().error(f"unrecognised: {' '.join(rest)}")
    if options.passes_on:
        # Whatever follows the command is the other program's, in its own order.
        rest = given[1:]
        if rest in (["--help"], ["-h"]):
            print(options.explain())
            return 0
    try:
        return int(options.run(options, rest))
    except RegularsError as error:
        print(error, file=sys.stderr)
        return 1
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName) as error:
        found = str(error).strip().splitlines()[0]
        print(
            f"Expected a warehouse that is up to date, found: {found}. Run `bin/regulars demo` or "
            "`bin/regulars up` first.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="bin/regulars",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def add(
        name: str, run: Command, sentence: str, *, passes_on: str = "", more: str = ""
    ) -> argparse.ArgumentParser:
        """One command; `passes_on` names the arguments that go to another program as they are."""
        usage = f"bin/regulars {name} {passes_on}" if passes_on else None
        command = commands.add_parser(
            name,
            help=sentence,
            description=sentence,
            add_help=not passes_on,
            usage=usage,
            epilog=more,
        )
        explain = lambda: command.format_help().rstrip()  # noqa: E731
        command.set_defaults(run=run, passes_on=passes_on, explain=explain)
        return command

    demo = add(
        "demo",
        run_demo,
        "Set everything up on this machine, run the chain for one day of the real demo shop "
        "through Airflow's scheduler, and show what came out.",
    )
    demo.add_argument(
        "--exit", action="store_true", help="stop everything at the end; otherwise the UI stays up"
    )
    demo.add_argument("--again", action="store_true", help="run the day again, though it was run")

    add(
        "test",
        run_tests,
        "Run the tests (--all: the long ones too); further arguments go to pytest.",
        passes_on="[--all] [PYTEST ARGUMENTS]",
        more="They have servers and folders of their own. Pytest's own help: bin/regulars run -m pytest -h",
    )

    up = add("up", bring_up, "Start PostgreSQL and Airflow, and leave them running.")
    up.add_argument(
        "--foreground", action="store_true", help="stay, show what happens, and stop at Ctrl-C"
    )
    down = add("down", bring_down, "Stop what `up` or `demo` started.")
    down.add_argument(
        "--purge", action="store_true", help="also remove the state folder with all its data"
    )

    add(
        "run",
        run_python,
        "Run Python inside the environment, with the connections: run PATH ARGS, run -m MODULE.",
        passes_on="PATH|-m MODULE|-c CODE [ARGUMENTS]",
        more="PostgreSQL is up for as long as that takes.",
    )
    add(
        "bench",
        run_bench,
        "Measure one claim, or all, beside a peer: one JSON object a line.",
        passes_on="[NAME [ARGUMENTS]]",
        more=f"NAME is one of {', '.join(benches())}; without it all are run.",
    )
    add(
        "psql",
        open_psql,
        "Open the warehouse; further arguments go to psql (-U regulars_marketing, -U shop -d shop, ...).",
        passes_on="[PSQL ARGUMENTS]",
        more="The server is started for as long as that takes, where it is not up. Psql's own help: "
        "bin/regulars psql -?",
    )

    replay = add(
        "replay",
        run_replay,
        "Build core again from raw for the days that have rows in quarantine: what passes leaves it.",
    )
    replay.add_argument("--as-of", help="last business day (default: the newest in quarantine)")
    replay.add_argument("--since", help="first business day (default: the oldest in quarantine)")

    report = add("report", write_report, "Write what a day, or a week, came to as one HTML file.")
    report.add_argument(
        "path", nargs="?", type=Path, help="where to (default: report.html, or weekly.html)"
    )
    report.add_argument(
        "--weekly",
        action="store_true",
        help="the week up to the newest day, for marketing: segments, campaigns, results",
    )
    report.add_argument(
        "--quality", action="store_true", help="the last 60 business days of data quality"
    )

    add(
        "policy",
        check_policy,
        "Check the policy, or preview who would gain or lose what: policy check|preview [FILE].",
        passes_on="check|preview [FILE]",
        more="FILE is config/policy.yml where none is given; the preview compares it with the decisions "
        "in force.",
    )
    add(
        "models",
        manage_models,
        "Show which models serve and why, go back to an earlier one, write one out as a file.",
        passes_on="[list|show VERSION|rollback [VERSION]|release|export VERSION FOLDER]",
        more="A rollback holds, whatever is trained, until `release`; both take --kind (default: value).",
    )
    add(
        "recommend",
        explain_lists,
        "Say which rule and model did what to a customer's lists: recommend explain CUSTOMER [DAY].",
        passes_on="explain CUSTOMER [DAY]",
        more="CUSTOMER is the shop's own number; without DAY it is the newest published business day.",
    )
    pause = add("pause-sends", pause_sends, "Stop every send at once, until --off.")
    pause.add_argument("--off", action="store_true", help="send again")
    pause.add_argument("--note", help="why, for those who look later")
    return top


def run_demo(options: argparse.Namespace, _: list[str]) -> int:
    """Run the demo."""
    from include.launcher import demo

    return demo.run(leave=options.exit, again=options.again)


def run_tests(_: argparse.Namespace, rest: list[str]) -> int:
    """Run pytest; the long tests only when asked for."""
    if not shutil.which("chromium"):
        install_chromium()
    everything = "--all" in rest
    given = [text for text in rest if text != "--all"]
    chosen = [] if everything else ["-m", "not slow"]
    # The tests have servers and folders of their own, wherever this machine's state is.
    env = {name: text for name, text in os.environ.items() if name != "REGULARS_HOME"}
    return attend([sys.executable, "-m", "pytest", *chosen, *given], env, cwd=ROOT)


def install_chromium() -> None:
    """Install the browser where that is ours to do: as root on a machine with apt."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests", file=sys.stderr, flush=True)
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(
                ["apt-get", "--quiet", "--quiet", *command],
                env=env,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
    if not shutil.which("chromium"):
        print(
            "Expected Chromium for the browser tests, found none, so they will fail: install it "
            "(Debian: sudo apt-get install chromium).",
            file=sys.stderr,
            flush=True,
        )


def bring_up(options: argparse.Namespace, _: list[str]) -> int:
    """Start the servers, here or in the background."""
    return stay_up() if options.foreground else up_in_background()


def stay_up() -> int:
    """Start the servers and see after them until the end."""
    from include import contracts, policy, warehouse
    from include.launcher.platform import platform

    policy.load()  # a fault in it is told before anything is started

    def say(text: str) -> None:
        print(text, flush=True)

    with platform("up", say) as held:
        os.environ["REGULARS_HOME"] = str(held.state.home)
        say("Bringing the warehouse up to date")
        with warehouse.connect() as conn:
            contracts.migrate(conn)
        say("Starting Airflow")
        held.airflow.migrate()
        held.airflow.start()
        say(f"Airflow is healthy after {held.airflow.wait():.0f} s")
        held.state.write("up.json", {"pid": os.getpid(), "where": held.where()})
        say(held.where())
        try:
            held.stay()
        finally:
            (held.state.home / "up.json").unlink(missing_ok=True)
    return 0


def up_in_background() -> int:
    """Start the servers in a process of their own, and wait until they are healthy."""
    state = State()
    if holder := state.holder():
        known = state.read("up.json")
        if known.get("pid") == holder["pid"]:
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
    from include.launcher.airflow import end_leftovers

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


def write_report(options: argparse.Namespace, _: list[str]) -> int:
    """Write the report."""
    from include import quality_report, report, weekly

    kind = "weekly" if options.weekly else "quality" if options.quality else "report"
    writers = {"weekly": weekly.write, "quality": quality_report.write, "report": report.write}
    path = (options.path or Path(f"{kind}.html")).resolve()
    state = State()
    with embedded(state):
        os.environ["REGULARS_HOME"] = str(state.home)
        writers[kind](path)
    print(f"Wrote {path}")
    return 0


def run_replay(options: argparse.Namespace, _: list[str]) -> int:
    """Replay the quarantine and say what became of it."""
    state = State()
    with embedded(state):
        os.environ["REGULARS_HOME"] = str(state.home)
        from include.steps import replay

        before, after = replay.replay(options.as_of, options.since)
    gone = before.total() - after.total()
    print(f"{before.total():,} rows were in quarantine; {gone:,} passed and left it.")
    for reasons, count in after.items():
        print(f"{count:>8,}  {reasons}")
    if gone:
        print("Trigger regulars_features with as_of, so that the chain sees them.")
    return 0


def check_policy(_: argparse.Namespace, rest: list[str]) -> int:
    """Check the policy by itself, or preview it against the warehouse."""
    from include import policy

    if rest[:1] != ["preview"]:
        return policy.main(rest)
    state = State()
    with embedded(state):
        os.environ["REGULARS_HOME"] = str(state.home)
        return policy.main(rest)


def manage_models(_: argparse.Namespace, rest: list[str]) -> int:
    """List, show, roll back, release or export models."""
    from include.launcher import models

    state = State()
    with embedded(state):
        os.environ["REGULARS_HOME"] = str(state.home)
        return models.main(rest)


def explain_lists(_: argparse.Namespace, rest: list[str]) -> int:
    """Explain one customer's product lists."""
    from include.steps import recommend

    state = State()
    with embedded(state):
        os.environ["REGULARS_HOME"] = str(state.home)
        return recommend.main(rest)


def pause_sends(options: argparse.Namespace, _: list[str]) -> int:
    """Throw the switch that every claim of delivery looks at."""
    from include import warehouse

    state = State()
    with embedded(state):
        os.environ["REGULARS_HOME"] = str(state.home)
        with warehouse.connect() as conn:
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


if __name__ == "__main__":
    sys.exit(main())

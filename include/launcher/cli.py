"""Regulars: which customers will be worth the most, and what to send each of them.

State (servers, logs, secrets) lives in .regulars, or in the folder named by REGULARS_HOME.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from psycopg2 import errors

from include import VERSION
from include.errors import RegularsError
from include.launcher.arguments import Command, Parser, argument
from include.launcher.commands import inside, testing, up


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options, rest = parser().parse_known_args(given)
    if rest and not options.passes_on:
        options.refuse(f"unrecognised: {' '.join(rest)}")
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


class _Version(argparse.Action):
    """Print the version."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"regulars {VERSION}")
        parser.exit()


def run_demo(options: argparse.Namespace, _: list[str]) -> int:
    """Run the demo."""
    from include.launcher.commands import demo

    return demo.run(leave=options.exit, again=options.again)


def run_backfill(options: argparse.Namespace, _: list[str]) -> int:
    """Start the chain for past days."""
    from include.launcher.commands import backfill

    return backfill.run(options.first, options.last, options.since)


def run_clock(options: argparse.Namespace, _: list[str]) -> int:
    """Show or move the shop's clock."""
    from include.launcher.commands import clock

    with inside.warehouse_at_hand():
        return clock.run(options.moment)


def run_suppress(options: argparse.Namespace, _: list[str]) -> int:
    """Change or show what is listed of an address."""
    from include.launcher.commands import suppress

    with inside.warehouse_at_hand():
        return suppress.run(
            options.action, options.address, options.reason, options.by, options.why
        )


def run_fingerprint(options: argparse.Namespace, rest: list[str]) -> int:
    """Print the hashes of the published tables."""
    from include.launcher.commands import fingerprint

    return fingerprint.command(options, rest)


def run_source(options: argparse.Namespace, rest: list[str]) -> int:
    """Try a source."""
    from include.launcher.commands import source

    return source.command(options, rest)


#: Every command, in the order in which the overview names them.
COMMANDS = (
    Command(
        "demo",
        run_demo,
        "Set everything up on this machine, run the chain for one day of the real demo shop "
        "through Airflow's scheduler, and show what came out.",
        (
            argument(
                "--exit",
                action="store_true",
                help="stop everything at the end; otherwise the UI stays up",
            ),
            argument("--again", action="store_true", help="run the day again, though it was run"),
        ),
    ),
    Command(
        "test",
        testing.run_tests,
        "Run the tests (--all: the long ones too); further arguments go to pytest.",
        passes_on="[--all] [PYTEST ARGUMENTS]",
        more="They have servers and folders of their own. Pytest's own help: bin/regulars run -m pytest -h",
    ),
    Command(
        "up",
        up.bring_up,
        "Start PostgreSQL and Airflow, and leave them running.",
        (
            argument(
                "--foreground",
                action="store_true",
                help="stay, show what happens, and stop at Ctrl-C",
            ),
        ),
    ),
    Command(
        "down",
        up.bring_down,
        "Stop what `up` or `demo` started.",
        (
            argument(
                "--purge",
                action="store_true",
                help="also remove the state folder with all its data",
            ),
        ),
    ),
    Command(
        "run",
        inside.run_python,
        "Run Python inside the environment, with the connections: run PATH ARGS, run -m MODULE.",
        passes_on="PATH|-m MODULE|-c CODE [ARGUMENTS]",
        more="PostgreSQL is up for as long as that takes.",
    ),
    Command(
        "bench",
        inside.run_bench,
        "Measure one claim, or all, beside a peer: one JSON object a line.",
        passes_on="[NAME [ARGUMENTS]]",
        more=f"NAME is one of {', '.join(inside.benches())}; without it all are run.",
    ),
    Command(
        "psql",
        inside.open_psql,
        "Open the warehouse; further arguments go to psql (-U regulars_marketing, -U shop -d shop, ...).",
        passes_on="[PSQL ARGUMENTS]",
        more="The server is started for as long as that takes, where it is not up. Psql's own help: "
        "bin/regulars psql -?",
    ),
    Command(
        "backfill",
        run_backfill,
        "Run the chain for a business day, or each day from one to another, on what `up` started.",
        (
            argument("first", metavar="FIRST", help="business day, such as 2017-10-02"),
            argument("last", metavar="LAST", nargs="?", help="last day (default: FIRST alone)"),
            argument("--since", help="load all history from this day with each of them"),
        ),
    ),
    Command(
        "clock",
        run_clock,
        "Say what the shop's clock shows and which messages wait for it; with a moment, move it.",
        (
            argument(
                "moment",
                metavar="MOMENT",
                nargs="?",
                help="such as 2017-10-03T10:00, in the shop's time zone; wall: the wall clock",
            ),
        ),
        more="Delivery alone goes by this clock: shop.clock of the policy, which is what is written.",
    ),
    Command(
        "suppress",
        run_suppress,
        "Keep an e-mail address or a telephone number from being written to, whoever has it; end that, or "
        "show it.",
        (
            argument("action", choices=("add", "lift", "show")),
            argument("address", metavar="ADDRESS_OR_NUMBER"),
            argument(
                "--reason", metavar="R", help="add: why, in a word; lift: only what has this reason"
            ),
            argument("--by", metavar="WHO", help="who wants it"),
            argument("--why", metavar="WORDS", help="more about it, without personal data"),
        ),
        more="What was put here by hand holds until it is lifted, whatever the customer says later.",
    ),
    Command(
        "replay",
        inside.run_replay,
        "Build core again from raw for the days that have rows in quarantine: what passes leaves it.",
        (
            argument("--as-of", help="last business day (default: the newest in quarantine)"),
            argument("--since", help="first business day (default: the oldest in quarantine)"),
        ),
    ),
    Command(
        "report",
        inside.write_report,
        "Write what a day, or a week, came to as one HTML file.",
        (
            argument(
                "path",
                nargs="?",
                type=Path,
                help="where to (default: report.html, weekly.html or quality.html)",
            ),
            argument(
                "--weekly",
                action="store_true",
                help="the week up to the newest day, for marketing: segments, campaigns, results",
            ),
            argument(
                "--quality",
                action="store_true",
                help="the last 60 business days of data quality",
            ),
        ),
    ),
    Command(
        "source",
        run_source,
        "Try a source: what it gives as it would be published, before anything is written.",
        (
            argument("action", choices=["try"], metavar="try", help="what to do with it"),
            argument(
                "--source",
                required=True,
                metavar="NAME",
                help="a folder of include/sql/extract; with --mapping any name",
            ),
            argument(
                "--files",
                type=Path,
                metavar="FOLDER",
                help="where the files lie, anywhere (default: as for a run)",
            ),
            argument(
                "--mapping",
                type=Path,
                metavar="FILE",
                help="a files.yml that stands elsewhere",
            ),
            argument(
                "--all", action="store_true", help="all days (default: the newest 28 as a sample)"
            ),
            argument(
                "--until",
                metavar="DAY",
                help="the last business day (default: the newest there is)",
            ),
            argument(
                "--timezone",
                metavar="ZONE",
                help="the shop's, where the policy is about another source",
            ),
            argument("--currency", metavar="CODE", help="the shop's, likewise"),
            argument(
                "--rows",
                metavar="TABLE",
                help="print its rows as CSV instead: order_lines or core.order_lines as it would be "
                "published, raw.order_lines as it was read",
            ),
            argument("--json", action="store_true", help="one JSON object a line"),
        ),
        more="It needs neither Airflow nor a policy that fits. Opening day, currency and time zone are the "
        "policy's where that is about this source; otherwise they are taken from what is read, and told. A "
        "line a table: rows read = to publish + set aside + duplicates, and the reasons of what is set "
        "aside. Progress, and what a run would be stopped or warned by, goes to stderr. Exit code 2: the "
        "source cannot be read, with one sentence. Everything happens in a database that is dropped at the "
        "end.",
    ),
    Command(
        "policy",
        inside.check_policy,
        "Check the policy, or preview who would gain or lose what: policy check|preview [FILE].",
        passes_on="check|preview [FILE]",
        more="FILE is config/policy.yml where none is given; the preview compares it with the decisions "
        "in force.",
    ),
    Command(
        "models",
        inside.manage_models,
        "Show which models serve and why, go back to an earlier one, write one out as a file.",
        passes_on="[list|show VERSION|rollback [VERSION]|release|export VERSION FOLDER]",
        more="A rollback holds, whatever is trained, until `release`; both take --kind (default: value).",
    ),
    Command(
        "recommend",
        inside.explain_lists,
        "Say which rule and model did what to a customer's lists: recommend explain CUSTOMER [DAY].",
        passes_on="explain CUSTOMER [DAY]",
        more="CUSTOMER is the shop's own number; without DAY it is the newest published business day.",
    ),
    Command(
        "fingerprint",
        run_fingerprint,
        "Print rows and a hash of each published table, to compare two warehouses.",
        (
            argument(
                "--schema",
                action="append",
                help="core, features, ml or marketing; may be given again",
            ),
            argument(
                "--omit",
                action="append",
                default=[],
                metavar="TABLE:COLUMN=TEXT",
                help="leave out the rows of a table that have a text in a column; may be given again",
            ),
            argument("--json", action="store_true", help="one JSON object a line"),
        ),
        more="The hash leaves out when, by which run, version and policy a row was made.",
    ),
    Command(
        "pause-sends",
        inside.pause_sends,
        "Stop every send at once, until --off.",
        (
            argument("--off", action="store_true", help="send again"),
            argument("--note", help="why, for those who look later"),
        ),
    ),
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(
        prog="bin/regulars",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "--version", action=_Version, nargs=0, help="say which version this is, and leave"
    )
    parsers = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for command in COMMANDS:
        command.add_to(parsers)
    return top


if __name__ == "__main__":
    sys.exit(main())

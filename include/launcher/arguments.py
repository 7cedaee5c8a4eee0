"""Commands of `bin/regulars` and their arguments: what is wrong with them is one sentence."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose errors end with where to read on: the help of the command that was meant."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and leave."""
        self.exit(2, f"{self.prog}: {message}. See `{self.prog} --help`.\n")


#: An argument of a command: its names, and the rest of what `add_argument` takes.
Argument = tuple[tuple[str, ...], dict[str, Any]]


def argument(*names: str, **settings: Any) -> Argument:
    """An argument of a command, written as for `argparse.ArgumentParser.add_argument`."""
    return names, settings


@dataclass(frozen=True)
class Command:
    """One command, as the overview and its own help tell it.

    Attributes
    ----------
    name
        What is typed.
    run
        Does it: takes the options and the arguments that are passed on, gives the exit code.
    sentence
        What it is for.
    arguments
        What it takes.
    passes_on
        Where its arguments go to another program as they are: how its usage names them.
    more
        What its help ends with.
    """

    name: str
    run: Callable[[argparse.Namespace, list[str]], int]
    sentence: str
    arguments: tuple[Argument, ...] = ()
    passes_on: str = ""
    more: str = ""

    def add_to(self, parsers: "argparse._SubParsersAction[Any]") -> None:
        """Add its parser to those of the other commands."""
        parser = parsers.add_parser(
            self.name,
            help=self.sentence,
            description=self.sentence,
            add_help=not self.passes_on,
            usage=f"bin/regulars {self.name} {self.passes_on}" if self.passes_on else None,
            epilog=self.more,
        )
        for names, settings in self.arguments:
            parser.add_argument(*names, **settings)
        parser.set_defaults(
            run=self.run,
            passes_on=self.passes_on,
            explain=lambda: parser.format_help().rstrip(),
            refuse=parser.error,
        )

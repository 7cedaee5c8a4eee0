"""Arguments of `bin/regulars`: what is wrong with them is one sentence."""

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose errors end with where to read on: the help of the command that was meant."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and leave."""
        self.exit(2, f"{self.prog}: {message}. See `{self.prog} --help`.\n")

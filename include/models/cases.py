"""The two worked cases: `python -m include.models.cases value FILE.csv` and `... ratings FILE.csv`.

Each prints its predictions as CSV. A file that cannot be used ends in one sentence and exit code 1.
"""

import importlib
import sys
from collections.abc import Sequence

#: Case -> module whose `run_case(path, out)` reads the file and writes the predictions.
CASES = {"value": "include.models.value.worked", "ratings": "include.models.neighbours"}


def main(arguments: Sequence[str]) -> int:
    """Run one case; the exit code."""
    if len(arguments) != 2 or arguments[0] not in CASES:
        print(
            f"usage: python -m include.models.cases {{{'|'.join(CASES)}}} FILE.csv", file=sys.stderr
        )
        return 2
    case, path = arguments
    try:
        importlib.import_module(CASES[case]).run_case(path, sys.stdout)
    except FileNotFoundError:
        print(f"Expected the file {path}, found none: check its name.", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

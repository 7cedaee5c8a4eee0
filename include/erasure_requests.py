"""Record a request to be forgotten, as a command: `bin/regulars run -m include.erasure_requests NUMBER`."""

import sys

from include.errors import RegularsError
from include.persons import erasure_requests


def main(arguments: list[str]) -> int:
    """`NUMBER` records a request and prints its id."""
    if len(arguments) != 1:
        print("usage: python -m include.erasure_requests NUMBER")
        return 2
    try:
        request = erasure_requests.ask(arguments[0])
    except RegularsError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"Recorded as {request}. Start regulars_erase with it as `request`, or without for all that wait."
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""`bin/regulars run -m include.people`: whose accounts are whose, as `include.persons.by_hand` says."""

import sys

from include import warehouse
from include.errors import RegularsError
from include.persons import by_hand


def main(arguments: list[str]) -> int:
    """`explain NUMBER` shows a person's accounts; `split NUMBER NUMBER REASON` undoes a merge for good."""
    try:
        if arguments[:1] == ["explain"] and len(arguments) == 2:
            with warehouse.connect() as conn:
                for number, rule, via in by_hand.explain(conn, arguments[1]):
                    print(f"{number:<24}{rule:<26}{via}")
            return 0
        if arguments[:1] == ["split"] and len(arguments) == 4:
            print(f"{by_hand.split(*arguments[1:])} account(s) moved; the pair stays apart.")
            return 0
    except RegularsError as error:
        print(error, file=sys.stderr)
        return 1
    print("usage: python -m include.people explain NUMBER | split NUMBER NUMBER REASON")
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

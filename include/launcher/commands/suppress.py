"""`bin/regulars suppress add|lift|show`: an address that nothing is sent to, by hand."""

from datetime import UTC, datetime

from include import warehouse
from include.errors import BadInput
from include.persons import suppressions


def run(action: str, address: str, reason: str | None, by: str | None, why: str | None) -> int:
    """Put an address on the list, take it off, or say what is listed of it; the exit code.

    Raises
    ------
    BadInput
        When what is to be recorded lacks its reason or its author.
    """
    if action != "show" and not by:
        raise BadInput(f"Expected --by WHO with suppress {action}, found none: say who wants it.")
    if action == "add" and not reason:
        raise BadInput("Expected --reason R with suppress add, found none: say why, in a word.")
    now = datetime.now(UTC)
    with warehouse.connect() as conn:
        if action == "add":
            channel = suppressions.add(conn, address, str(reason), str(by), now, why)
            print(f"Nothing more is sent to this address by {channel}.")
            return 0
        if action == "lift":
            ended = suppressions.lift(conn, address, reason, str(by), now, why)
            print(f"Lifted {ended}." if ended else "Nothing that holds is listed of this address.")
            return 0 if ended else 1
        found = suppressions.show(conn, address)
    for channel, said, since, until, who, more in found:
        ended_at = f"until {until:%Y-%m-%d %H:%M}" if until else "holds"
        print(
            f"{channel:<6}{said:<14}since {since:%Y-%m-%d %H:%M}  {ended_at}  by {who}  {more or ''}".rstrip()
        )
    if not found:
        print("Nothing is listed of this address.")
    return 0

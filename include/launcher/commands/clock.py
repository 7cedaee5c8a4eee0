"""`bin/regulars clock`: what the shop's clock shows and what waits for it; and to move it."""

import re
import shutil
from datetime import datetime
from pathlib import Path

from include import policy, warehouse
from include.console import clock
from include.errors import BadInput
from include.steps.delivery import clock as tills

#: The line of the policy: what stands before the moment, the moment, and a comment behind it.
LINE = re.compile(r"^(?P<key>[ ]+clock:[ ]*)(?P<moment>[^#\n]*?)(?P<rest>[ ]*(?:#.*)?)$", re.M)

#: What is said for the clock on the wall.
WALL = "wall"


def run(moment: str | None) -> int:
    """Move the clock where a moment is given, then say how it stands; the exit code."""
    path = policy.default_path()
    rules = policy.load(path)
    moved = None
    if moment is not None:
        moved = move(path.read_text(encoding="utf-8"), moment)
        rules = policy.parse(moved, path.name)
    with warehouse.connect() as conn:
        found = clock.read(conn, rules)
    if moved is not None:
        write(path, moved)
        with warehouse.connect() as conn:
            tills.write(conn, rules)
        print(f"Wrote shop.clock into {path}.")
    for sentence in clock.told(found):
        print(sentence)
    return 0


def move(text: str, moment: str) -> str:
    """The text of a policy with another `shop.clock`; everything else stays as it is written.

    Raises
    ------
    BadInput
        When the moment is none, or the text has no such line.
    """
    if moment != WALL:
        try:
            moment = datetime.fromisoformat(moment).isoformat()
        except ValueError:
            raise BadInput(
                "Expected a moment such as 2017-10-03T10:00 in the shop's time zone, or `wall` for the "
                f"wall clock, found '{moment}'."
            ) from None
    if len(LINE.findall(text)) != 1:
        raise BadInput(
            "Expected one line `clock:` under `shop:` in the policy, found "
            f"{len(LINE.findall(text))}: write shop.clock there by hand."
        )
    written = "null" if moment == WALL else moment
    return LINE.sub(lambda found: found["key"] + written + found["rest"], text)


def write(path: Path, text: str) -> None:
    """Write the policy whole or not at all: a task may read it at any moment."""
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.fresh")
    try:
        fresh.write_text(text, encoding="utf-8")
        shutil.copymode(path, fresh)
        fresh.replace(path)
    except OSError as error:
        raise BadInput(
            f"Expected to write {path}, found: {error.strerror}. Write shop.clock there by hand."
        ) from None

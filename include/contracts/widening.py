"""Which type holds every value of another: the only changes of a type that a migration makes by itself."""

import re

#: Digits that a whole number of each type may have.
_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}


def canonical(kind: str) -> str:
    """A type as contracts write it."""
    return kind.replace("timestamp with time zone", "timestamptz").replace(", ", ",")


def holds(wide: str, narrow: str) -> bool:
    """Whether every value of the type `narrow` is one of `wide`, exactly.

    `numeric(14,4)` holds `numeric(12,2)`: no fewer digits before the point and none fewer after it.
    """
    wide, narrow = canonical(wide), canonical(narrow)
    if wide == narrow:
        return True
    if wide in _DIGITS:
        return _DIGITS.get(narrow, 99) < _DIGITS[wide]
    if wide == "double precision":
        # Its 53 bits hold every whole number of 32, not of 64.
        return narrow in ("smallint", "integer")
    digits = _numeric(narrow)
    if wide == "numeric":
        return digits is not None
    room = _numeric(wide)
    if room is None or digits is None or narrow == "numeric":
        return False
    return room[0] >= digits[0] and room[1] >= digits[1]


def _numeric(kind: str) -> tuple[int, int] | None:
    """Digits before and after the point, of a number type that limits or counts them."""
    if kind in _DIGITS:
        return _DIGITS[kind], 0
    if kind == "numeric":
        return 0, 0
    found = re.fullmatch(r"numeric\((\d+),(\d+)\)", kind)
    return (int(found[1]) - int(found[2]), int(found[2])) if found else None

"""Rows of each source for tests, by its name: `tests/sql/sources/<source>.yml`.

- `row`: an INSERT of one row with the number 900, stamped `{at}`; `found`: by which condition a core table
  shows it, where it can be told.
- `rows`: an INSERT of rows on each of the small shop's five days, where the small shop has none.
- `marks`: for each core table, how a state of the shop, by its number n, marks every row (`set`), and how
  core shows that number (`shown`).
- `faults`: further rows of the table, each with the reasons for which it is set aside; one that is dropped
  as an exact duplicate has the reason `duplicate`.
"""

from pathlib import Path
from typing import Any

import yaml

from include import contracts

FOLDER = Path(__file__).parent / "sources"

#: source -> its test rows
SOURCES: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))
}

#: Sources that say what is, and those that say what happened.
STATES = tuple(c.table for c in contracts.of_dataset("raw") if contracts.is_state(c))
FACTS = tuple(c.table for c in contracts.of_dataset("raw") if not contracts.is_state(c))

#: core table -> (set, shown)
MARKS = {
    table: (mark["set"], mark["shown"])
    for rows in SOURCES.values()
    for table, mark in rows["marks"].items()
}


def early(sources: tuple[str, ...], at: str) -> list[str]:
    """One row of each source, stamped at a moment (an SQL literal)."""
    return [SOURCES[name]["row"].replace("{at}", at) for name in sources]


def more(*sources: str) -> list[str]:
    """Rows of sources (default: all) on each day."""
    return [SOURCES[name]["rows"] for name in sources or SOURCES if "rows" in SOURCES[name]]

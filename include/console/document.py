"""A page as one HTML file that can be mailed and opened without a network.

It holds its style, its script and its figures. `include.reports.daily`, `include.reports.weekly` and
`include.reports.quality` say what stands in it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from markupsafe import Markup

from include.console import view
from include.errors import BadInput


def render(template: str, **values: Any) -> str:
    """A template that extends `document.html`, with its values and all that it needs to stand alone."""
    return view.render(
        template,
        **values,
        written_at=datetime.now(UTC),
        style=Markup((view.STATIC / "console.css").read_text(encoding="utf-8")),  # noqa: S704
        scripts=[view.inline(view.STATIC / "console.js"), view.inline(view.plotly_script())],
    )


def write(path: Path, make: Callable[[], str], expected: str) -> None:
    """Write what `make` returns to a file of a folder that exists.

    Parameters
    ----------
    expected
        What the warehouse must hold, for the sentence that says it does not.

    Raises
    ------
    RegularsError
        When the warehouse cannot be reached, or has no tables yet.
    """
    try:
        text = make()
    except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
        raise nothing_yet(expected) from None
    path.write_text(text, encoding="utf-8")


def nothing_yet(expected: str) -> BadInput:
    """The error of a warehouse that holds nothing to tell about."""
    return BadInput(
        f"Expected {expected}, found none: run `bin/regulars demo`, or backfill regulars_ingest, then write "
        "the report."
    )

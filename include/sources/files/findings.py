"""What was met in delivered files and not taken as it stands: told in a sentence, and kept by its line.

`ops.file_faults` holds the places of the newest reading: file, line, column and reason, never the value.
"""

import logging
from dataclasses import dataclass

from include import warehouse
from include.sources.file_mapping import Mapping
from include.sources.files.noticed import KEPT, Noticed
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Lines that a sentence names.
SHOWN = 5

#: What is said of a reason, after the file, the column and the count of values.
SAID = {
    "not_a_number": "no number as the mapping writes them, taken for empty",
    "not_a_date": "no date of the mapping's formats, taken for empty",
    "too_large": "a number too large to reckon with, taken for empty",
    "not_utf8": "no UTF-8, read as Windows-1252; say the encoding in the mapping if it is another",
    "lost_character": "bytes that are no character, now U+FFFD",
    "open_quote": "a quote that does not close, taken for a letter",
    "nul": "NUL characters, left out",
}


@dataclass(frozen=True)
class Finding:
    """One thing to be told: the source table that it touches, how many values, and the sentence."""

    table: str
    check: str
    count: int
    sentence: str


def of_file(mapping: Mapping, form: str, file: str, noticed: Noticed) -> list[Finding]:
    """The findings of one file, logged."""
    found = []
    for (column, reason), count in noticed.counts.items():
        lines = noticed.places[column, reason]
        shown = ", ".join(map(str, lines[:SHOWN])) + (", ..." if count > SHOWN else "")
        found.append(
            Finding(
                _touched(mapping, form, column),
                f"{reason} in {column} of {file}",
                count,
                f"{file}, {'line' if count == 1 else 'lines'} {shown}, column {column}: {SAID[reason]} "
                f"({count:,} {'value' if count == 1 else 'values'}).",
            )
        )
    for finding in found:
        log.warning("%s", finding.sentence)
    return found


def outside(
    mapping: Mapping, form: str, file: str, column: str, count: int, first: object, last: object
) -> Finding:
    """The finding about dates that cannot be true, logged."""
    sentence = (
        f"{file}: {count:,} dates count as unreadable, since they lie before the shop opened or beyond what "
        f"was delivered ({first} to {last})."
    )
    log.warning("%s", sentence)
    return Finding(
        _touched(mapping, form, column), f"outside in {column} of {file}", count, sentence
    )


def left_out(mapping: Mapping, names: list[str], place: str) -> list[Finding]:
    """The finding about files that no pattern matches, logged."""
    if not names:
        return []
    sentence = (
        f"Left out of the folder, since no pattern or header of {place} matches: {', '.join(names[:50])}"
        f"{', ...' if len(names) > 50 else ''} ({len(names):,})."
    )
    log.warning("%s", sentence)
    return [Finding(next(iter(mapping.tables)), "files left out", len(names), sentence)]


def forget(conn: Connection, source: str) -> None:
    """Take out what an earlier reading of the source has kept."""
    warehouse.execute(
        conn, "DELETE FROM ops.file_faults WHERE source = %(source)s", {"source": source}
    )


def keep(conn: Connection, source: str, file: str, noticed: Noticed) -> None:
    """Keep the places of one file's findings, the first `KEPT` of each column and reason."""
    records = [
        (source, file, line, column, reason)
        for (column, reason), lines in noticed.places.items()
        for line in dict.fromkeys(lines[:KEPT])
    ]
    if records:
        # A file that two forms match is met twice.
        warehouse.execute(
            conn,
            """
            INSERT INTO ops.file_faults (source, file_name, line, column_name, reason)
            SELECT * FROM unnest(%(s)s::text[], %(f)s::text[], %(l)s::bigint[], %(c)s::text[], %(r)s::text[])
            ON CONFLICT DO NOTHING
            """,
            dict(zip("sflcr", map(list, zip(*records, strict=True)), strict=True)),
        )


def _touched(mapping: Mapping, form: str, header: str) -> str:
    """The first source table that is made of a column of a form, else the first of the form."""
    names = [
        name
        for name, part in mapping.files[form].columns.items()
        if header.strip().lower() in [h.lower() for h in part.headers]
    ]
    spelt_out = mapping.files[form].spelt_out
    of_form = {name: table for name, table in mapping.tables.items() if table.files == form}
    for table, spec in of_form.items():
        made_of = " ".join(map(spelt_out, spec.columns.values()))
        if any(name in made_of for name in names):
            return table
    return next(iter(of_form), next(iter(mapping.tables)))

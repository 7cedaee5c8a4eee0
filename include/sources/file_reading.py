"""Files of CSV or Parquet as Arrow batches with a mapping's columns, a block at a time.

Texts stay as delivered; a number or stamp that cannot be read, or cannot be true, becomes empty. What was met
beside the rows (headers, values left out) is counted, never quoted.
"""

import codecs
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from include.errors import BadInput
from include.sources.file_mapping import (
    MAPPING,
    FileColumn,
    Files,
    Name,
)

log = logging.getLogger(__name__)

#: Bytes of a CSV file, of which Arrow reads up to 32 blocks ahead, and rows of a Parquet file.
BLOCK_BYTES, BLOCK_ROWS = 2**20, 65_536

#: First and last day that a line may be dated.
Span = tuple[date, date]


@dataclass
class Noticed:
    """What the reading of a file met beside its rows: headers with their types, and counts of values."""

    headers: dict[str, str] = field(default_factory=dict)
    outside: int = 0
    nuls: int = 0


def read(
    path: Path,
    form: Files,
    timezone: str,
    span: Span | None = None,
    noticed: Noticed | None = None,
    only: Name | None = None,
) -> Iterator[Any]:
    """A file as Arrow batches with the mapping's columns: texts, and stamps as local time of the shop.

    Parameters
    ----------
    span
        A stamp outside these days becomes empty; without them, none does.
    noticed
        Is filled in while the batches are taken.
    only
        The one column to read of those that must be there.

    Raises
    ------
    BadInput
        When a column is missing, a line has too many or too few fields, or the file holds no header.
    """
    import pyarrow as pa

    noticed = noticed or Noticed()
    parquet = path.suffix.lower() == ".parquet"
    names = [only] if only else list(form.columns)
    opened = (_parquet if parquet else _csv)(path, form, names, noticed)
    for headers, batch in opened:
        columns = {
            name: _column(batch[headers[name]], form.columns[name], timezone, noticed)
            for name in names
        }
        if span:
            stamps = columns[form.stamp]
            columns[form.stamp] = inside(stamps, span)
            noticed.outside += columns[form.stamp].null_count - stamps.null_count
        yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def inside(stamps: Any, span: Span) -> Any:
    """The stamps on days of the span; the other ones empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = pa.scalar(datetime.combine(span[0], time.min), stamps.type)
    last = pa.scalar(datetime.combine(span[1], time.max), stamps.type)
    kept = pc.and_(pc.greater_equal(stamps, first), pc.less_equal(stamps, last))
    return pc.if_else(kept, stamps, pa.scalar(None, stamps.type))


def _headers(path: Path, form: Files, types: dict[str, str], noticed: Noticed) -> dict[Name, str]:
    """Which header of the file each column of the mapping is."""
    found = list(types)
    plain = {header.strip().lower(): header for header in found}
    if not any(
        header.lower() in plain for part in form.columns.values() for header in part.headers
    ):
        # The first line may be about a person: it is not quoted.
        raise BadInput(
            f"Expected a line of headers first in {path.name}, found none that {MAPPING} names: correct the "
            "file, or name its headers there."
        )
    chosen = {}
    for name, part in form.columns.items():
        match = next((plain[h.lower()] for h in part.headers if h.lower() in plain), None)
        if match is None:
            raise BadInput(
                f"Expected the column {' or '.join(part.headers)} in {path.name}, found "
                f"{', '.join(found)}: correct the file, or name its header in {MAPPING} ({name})."
            )
        chosen[name] = match
    noticed.headers |= {header: types[written] for header, written in plain.items()}
    return chosen


def _wanted(headers: dict[Name, str], names: list[Name]) -> list[str]:
    """The headers of some columns, each once."""
    return list(dict.fromkeys(headers[name] for name in names))


def _parquet(
    path: Path, form: Files, names: list[Name], noticed: Noticed
) -> Iterator[tuple[dict[Name, str], Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            types = {column.name: str(column.type) for column in file.schema_arrow}
            headers = _headers(path, form, types, noticed)
            for batch in file.iter_batches(BLOCK_ROWS, columns=_wanted(headers, names)):
                yield headers, batch
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _csv(
    path: Path, form: Files, names: list[Name], noticed: Noticed
) -> Iterator[tuple[dict[Name, str], Any]]:
    import pyarrow as pa
    from pyarrow import csv

    encoding = encoding_of(path) if form.encoding == "auto" else form.encoding
    # One thread: only then does Arrow know the number of a line that it cannot read.
    reading = csv.ReadOptions(block_size=BLOCK_BYTES, encoding=encoding, use_threads=False)
    parsing = csv.ParseOptions(delimiter=form.separator, newlines_in_values=True)
    try:
        with csv.open_csv(path, reading, parsing) as file:
            found = file.schema.names
        headers = _headers(path, form, dict.fromkeys(found, "text"), noticed)
        converting = csv.ConvertOptions(
            column_types=dict.fromkeys(found, pa.string()),
            include_columns=_wanted(headers, names),
            strings_can_be_null=False,
            check_utf8=True,
        )
        with csv.open_csv(path, reading, parsing, converting) as file:
            for batch in file:
                yield headers, batch
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> BadInput:
    # The library's message quotes the line, which may be about a person: only what it counts is told.
    counted = re.search(r"(Row #\d+: )?Expected \d+ columns, got \d+", str(error))
    reason = counted[0] if counted else type(error).__name__
    return BadInput(
        f"Expected a readable file {path.name}, found: {reason}. Nothing of it was taken; deliver it "
        "again, or move it out of the folder."
    )


def encoding_of(path: Path) -> str:
    """utf-8 (with or without its mark), utf-16 by its mark, and latin-1 for what is neither."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        try:
            while block := file.read(BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


def _column(values: Any, part: FileColumn, timezone: str, noticed: Noticed) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if part.type == "stamp":
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return _local(values, timezone)
        text = pc.utf8_trim_whitespace(values.cast(pa.string()))
        tried = [
            pc.strptime(text, format=form, unit="us", error_is_null=True) for form in part.formats
        ]
        return pc.coalesce(*tried)
    text = values.cast(pa.string())
    # PostgreSQL holds no NUL in a text; nobody typed one.
    if nuls := pc.sum(pc.match_substring(text, "\x00")).as_py():
        noticed.nuls += nuls
        text = pc.replace_substring(text, "\x00", "")
    return text


def _local(values: Any, timezone: str) -> Any:
    """Stamps of any unit in whole microseconds of the shop's time; empty outside the years 1 to 9999."""
    import pyarrow as pa
    import pyarrow.compute as pc

    zone = getattr(values.type, "tz", None) and timezone
    if getattr(values.type, "unit", "s") in ("s", "ms"):
        values = inside(values, (date.min, date.max))
    options = pc.CastOptions(target_type=pa.timestamp("us", tz=zone), allow_time_truncate=True)
    stamps = pc.cast(values, options=options)
    return pc.local_timestamp(stamps) if zone else stamps

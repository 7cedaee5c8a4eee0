"""Lines of CSV whose quotes do not stand where they belong, read as they were meant.

A quote opens a field at its beginning and closes it before a separator or the end of the line; any other one
is a letter. A field may go over several lines, unless one of those lines is a row by itself: then the quote
before it is one that does not close, and is taken for a letter. That is noted, and nothing is swallowed.
"""

from typing import Any

from include.errors import BadInput
from include.sources.file_mapping import FileColumn, Files
from include.sources.files.noticed import Noticed
from include.sources.files.numbers import numbers
from include.sources.files.stamps import stamps

#: A field that goes over more lines than this has a quote that does not close.
MOST_LINES = 5_000


class Mender:
    """The records of one file, line by line."""

    def __init__(
        self,
        name: str,
        form: Files,
        headers: list[str],
        separator: bytes,
        checks: dict[int, FileColumn],
        noticed: Noticed,
    ) -> None:
        self._name, self._form, self._headers = name, form, headers
        self._separator, self._checks, self._noticed = separator, checks, noticed
        self._quote = form.quote.encode() if form.quote else None

    def mended(self, block: bytes, first: int, last: bool) -> tuple[bytes, list[int], bytes]:
        """Whole records of a block as CSV without doubt, the line of each, and what is not yet whole.

        Parameters
        ----------
        first
            Number of the block's first line.
        last
            Whether nothing follows: a field that is open at its end does not close.

        Raises
        ------
        BadInput
            When a line has too many or too few fields.
        """
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        out: list[bytes] = []
        numbers_of: list[int] = []
        at = 0
        while at < len(lines):
            line = lines[at].removesuffix(b"\r")
            if not line.strip():
                at += 1
                continue
            taken = self._record(lines, at, first, last)
            if taken is None:
                ending = b"\n" if block.endswith(b"\n") else b""
                return b"".join(out), numbers_of, b"\n".join(lines[at:]) + ending
            fields, following = taken
            out.append(line + b"\n" if fields is None else self._written(fields))
            numbers_of.append(first + at)
            at = following
        return b"".join(out), numbers_of, b""

    def _record(
        self, lines: list[bytes], at: int, first: int, last: bool
    ) -> tuple[list[bytes] | None, int] | None:
        """The record that begins at a line and the place of the next; no fields where the line will do.

        None where its end is not there yet.
        """
        line, count = lines[at].removesuffix(b"\r"), len(self._headers)
        quoted = self._quote is not None and self._quote in line
        if not quoted and b"\r" not in line and line.count(self._separator) == count - 1:
            return None, at + 1
        fields, unclosed = fields_of(line, self._separator, self._quote)
        if unclosed is not None:
            end = self._end(lines, at, unclosed, last)
            if end == 0:
                return None
            if end is not None:
                whole, _ = self._fields(lines[at:end])
                if fitting := self._fitting(whole):
                    return fitting, end
            return self._alone(line, first + at), at + 1
        fitting = self._fitting(fields)
        return fitting or self._alone(line, first + at), at + 1

    def _fields(self, lines: list[bytes]) -> tuple[list[bytes], int | None]:
        whole = b"\n".join(lines).removesuffix(b"\r")
        return fields_of(whole, self._separator, self._quote)

    def _end(self, lines: list[bytes], at: int, unclosed: int, last: bool) -> int | None:
        """Where the record of an open field ends; 0 where that is not known yet, None where it does not."""
        opening = self._is_row(lines[at].removesuffix(b"\r"))
        if opening and any(place > unclosed for place in self._checks):
            return None  # behind the quote stand numbers and dates, as they do where it is a letter
        for end in range(at + 1, min(len(lines), at + MOST_LINES)):
            line = lines[end].removesuffix(b"\r")
            closes = False
            if self._quote is not None and self._quote in line:
                closes = self._fields(lines[at : end + 1])[1] is None
            if self._is_row(line) and (not closes or opening):
                return None
            if closes:
                return end + 1
        return None if last or len(lines) - at >= MOST_LINES else 0

    def _is_row(self, line: bytes) -> bool:
        """Whether a line has all fields, and numbers and dates where they belong."""
        fields = self._split(line)
        if fields is None:
            return False
        known = 0
        for place, part in self._checks.items():
            text = fields[place].decode("utf-8", "replace").strip()
            if not text or text.lower() in (part.nothing or ()):
                continue
            if not self._reads(text, part):
                return False
            known += 1
        return known > 0

    def _reads(self, text: str, part: FileColumn) -> bool:
        import pyarrow as pa

        values: Any = pa.array([text])
        read = stamps(values, part.formats) if part.type == "stamp" else numbers(values, self._form)
        return bool(read.null_count == 0)

    def _split(self, line: bytes) -> list[bytes] | None:
        """A line's fields, quotes that do not close being letters; None where their number is another."""
        fields, _ = fields_of(line, self._separator, self._quote)
        if (found := self._fitting(fields)) is not None:
            return found
        bare = [_bare(field, self._quote) for field in line.split(self._separator)]
        return self._fitting(bare)

    def _fitting(self, fields: list[bytes]) -> list[bytes] | None:
        """The fields where there are as many as headers; empty ones behind them are none."""
        count = len(self._headers)
        if len(fields) > count and not b"".join(fields[count:]).strip():
            fields = fields[:count]
        return fields if len(fields) == count else None

    def _alone(self, line: bytes, number: int) -> list[bytes]:
        """A line whose quotes do not close, by itself."""
        found = self._split(line)
        if found is None:
            fields, _ = fields_of(line, self._separator, self._quote)
            expected = len(self._headers)
            where = self._headers[min(len(fields), expected) - 1]
            raise BadInput(
                f"Expected a readable file {self._name}, found: line {number}: expected {expected} columns, "
                f"got {len(fields)} (up to {where}). Nothing of it was taken; deliver it again, or move it "
                "out of the folder."
            )
        if self._quote is not None and self._quote in line:
            place = next((i for i, field in enumerate(found) if self._quote in field), 0)
            self._noticed.note(self._headers[place].strip(), "open_quote", [number])
        return found

    def _written(self, fields: list[bytes]) -> bytes:
        if self._quote is None:
            return self._separator.join(fields) + b"\n"
        quoted = (
            self._quote + f.replace(self._quote, self._quote * 2) + self._quote for f in fields
        )
        return self._separator.join(quoted) + b"\n"


def fields_of(line: bytes, separator: bytes, quote: bytes | None) -> tuple[list[bytes], int | None]:
    """The fields of a record, and the place of the first whose quote does not close: there it is a letter."""
    fields: list[bytes] = []
    unclosed, at = None, 0
    while True:
        start = at
        while line[start : start + 1] == b" " and separator != b" ":
            start += 1
        if quote is not None and line[start : start + 1] == quote:
            end = _closing(line, start + 1, separator, quote)
            if end is not None:
                fields.append(line[start + 1 : end[0]].replace(quote * 2, quote))
                if end[1] >= len(line):
                    return fields, unclosed
                at = end[1] + 1
                continue
            unclosed = len(fields) if unclosed is None else unclosed
        stop = line.find(separator, at)
        if stop < 0:
            fields.append(line[at:])
            return fields, unclosed
        fields.append(line[at:stop])
        at = stop + 1


def _closing(line: bytes, at: int, separator: bytes, quote: bytes) -> tuple[int, int] | None:
    """Where a quoted field closes, and the place of the separator behind it or the end of the record."""
    while (at := line.find(quote, at)) >= 0:
        if line[at + 1 : at + 2] == quote:
            at += 2
            continue
        behind = at + 1
        while line[behind : behind + 1] == b" " and separator != b" ":
            behind += 1
        if behind >= len(line) or line[behind : behind + 1] == separator:
            return at, behind
        at += 1
    return None


def _bare(field: bytes, quote: bytes | None) -> bytes:
    inner = field.strip()
    if quote and len(inner) > 1 and inner[:1] == quote == inner[-1:]:
        return inner[1:-1]
    return field

"""CSV files as blocks of whole records, each with its line in the file.

Arrow reads a block whose quotes stand where they belong; what is doubtful goes through `file_quotes` first.
Nothing is held but a block, or the record that is longer than one.
"""

import codecs
from collections.abc import Iterator
from typing import IO, Any

from include.errors import BadInput
from include.sources.file_mapping import FileColumn, Files
from include.sources.files.folder import Delivery, require_text, unreadable
from include.sources.files.noticed import Noticed
from include.sources.files.quotes import Mender, fields_of
from include.sources.files.values import like_ascii

#: Bytes that are read at a time.
BLOCK_BYTES = 2**20

#: Lines that headers may take: where a quote does not close, what follows is data.
LONGEST_HEADER = 20

#: No record is longer.
LONGEST_RECORD = 2**24

_UTF_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


class CsvFile:
    """One opened file: its headers, then its blocks."""

    def __init__(self, delivery: Delivery, form: Files, file: IO[bytes]) -> None:
        self._name, self._form = delivery.name, form
        self._blocks = _whole_lines(_utf8(file, form, delivery.name), delivery.name)
        self._separator = form.separator.encode()
        self._rest, self._line = b"", 1
        self.headers = self._read_headers()

    def _read_headers(self) -> list[str]:
        """The first line that is not blank; a line `sep=;` of a spreadsheet is obeyed."""
        block = next(self._blocks, b"")
        while block.strip(b"\r\n\t ") == b"" and (more := next(self._blocks, b"")):
            block += more
        if not block.strip():
            raise unreadable(self._name, "it is empty")
        text = block
        while True:
            line, _, text = text.partition(b"\n")
            self._line += 1
            plain = line.strip(b" \r\n")
            if plain.lower().startswith(b"sep=") and len(plain) == 5:
                self._separator = plain[4:]
            elif plain:
                break
        found, unclosed = fields_of(line.rstrip(b"\r"), self._separator, self._quote)
        most = self._line + LONGEST_HEADER
        while unclosed is not None and text and self._line < most:  # a header of several lines
            more, _, text = text.partition(b"\n")
            self._line += 1
            line += b"\n" + more
            found, unclosed = fields_of(line.rstrip(b"\r"), self._separator, self._quote)
        if unclosed is not None:
            raise BadInput(
                f"Expected headers whose quotes close in {self._name}, line 1, found one that does not: "
                "correct the file."
            )
        self._rest = text
        return [_decoded(field, self._form) for field in found]

    @property
    def _quote(self) -> bytes | None:
        return self._form.quote.encode() if self._form.quote else None

    def batches(
        self, wanted: list[int], checks: dict[int, FileColumn], noticed: Noticed
    ) -> Iterator[tuple[Any, Any]]:
        """Blocks as Arrow tables of bytes, one column a wanted place among the headers, with their lines.

        Parameters
        ----------
        checks
            Places of numbers and stamps, by which a line shows that it is one.

        Raises
        ------
        BadInput
            When a line has too many or too few fields.
        """
        mender = Mender(self._name, self._form, self.headers, self._separator, checks, noticed)
        pending, last = self._rest, False
        while not last:
            more = next(self._blocks, None)
            last = more is None
            carried = b""
            if pending:
                table, lines, carried = self._read(pending, last, mender, wanted)
                if table is not None:
                    yield table, lines
            pending = carried + (more or b"")

    def _read(
        self, block: bytes, last: bool, mender: Mender, wanted: list[int]
    ) -> tuple[Any, Any, bytes]:
        """A block's rows, their lines, and what belongs to the next block."""
        import numpy as np
        import pyarrow as pa

        ends = int(np.count_nonzero(np.frombuffer(block, np.uint8) == 10))
        count = ends + (not block.endswith(b"\n"))
        first = self._line
        if quotes_stand_well(block, self._separator, self._quote):
            table = self._parsed(block, wanted, over_lines=False)
            # A blank line is no row, and a lone carriage return would make one more.
            if table is not None and table.num_rows == count:
                self._line += count
                return table, pa.array(np.arange(first, first + count)), b""
        clean, lines, carried = mender.mended(block, first, last or len(block) > LONGEST_RECORD)
        self._line += count - carried.count(b"\n") - (bool(carried) and not carried.endswith(b"\n"))
        if not lines:
            return None, None, carried
        table = self._parsed(clean, wanted)
        if table is None or table.num_rows != len(lines):
            raise unreadable(self._name, f"quotes from line {first} on that cannot be told apart")
        return table, pa.array(lines, pa.int64()), carried

    def _parsed(self, block: bytes, wanted: list[int], *, over_lines: bool = True) -> Any:
        """The columns of a block, or None where a line has another number of fields."""
        import pyarrow as pa
        from pyarrow import csv

        names = [str(place) for place in range(len(self.headers))]
        chosen = [str(place) for place in wanted]
        try:
            return csv.read_csv(
                pa.BufferReader(block),
                csv.ReadOptions(use_threads=False, column_names=names, block_size=len(block) + 1),
                csv.ParseOptions(
                    delimiter=self._separator.decode(),
                    quote_char=self._form.quote or False,
                    newlines_in_values=over_lines,
                ),
                csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.binary()),
                    include_columns=chosen,
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid:
            return None


def quotes_stand_well(block: bytes, separator: bytes, quote: bytes | None) -> bool:
    """Whether each quote opens or closes a field, or is doubled, and no field goes over a line."""
    import numpy as np

    if quote is None or quote not in block:
        return True
    signs = np.frombuffer(block, np.uint8)
    places = np.flatnonzero(signs == quote[0])
    if len(places) % 2:
        return False
    edges = np.zeros(256, dtype=bool)
    edges[[10, 13, separator[0], quote[0]]] = True
    opens, closes = places[::2], places[1::2]
    before = opens if opens[0] else opens[1:]
    behind = closes if closes[-1] + 1 < len(signs) else closes[:-1]
    # Of a doubled quote the first half closes and the second opens; any other quote before an opening
    # one, or behind a closing one, would be out of place.
    if not (edges[signs[before - 1]].all() and edges[signs[behind + 1]].all()):
        return False
    ends = np.flatnonzero(signs == 10)
    over = np.searchsorted(ends, opens) != np.searchsorted(ends, closes)
    return not over.any()


def _decoded(header: bytes, form: Files) -> str:
    if form.encoding in ("auto", "utf-8") or not like_ascii(form.encoding):
        return header.decode("utf-8", "windows-1252-else")
    return header.decode(form.encoding, "replace")


def _utf8(file: IO[bytes], form: Files, name: str) -> Iterator[bytes]:
    """The bytes without a mark at their beginning, made UTF-8 where ASCII is not ASCII in them."""
    first = file.read(BLOCK_BYTES)
    require_text(name, first)
    encoding = None if like_ascii(form.encoding) else form.encoding
    if form.encoding == "auto":
        encoding = next((name for mark, name in _UTF_MARKS if first.startswith(mark)), None)
        if (
            encoding is None
            and len(first) > 3
            and 0 in (first[0], first[1])
            and first[0] != first[1]
        ):
            encoding = "utf-16-le" if first[1] == 0 else "utf-16-be"

    def read() -> Iterator[bytes]:
        yield first
        while block := file.read(BLOCK_BYTES):
            yield block

    if encoding is None:
        yield first.removeprefix(codecs.BOM_UTF8)
        blocks = read()
        next(blocks)
        yield from blocks
        return
    for text in codecs.iterdecode(read(), encoding, "replace"):
        yield text.removeprefix("\ufeff").encode("utf-8", "replace")


def _whole_lines(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The same bytes, cut at the ends of lines."""
    rest: list[bytes] = []
    size, returns = 0, None
    for block in blocks:
        if returns is None and block:
            # A Mac of old ends lines by a carriage return alone.
            returns = b"\n" not in block and b"\r" in block[:-1]
        if returns:
            block = block.replace(b"\r", b"\n")
        at = block.rfind(b"\n") + 1
        if at:
            yield b"".join([*rest, block[:at]])
            rest, size = [], 0
        if block[at:]:
            rest.append(block[at:])
            size += len(rest[-1])
        if size > LONGEST_RECORD:
            raise unreadable(name, f"a line of more than {LONGEST_RECORD:,} bytes")
    if rest:
        yield b"".join(rest)

"""Columns of delivered files as what the mapping says they are: texts, keys, numbers, stamps.

What cannot be read becomes empty and is noted with its line, its column and a reason, and never quoted.
"""

import codecs
from typing import Any

from include.sources.file_mapping import FileColumn, Files
from include.sources.files.letters import Letters
from include.sources.files.noticed import Place
from include.sources.files.numbers import TOO_LARGE, numbers
from include.sources.files.stamps import of_any_unit, stamps


def column(values: Any, part: FileColumn, form: Files, place: Place) -> Any:
    """An Arrow array as the mapping means it: text, the digits of a number, or a stamp.

    Parameters
    ----------
    values
        Bytes of a CSV file, or what Parquet holds.

    Returns
    -------
    Array of strings; for stamps, of local times of the shop or of times in UTC.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if part.type == "stamp" and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return of_any_unit(values)
    if part.type == "number" and _is_numeric(kind):
        return _digits(values, place)
    text = _text(values, part, form, place)
    if part.type == "text":
        return text
    if part.type == "key":
        return _key(_without(text, part.nothing or []), place)
    if part.type == "number":
        read, reason = numbers(text, form), "not_a_number"
    else:
        read, reason = stamps(text, part.formats), "not_a_date"
    if read.null_count > text.null_count:
        _note_lost(_without(text, part.nothing or []), read, reason, place)
    return read


def _note_lost(text: Any, read: Any, reason: str, place: Place) -> None:
    import pyarrow.compute as pc

    lost = pc.and_(pc.is_valid(text), pc.is_null(read))
    place.noticed.note_where(place.header, reason, lost, place.lines)


def _is_numeric(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _text(values: Any, part: FileColumn, form: Files, place: Place) -> Any:
    """Trimmed texts; blanks are empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        text = _decoded(values, form, place)
    elif pa.types.is_floating(kind):
        text = _whole(values, part, place)
    elif pa.types.is_decimal(kind):
        text = pc.replace_substring_regex(values.cast(pa.string()), r"\.0+$", "")
    else:
        text = values.cast(pa.string())
    letters = Letters(text)
    if not letters.are_ascii():
        lost = pc.fill_null(pc.match_substring(text, "\ufffd"), False)
        place.noticed.note_where(place.header, "lost_character", lost, place.lines)
    if not (letters.are_ascii() and letters.are_trimmed()):
        text = pc.utf8_trim_whitespace(text)
        letters = Letters(text)
    # PostgreSQL holds no NUL in a text; nobody typed one.
    if letters.hold(0):
        nuls = pc.fill_null(pc.match_substring(text, "\x00"), False)
        place.noticed.note_where(place.header, "nul", nuls, place.lines)
        text = pc.utf8_trim_whitespace(pc.replace_substring(text, "\x00", ""))
        letters = Letters(text)
    empty = letters.are_empty()
    return text if empty is None else _nulled(text, empty)


def _nulled(values: Any, where: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pc.any(where).as_py():
        return values
    return pc.if_else(pc.fill_null(where, False), pa.scalar(None, values.type), values)


def _without(text: Any, words: list[str]) -> Any:
    """Without what stands for nothing, in any case."""
    import numpy as np
    import pyarrow as pa

    plain = {word.lower() for word in words}
    if not plain:
        return text
    places = Letters(text).may_be(list(plain))
    held = text.take(pa.array(places)).to_pylist()
    nothing = [
        place
        for place, word in zip(places.tolist(), held, strict=True)
        if word is not None and word.lower() in plain
    ]
    mask = np.zeros(len(text), dtype=bool)
    mask[nothing] = True
    return _nulled(text, pa.array(mask)) if nothing else text


def like_ascii(encoding: str) -> bool:
    """Whether what is ASCII is the same in an encoding, so that its texts can be decoded one by one."""
    return encoding.startswith(("auto", "utf-8", "ascii", "iso8859", "cp125", "koi8", "mac"))


def _decoded(values: Any, form: Files, place: Place) -> Any:
    """Bytes as texts, each by itself: a bad byte costs one value, and it is told."""
    import pyarrow as pa

    encoding = "utf-8"
    if like_ascii(form.encoding) and form.encoding != "auto":
        # Latin-1 as browsers take it: nobody means the control characters.
        encoding = "cp1252" if form.encoding == "iso8859-1" else form.encoding
    try:
        if encoding == "utf-8":
            return values.cast(pa.string())
    except pa.ArrowInvalid:
        pass
    held = values.to_pylist()
    bad = {row for row, value in enumerate(held) if not _is_valid(value, encoding)}
    texts = [None if value is None else value.decode(encoding, "replace") for value in held]
    if bad and encoding == "utf-8":
        place.noticed.note(
            place.header, "not_utf8", place.lines.take(pa.array(sorted(bad))).to_pylist()
        )
        beyond = {row for row, value in enumerate(held) if value and not value.isascii()}
        if len(beyond) > 3 * len(bad):  # mostly UTF-8: what is good in a bad value stays
            repaired, codec, errors = bad, "utf-8", "windows-1252-else"
        else:  # mostly not: what looks like UTF-8 is two letters by chance
            repaired, codec, errors = beyond, "cp1252", "replace"
        for row in repaired:
            texts[row] = held[row].decode(codec, errors)
    return pa.array(texts, pa.string())


def _is_valid(value: bytes | None, encoding: str) -> bool:
    try:
        return value is None or bool(value.isascii() or value.decode(encoding) is not None)
    except UnicodeDecodeError:
        return False


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return bad.decode("cp1252", "replace"), error.end


codecs.register_error("windows-1252-else", _as_windows_1252)


def _whole(values: Any, part: FileColumn, place: Place) -> Any:
    """Binary fractions as texts: whole ones as whole numbers, nothing for what is no number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    bits = {pa.float16(): 11, pa.float32(): 24}.get(values.type, 53)
    numbers = values.cast(pa.float64())
    finite = pc.fill_null(pc.is_finite(numbers), False)
    whole = pc.and_(finite, pc.equal(pc.trunc(numbers), numbers))
    exact = pc.fill_null(pc.and_(whole, pc.less(pc.abs(numbers), 2.0**bits)), False)
    if part.type == "key":
        place.refuse(
            pc.and_(pc.fill_null(whole, False), pc.invert(exact)),
            f"a binary fraction beyond 2^{bits}, whose last digits are lost",
            "Deliver the column as texts or as whole numbers.",
        )
    digits = pc.if_else(exact, numbers, 0.0).cast(pa.int64()).cast(pa.string())
    shown = pc.if_else(finite, values, pa.scalar(None, values.type)).cast(pa.string())
    return pc.if_else(exact, digits, shown)


def _digits(values: Any, place: Place) -> Any:
    """Numbers that a file holds as numbers; empty where they are none or too large."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = values.cast(pa.string())
    if pa.types.is_floating(values.type):
        nothing = pc.is_nan(values)
        text = _nulled(text, nothing)
    size = pc.abs(values.cast(pa.float64()))
    large = pc.fill_null(
        pc.and_(pc.greater_equal(size, 10.0**TOO_LARGE), pc.invert(pc.is_nan(size))), False
    )
    place.noticed.note_where(place.header, "too_large", large, place.lines)
    return _nulled(text, large)


def _key(text: Any, place: Place) -> Any:
    """Keys: a spreadsheet's `12345.0` is 12345, its `1.23E+11` has lost digits."""
    import pyarrow.compute as pc

    letters = Letters(text)
    if letters.hold(ord("+")) or letters.hold(ord("-")):
        lost = pc.match_substring_regex(text, r"(?i)^[+-]?\d(?:[.,]\d+)?e[+-]\d{2,3}$")
        place.refuse(
            pc.fill_null(lost, False),
            "a number in scientific form, whose last digits are lost",
            "Show the column as text or as whole numbers in the spreadsheet, and deliver it again.",
        )
    if letters.hold(ord(".")):
        text = pc.replace_substring_regex(text, r"^(-?\d+)\.0+$", r"\1")
    return text

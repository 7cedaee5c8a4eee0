"""Stamps by the formats of a mapping: local times of the shop, or times in UTC where an offset is told."""

import re
from datetime import date, datetime, time
from typing import Any

from include.sources.files.noticed import Span

#: How a workbook's own dates are handed on.
EXACT = "%Y-%m-%dT%H:%M:%S.%f"

_ANY_DAY: Span = (date.min, date.max)


def stamps(text: Any, formats: list[str]) -> Any:
    """Texts as stamps by the first format that fits: local times, or times in UTC where an offset is told.

    Returns
    -------
    Array of stamps without or with a zone; of texts where both kinds are among them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = pa.scalar(None, pa.string())
    local, offset = (
        pa.nulls(len(text), pa.timestamp("us")),
        pa.nulls(len(text), pa.timestamp("us", "UTC")),
    )
    left = text
    for form in formats:
        if left.null_count == len(left):
            break
        parsed = inside(_parsed(left, form), _ANY_DAY)
        left = pc.if_else(pc.is_valid(parsed), nothing, left)
        if parsed.type.tz:
            offset = pc.coalesce(offset, parsed)
        else:
            local = pc.coalesce(local, parsed)
    if offset.null_count == len(offset):
        return local
    if local.null_count == len(local):
        return offset
    return pc.coalesce(local.cast(pa.string()), offset.cast(pa.string()))


def _parsed(text: Any, form: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    plain, bare, micros = text, form, None
    if "%f" in form:
        bare = re.sub(r"%S[.,]%f", "%S", form)
        parts = pc.extract_regex(text, r"^.*?:[0-9]{2}[.,](?P<f>[0-9]{1,9})(?:[^0-9].*)?$")
        fraction = pc.struct_field(parts, "f")
        micros = pc.utf8_slice_codeunits(pc.utf8_rpad(fraction, 6, "0"), 0, 6)
        micros = micros.cast(pa.int64()).cast(pa.duration("us"))
        plain = pc.replace_substring_regex(text, r"(:[0-9]{2})[.,][0-9]{1,9}", r"\1")
        plain = pc.if_else(pc.is_valid(micros), plain, pa.scalar(None, pa.string()))
    if "%z" in form:
        # Arrow reads +0100, +01:00 and Z.
        plain = pc.replace_substring_regex(plain, r"(?:UTC|GMT|z)$", "Z")
        plain = pc.replace_substring_regex(plain, r"([+-][0-9]{2})$", r"\100")
    parsed = pc.strptime(plain, format=bare, unit="us", error_is_null=True)
    if micros is not None:
        parsed = pc.add(parsed, pc.coalesce(micros, pa.scalar(0, pa.duration("us"))))
    return _of_the_calendar(parsed, plain, bare)


def _of_the_calendar(parsed: Any, text: Any, form: str) -> Any:
    """Without the 30th of February, which strptime takes for the 2nd of March."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    early = pc.fill_null(pc.less_equal(pc.day(parsed), 3 + ("%z" in form)), False)
    if not pc.any(early).as_py():
        return parsed
    places = np.flatnonzero(early.to_numpy(zero_copy_only=False))
    texts = text.take(pa.array(places))
    late = pc.match_substring_regex(texts, r"(?:^|[^0-9:.])(?:29|30|31)(?:[^0-9:]|$)|[0-9]{6}")
    wrong = []
    for place, word, doubtful in zip(
        places.tolist(), texts.to_pylist(), late.to_pylist(), strict=True
    ):
        if doubtful:
            try:
                datetime.strptime(word, form)  # noqa: DTZ007 - only whether there is such a day
            except ValueError:
                wrong.append(place)
    if not wrong:
        return parsed
    mask = np.zeros(len(parsed), dtype=bool)
    mask[wrong] = True
    return pc.if_else(pa.array(mask), pa.scalar(None, parsed.type), parsed)


def inside(stamps: Any, span: Span) -> Any:
    """The stamps on days of the span; the other ones empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = stamps.type
    plain = getattr(kind, "tz", None) and pa.timestamp(kind.unit)
    first = pa.scalar(datetime.combine(span[0], time.min), plain or kind)
    last = pa.scalar(datetime.combine(span[1], time.max), plain or kind)
    compared = stamps.view(plain) if plain else stamps
    kept = pc.and_(pc.greater_equal(compared, first), pc.less_equal(compared, last))
    return pc.if_else(kept, stamps, pa.scalar(None, kind))


def days_of(stamps: Any, timezone: str) -> Any:
    """The shop's days of what `column` made of a stamp."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(stamps.type):
        zoned = pc.ends_with(stamps, "Z")
        none = pa.scalar(None, pa.string())
        local = pc.if_else(zoned, none, stamps).cast(pa.timestamp("us"))
        other = pc.if_else(zoned, stamps, none).cast(pa.timestamp("us", "UTC"))
        return pc.coalesce(days_of(local, timezone), days_of(other, timezone))
    if stamps.type.tz:
        stamps = pc.local_timestamp(stamps.cast(pa.timestamp("us", timezone)))
    return stamps.cast(pa.date32())


def of_any_unit(values: Any) -> Any:
    """Stamps of any unit in whole microseconds; empty outside the years 1 to 9999."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if getattr(values.type, "unit", "s") in ("s", "ms"):
        values = inside(values, _ANY_DAY)
    zone = "UTC" if getattr(values.type, "tz", None) else None
    options = pc.CastOptions(target_type=pa.timestamp("us", tz=zone), allow_time_truncate=True)
    return inside(pc.cast(values, options=options), _ANY_DAY)

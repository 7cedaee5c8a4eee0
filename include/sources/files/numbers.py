"""Numbers as a mapping writes them: decimal mark, thousands, signs, brackets, currency.

What contradicts the mapping is no number: a comma taken for nothing would make a hundredfold of a price.
"""

import re
from typing import Any

from include.sources.file_mapping import Files
from include.sources.files.letters import Letters

#: Numbers of so many digits before the point are mistakes: an expression over them may overflow.
TOO_LARGE = 30

#: No number is written longer.
MOST_LETTERS = 80

_MINUS = "-\u2212\u2013\ufe63\uff0d"
_SPACES = "\u00a0\u2007\u2009\u202f"

#: By the decimal mark: whole part, what groups it, mark, decimals, power of ten.
_FORMS = {
    mark: re.compile(
        r"([0-9]+|[0-9]{1,3}(?=([ ',.]))(?:\2[0-9]{2,3})*\2[0-9]{3}|)"
        rf"(?:({re.escape(mark)})([0-9]*))?([eE][+-]?[0-9]{{1,2}})?"
    )
    for mark in (".", ",")
}


def numbers(text: Any, form: Files) -> Any:
    """Texts of numbers as PostgreSQL reads them; empty for what is none as the mapping writes them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = text
    if form.decimal_comma and not Letters(text).hold(ord(".")):
        digits = pc.replace_substring(text, ",", ".")
    if (not form.decimal_comma or digits is not text) and _are_plain(digits):
        return digits
    held = text.dictionary_encode()
    words = [number(word, form) for word in held.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(held.indices, pa.array(words, pa.string())).cast(
        pa.string()
    )


def _are_plain(digits: Any) -> bool:
    """Whether all are numbers with a decimal point at most, of a size to reckon with."""
    import pyarrow as pa
    import pyarrow.compute as pc

    letters = Letters(digits)
    # PostgreSQL has a limit of decimals, which a power of ten may pass, too.
    if letters.hold(ord("e")) or letters.hold(ord("E")) or letters.longest() > MOST_LETTERS:
        return False
    try:
        sizes = pc.abs(pc.cast(digits, pa.float64()))
    except pa.ArrowInvalid:
        return False
    return bool(pc.all(pc.less(sizes, 10.0**TOO_LARGE)).as_py() is not False)


def number(text: str, form: Files) -> str | None:
    """One number as the mapping writes it: sign before or behind or brackets, thousands, currency."""
    rest, signs = text.strip(), []
    if rest.startswith("(") and rest.endswith(")"):
        rest, signs = rest[1:-1].strip(), ["-"]
    bare = None
    while rest != bare:
        bare = rest
        for sign in sorted(form.currency, key=len, reverse=True):
            rest = rest.removeprefix(sign).removesuffix(sign).strip()
        for edge in (slice(0, 1), slice(-1, None)):
            if rest and (rest[edge] in _MINUS or rest[edge] == "+"):
                signs.append("+" if rest[edge] == "+" else "-")
                rest = (rest[1:] if edge.start == 0 else rest[:-1]).strip()
    if len(signs) > 1:
        return None
    digits = _ungrouped(rest, form)
    if digits is None:
        return None
    # Beyond what an expression can reckon with.
    if abs(float(digits)) >= 10.0**TOO_LARGE or len(digits) > MOST_LETTERS:
        return None
    return ("-" if signs == ["-"] else "") + digits


def _ungrouped(text: str, form: Files) -> str | None:
    """Digits with a decimal point and without thousands."""
    mark, other = (",", ".") if form.decimal_comma else (".", ",")
    for space in _SPACES:
        text = text.replace(space, " ")
    match = _FORMS[mark].fullmatch(text.replace("\u2019", "'"))
    if match is None:
        return None
    whole, group, point, part, power = match.groups()
    if not (whole or part) or (power and group):
        return None
    if group:
        groups = whole.split(group)[1:]
        allowed = group == form.thousands if form.thousands else group in (" ", "'", other)
        # 1,234 may be one or a thousand; 1,234.5 and 1,234,567 are told apart.
        clear = form.thousands or group in (" ", "'") or point or len(groups) > 1
        # Groups of two are Indian: only where somebody has said what stands between thousands.
        even = form.thousands or all(len(one) == 3 for one in groups)
        if not (allowed and clear and even):
            return None
        whole = whole.replace(group, "")
    return (whole or "0") + (f".{part}" if part else "") + (power or "")

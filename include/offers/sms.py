"""How many parts a text message is sent, and paid for, in.

A text in the GSM 7-bit default alphabet (3GPP TS 23.038, with its extension table, whose characters count
twice) has 160 characters in one part, 153 in each of several. One character outside it, and all of it is
sent as UCS-2: 70 UTF-16 units, 67 in each of several. A character of two units, or of two septets, is never
split between parts.
"""

from dataclasses import dataclass

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")

GSM7, UCS2 = "GSM-7", "UCS-2"

#: Units in a message of one part, and in each part of a longer one.
SIZES = {GSM7: (160, 153), UCS2: (70, 67)}


@dataclass(frozen=True)
class Length:
    """How long a text message is.

    Attributes
    ----------
    encoding
        GSM-7 or UCS-2.
    units
        Septets, or UTF-16 units.
    parts
        Messages that a provider counts.
    """

    encoding: str
    units: int
    parts: int


def length(text: str) -> Length:
    """The encoding, units and parts of a text message; an empty one takes a part too."""
    if all(character in BASIC or character in EXTENSION for character in text):
        encoding, sizes = GSM7, [2 if character in EXTENSION else 1 for character in text]
    else:
        encoding, sizes = UCS2, [2 if ord(character) > 0xFFFF else 1 for character in text]
    single, several = SIZES[encoding]
    units = sum(sizes)
    if units <= single:
        return Length(encoding, units, 1)
    parts, room = 1, several
    for size in sizes:
        if size > room:
            parts, room = parts + 1, several
        room -= size
    return Length(encoding, units, parts)

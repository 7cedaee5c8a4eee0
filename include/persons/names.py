"""Whether two names, as people type them, are one.

A name never puts accounts together by itself: it lets a shared card, address or telephone count, or vetoes
it.

Pure: neither database nor clock.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

#: A shorter word says too little for one letter to be a slip: Ana and Ann are two people.
LEAST_LETTERS = 4


@dataclass(frozen=True)
class Name:
    """The words of a first and a last name, without accents and case."""

    first: tuple[str, ...]
    last: tuple[str, ...]

    @cached_property
    def words(self) -> frozenset[str]:
        """Of both, as first and last name may be swapped."""
        return frozenset((*self.first, *self.last))

    def __bool__(self) -> bool:
        return bool(self.words)


def read(first: str | None, last: str | None) -> Name:
    """The name behind two texts; an empty one where neither has a letter."""
    return Name(_words(first), _words(last))


def _words(text: str | None) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", (text or "").casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return tuple(re.findall(r"\w+", plain.replace("'", "")))


def agree(one: Name, other: Name) -> bool:
    """Whether two names are one: the same words, or one with a further name of at least two shared."""
    smaller, larger = sorted((one.words, other.words), key=len)
    return bool(smaller) and (smaller == larger or (len(smaller) > 1 and smaller <= larger))


def near(one: Name, other: Name) -> bool:
    """Whether two names agree but for one word that is a short form, or a letter off, in one of them."""
    return agree(one, other) or any(_short(a, b) or _slip(a, b) for a, b in _odd(one, other))


def may_agree(one: Name, other: Name) -> bool:
    """Whether two names are near, or one has an initial that the other begins with."""
    return near(one, other) or any(
        min(len(a), len(b)) == 1 and a[0] == b[0] for a, b in _odd(one, other)
    )


def _odd(one: Name, other: Name) -> Iterator[tuple[str, str]]:
    """The one word of each that the other lacks, where they share at least one and lack no more."""
    odd, even = one.words - other.words, other.words - one.words
    if len(odd) == len(even) == 1 and one.words & other.words:
        yield from zip(odd, even, strict=True)


def compatible(ones: Collection[Name], others: Collection[Name]) -> bool:
    """Whether two collections may be one person's names: each may agree, or stands in the other already."""
    for one in ones:
        for other in others:
            if may_agree(one, other):
                continue
            if not any(agree(other, known) for known in ones) and not any(
                agree(one, known) for known in others
            ):
                return False
    return True


def renamed(one: Name, other: Name) -> bool:
    """Whether only the last name differs, as by marriage."""
    return bool(one.first) and one.first == other.first and bool(one.last) and bool(other.last)


def _short(one: str, other: str) -> bool:
    """Whether one is the beginning of the other as Rob is of Robert; Paul is not Paula's."""
    shorter, longer = sorted((one, other), key=len)
    return 3 <= len(shorter) <= 4 and len(longer) - len(shorter) >= 3 and longer.startswith(shorter)


def _slip(one: str, other: str) -> bool:
    """Whether one letter was lost, added, changed, or turned with its neighbour (Damerau 1964).

    Not the last one, by which Maria differs from Mario and Daniel from Daniela.
    """
    shorter, longer = sorted((one, other), key=len)
    if len(longer) < LEAST_LETTERS or len(longer) - len(shorter) > 1:
        return False
    at = next((n for n, letter in enumerate(shorter) if letter != longer[n]), len(shorter))
    if at == len(longer) - 1:
        return False
    if len(shorter) < len(longer):
        return shorter[at:] == longer[at + 1 :]
    if shorter[at + 1 :] == longer[at + 1 :]:
        return True
    turned = longer[at + 1 : at + 2] + longer[at : at + 1]
    return shorter[at : at + 2] == turned and shorter[at + 2 :] == longer[at + 2 :]

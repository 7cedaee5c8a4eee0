"""Cheap looks at the letters of many texts at once, so that what is costly is done where it may matter."""

from typing import Any


class Letters:
    """The bytes of an Arrow array of strings or binaries, and where each value begins and ends."""

    def __init__(self, values: Any) -> None:
        import numpy as np

        _, offsets, data = values.buffers()
        held = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
        self.starts, self.ends = held[:-1], held[1:]
        self.data = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
        if len(held):
            self.data = self.data[: held[-1]]
        self.sizes = self.ends - self.starts

    def are_ascii(self) -> bool:
        """Whether every letter is one byte."""
        return not len(self.data) or int(self.data.max()) < 128

    def hold(self, letter: int) -> bool:
        """Whether a byte stands anywhere."""
        return bool((self.data == letter).any())

    def at(self, place: int, otherwise: int = 0) -> Any:
        """The byte at a place of each value, counted from its end where it is negative."""
        import numpy as np

        found = np.full(len(self.starts), otherwise, np.uint8)
        there = self.sizes > place if place >= 0 else self.sizes >= -place
        places = self.starts + place if place >= 0 else self.ends + place
        found[there] = self.data[places[there]]
        return found

    def longest(self) -> int:
        """The bytes of the longest value."""
        return int(self.sizes.max()) if len(self.sizes) else 0

    def are_trimmed(self) -> bool:
        """Whether no value begins or ends with a blank; of ASCII alone."""
        if not len(self.data) or self.data.min() > 32:
            return True
        return bool((self.at(0, 65) > 32).all() and (self.at(-1, 65) > 32).all())

    def are_empty(self) -> Any:
        """Which values hold nothing; None where every one holds something."""
        import pyarrow as pa

        empty = self.sizes == 0
        return pa.array(empty) if empty.any() else None

    def may_be(self, words: list[str]) -> Any:
        """The places of values that may be one of some words, by their size and their first letter."""
        import numpy as np

        table = np.zeros((256, max(map(len, words)) + 2), dtype=bool)
        for word in words:
            for first in {word[0].lower(), word[0].upper()}:
                table[ord(first), len(word)] = True
        sizes = np.minimum(self.sizes, table.shape[1] - 1)
        return np.flatnonzero(table[self.at(0), sizes])

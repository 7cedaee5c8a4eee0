"""What the reading of a file meets beside its rows, counted and by its lines, never quoted."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from include.errors import BadInput

#: First and last day that a line may be dated.
Span = tuple[date, date]

#: Lines that are kept of each column and reason of a file; further ones are counted.
KEPT = 1000

_EPOCH = date(1970, 1, 1)


@dataclass
class Noticed:
    """What the reading of a file met beside its rows.

    Attributes
    ----------
    headers
        Headers with their types.
    days
        How often each day stands in the column that dates a row.
    counts, places
        By column and reason: how many values were not taken as they stand, and the lines of the first.
    left_out
        Sheets that have none of the headers.
    """

    headers: dict[str, str] = field(default_factory=dict)
    _days: Counter[int] = field(default_factory=Counter)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    places: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def days(self) -> Counter[date]:
        return Counter({_EPOCH + timedelta(days=day): count for day, count in self._days.items()})

    def count_days(self, days: Any) -> None:
        """Count the days of some rows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        counts = pc.value_counts(days.drop_null().cast(pa.int32()))
        for day, count in zip(
            counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True
        ):
            self._days[day] += count

    def note(self, column: str, reason: str, lines: list[int]) -> None:
        """Note some lines of a column."""
        if lines:
            kept = self.places.setdefault((column, reason), [])
            kept += lines[: KEPT - len(kept)]
            self.counts[column, reason] += len(lines)

    def note_where(self, column: str, reason: str, mask: Any, lines: Any) -> None:
        """Note the lines for which a mask is true."""
        import pyarrow.compute as pc

        if pc.any(mask).as_py():
            self.note(column, reason, pc.filter(lines, mask).to_pylist())


@dataclass(frozen=True)
class Place:
    """A column of a file while it is read, for what is said of it."""

    file: str
    header: str
    lines: Any
    noticed: Noticed

    def refuse(self, mask: Any, found: str, advice: str) -> None:
        """Refuse the file where a mask is true, naming the first line."""
        import pyarrow.compute as pc

        if pc.any(mask).as_py():
            line = pc.filter(self.lines, mask)[0].as_py()
            raise BadInput(
                f"{self.file}, line {line}, column {self.header}: expected a key, found {found}. {advice}"
            )

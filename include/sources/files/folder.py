"""What lies in the folder of delivered files: which file is of which form, in which order, what is left out.

A zip is a folder: its members are taken by the same patterns. A gzip is the file that it wraps.
"""

import fnmatch
import gzip
import lzma
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Literal, cast

from include.errors import BadInput
from include.sources.file_mapping import Mapping

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
PARQUET = (".parquet", ".pq")

#: What a file begins with that is none of texts.
_MARKS = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip or a workbook",
    b"\xd0\xcf\x11\xe0": "a workbook of an old Excel",
    b"\x1f\x8b": "a gzip",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"Rar!": "a rar archive",
    b"%PDF": "a PDF",
}


@dataclass(frozen=True)
class Delivery:
    """One file of the folder, one member of a zip, or one sheet of a workbook."""

    path: Path
    member: str | None = None
    sheet: str | None = None
    #: The path within the folder: two of its subfolders may hold files of one name.
    shown: str | None = None

    @property
    def name(self) -> str:
        """As errors and logs speak of it."""
        name = self.shown or self.path.name
        name = f"{name}: {self.member}" if self.member else name
        return f"{name} (sheet {self.sheet})" if self.sheet else name

    @property
    def _inner(self) -> str:
        return _bare(self.member or self.path.name).lower()

    @property
    def kind(self) -> Literal["csv", "parquet", "workbook"]:
        """How it is read, by its name."""
        if self._inner.endswith(PARQUET):
            return "parquet"
        return "workbook" if self._inner.endswith(WORKBOOKS) else "csv"

    @property
    def moment(self) -> float:
        """Its own time, in seconds."""
        if self.member is None:
            return self.path.stat().st_mtime
        with zipfile.ZipFile(self.path) as archive:
            return datetime(*archive.getinfo(self.member).date_time, tzinfo=UTC).timestamp()

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Its bytes, unwrapped.

        Raises
        ------
        BadInput
            When the archive around it is broken or locked.
        """
        try:
            with ExitStack() as stack:
                file: IO[bytes]
                if self.member is None:
                    file = stack.enter_context(self.path.open("rb"))
                else:
                    archive = stack.enter_context(zipfile.ZipFile(self.path))
                    file = stack.enter_context(archive.open(self.member))
                if (self.member or self.path.name).lower().endswith(".gz"):
                    file = cast(IO[bytes], stack.enter_context(gzip.open(file)))
                yield file
        except (
            EOFError, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, zlib.error, RuntimeError, OSError
        ) as error:  # fmt: skip
            reason = "it needs a password" if "password" in str(error) else type(error).__name__
            raise unreadable(self.name, reason) from None

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A path of its bytes, for readers that go to and fro; unwrapped for as long as it is needed."""
        if self.member is None and not self.path.name.lower().endswith(".gz"):
            yield self.path
            return
        with tempfile.NamedTemporaryFile(suffix=PurePosixPath(self._inner).suffix) as copy:
            with self.opened() as plain:
                shutil.copyfileobj(plain, copy)
            copy.flush()
            yield Path(copy.name)


def unreadable(name: str, reason: str) -> BadInput:
    """The sentence about a file that cannot be read."""
    return BadInput(
        f"Expected a readable file {name}, found: {reason}. Nothing of it was taken; deliver it again, or "
        "move it out of the folder."
    )


def require_text(name: str, beginning: bytes) -> None:
    """Refuse a file that is no text, by its first bytes."""
    for mark, what in _MARKS.items():
        if beginning.startswith(mark):
            raise unreadable(name, f"{what} under the name of a text")


def delivered(folder: Path, mapping: Mapping) -> tuple[dict[str, list[Delivery]], list[str]]:
    """The files of each form, in their order, and the names of what no pattern matches."""
    taken: dict[str, list[tuple[str, Delivery]]] = {name: [] for name in mapping.files}
    left_out = []
    for shown, inner, delivery in sorted(_all(folder)):
        forms = [
            name
            for name, form in mapping.files.items()
            if any(_matches(inner, pattern) for pattern in form.patterns)
        ]
        if delivery is None or not forms:
            left_out.append(shown)
            continue
        for name in forms:
            taken[name].append((shown, delivery))
    ordered = {}
    for name, found in taken.items():
        by_time = mapping.files[name].order == "time"
        ordered[name] = [
            delivery
            for shown, delivery in sorted(
                found,
                key=lambda pair: (pair[1].moment if by_time else 0.0, natural(pair[0])),
            )
        ]
    return ordered, left_out


def natural(name: str) -> list[tuple[int, int, str]]:
    """A name for sorting: numbers in it count as numbers, and no case matters."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts] + [
        (-1, 0, name)
    ]


class _Found(tuple[str, str, Delivery | None]):
    """What is shown, the name to match, and the file; None where it can be no delivery."""

    def __lt__(self, other: tuple[object, ...]) -> bool:
        return natural(self[0]) < natural(str(other[0]))


def _all(folder: Path) -> Iterator[_Found]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            continue
        if not path.name.lower().endswith(".zip"):
            yield _Found((name, name, Delivery(path, shown=name)))
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                members = [info.filename for info in archive.infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, OSError) as error:
            raise unreadable(name, type(error).__name__) from None
        for member in members:
            nested = member.lower().endswith(".zip")
            yield _Found(
                (
                    f"{name}: {member}",
                    member,
                    None if nested else Delivery(path, member, shown=name),
                )
            )
        if not members:
            yield _Found((name, name, None))


def _bare(name: str) -> str:
    return name[:-3] if name.lower().endswith(".gz") else name


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern, in any case, catches a path, or what a gzip of that name wraps."""
    for one in {name, _bare(name)}:
        parts, wanted = one.lower().split("/"), pattern.lower().split("/")
        if _fits(parts, wanted):
            return True
    return False


def _fits(parts: list[str], wanted: list[str]) -> bool:
    if not parts or not wanted:
        return not parts and wanted in ([], ["**"])
    if wanted[0] == "**":
        return _fits(parts, wanted[1:]) or _fits(parts[1:], wanted)
    return fnmatch.fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])

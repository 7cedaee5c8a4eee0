"""What a folder of files means: `files.yml`, from headers to the columns of the raw contracts."""

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from include import warehouse
from include.errors import BadInput

MAPPING = "files.yml"

Name = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]

#: One byte of a file, whatever its encoding.
Sign = Annotated[str, Field(pattern=r"^[\t\x20-\x7e\x1c-\x1f\x01]$")]

#: What programs write where there is nothing, in any case.
NOTHING = ["nan", "-nan", "null", "(null)", "none", "n/a", "#n/a", "<na>", "nat", "nil", "\\n"]

#: R's word for nothing, and the code of Namibia: it is nothing but in columns that say where something is.
NOTHING_BUT_A_PLACE = "na"
PLACES = {"store_number", "home_store_id", "region"}

#: What a format of a stamp may hold; the last ones stand for others.
PATTERNS = "YymdHIMSfzpbBaAe"
LONG_FOR = {
    "%F": "%Y-%m-%d",
    "%T": "%H:%M:%S",
    "%R": "%H:%M",
    "%D": "%m/%d/%y",
    "%e": "%d",
    "%h": "%b",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileColumn(_Strict):
    """One column of the files: its headers, any of which may stand there, and what it holds."""

    headers: Annotated[list[str], Field(min_length=1)]
    #: Files without it are read as well; it is empty then.
    optional: bool = False
    #: Left out, it is a `key` where a number of a customer, an order, a product or the like is made of it,
    #: and a `text` otherwise, which stays as it is whatever it says.
    type: Literal["text", "key", "number", "stamp"] | None = None
    #: strptime formats of a stamp, tried in turn; local time of the shop where there is no %z.
    formats: list[str] = [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d",
        "%Y-%m-%d %H:%M:%S.%f",
        "%Y-%m-%dT%H:%M:%S.%f",
        "%Y-%m-%d %H:%M%z",
        "%Y-%m-%dT%H:%M%z",
        "%Y-%m-%d %H:%M:%S%z",
        "%Y-%m-%d %H:%M:%S %z",
        "%Y-%m-%dT%H:%M:%S%z",
        "%Y-%m-%d %H:%M:%S.%f%z",
        "%Y-%m-%dT%H:%M:%S.%f%z",
    ]
    #: Words that say nothing, besides blanks.
    nothing: list[str] | None = None

    @field_validator("formats")
    @classmethod
    def _known_patterns(cls, formats: list[str]) -> list[str]:
        plain = []
        for written in formats:
            whole = re.sub(r"%[FTRDeh]", lambda found: LONG_FOR[found[0]], written)
            for pattern in re.findall(r"%.?", whole):
                if pattern[1:] not in tuple(PATTERNS + "%"):
                    raise ValueError(
                        f"expected patterns of {', '.join('%' + p for p in PATTERNS[:-1])}, found {pattern} "
                        f"in '{written}'"
                    )
            if not (re.search("%[Yy]", whole) and "%d" in whole and re.search("%[mbB]", whole)):
                raise ValueError(f"expected a year, a month and a day in '{written}', found fewer")
            if re.search(r"%f", whole) and not re.search(r"%S[.,]%f", whole):
                raise ValueError(f"expected %f after %S and a point, found '{written}'")
            plain.append(whole)
        return plain


class FillDown(_Strict):
    """Columns that stand on the first line of a key alone: blank below, they are what stands there."""

    by: Name
    columns: Annotated[list[Name], Field(min_length=1)]


class Share(_Strict):
    """An amount of an order, shared among its lines to the penny: SQL expressions over the files' columns."""

    of: str
    by: str
    in_proportion_to: str


class Files(_Strict):
    """Files of one form. `stamp` names the column that says to which day a row belongs.

    `key`: a later file's rows of a key replace an earlier file's, as when a month is delivered again.
    Files are taken in the order of their names, numbers in them as numbers, or of their own time.
    """

    patterns: Annotated[list[str], Field(min_length=1)]
    separator: Sign = ","
    #: What values are wrapped in; null where a quote is a letter like any other.
    quote: Sign | None = '"'
    encoding: str = "auto"
    decimal_comma: bool = False
    #: What stands between thousands. Left out, `1.234,56` and `1 234` are read, and `1,234` is not: it
    #: may be either.
    thousands: Literal[",", ".", " ", "'"] | None = None
    #: Signs or codes of the shop's currency that may stand beside an amount.
    currency: list[str] = []
    order: Literal["name", "time"] = "name"
    #: Sheets of workbooks; left out, every sheet that has the headers.
    sheets: list[str] | None = None
    stamp: Name
    key: Name | None = None
    columns: dict[Name, FileColumn]
    fill_down: FillDown | None = None
    #: Further columns: SQL expressions over those before them.
    also: dict[Name, str] = {}
    #: Further columns after these.
    shares: dict[Name, Share] = {}

    def further(self) -> Iterator[tuple[str, Name, str]]:
        """The expressions of further columns, each after those that it may name: key, column, text."""
        for name, text in self.also.items():
            yield f"also.{name}", name, text
        for name, share in self.shares.items():
            for key, text in share.model_dump().items():
                yield f"shares.{name}.{key}", name, text

    def spelt_out(self, expression: str) -> str:
        """An expression over the columns of the files alone: `also` in place of its names."""
        for name, meaning in reversed(self.also.items()):
            expression = re.sub(rf"\b{name}\b", f"({meaning})".replace("\\", r"\\"), expression)
        return expression

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        if encoding == "auto":
            return encoding
        try:
            return codecs.lookup(encoding).name
        except LookupError:
            raise ValueError(
                f"expected auto or the name of an encoding, found '{encoding}'"
            ) from None

    @model_validator(mode="after")
    def _marks_differ(self) -> "Files":
        if self.thousands == (mark := "," if self.decimal_comma else "."):
            raise ValueError(
                f"expected thousands to differ from the decimal mark, found '{mark}' for both"
            )
        if self.quote == self.separator:
            raise ValueError(
                f"expected separator and quote to differ, found '{self.quote}' for both"
            )
        for name, part in self.columns.items():
            if name in ("file", "line"):
                raise ValueError(
                    f"expected another name for the column {name}: it is a row's place"
                )
            if part.type != "stamp" and name == self.stamp:
                raise ValueError(f"expected stamp to name a column of type stamp, found {name}")
        return self


class Table(_Strict):
    """How one source table is read from files: SQL expressions over the files' columns.

    Besides those, `file` and `line` are a row's place. `one_per` keeps the earliest row of each value.
    """

    files: Name = Field(alias="from")
    where: str = "true"
    #: What dates a row, where it is not the files' stamp.
    stamp: str | None = None
    one_per: str | None = None
    columns: dict[Name, str]


class Mapping(_Strict):
    """The whole of `files.yml`."""

    folder: str | None = None
    files: dict[Name, Files]
    tables: dict[Name, Table]


#: Mappings that stand outside the project while they are tried.
_elsewhere: dict[str, Path] = {}


@contextmanager
def standing_at(source: str, path: Path) -> Iterator[None]:
    """Read the mapping of a source from another file than that of its folder, in this whole process."""
    _elsewhere[source] = path
    try:
        yield
    finally:
        del _elsewhere[source]


def _path(source: str) -> Path:
    return _elsewhere.get(source) or warehouse.SQL_ROOT / "extract" / source / MAPPING


def place(source: str) -> str:
    """The mapping of a source as errors speak of it."""
    return str(_elsewhere.get(source) or f"include/sql/extract/{source}/{MAPPING}")


def is_one(source: str) -> bool:
    """Whether a source's folder of extraction holds a mapping of files."""
    return _path(source).is_file()


def load(source: str) -> Mapping:
    """The mapping of a source, each of its columns with the type that its use gives it.

    Raises
    ------
    BadInput
        When it breaks the form, or names what is not there.
    """
    at = place(source)
    try:
        body = yaml.safe_load(_path(source).read_text(encoding="utf-8"))
        found = Mapping.model_validate(body)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise BadInput(f"Expected a readable mapping in {at}, found: {reason}.") from None
    except yaml.YAMLError as error:
        found_there = " ".join(str(error).split())
        raise BadInput(f"Expected YAML in {at}, found: {found_there}") from None
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{at}: {'.'.join(map(str, first['loc']))}: {said}.") from None
    for name, table in found.tables.items():
        if table.files not in found.files:
            raise BadInput(
                f"{at}: tables.{name}.from: expected one of {', '.join(found.files)}, found "
                f"'{table.files}'."
            )
    for name, form in found.files.items():
        for role, column in _named(form):
            if column not in form.columns:
                raise BadInput(
                    f"{at}: files.{name}.{role}: expected one of its columns, found '{column}'."
                )
            if form.columns[column].optional and role != "fill_down.columns":
                raise BadInput(
                    f"{at}: files.{name}.{role}: expected a column that every file has, found '{column}', "
                    "which is optional."
                )
        for role, more in (("also", form.also), ("shares", form.shares)):
            for column in more:
                if column in form.columns or (more is form.shares and column in form.also):
                    raise BadInput(
                        f"{at}: files.{name}.{role}: expected the name of a further column, found "
                        f"'{column}'."
                    )
    return found.model_copy(update={"files": {name: _typed(found, name) for name in found.files}})


def _named(form: Files) -> Iterator[tuple[str, Name]]:
    """The columns that a form names beside its expressions, and where it does."""
    yield "stamp", form.stamp
    if form.key:
        yield "key", form.key
    if form.fill_down:
        yield "fill_down.by", form.fill_down.by
        yield from (("fill_down.columns", column) for column in form.fill_down.columns)


def _typed(mapping: Mapping, name: str) -> Files:
    form = mapping.files[name]
    columns = {}
    for column, part in form.columns.items():
        made = {
            raw
            for table in mapping.tables.values()
            if table.files == name
            for raw, expression in table.columns.items()
            if re.search(rf"\b{column}\b", form.spelt_out(expression))
        }
        is_key = column == form.key or any(raw.endswith(("_number", "_id", "_upc")) for raw in made)
        kind = part.type or ("key" if is_key else "text")
        nothing = part.nothing
        if nothing is None:
            nothing = [] if kind == "text" else list(NOTHING)
            if kind != "text" and not made & PLACES:
                nothing.append(NOTHING_BUT_A_PLACE)
        columns[column] = part.model_copy(update={"type": kind, "nothing": nothing})
    return form.model_copy(update={"columns": columns})

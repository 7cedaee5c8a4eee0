"""What a folder of files means: `files.yml`, from headers to the columns of the raw contracts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include import warehouse
from include.errors import BadInput

MAPPING = "files.yml"

Name = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileColumn(_Strict):
    """One column of the files: its headers, any of which may stand there, and what it holds."""

    headers: Annotated[list[str], Field(min_length=1)]
    type: Literal["text", "number", "stamp"] = "text"
    #: strptime formats of a stamp, tried in turn; local time of the shop.
    formats: list[str] = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]


class Files(_Strict):
    """Files of one form. `stamp` names the column that says to which day a row belongs.

    `key`: a later file's rows of a key replace an earlier file's, as when a month is delivered again.
    Files are taken in the order of their names.
    """

    patterns: Annotated[list[str], Field(min_length=1)]
    separator: str = ","
    encoding: str = "auto"
    decimal_comma: bool = False
    stamp: Name
    key: Name | None = None
    columns: dict[Name, FileColumn]


class Table(_Strict):
    """How one source table is read from files: SQL expressions over the files' columns.

    Besides those, `line` is a row's place in its file. `one_per` keeps the earliest row of each value.
    """

    files: Name = Field(alias="from")
    where: str = "true"
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
    """The mapping of a source.

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
        raise BadInput(f"Expected YAML in {at}, found {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{at}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    for name, table in found.tables.items():
        if table.files not in found.files:
            raise BadInput(
                f"{at}: tables.{name}.from: expected one of {', '.join(found.files)}, found "
                f"'{table.files}'."
            )
    for name, form in found.files.items():
        for role, column in (("stamp", form.stamp), ("key", form.key)):
            if column is not None and column not in form.columns:
                raise BadInput(
                    f"{at}: files.{name}.{role}: expected one of its columns, found '{column}'."
                )
    return found

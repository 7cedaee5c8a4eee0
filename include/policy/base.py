"""What every section of the policy is made of: strict models, named kinds of value, and its error."""

import difflib
from collections.abc import Iterable, Iterator
from datetime import time
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from include.errors import BadInput

#: Keys and indices that lead to one place of the document.
Place = tuple[str | int, ...]


class PolicyError(BadInput):
    """The policy cannot be used; `problems` holds one sentence a fault."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def _clock_time(value: Any) -> Any:
    """A time of day from `"21:00"`; YAML reads an unquoted 21:00 as the number 1260 (base 60)."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and 60 <= value < 24 * 60:
        return time(value // 60, value % 60)
    if isinstance(value, str):
        try:
            return time.fromisoformat(value)
        except ValueError:
            return value
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except Exception as error:
        raise PydanticCustomError(
            "time_zone", "Input should be a time zone such as America/New_York or Europe/Berlin"
        ) from error
    return value


def _locale(value: str) -> str:
    from babel import Locale, UnknownLocaleError

    try:
        Locale.parse(value)
    except (ValueError, UnknownLocaleError) as error:
        raise PydanticCustomError(
            "locale", "Input should be a language, or one with its country, such as en_US or de"
        ) from error
    return value


def _region(value: str) -> str:
    from babel import Locale

    # The names of Unicode's locale data; some there are of groups of countries, whose codes are digits.
    if not (len(value) == 2 and value.isascii() and value in Locale("en").territories):
        raise PydanticCustomError(
            "region", "Input should be a country by two capital letters, such as US or GB"
        )
    return value


Share = Annotated[float, Field(ge=0, le=1)]
Money = Annotated[float, Field(ge=0)]
Days = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
Text = Annotated[str, Field(min_length=1)]
TimeOfDay = Annotated[time, BeforeValidator(_clock_time)]
Zone = Annotated[str, AfterValidator(_zone)]
Region = Annotated[str, AfterValidator(_region)]
LocaleName = Annotated[str, AfterValidator(_locale)]


class Section(BaseModel):
    """A part of the policy: no unknown keys, no silent conversions, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def twice(values: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Position and value of each that stood before."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield index, value
        seen.add(value)


def one_of(found: str, known: list[str]) -> str:
    """What to do about a name that is none of the known ones."""
    close = difflib.get_close_matches(found, known, n=1)
    return f"write '{close[0]}'" if close else "name one of these, or add it there"

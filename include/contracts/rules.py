"""The rules of cleaning that a contract's column may declare: what becomes of missing values and of outliers.

Nothing is changed silently: a value that a rule replaces stays in the row's `original`, by column, and a flag
in its `flags` says why. `include.quality.cleaning` carries the rules out.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FLAGS, ORIGINAL = "flags", "original"


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Missing(_Rule):
    """What becomes of a row without the value: it `becomes` another (SQL over the row), or is flagged."""

    becomes: str | None = None
    flag: str | None = Field(default=None, pattern=r"^[a-z_]+$")

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.becomes is None and self.flag is None:
            raise ValueError("expected becomes or flag in a rule for missing values")
        return self


class Outlier(_Rule):
    """What becomes of a value that is out of the ordinary.

    It is one where `when` (SQL over the row, missing values filled) is true, or where it lies below `least`
    or above `most`. `flag` leaves it as it is; `cap` brings it to the nearer limit; `clear` takes it out,
    where the limit would mislead. What is no number is never capped.
    """

    flag: str = Field(pattern=r"^[a-z_]+$")
    action: Literal["flag", "cap", "clear"]
    when: str | None = None
    least: float | None = None
    most: float | None = None

    @model_validator(mode="after")
    def _is_clear(self) -> Self:
        bounds = [bound for bound in (self.least, self.most) if bound is not None]
        if bool(self.when) == bool(bounds):
            raise ValueError("expected either when, or least and most, in a rule for outliers")
        if len(bounds) == 2 and bounds[0] >= bounds[1]:
            raise ValueError("expected least below most in a rule for outliers")
        if self.action == "cap" and not bounds:
            raise ValueError("expected least or most where an outlier is capped")
        return self

    def sentence(self) -> str:
        """The rule as a sentence."""
        limits = " or ".join(
            f"{word} {bound:,g}"
            for word, bound in (("below", self.least), ("above", self.most))
            if bound is not None
        )
        done = {
            "flag": "stays",
            "cap": f"is capped, the value given kept in `{ORIGINAL}`",
            "clear": f"is left out, the value given kept in `{ORIGINAL}`",
        }[self.action]
        condition = f"`{self.when}`" if self.when else f"it is {limits}"
        return f"Where {condition} it {done}; flagged `{self.flag}`."

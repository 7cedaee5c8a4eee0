"""The cleaning rules of a contract's columns: what becomes of missing values and of outliers.

A rule is declared at its column and carried out for all rows at once, in the SELECT that fills the staged
table: no row is read twice. Nothing is changed silently: a value that a rule replaces stays in the row's
`original`, by column, and a flag in its `flags` says why.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Self

import psycopg2
from pydantic import BaseModel, ConfigDict, Field, model_validator

from include import warehouse
from include.errors import BadInput

if TYPE_CHECKING:
    from include.contracts import Column, Contract

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

    def words(self) -> str:
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


def refused(columns: Sequence["Column"], source: str | None) -> str | None:
    """What is wrong with the rules of a table as a whole, as a sentence; None where nothing is."""
    types = {column.name: column.type for column in columns}
    ruled = [column for column in columns if column.missing or column.outliers or column.currency]
    if ruled and source is None:
        return f"expected rules of cleaning only in a table with a source, found {ruled[0].name}'s"
    for column in ruled:
        flags = bool(column.outliers) or bool(column.missing and column.missing.flag)
        if flags and types.get(FLAGS) != "text[]":
            return f"expected a column flags of type text[] beside the rules of {column.name}"
        changes = any(rule.action != "flag" for rule in column.outliers)
        if changes and types.get(ORIGINAL) != "jsonb":
            return (
                f"expected a column original of type jsonb, as {column.name} is changed by a rule"
            )
        if changes and not column.nullable and any(r.action == "clear" for r in column.outliers):
            return f"expected {column.name} to be nullable, as a rule leaves it out"
        bounded = any(rule.when is None for rule in column.outliers)
        if bounded and not column.type.startswith(("numeric", "double precision")):
            return f"expected least and most at a number with decimals, found {column.name} of {column.type}"
        if column.currency and column.type != "text":
            return f"expected a currency code to be text, found {column.name} of {column.type}"
    return None


def given(contract: "Contract") -> list[str]:
    """The columns that the table's own SELECT gives: its content without what the rules write."""
    return [name for name in contract.content if name != ORIGINAL or not _changing(contract)]


def cleaned(contract: "Contract", select: str) -> str:
    """A SELECT of the contract's content, its rules applied to the rows of another.

    `select` keeps its parameters, and a rule may use them.
    """
    select = select.strip().rstrip(";")
    columns = [column for column in contract.columns if not column.run]
    filled = ", ".join(
        f'coalesce("{c.name}", {c.missing.becomes}) AS "{c.name}"'
        if c.missing and c.missing.becomes is not None
        else f'"{c.name}"'
        for c in columns
        if c.name in given(contract)
    )
    missing = "".join(
        f', ("{c.name}" IS NULL) AS "{c.name} is missing"'
        for c in columns
        if c.missing and c.missing.flag
    )
    found = ", ".join(f'{_value(contract, c)} AS "{c.name}"' for c in columns)
    return f"SELECT {found} FROM (SELECT {filled}{missing} FROM ({select}\n) AS given) AS filled"


@contextmanager
def explained(contract: "Contract") -> Iterator[None]:
    """What PostgreSQL does not understand of a table's SELECT and rules, as one sentence."""
    try:
        yield
    except (psycopg2.ProgrammingError, psycopg2.DataError) as error:
        raise BadInput(
            f"Expected include/sql/core/{contract.table}.sql and the rules in {contract.table}.yml to be SQL "
            f"over its columns, found: {warehouse.without_values(error)}. Mend the file."
        ) from None


def flags(contract: "Contract") -> list[str]:
    """The flags that the rules of a table set."""
    return [
        flag
        for column in contract.columns
        for flag in (
            *([column.missing.flag] if column.missing and column.missing.flag else ()),
            *(rule.flag for rule in column.outliers),
        )
    ]


def _changing(contract: "Contract") -> list["Column"]:
    return [c for c in contract.columns if any(rule.action != "flag" for rule in c.outliers)]


def _value(contract: "Contract", column: "Column") -> str:
    name = f'"{column.name}"'
    if column.name == FLAGS and flags(contract):
        raised = [
            (f'"{c.name} is missing"', c.missing.flag)
            for c in contract.columns
            if c.missing and c.missing.flag
        ]
        raised += [(_is_out(c, rule), rule.flag) for c in contract.columns for rule in c.outliers]
        cases = ", ".join(f"CASE WHEN {when} THEN '{flag}' END" for when, flag in raised)
        return f"coalesce({name}, '{{}}') || array_remove(ARRAY[{cases}]::text[], NULL)"
    if column.name == ORIGINAL and _changing(contract):
        pairs = " || ".join(
            f"CASE WHEN {' OR '.join(_is_out(c, r) for r in c.outliers if r.action != 'flag')} "
            f"THEN jsonb_build_object('{c.name}', \"{c.name}\") ELSE '{{}}'::jsonb END"
            for c in _changing(contract)
        )
        return f"nullif({pairs}, '{{}}'::jsonb)"
    cases = "".join(
        f" WHEN {_is_out(column, rule)} THEN {_becomes(column, rule)}"
        for rule in column.outliers
        if rule.action != "flag"
    )
    return f"CASE{cases} ELSE {name} END" if cases else name


def _is_out(column: "Column", rule: Outlier) -> str:
    """The condition of a rule, as SQL."""
    if rule.when is not None:
        return f"(({rule.when}) IS TRUE)"
    name = f'"{column.name}"'
    bounds = [f"{name} < {rule.least!r}"] if rule.least is not None else []
    bounds += [f"{name} > {rule.most!r}"] if rule.most is not None else []
    within = f"({' OR '.join(bounds)})"
    if rule.action == "clear":
        return within
    # In a table that cannot hold infinity it is quarantined with its row.
    none = "'NaN'" if column.type == "double precision" else "'NaN', 'Infinity', '-Infinity'"
    return f"({within} AND {name} NOT IN ({none}))"


def _becomes(column: "Column", rule: Outlier) -> str:
    if rule.action == "clear":
        return "NULL"
    if rule.least is None:
        return repr(rule.most)
    if rule.most is None:
        return repr(rule.least)
    return f'least(greatest("{column.name}", {rule.least!r}), {rule.most!r})'

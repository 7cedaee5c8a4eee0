"""The form of a contract: what a `<table>.yml` of `include/sql` may say, and what would contradict itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include import warehouse
from include.contracts import rules
from include.contracts.rules import FLAGS, ORIGINAL


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """One column.

    `run` columns say which run wrote a row and are no content of it; `keep` columns are never changed
    once a row stands. `fill`, SQL over the other columns, is what rows that stand get where the column is
    added later. `needs` names the source table without which the column is empty. `missing` and `outliers`
    are rules of cleaning (`include.contracts.rules`). A `currency` column holds a code: only the
    shop's is taken.
    """

    name: str = Field(pattern=r"^[a-z_][a-z0-9_]*$")
    type: str = Field(
        pattern=r"^(text|integer|bigint|smallint|numeric(\(\d+,\s?\d+\))?|double precision|boolean"
        r"|date|timestamptz|uuid|jsonb|bytea|text\[\]|date\[\])$"
    )
    description: str
    nullable: bool = True
    unit: str | None = None
    pii: bool = False
    generated: bool = False
    run: bool = False
    keep: bool = False
    fill: str | None = None
    needs: str | None = None
    missing: rules.Missing | None = None
    outliers: list[rules.Outlier] = []
    currency: bool = False


class Reject(_Strict):
    """Rows for which `when` is true go to quarantine.

    It is SQL over the table's columns; it may look into core, and into tables staged before by their names.
    """

    reason: str = Field(pattern=r"^[a-z_]+$")
    when: str
    expected: str


class Check(_Strict):
    """One Great Expectations expectation, named without `expect_`; further keys are its arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)

    expect: str
    severity: Literal["critical", "warning"]

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class History(_Strict):
    """The key whose versions follow one another in time (valid_from, valid_to, known_at)."""

    key: list[str]


class GivesWay(_Strict):
    """Which standing rows of an upserted table a new one takes the place of, as if they had never been.

    Attributes
    ----------
    match
        Columns that both rows have in common.
    when
        What must be true of the standing row `t` and the new one `s`, in SQL.
    """

    match: list[str]
    when: str


class Contract(_Strict):
    """What a table promises.

    `past` names the thing (an order) whose corrected states are kept in `core.past_states`: by the shop's
    stamp (`known_at`) where the table has one, else by the runs that read its days. `money` is what a row is
    worth, gross and in the shop's currency: SQL over the columns of a table with a source.
    """

    schema_name: str
    table: str
    description: str
    grain: str
    owner: str = "data-engineering"
    tier: Literal[1, 2, 3] = 2
    dataset: str | None = None
    keys: list[str] = []
    partition: str | None = None
    write: Literal["replace", "upsert", "once"] = "replace"
    history: History | None = None
    past: list[str] = []
    source: str | None = None
    money: str | None = None
    may_be_empty: bool = False
    retention_days: int | None = None
    aged_by: str | None = None
    current: bool = False
    view: bool = False
    indexes: list[list[str]] = []
    unique: list[list[str]] = []
    gives_way: GivesWay | None = None
    columns: list[Column]
    rejects: list[Reject] = []
    checks: list[Check] = []

    @model_validator(mode="after")
    def _columns_exist(self) -> "Contract":
        names = [column.name for column in self.columns]
        if len(names) != len(set(names)):
            raise ValueError("expected each column once, found one twice")
        named = [*self.keys, *(self.history.key if self.history else ())]
        named += [name for group in (*self.indexes, *self.unique) for name in group]
        named += [self.partition] if self.partition else []
        named += self.past
        named += self.gives_way.match if self.gives_way else []
        named += [self.aged_by] if self.aged_by else []
        for name in named:
            if name not in names:
                raise ValueError(f"expected '{name}' among the columns, found {', '.join(names)}")
        if self.history and not {"valid_from", "valid_to", "known_at"} <= set(names):
            raise ValueError("expected valid_from, valid_to and known_at in a table with history")
        if self.retention_days is not None and self.ages_by is None:
            raise ValueError("expected a partition or aged_by beside retention_days")
        wrong = _refused(self.columns, self.source)
        if wrong:
            raise ValueError(wrong)
        if self.past and not (self.keys and (self.partition or "known_at" in names)):
            raise ValueError("expected keys, and known_at or a partition, in a table with past")
        if self.money and self.source is None:
            raise ValueError(
                "expected money only in a table with a source, whose rows are accounted for"
            )
        if self.write != "replace" and not self.keys:
            raise ValueError(f"expected keys in a table that is written by {self.write}")
        return self

    @property
    def name(self) -> str:
        return f"{self.schema_name}.{self.table}"

    @property
    def path(self) -> Path:
        return warehouse.SQL_ROOT / self.schema_name / f"{self.table}.yml"

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def ages_by(self) -> str | None:
        """The day or stamp by which a row's age is told, for its retention."""
        return self.aged_by or self.partition

    @property
    def content(self) -> list[str]:
        """The columns that are content: all but those that say which run wrote the row."""
        return [column.name for column in self.columns if not column.run]

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def _refused(columns: Sequence[Column], source: str | None) -> str | None:
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

"""The cleaning rules of a contract's columns, carried out: what becomes of missing values and of outliers.

A rule is declared at its column (`include.contracts.rules`) and carried out for all rows at once, in
the SELECT that fills the staged table: no row is read twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from include import warehouse
from include.contracts import Column, Contract
from include.contracts.rules import FLAGS, ORIGINAL, Outlier
from include.errors import BadInput


def given(contract: Contract) -> list[str]:
    """The columns that the table's own SELECT gives: its content without what the rules write."""
    return [name for name in contract.content if name != ORIGINAL or not _changing(contract)]


def cleaned(contract: Contract, select: str) -> str:
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
def explained(contract: Contract) -> Iterator[None]:
    """What PostgreSQL does not understand of a table's SELECT and rules, as one sentence."""
    try:
        yield
    except (psycopg2.ProgrammingError, psycopg2.DataError) as error:
        raise BadInput(
            f"Expected include/sql/core/{contract.table}.sql and the rules in {contract.table}.yml to be SQL "
            f"over its columns, found: {warehouse.without_values(error)}. Mend the file."
        ) from None


def flags(contract: Contract) -> list[str]:
    """The flags that the rules of a table set."""
    return [
        flag
        for column in contract.columns
        for flag in (
            *([column.missing.flag] if column.missing and column.missing.flag else ()),
            *(rule.flag for rule in column.outliers),
        )
    ]


def _changing(contract: Contract) -> list[Column]:
    return [c for c in contract.columns if any(rule.action != "flag" for rule in c.outliers)]


def _value(contract: Contract, column: Column) -> str:
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


def _is_out(column: Column, rule: Outlier) -> str:
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


def _becomes(column: Column, rule: Outlier) -> str:
    if rule.action == "clear":
        return "NULL"
    if rule.least is None:
        return repr(rule.most)
    if rule.most is None:
        return repr(rule.least)
    return f'least(greatest("{column.name}", {rule.least!r}), {rule.most!r})'

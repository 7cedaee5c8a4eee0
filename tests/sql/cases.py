"""Cases of a table: folders of given rows and expected rows, written by hand (`tests/sql/tables`).

A case is `tests/sql/tables/<table>/<case>/` with

- `parameters.yml`: what the statement is told;
- `<schema>.<table>.csv`: the rows given of one table. Blanks around a cell do not count, an empty cell is
  NULL, a cell with commas stands in single quotes, and the column `why` says what a row is there for. What
  must be there and is not given gets an empty value of its type;
- `expected.yml`: every row that the statement should give, with every column.

In all of them `<ana>` stands for the pseudonym of ana.
"""

import csv
import datetime
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from include import warehouse
from include.errors import BadInput
from tests.sql import planted

FOLDER = Path(__file__).parent / "tables"

#: What is worked out by hand has six digits, and features are exact to a thousandth of a cent.
TOLERANCE = 1e-6

#: Pseudonym -> the name that stands for it, of every case that was read.
_people: dict[str, str] = {}

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One case, as it was read.

    Attributes
    ----------
    given
        Rows by table.
    """

    name: str
    parameters: dict[str, Any]
    given: dict[str, list[Row]]
    expected: list[Row]


def of_table(table: str, folder: Path = FOLDER) -> list[Case]:
    """Every case of a table, by name.

    Raises
    ------
    BadInput
        When there is none, or one lacks a file.
    """
    found = [load(path) for path in sorted((folder / table).glob("*")) if path.is_dir()]
    if not found:
        raise BadInput(
            f"Expected a case of {table} in tests/sql/tables/{table}/, found none: add a folder with "
            "parameters.yml, given rows and expected.yml."
        )
    return found


def load(path: Path) -> Case:
    """One case.

    Raises
    ------
    BadInput
        When it lacks its parameters, every given row, or the expected rows.
    """
    given = {file.stem: _rows(file) for file in sorted(path.glob("*.csv"))}
    if not given:
        raise BadInput(
            f"Expected given rows in {_shown(path)}/, found none: add a <schema>.<table>.csv."
        )
    return Case(
        f"{path.parent.name}/{path.name}",
        _yaml(path / "parameters.yml"),
        given,
        _yaml(path / "expected.yml"),
    )


def check_columns(case: Case, columns: Sequence[str]) -> None:
    """Refuse expected rows that name other columns than the statement gives.

    Raises
    ------
    BadInput
        With the first column that is missing or unknown.
    """
    for row in case.expected:
        for name in columns:
            if name not in row:
                raise BadInput(
                    f"Expected a value of {name} in every row of tests/sql/tables/{case.name}/expected.yml, "
                    "found a row without: work it out by hand."
                )
        if unknown := sorted(set(row) - set(columns)):
            raise BadInput(
                f"Expected the statement's columns in tests/sql/tables/{case.name}/expected.yml, found "
                f"{unknown[0]}: take it out, or add it to the statement."
            )


def plant(conn: warehouse.Connection, case: Case) -> None:
    """The case's given rows, in the caller's transaction."""
    for table, rows in case.given.items():
        planted.fill(conn, table, rows)


def built(
    conn: warehouse.Connection, statement: str, case: Case
) -> tuple[dict[str, int], list[Row]]:
    """What a statement gives for a case: the columns with the numbers of their types, and the rows."""
    with conn.cursor() as cursor:
        cursor.execute(statement, case.parameters)
        columns = {column.name: column.type_code for column in cursor.description or ()}
        return columns, [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def differences(found: Sequence[Row], case: Case, keys: Sequence[str]) -> list[str]:
    """What differs from the expected rows, a sentence each."""
    by_key = {_key(row, keys): row for row in found}
    wanted = {_key(row, keys): row for row in case.expected}
    said = [f"{key}: a row that is not expected" for key in by_key.keys() - wanted.keys()]
    said += [f"{key}: no row" for key in wanted.keys() - by_key.keys()]
    if len(by_key) != len(found):
        said.append(f"{len(found)} rows for {len(by_key)} keys")
    for key in sorted(by_key.keys() & wanted.keys()):
        for name, value in wanted[key].items():
            if not _same(by_key[key][name], value):
                said.append(f"{key}: {name} is {by_key[key][name]!r}, expected {value!r}")
    return said


def _key(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    return ", ".join(_people.get(str(row[key]), str(row[key])) for key in keys)


def _same(found: Any, expected: Any) -> bool:
    if found is None or expected is None:
        return found is expected
    if isinstance(expected, bool) or isinstance(found, bool):
        return found is expected
    if isinstance(expected, int | float):
        return math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(expected, datetime.date):
        return bool(found == expected)
    return str(found) == str(expected)


def _rows(file: Path) -> list[Row]:
    lines = csv.DictReader(_text(file).splitlines(), quotechar="'", skipinitialspace=True)
    return [
        {name.strip(): cell.strip() or None for name, cell in line.items() if name.strip() != "why"}
        for line in lines
    ]


def _yaml(file: Path) -> Any:
    if not file.exists():
        raise BadInput(f"Expected {_shown(file)}, found none: write it by hand.")
    return yaml.safe_load(_text(file))


def _text(file: Path) -> str:
    """A file with every `<name>` replaced by its pseudonym."""
    return re.sub(r"<(\w+)>", lambda found: _pseudonym(found[1]), file.read_text())


def _pseudonym(name: str) -> str:
    found = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    _people[found] = name
    return found


def _shown(path: Path) -> str:
    """The path from the table's folder on, as it stands in the repository."""
    parts = path.parts
    return "/".join(("tests", "sql", *parts[len(parts) - 1 - parts[::-1].index("tables") :]))

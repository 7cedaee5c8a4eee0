"""What a column of the server's is, which contract types it may stand for, and how COPY is told its values.

The server writes each row as one line of CSV, so that nothing here looks at a value. A column without a value
is nothing between two commas, a text stands in quotation marks.
"""

from collections.abc import Sequence
from typing import Any

from pymysql.constants import FIELD_TYPE, FLAG

from include.contracts import Contract
from include.errors import BadInput

_INTEGERS = {
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
    FIELD_TYPE.YEAR: "year",
}
_FRACTIONS = {
    FIELD_TYPE.DECIMAL: "decimal",
    FIELD_TYPE.NEWDECIMAL: "decimal",
    FIELD_TYPE.DOUBLE: "double",
}
_STAMPS = {FIELD_TYPE.DATETIME: "datetime", FIELD_TYPE.TIMESTAMP: "timestamp"}
_DAYS = {FIELD_TYPE.DATE: "date", FIELD_TYPE.NEWDATE: "date"}
_OTHERS = {FIELD_TYPE.TIME: "time", FIELD_TYPE.BIT: "bit", FIELD_TYPE.GEOMETRY: "geometry"}
#: How a SELECT names a stamp without a zone that is the shop's own time and not UTC.
LOCAL = "_local"
#: The number of the character set of what is no text but bytes.
_BYTES = 63

#: Contract type -> kinds of columns that say the same without loss. A whole number may be declared wider than
#: the contract's: the server calculates in bigint, and PostgreSQL refuses what is too large, or is neither 0
#: nor 1 where the contract has yes or no.
_SAME = {
    "text": {"text"},
    "uuid": {"text"},
    "jsonb": {"text"},
    "smallint": {"integer", "flag"},
    "integer": {"integer", "flag"},
    "bigint": {"integer", "flag"},
    "numeric": {"integer", "flag", "fraction", "single"},
    "double precision": {"integer", "flag", "fraction", "single"},
    "boolean": {"flag", "integer"},
    "date": {"date"},
    "timestamptz": {"stamp"},
}


def given(contract: Contract, fields: list[Any], path: str) -> list[str]:
    """The columns of the contract that a SELECT gives: all, or all but last ones that are optional.

    Raises
    ------
    BadInput
        When it gives more or fewer.
    """
    names = contract.given(len(fields))
    if names is None:
        raise BadInput(
            f"Expected {path} to give the {len(contract.content)} columns of {contract.name} in their order, "
            f"found {len(fields)}: name each column of the contract once, and no other."
        )
    return names


def line(
    contract: Contract, fields: list[Any], columns: Sequence[str], day: str, zone: str, path: str
) -> str:
    """SQL for a row of a SELECT, called `q`, as one line of CSV.

    Parameters
    ----------
    fields
        The columns that the SELECT gives, as the driver describes them.
    columns
        Those of the contract that the line is made of, in its order.
    day
        SQL for the business day of the column `_partition`, for where that is a stamp.
    zone
        The shop's time zone, for stamps in its own time.
    path
        The file of the SELECT, for the sentence.

    Raises
    ------
    BadInput
        When one is of a type that would be misread.
    """
    cells = {}
    for name, field in zip(given(contract, fields, path), fields, strict=True):
        expected = contract.column(name).type.split("(")[0]
        kind, spelt = _kind(field)
        if name == "_partition" and kind == "stamp":
            cells[name] = f"IFNULL({day}, '')"
            continue
        if kind == "absent":
            cells[name] = "''"
            continue
        if kind not in _SAME.get(expected, ()):
            raise BadInput(
                f"Expected {path} to give {name} as {expected}, found {spelt}: the shop has changed "
                "its type. Check what it means now, and convert it in that SELECT."
            )
        cells[name] = _cell(column(field), expected, kind, zone if is_local(field) else None)
    # CONCAT is NULL where one part is, as a text beyond the server's limit: no cell is lost in silence.
    parts = ", ',', ".join(cells[name] for name in columns)
    return f"CONCAT({parts})"


def column(field: Any) -> str:
    """A column of the SELECT called `q`."""
    return f"q.`{field.name.replace('`', '``')}`"


def is_local(field: Any) -> bool:
    """Whether a column is a stamp in the shop's own time."""
    return str(field.name).endswith(LOCAL)


def _cell(value: str, expected: str, kind: str, zone: str | None) -> str:
    if kind == "text":
        # Whatever the column's own character set, and doubling what would end the text.
        text = f"REPLACE(CONVERT({value} USING utf8mb4), '\"', '\"\"')"
        return f"IF({value} IS NULL, '', CONCAT('\"', {text}, '\"'))"
    if kind in ("date", "stamp"):
        # Zero dates, whole or in part, are the server's way to say that there is none: TO_DAYS is NULL.
        # PostgreSQL takes a zone by its name behind a stamp.
        shown = f"CONCAT({value}, ' {zone}')" if zone and kind == "stamp" else value
        return f"IFNULL(IF(TO_DAYS({value}) > 365, {shown}, NULL), '')"
    if kind == "flag" and expected == "boolean":
        return f"IFNULL({value} <> 0, '')"
    if kind == "single":  # as a double: as it is, the server writes six digits of it
        return f"IFNULL({value} + 0e0, '')"
    return f"IFNULL({value} + 0, '')" if kind == "flag" else f"IFNULL({value}, '')"


def _kind(field: Any) -> tuple[str, str]:
    """What a column is good for, and what its type is called."""
    code, length = field.type_code, field.length
    if code == FIELD_TYPE.NULL:
        return "absent", "null"
    if code in _INTEGERS:
        spelt = _INTEGERS[code] + (" unsigned" if field.flags & FLAG.UNSIGNED else "")
        return ("flag", f"{spelt}(1)") if length == 1 else ("integer", spelt)
    if code == FIELD_TYPE.FLOAT:
        return "single", "float"
    if code == FIELD_TYPE.BIT and length == 1:
        return "flag", "bit(1)"
    for kind, codes in (("fraction", _FRACTIONS), ("stamp", _STAMPS), ("date", _DAYS)):
        if code in codes:
            return kind, codes[code]
    if code in _OTHERS:
        return "other", _OTHERS[code]
    if code == FIELD_TYPE.JSON or field.charsetnr != _BYTES:
        return "text", "text"
    # A SELECT writes NULL for a column that the shop does not have; kept aside, it is nought bytes wide.
    return ("absent", "null") if length == 0 else ("bytes", "binary")

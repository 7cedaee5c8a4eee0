"""Workbooks of spreadsheets as batches of texts: each sheet that has the headers, a row a line.

A cell that holds a number or a date is handed on as the mapping would write it, so that both kinds of files
are read by one rule.
"""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from include.errors import BadInput
from include.sources.file_mapping import Files
from include.sources.files.folder import Delivery, unreadable
from include.sources.files.stamps import EXACT

#: A spreadsheet keeps so many digits of a number.
DIGITS = 15

BATCH_ROWS = 16_384


def sheets(delivery: Delivery, named: list[str] | None) -> Iterator[tuple[str, Any]]:
    """Name and sheet of those that are named, or of all.

    Raises
    ------
    BadInput
        When the workbook cannot be read, or a sheet that is named is not there.
    """
    import python_calamine as calamine

    try:
        with delivery.on_disk() as path:
            workbook = calamine.load_workbook(str(path))
            names = workbook.sheet_names
            for wanted in named or []:
                if wanted not in names:
                    raise BadInput(
                        f"Expected the sheet '{wanted}' in {delivery.name}, found {', '.join(names)}: "
                        "correct sheets in the mapping, or the workbook."
                    )
            for name in named or names:
                yield name, workbook.get_sheet_by_name(name)
    except (calamine.CalamineError, OSError) as error:
        locked = isinstance(error, calamine.PasswordError)
        reason = "it needs a password" if locked else type(error).__name__
        raise unreadable(delivery.name, reason) from None


def rows(sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    """The rows of a sheet that hold anything, with their numbers."""
    found = sheet.to_python(skip_empty_area=False)
    for number, row in enumerate(found, 1):
        if any(cell != "" for cell in row):
            yield number, row


def texts(cells: list[Any], kind: str, form: Files) -> list[str | None]:
    """Cells of one column as the mapping would write them."""
    return [_text(cell, kind, form) for cell in cells]


def _text(cell: Any, kind: str, form: Files) -> str | None:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int | float):
        return _number(float(cell), kind, form)
    if isinstance(cell, datetime):
        return cell.strftime(EXACT) if kind == "stamp" else cell.isoformat(" ")
    if isinstance(cell, date):
        midnight = datetime.combine(cell, time.min)
        return midnight.strftime(EXACT) if kind == "stamp" else cell.isoformat()
    return None if cell is None else str(cell)


def _number(cell: float, kind: str, form: Files) -> str:
    if cell.is_integer() and abs(cell) < 10.0**DIGITS:
        return str(int(cell))
    shown = f"{cell:.{DIGITS}g}"
    if kind == "key" and cell.is_integer():
        return f"{cell:.{DIGITS - 1}e}"  # digits beyond those are lost: refused as such
    return shown.replace(".", ",") if kind == "number" and form.decimal_comma else shown

"""Delivered files as Arrow batches with a mapping's columns, a block at a time.

Texts stay as delivered; what cannot be read becomes empty. What was met beside the rows (headers, days,
values that were not taken as they stand) is noted with its line, never quoted.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from include.errors import BadInput
from include.sources.file_mapping import MAPPING, Files, Name
from include.sources.files import delimited, values, workbook
from include.sources.files.folder import Delivery, unreadable
from include.sources.files.noticed import Noticed, Place
from include.sources.files.stamps import EXACT, days_of

#: Rows of a Parquet file that are read at a time.
BLOCK_ROWS = 65_536

#: The headers of columns, the file as errors speak of it, its columns by their names, and the lines.
_Block = tuple[dict[Name, str], str, Callable[[Name], Any], Any]


def read(
    delivery: Delivery,
    form: Files,
    timezone: str,
    noticed: Noticed | None = None,
    only: Name | None = None,
) -> Iterator[Any]:
    """A file as Arrow batches: `line`, then the mapping's columns as texts and stamps.

    Parameters
    ----------
    noticed
        Is filled in while the batches are taken.
    only
        The one column to read of those that must be there.

    Raises
    ------
    BadInput
        When a column is missing, a line has too many or too few fields, a key has lost digits, or the file
        holds no header.
    """
    import pyarrow as pa

    noticed = noticed or Noticed()
    names = [only] if only else list(form.columns)
    opened = {"csv": _csv, "parquet": _parquet, "workbook": _workbook}[delivery.kind]
    for headers, label, column, lines in opened(delivery, form, names, noticed):
        columns = {}
        for name in names:
            part = form.columns[name]
            if name not in headers:
                columns[name] = pa.nulls(len(lines), pa.string())
                continue
            if delivery.kind == "workbook" and part.type == "stamp":
                part = part.model_copy(update={"formats": [EXACT, *part.formats]})
            place = Place(label, headers[name].strip(), lines, noticed)
            try:
                columns[name] = values.column(column(name), part, form, place)
            except pa.ArrowException:
                raise unreadable(
                    label, f"column {place.header} holds what is no {part.type}"
                ) from None
        noticed.count_days(days_of(columns[form.stamp], timezone))
        batch = pa.RecordBatch.from_arrays([lines, *columns.values()], names=["line", *columns])
        yield batch if only else _without_blanks(batch)


def _without_blanks(batch: Any) -> Any:
    """Without rows that hold nothing at all, as spreadsheets leave them behind the last one."""
    import pyarrow.compute as pc

    if min(column.null_count for column in batch.columns[1:]) == 0:
        return batch
    held = pc.is_valid(batch.columns[1])
    for column in batch.columns[2:]:
        held = pc.or_(held, pc.is_valid(column))
    return batch.filter(held)


def _headers(
    label: str, form: Files, found: list[str], types: list[str], noticed: Noticed
) -> dict[Name, int]:
    """Which column of the file each column of the mapping is, by its place."""
    plain = [header.strip().lower() for header in found]
    chosen = {}
    if not _any_header(form, plain):
        # The first line may be about a person: it is not quoted.
        raise BadInput(
            f"Expected a line of headers first in {label}, found none that {MAPPING} names: correct the "
            "file, its separator in the mapping, or name its headers there."
        )
    for name, part in form.columns.items():
        match = next((h.lower() for h in part.headers if h.lower() in plain), None)
        if match is None and part.optional:
            continue
        if match is None:
            raise BadInput(
                f"Expected the column {' or '.join(part.headers)} in {label}, found "
                f"{', '.join(found)}: correct the file, or name its header in {MAPPING} ({name})."
            )
        if plain.count(match) > 1:
            raise BadInput(
                f"Expected one column {match} in {label}, found {plain.count(match)} in its line of headers: "
                "which is meant cannot be told, so leave one."
            )
        chosen[name] = plain.index(match)
    noticed.headers |= dict(zip(plain, types, strict=True))
    return chosen


def _any_header(form: Files, plain: list[str]) -> bool:
    return any(h.lower() in plain for part in form.columns.values() for h in part.headers)


def _csv(delivery: Delivery, form: Files, names: list[Name], noticed: Noticed) -> Iterator[_Block]:
    with delivery.opened() as stream:
        file = delimited.CsvFile(delivery, form, stream)
        found = file.headers
        places = _headers(delivery.name, form, found, ["text"] * len(found), noticed)
        checks = {
            places[name]: part
            for name, part in form.columns.items()
            if name in places and part.type in ("number", "stamp")
        }
        headers = {name: found[places[name]] for name in names if name in places}
        wanted = list(dict.fromkeys(places[name] for name in headers))
        for table, lines in file.batches(wanted, checks, noticed):
            yield headers, delivery.name, _by_place(table, places), lines


def _by_place(table: Any, places: dict[Name, int]) -> Callable[[Name], Any]:
    def column(name: Name) -> Any:
        found = table[str(places[name])]
        return found.chunk(0) if found.num_chunks == 1 else found.combine_chunks()

    return column


def _parquet(
    delivery: Delivery, form: Files, names: list[Name], noticed: Noticed
) -> Iterator[_Block]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with delivery.on_disk() as path, pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            types = [str(column.type) for column in schema]
            places = _headers(delivery.name, form, schema.names, types, noticed)
            headers = {name: schema.names[places[name]] for name in names if name in places}
            done = 0
            for batch in file.iter_batches(
                BLOCK_ROWS, columns=list(dict.fromkeys(headers.values()))
            ):
                lines = pa.array(range(done + 1, done + batch.num_rows + 1), pa.int64())
                done += batch.num_rows
                yield headers, delivery.name, _by_header(batch, headers), lines
    except (pa.ArrowException, OSError) as error:
        raise unreadable(delivery.name, type(error).__name__) from None


def _by_header(batch: Any, headers: dict[Name, str]) -> Callable[[Name], Any]:
    return lambda name: batch[headers[name]]


def parts(delivery: Delivery, form: Files, left_out: list[str]) -> Iterator[Delivery]:
    """A file, or the sheets of a workbook that are read; the names of the other ones are added to a list.

    Raises
    ------
    BadInput
        When no sheet of a workbook has a line of headers.
    """
    if delivery.kind != "workbook" or delivery.sheet:
        yield delivery
        return
    fitting = 0
    for name, sheet in workbook.sheets(delivery, form.sheets):
        part = replace(delivery, sheet=name)
        _, first = next(workbook.rows(sheet), (0, []))
        if form.sheets or _any_header(form, [str(cell).strip().lower() for cell in first]):
            fitting += 1
            yield part
        else:
            left_out.append(part.name)
    if not fitting:
        raise BadInput(
            f"Expected a sheet with headers in its first row in {delivery.name}, found none that {MAPPING} "
            "names: correct the workbook, or name its headers there."
        )


def _workbook(
    delivery: Delivery, form: Files, names: list[Name], noticed: Noticed
) -> Iterator[_Block]:
    for part in parts(delivery, form, noticed.left_out):
        ((_, sheet),) = workbook.sheets(part, [str(part.sheet)])
        rows = workbook.rows(sheet)
        _, first = next(rows, (0, []))
        found = [str(cell) for cell in first]
        places = _headers(part.name, form, found, ["text"] * len(found), noticed)
        headers = {name: found[places[name]] for name in names if name in places}
        yield from _sheet(part.name, headers, places, rows, form)


def _sheet(
    label: str,
    headers: dict[Name, str],
    places: dict[Name, int],
    rows: Iterator[tuple[int, list[Any]]],
    form: Files,
) -> Iterator[_Block]:
    import pyarrow as pa

    while some := list(islice(rows, workbook.BATCH_ROWS)):
        lines = pa.array([number for number, _ in some], pa.int64())

        def column(name: Name, some: list[tuple[int, list[Any]]] = some) -> Any:
            kind = form.columns[name].type or "text"
            cells = [row[places[name]] for _, row in some]
            return pa.array(workbook.texts(cells, kind, form), pa.string())

        yield headers, label, column, lines

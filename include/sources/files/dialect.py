"""Whether the expressions of a mapping can be read: PostgreSQL's own language, over the columns of the files.

A parser says so before a file is there; PostgreSQL itself has the last word when the files are read.
"""

from collections.abc import Iterator, Sequence

from include import contracts
from include.errors import BadInput
from include.sources import file_mapping

#: What besides the columns of the files may stand in an expression.
PLACES = ("file", "line")


def faults(source: str) -> Iterator[str]:
    """A sentence for each expression of a source's mapping that cannot be read, with file and key."""
    try:
        mapping = file_mapping.load(source)
    except BadInput as error:
        yield str(error)
        return
    at = file_mapping.place(source)
    raw = {contract.table: contract for contract in contracts.of_dataset("raw")}
    columns = {}
    for name, form in mapping.files.items():
        columns[name] = [*PLACES, *form.columns]
        for part, column, text in form.further():
            if fault := _fault(text, columns[name], name):
                yield f"{at}: files.{name}.{part}: {fault}"
            columns[name] += [column] if column not in columns[name] else []
    for name, table in mapping.tables.items():
        key = f"{at}: tables.{name}"
        if name not in raw:
            yield f"{key}: expected one of the source tables {', '.join(raw)}, found '{name}'."
            continue
        known = [column for column in raw[name].content if column != "_partition"]
        if unknown := sorted(set(table.columns) - set(known)):
            yield (
                f"{key}.columns: expected columns of include/sql/raw/{name}.yml, found {', '.join(unknown)}."
            )
        expressions = {f"columns.{column}": text for column, text in table.columns.items()}
        expressions["where"] = table.where
        expressions |= {"one_per": table.one_per} if table.one_per else {}
        expressions |= {"stamp": table.stamp} if table.stamp else {}
        for part, text in expressions.items():
            if fault := _fault(text, columns[table.files], table.files):
                yield f"{key}.{part}: {fault}"


def _fault(text: str, columns: Sequence[str], form: str) -> str | None:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        # An expression and no more: what closes the brackets early, or comments them out, leaves no one.
        (statement,) = sqlglot.parse(f"SELECT (\n{text}\n) AS v", read="postgres")
        selected = statement.expressions if isinstance(statement, exp.Select) else []
        if len(selected) != 1 or not isinstance(selected[0], exp.Alias):
            raise ValueError
        if not isinstance(selected[0].this, exp.Paren | exp.Subquery):
            raise ValueError
    except SqlglotError as error:
        found = getattr(error, "errors", None) or [{}]
        why = found[0].get("description") or "it cannot be parsed"
        return f"expected an SQL expression of PostgreSQL, found '{text}' ({why.rstrip('.')})."
    except ValueError:
        return f"expected one SQL expression of PostgreSQL, found '{text}'."
    if any(selected[0].find_all(exp.Select)):
        return None  # a query of its own has columns of its own
    unknown = sorted(
        {
            column.name
            for column in selected[0].find_all(exp.Column)
            if (column.name if column.this.quoted else column.name.lower()) not in columns
        }
    )
    if unknown:
        known, found_here = ", ".join(columns), ", ".join(unknown)
        return f"expected columns of files.{form} ({known}), found {found_here} in '{text}'."
    return None

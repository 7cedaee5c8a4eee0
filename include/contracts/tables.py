"""What it takes to bring a table that stands to its contract, planned before anything is changed.

By itself it adds: columns, keys, unique sets, indexes, and types that hold every value of before. What would
lose something, or meets something of somebody's own in its way, is an obstacle, told in one sentence.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from psycopg2 import sql as pgsql

from include import warehouse
from include.contracts.definitions import columns_of, set_aside
from include.contracts.form import Column, Contract
from include.contracts.standing import MARK, Table
from include.contracts.widening import canonical, holds
from include.warehouse import Connection

#: The unique sets that version 0.1.0 made, without a mark: ours, though a contract may have given one up.
UNIQUE_BEFORE_MARKS = {
    "core.accounts": [["account_number"]],
    "core.identities": [["external_id"]],
    "marketing.approvals": [["as_of"]],
    "marketing.coupon_triggers": [["customer_id", "campaign", "period"], ["coupon_code"]],
}


@dataclass(frozen=True)
class Step:
    """One change: `told` in words (nothing where nobody need know), and why there is no way back from it."""

    told: str
    do: Callable[[Connection], None]
    no_way_back: str = ""


@dataclass
class Plan:
    """The changes in order, what stands in their way, and the datasets whose tables get another shape."""

    steps: list[Step] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    reshaped: set[str] = field(default_factory=set)

    def add(
        self, told: str, template: str, *parts: pgsql.Composable, no_way_back: str = ""
    ) -> None:
        """A change that one statement makes."""
        self.steps.append(Step(told, _runs(template, *parts), no_way_back))


def plan(
    conn: Connection, contract: Contract, standing: Table | None, *, adopt: bool, to: Plan
) -> None:
    """Add to the plan what one table needs.

    Parameters
    ----------
    standing
        The table as it stands, None where it does not.
    adopt
        Whether the warehouse is from before keys and indexes were marked as ours: those that are get a mark.
    to
        The plan.
    """
    if standing is None:
        _create(contract, to)
        return
    if standing.comment is None:
        to.obstacles.append(
            f"Expected to make the table {contract.name}, found one of your own by that name: rename it."
        )
        return
    _columns(conn, contract, standing, to)
    marked = _marked(contract, standing, to) if adopt else _marks(standing)
    _key(conn, contract, standing, marked, to)
    _relax(contract, standing, to)
    _indexes(conn, contract, standing, marked, to)
    if standing.comment != _words(contract):
        to.add("", *_comment_table(contract))


def column_list(contract: Contract, *, strict: bool, wide: bool = False) -> pgsql.Composed:
    """The columns of a CREATE TABLE.

    Parameters
    ----------
    strict
        With the key and NOT NULLs, otherwise with neither.
    wide
        Numbers without limits of size and decimals.
    """
    lines: list[pgsql.Composable] = [
        pgsql.SQL("{} {}{}").format(
            pgsql.Identifier(column.name),
            pgsql.SQL("numeric" if wide and column.type.startswith("numeric") else column.type),
            pgsql.SQL("" if column.nullable or not strict else " NOT NULL"),
        )
        for column in contract.columns
    ]
    if strict and contract.keys:
        lines.append(pgsql.SQL("PRIMARY KEY ({})").format(_names(contract.keys)))
    return pgsql.SQL(", ").join(lines)


def _create(contract: Contract, to: Plan) -> None:
    target = warehouse.qualified(contract.name)
    to.add(
        f"created table {contract.name}",
        "CREATE TABLE {} ({})",
        target,
        column_list(contract, strict=True),
    )
    to.add("", *_comment_table(contract))
    for column in contract.columns:
        to.add("", *_comment_column(contract, column))
    if contract.keys:
        to.steps.append(Step("", lambda conn: _mark_key(conn, contract.name)))
    for unique, group in _wanted(contract):
        to.steps.append(Step("", _makes_index(contract, unique, group)))


def _columns(conn: Connection, contract: Contract, standing: Table, to: Plan) -> None:
    target = warehouse.qualified(contract.name)
    full = _count(
        conn, pgsql.SQL("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT 1) AS any_row"), target
    )
    for column in contract.columns:
        name, about = pgsql.Identifier(column.name), f"{contract.name}.{column.name}"
        required = not column.nullable or column.name in contract.keys
        found = standing.columns.get(column.name)
        if found is None:
            if required and full and not column.fill:
                to.obstacles.append(
                    f"Expected a `fill` for the new column {about}, which may not be empty, found none and "
                    "rows that stand: say in its contract what they get."
                )
                continue
            kind = pgsql.SQL(column.type)
            to.add(f"added column {about}", "ALTER TABLE {} ADD COLUMN {} {}", target, name, kind)
            if column.fill:
                to.add("", "UPDATE {} SET {} = {}", target, name, pgsql.SQL(column.fill))
            if not column.nullable:
                to.add(
                    "",
                    "ALTER TABLE {} ALTER COLUMN {} SET NOT NULL",
                    target,
                    name,
                    no_way_back=f"the version before does not fill {about}, which may not be empty",
                )
            to.add("", *_comment_column(contract, column))
            to.reshaped.add(contract.dataset or "")
            continue
        if not found.ours:
            to.obstacles.append(
                f"Expected to add the column {about}, found one of your own by that name: rename it."
            )
            continue
        if canonical(found.type) != canonical(column.type):
            if not holds(column.type, found.type):
                to.obstacles.append(
                    f"Expected {about} to be {column.type} by its contract, found {found.type} in the "
                    "warehouse: a type is only ever widened by itself; give the new form a new column "
                    "name, or alter the table by hand."
                )
                continue
            to.steps.append(_widening(contract, column, found.type))
        if required and not found.required:
            empty = _count(
                conn, pgsql.SQL("SELECT count(*) FROM {} WHERE {} IS NULL"), target, name
            )
            if empty:
                to.obstacles.append(
                    f"Expected {about} to be filled, found {empty:,} rows where it is empty: fill them."
                )
            elif not column.nullable:
                to.add(
                    f"{about} may no longer be empty",
                    "ALTER TABLE {} ALTER COLUMN {} SET NOT NULL",
                    target,
                    name,
                    no_way_back=f"the version before may leave {about} empty",
                )
        if found.comment != _column_words(column):
            to.add("", *_comment_column(contract, column))


def _relax(contract: Contract, standing: Table, to: Plan) -> None:
    """Let be empty what the contract lets be empty by now, or no longer fills."""
    target = warehouse.qualified(contract.name)
    drop = "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL"
    for name, found in standing.columns.items():
        if not found.required:
            continue
        if name in contract.column_names:
            if contract.column(name).nullable and name not in contract.keys:
                to.add(f"{contract.name}.{name} may be empty", drop, target, pgsql.Identifier(name))
        elif found.given:
            continue
        elif found.ours:
            told = f"{contract.name}.{name} is no longer filled and may be empty"
            to.add(told, drop, target, pgsql.Identifier(name))
        else:
            to.obstacles.append(
                f"Expected to go on writing {contract.name}, found the column {name} of your own, "
                "which may not be empty and has no default: give it one, or let it be empty."
            )


def _widening(contract: Contract, column: Column, found: str) -> Step:
    about = f"{contract.name}.{column.name}"

    def do(conn: Connection) -> None:
        with set_aside(conn, columns_of(conn, contract.name, column.name)):
            _runs(
                "ALTER TABLE {} ALTER COLUMN {} TYPE {}",
                warehouse.qualified(contract.name),
                pgsql.Identifier(column.name),
                pgsql.SQL(column.type),
            )(conn)

    return Step(
        f"widened {about} from {found} to {column.type}",
        do,
        f"values of {about} may no longer fit {found}",
    )


def _marks(standing: Table) -> set[str]:
    """The names of the key and the indexes that are ours."""
    held = [*standing.indexes, *([standing.key] if standing.key else [])]
    return {index.name for index in held if index.comment == MARK}


def _marked(contract: Contract, standing: Table, to: Plan) -> set[str]:
    """The same in a warehouse from before marks: told by form and name, and marked."""
    ours = _marks(standing)
    known = [*_wanted(contract)]
    known += [(True, group) for group in UNIQUE_BEFORE_MARKS.get(contract.name, [])]
    for index in standing.indexes:
        # What the server names a nameless index: ours were always made so.
        named = re.fullmatch(rf"{contract.table}_.*idx\d*", index.name)
        if index.comment is None and named and (index.unique, index.columns) in known:
            ours.add(index.name)
            to.steps.append(Step("", _marks_index(contract, index.name)))
    if standing.key and all(
        name in standing.columns and standing.columns[name].ours for name in standing.key.columns
    ):
        ours.add(standing.key.name)
        if standing.key.columns == contract.keys:
            to.steps.append(Step("", lambda conn: _mark_key(conn, contract.name)))
    return ours


def _key(conn: Connection, contract: Contract, standing: Table, ours: set[str], to: Plan) -> None:
    """The primary key anew where the contract names another."""
    key = standing.key
    if (key.columns if key else []) == contract.keys:
        return
    target = warehouse.qualified(contract.name)
    if key and key.name not in ours:
        if contract.keys:
            to.obstacles.append(
                f"Expected {contract.name} to have the key {', '.join(contract.keys)}, found one of your "
                f"own, {key.name} ({', '.join(key.columns)}): drop it, or make it a unique index."
            )
        return
    gone = "the version before goes by another key, under which there may be doubles since"
    if key:
        to.add(
            "" if contract.keys else f"gave up the key of {contract.name}",
            "ALTER TABLE {} DROP CONSTRAINT {}",
            target,
            pgsql.Identifier(key.name),
            no_way_back=f"{contract.name}: {gone}",
        )
    if contract.keys:
        _refuse_doubles(conn, contract, contract.keys, standing, to)
        to.add(
            f"made the key of {contract.name} anew: {', '.join(contract.keys)}",
            "ALTER TABLE {} ADD PRIMARY KEY ({})",
            target,
            _names(contract.keys),
        )
        to.steps.append(Step("", lambda conn: _mark_key(conn, contract.name)))


def _indexes(
    conn: Connection, contract: Contract, standing: Table, ours: set[str], to: Plan
) -> None:
    wanted = _wanted(contract)
    there = [(index.unique, index.columns) for index in standing.indexes]
    for index in standing.indexes:
        if index.name in ours and (index.unique, index.columns) not in wanted:
            to.add(
                f"gave up the {_kind(index.unique)} of {contract.name}: {', '.join(index.columns)}",
                "DROP INDEX {}.{}",
                pgsql.Identifier(contract.schema_name),
                pgsql.Identifier(index.name),
                no_way_back=f"the version before counts on {contract.name} having no doubles by "
                f"{', '.join(index.columns)}"
                if index.unique
                else "",
            )
    for unique, group in wanted:
        if (unique, group) not in there:
            if unique:
                _refuse_doubles(conn, contract, group, standing, to)
            told = f"made the {_kind(unique)} of {contract.name}: {', '.join(group)}"
            to.steps.append(Step(told, _makes_index(contract, unique, group)))


def _kind(unique: bool) -> str:
    return "unique set" if unique else "index"


def _wanted(contract: Contract) -> list[tuple[bool, list[str]]]:
    """The unique sets and indexes of a contract: whether unique, and the columns."""
    wanted = [(True, group) for group in contract.unique]
    wanted += [(False, group) for group in contract.indexes]
    if contract.partition and contract.keys[:1] != [contract.partition]:
        wanted.append((False, [contract.partition]))
    return [group for place, group in enumerate(wanted) if group not in wanted[:place]]


def _refuse_doubles(
    conn: Connection, contract: Contract, group: list[str], standing: Table, to: Plan
) -> None:
    """An obstacle where rows that stand are the same in columns that are to tell them apart."""
    if not set(group) <= set(standing.columns):
        return  # a column that is yet to come; the server will say
    target, names = warehouse.qualified(contract.name), _names(group)
    filled = pgsql.SQL(" AND ").join(
        pgsql.SQL("{} IS NOT NULL").format(pgsql.Identifier(name)) for name in group
    )
    doubles = _count(
        conn,
        pgsql.SQL(
            "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM {} WHERE {} GROUP BY {} "
            "HAVING count(*) > 1) AS doubles"
        ),
        target,
        filled,
        names,
    )
    if doubles:
        to.obstacles.append(
            f"Expected every row of {contract.name} to have its own {', '.join(group)}, found {doubles:,} "
            "rows that share theirs with another: mend or remove them."
        )


def _makes_index(
    contract: Contract, unique: bool, group: list[str]
) -> Callable[[Connection], None]:
    def do(conn: Connection) -> None:
        kind = "CREATE UNIQUE INDEX ON {} ({})" if unique else "CREATE INDEX ON {} ({})"
        _runs(kind, warehouse.qualified(contract.name), _names(group))(conn)
        made: str = warehouse.value(
            conn,
            "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
            "WHERE i.indrelid = %(table)s::regclass ORDER BY c.oid DESC LIMIT 1",
            {"table": contract.name},
        )
        _marks_index(contract, made)(conn)

    return do


def _marks_index(contract: Contract, name: str) -> Callable[[Connection], None]:
    return _runs(
        "COMMENT ON INDEX {}.{} IS {}",
        pgsql.Identifier(contract.schema_name),
        pgsql.Identifier(name),
        pgsql.Literal(MARK),
    )


def _mark_key(conn: Connection, table: str) -> None:
    name: str = warehouse.value(
        conn,
        "SELECT conname FROM pg_constraint WHERE conrelid = %(table)s::regclass AND contype = 'p'",
        {"table": table},
    )
    schema = pgsql.Identifier(table.partition(".")[0])
    _runs("COMMENT ON INDEX {}.{} IS {}", schema, pgsql.Identifier(name), pgsql.Literal(MARK))(conn)


def _comment_table(contract: Contract) -> tuple[str, pgsql.Composable, pgsql.Composable]:
    return (
        "COMMENT ON TABLE {} IS {}",
        warehouse.qualified(contract.name),
        pgsql.Literal(_words(contract)),
    )


def _comment_column(
    contract: Contract, column: Column
) -> tuple[str, pgsql.Composable, pgsql.Composable, pgsql.Composable]:
    return (
        "COMMENT ON COLUMN {}.{} IS {}",
        warehouse.qualified(contract.name),
        pgsql.Identifier(column.name),
        pgsql.Literal(_column_words(column)),
    )


def _words(contract: Contract) -> str:
    return f"{contract.description} Grain: {contract.grain}."


def _column_words(column: Column) -> str:
    marks = [column.description, f"Unit: {column.unit}." if column.unit else ""]
    marks += ["Personal data." if column.pii else "", "Generated." if column.generated else ""]
    return " ".join(filter(None, marks))


def _names(names: list[str]) -> pgsql.Composed:
    return pgsql.SQL(", ").join(map(pgsql.Identifier, names))


def _runs(template: str, *parts: pgsql.Composable) -> Callable[[Connection], None]:
    """A change that runs one statement."""

    def do(conn: Connection) -> None:
        with conn.cursor() as cursor:
            cursor.execute(pgsql.SQL(template).format(*parts))

    return do


def _count(conn: Connection, template: pgsql.SQL, *parts: pgsql.Composable) -> int:
    return int(warehouse.value(conn, template.format(*parts).as_string(conn)))

"""The warehouse as its contracts say: schemas, tables, views of the newest day, functions, grants.

Contracts change additively by themselves: a new column is added, a changed type is refused.
"""

import hashlib
from pathlib import Path
from typing import Any

from psycopg2 import sql as pgsql

from include import warehouse
from include.contracts.files import SCHEMAS, all_contracts
from include.contracts.form import Column, Contract
from include.errors import BadInput
from include.warehouse import Connection

#: Who may read a schema besides the pipeline's own role, which owns it.
READERS = {
    "marketing": ("regulars_marketing", "regulars_console"),
    "ops": ("regulars_console",),
}


#: Functions that others may call (`<schema>/<name>.function.sql`), and who; nobody else may.
CALLERS = {
    "marketing.why": READERS["marketing"],
    "marketing.redeem": ("regulars_shop",),
    "ops.record_delivery_event": ("regulars_shop",),
}


def migrate(conn: Connection) -> list[str]:
    """Bring the warehouse to what the contracts say; the changes made, one sentence each.

    Safe to run at any time and by several at once: changes are additive, in one transaction, under a
    lock.

    Raises
    ------
    BadInput
        When a column's type differs from its contract's.
    """
    warehouse.execute(conn, "SELECT pg_advisory_xact_lock(hashtext('regulars migrate'))")
    version = int(warehouse.value(conn, "SHOW server_version_num"))
    if version < 160000:
        raise BadInput(
            f"Expected PostgreSQL 16 or newer for the warehouse, found {version // 10000}: upgrade it."
        )
    changes: list[str] = []
    existing = {name for (name,) in warehouse.rows(conn, "SELECT nspname FROM pg_namespace")}
    for schema in SCHEMAS:
        if schema not in existing:
            _run(conn, "CREATE SCHEMA {}", pgsql.Identifier(schema))
            changes.append(f"created schema {schema}")
    for path in sorted(warehouse.SQL_ROOT.glob("*/*.ddl.sql")):
        warehouse.execute(conn, path.read_text(encoding="utf-8"))
    standing, required = _standing_columns(conn)
    keys = _standing_keys(conn)
    for contract in all_contracts():
        if not contract.view:
            table = contract.name
            changes += _migrate_table(conn, contract, standing.get(table), keys.get(table))
            changes += _relax(conn, contract, required.get(contract.name, set()))
    for contract in all_contracts():
        if contract.view:
            select = (
                warehouse.SQL_ROOT / contract.schema_name / f"{contract.table}.sql"
            ).read_text()
            changes += _migrate_view(conn, contract.name, select)
        elif contract.current and not _has_own_current(contract):
            changes += _migrate_view(conn, current_name(contract), _current_select(conn, contract))
    for path in functions():
        changes += _migrate_function(conn, f"{path.parent.name}.{stem(path)}", path.read_text())
    _grant(conn)
    return changes


def functions() -> list[Path]:
    """The files of the functions that others may call."""
    return sorted(warehouse.SQL_ROOT.glob("*/*.function.sql"))


def stem(path: Path) -> str:
    """The name of the function in a file."""
    return path.name.partition(".")[0]


def _run(conn: Connection, template: str, *parts: pgsql.Composable, params: Any = None) -> None:
    with conn.cursor() as cursor:
        cursor.execute(pgsql.SQL(template).format(*parts), params)


def _standing_columns(
    conn: Connection,
) -> tuple[dict[str, dict[str, str]], dict[str, set[str]]]:
    """Table -> the type of each column, and table -> the columns that are NOT NULL."""
    found: dict[str, dict[str, str]] = {}
    required: dict[str, set[str]] = {}
    for schema, table, column, kind, filled in warehouse.rows(
        conn,
        """
        SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY(%(schemas)s) AND a.attnum > 0 AND NOT a.attisdropped
        """,
        {"schemas": list(SCHEMAS)},
    ):
        found.setdefault(f"{schema}.{table}", {})[column] = kind
        if filled:
            required.setdefault(f"{schema}.{table}", set()).add(column)
    return found, required


def _relax(conn: Connection, contract: Contract, required: set[str]) -> list[str]:
    """Let be empty what the contract lets be empty by now."""
    changes = []
    for column in contract.columns:
        if column.nullable and column.name in required and column.name not in contract.keys:
            parts = (warehouse.qualified(contract.name), pgsql.Identifier(column.name))
            _run(conn, "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", *parts)
            changes.append(f"{contract.name}.{column.name} may be empty")
    return changes


def _canonical(kind: str) -> str:
    return kind.replace("timestamp with time zone", "timestamptz").replace(", ", ",")


def _migrate_table(
    conn: Connection,
    contract: Contract,
    standing: dict[str, str] | None,
    key: tuple[str, list[str]] | None,
) -> list[str]:
    target = warehouse.qualified(contract.name)
    if standing is None:
        _run(conn, "CREATE TABLE {} ({})", target, column_list(contract, strict=True))
        for position, group in enumerate((*contract.unique, *contract.indexes)):
            kind = (
                "CREATE UNIQUE INDEX ON {} ({})"
                if position < len(contract.unique)
                else ("CREATE INDEX ON {} ({})")
            )
            _run(conn, kind, target, _names(group))
        if contract.partition and contract.keys[:1] != [contract.partition]:
            _run(conn, "CREATE INDEX ON {} ({})", target, pgsql.Identifier(contract.partition))
        _comment(conn, contract, contract.columns)
        return [f"created table {contract.name}"]
    changes: list[str] = []
    for column in contract.columns:
        found = standing.get(column.name)
        if found is None:
            _run(
                conn,
                "ALTER TABLE {} ADD COLUMN {} {}",
                target,
                pgsql.Identifier(column.name),
                pgsql.SQL(column.type),
            )
            if column.fill:
                fill = (target, pgsql.Identifier(column.name), pgsql.SQL(column.fill))
                _run(conn, "UPDATE {} SET {} = {}", *fill)
            _comment(conn, contract, [column])
            changes.append(f"added column {contract.name}.{column.name}")
        elif _canonical(found) != _canonical(column.type):
            raise BadInput(
                f"Expected {contract.name}.{column.name} to be {column.type} by its contract, found "
                f"{found} in the warehouse: a type is never changed silently; give the new form a new "
                "column name, or alter the table by hand."
            )
    return changes + _migrate_key(conn, contract, key)


def _standing_keys(conn: Connection) -> dict[str, tuple[str, list[str]]]:
    """Table -> name and columns of its primary key."""
    return {
        f"{schema}.{table}": (name, columns)
        for schema, table, name, columns in warehouse.rows(
            conn,
            """
            SELECT n.nspname, t.relname, c.conname, array_agg(a.attname::text ORDER BY k.place)
            FROM pg_constraint AS c
            JOIN pg_class AS t ON t.oid = c.conrelid
            JOIN pg_namespace AS n ON n.oid = t.relnamespace AND n.nspname = ANY(%(schemas)s)
            CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
            JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
            WHERE c.contype = 'p'
            GROUP BY n.nspname, t.relname, c.conname
            """,
            {"schemas": list(SCHEMAS)},
        )
    }


def _migrate_key(
    conn: Connection, contract: Contract, standing: tuple[str, list[str]] | None
) -> list[str]:
    """Make the primary key anew where the contract names another; doubles under the new one stop it."""
    if not contract.keys or (standing and standing[1] == contract.keys):
        return []
    target = warehouse.qualified(contract.name)
    if standing:
        _run(conn, "ALTER TABLE {} DROP CONSTRAINT {}", target, pgsql.Identifier(standing[0]))
    _run(conn, "ALTER TABLE {} ADD PRIMARY KEY ({})", target, _names(contract.keys))
    return [f"made the key of {contract.name} anew: {', '.join(contract.keys)}"]


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


def _names(names: list[str]) -> pgsql.Composed:
    return pgsql.SQL(", ").join(map(pgsql.Identifier, names))


def _comment(conn: Connection, contract: Contract, columns: list[Column]) -> None:
    target = warehouse.qualified(contract.name)
    text = f"{contract.description} Grain: {contract.grain}."
    _run(conn, "COMMENT ON TABLE {} IS {}", target, pgsql.Literal(text))
    for column in columns:
        marks = [column.description, f"Unit: {column.unit}." if column.unit else ""]
        marks += ["Personal data." if column.pii else "", "Generated." if column.generated else ""]
        _run(
            conn,
            "COMMENT ON COLUMN {}.{} IS {}",
            target,
            pgsql.Identifier(column.name),
            pgsql.Literal(" ".join(filter(None, marks))),
        )


def _has_own_current(contract: Contract) -> bool:
    return (warehouse.SQL_ROOT / contract.schema_name / f"current_{contract.table}.yml").exists()


def current_name(contract: Contract) -> str:
    """The view of a table's newest day."""
    return f"{contract.schema_name}.current_{contract.table}"


def _current_select(conn: Connection, contract: Contract) -> str:
    names = _names(contract.column_names).as_string(conn)
    source = warehouse.qualified(contract.name).as_string(conn)
    if contract.partition is None:
        return f"SELECT {names} FROM {source}"
    day = pgsql.Identifier(contract.partition).as_string(conn)
    return (
        f"SELECT {names} FROM {source} WHERE {day} = (SELECT max(partition) FROM ops.publications "
        f"WHERE table_name = '{contract.name}')"
    )


def _migrate_view(conn: Connection, name: str, select: str) -> list[str]:
    """Make a view again only where its text has changed, so that readers are not disturbed."""
    mark = "definition " + hashlib.sha256(select.encode()).hexdigest()[:16]
    standing = warehouse.value(
        conn, "SELECT obj_description(to_regclass(%(name)s), 'pg_class')", {"name": name}
    )
    if standing == mark:
        return []
    target = warehouse.qualified(name)
    _run(conn, "DROP VIEW IF EXISTS {} CASCADE", target)
    with conn.cursor() as cursor:
        cursor.execute(pgsql.SQL("CREATE VIEW {} AS ").format(target) + pgsql.SQL(select))
    _run(conn, "COMMENT ON VIEW {} IS {}", target, pgsql.Literal(mark))
    return [f"defined view {name}"]


def _migrate_function(conn: Connection, name: str, definition: str) -> list[str]:
    """Make a function again only where its text has changed."""
    mark = "definition " + hashlib.sha256(definition.encode()).hexdigest()[:16]
    standing = warehouse.value(
        conn, "SELECT obj_description(to_regproc(%(name)s), 'pg_proc')", {"name": name}
    )
    if standing == mark:
        return []
    target = warehouse.qualified(name)
    _run(conn, "DROP FUNCTION IF EXISTS {}", target)
    warehouse.execute(conn, definition)
    _run(conn, "REVOKE ALL ON FUNCTION {} FROM PUBLIC", target)
    _run(conn, "COMMENT ON FUNCTION {} IS {}", target, pgsql.Literal(mark))
    return [f"defined function {name}"]


def _grant(conn: Connection) -> None:
    roles = {name for (name,) in warehouse.rows(conn, "SELECT rolname FROM pg_roles")}
    for schema, readers in READERS.items():
        for reader in roles.intersection(readers):
            parts = (pgsql.Identifier(schema), pgsql.Identifier(reader))
            _run(conn, "GRANT USAGE ON SCHEMA {} TO {}", *parts)
            _run(conn, "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}", *parts)
    for name, callers in CALLERS.items():
        home = pgsql.Identifier(name.partition(".")[0])
        for caller in roles.intersection(callers):
            role = pgsql.Identifier(caller)
            _run(conn, "GRANT USAGE ON SCHEMA {} TO {}", home, role)
            _run(conn, "GRANT EXECUTE ON FUNCTION {} TO {}", warehouse.qualified(name), role)

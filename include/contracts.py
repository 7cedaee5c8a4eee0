"""Table contracts: `include/sql/<schema>/<table>.yml` and everything that follows from them.

From a contract come the table's DDL, its view of the newest day, its grants, its quality suite
(`include.quality`), how a batch is published (`include.publication`) and its page in docs/tables.md.
Contracts change additively by themselves: a new column is added, a changed type is refused.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from psycopg2 import sql as pgsql
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include import cleaning, warehouse
from include.errors import BadInput
from include.warehouse import SQL_ROOT, Connection

SCHEMAS = ("raw", "quarantine", "core", "features", "ml", "marketing", "ops")

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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """One column.

    `run` columns say which run wrote a row and are no content of it; `keep` columns are never changed
    once a row stands. `fill`, SQL over the other columns, is what rows that stand get where the column is
    added later. `needs` names the source table without which the column is empty. `missing` and `outliers`
    are rules of cleaning (`include.cleaning`). A `currency` column holds a code: only the shop's is taken.
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
    missing: cleaning.Missing | None = None
    outliers: list[cleaning.Outlier] = []
    currency: bool = False


class Reject(_Strict):
    """Rows for which `when` (SQL over the table's columns) is true go to quarantine."""

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

    `past` names the thing (an order) whose corrected states are kept in `core.past_states`.
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
        named += [*self.past, "known_at"] if self.past else []
        named += self.gives_way.match if self.gives_way else []
        named += [self.aged_by] if self.aged_by else []
        for name in named:
            if name not in names:
                raise ValueError(f"expected '{name}' among the columns, found {', '.join(names)}")
        if self.history and not {"valid_from", "valid_to", "known_at"} <= set(names):
            raise ValueError("expected valid_from, valid_to and known_at in a table with history")
        if self.retention_days is not None and self.ages_by is None:
            raise ValueError("expected a partition or aged_by beside retention_days")
        wrong = cleaning.refused(self.columns, self.source)
        if wrong:
            raise ValueError(wrong)
        if self.write != "replace" and not self.keys:
            raise ValueError(f"expected keys in a table that is written by {self.write}")
        return self

    @property
    def name(self) -> str:
        return f"{self.schema_name}.{self.table}"

    @property
    def path(self) -> Path:
        return SQL_ROOT / self.schema_name / f"{self.table}.yml"

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


@cache
def load(schema: str, table: str) -> Contract:
    """The contract of one table.

    Raises
    ------
    BadInput
        When the file is absent or breaks the form.
    """
    path = SQL_ROOT / schema / f"{table}.yml"
    if not path.exists():
        raise BadInput(f"Expected the contract include/sql/{schema}/{table}.yml, found none.")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        body = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader
        return Contract(schema_name=schema, table=table, **body)
    except yaml.YAMLError as error:
        raise BadInput(
            f"Expected YAML in include/sql/{schema}/{table}.yml, found {error}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the contract"
        raise BadInput(
            f"include/sql/{schema}/{table}.yml: {where}: {first['msg']} (found {first['input']!r:.80})."
        ) from None


@cache
def all_contracts() -> tuple[Contract, ...]:
    """Every contract, schema by schema, tables by name."""
    return tuple(
        load(schema, path.stem)
        for schema in SCHEMAS
        for path in sorted((SQL_ROOT / schema).glob("*.yml"))
    )


def currency_rejects(contract: Contract, currency: str) -> list[Reject]:
    """The rules by which a table takes one currency alone."""
    found = []
    for column in contract.columns:
        if column.currency:
            form = f"\"{column.name}\" ~ '^[A-Z]{{3}}$'"
            found += [
                Reject(
                    reason=f"unknown_{column.name}",
                    when=f"NOT {form}",
                    expected="a currency code of three letters",
                ),
                Reject(
                    reason=f"foreign_{column.name}",
                    when=f"{form} AND \"{column.name}\" <> '{currency}'",
                    expected="the currency of the shop, as its policy says: amounts are not converted",
                ),
            ]
    return found


def of_dataset(dataset: str) -> tuple[Contract, ...]:
    """The contracts of the tables that one DAG publishes together."""
    return tuple(contract for contract in all_contracts() if contract.dataset == dataset)


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
    for path in sorted(SQL_ROOT.glob("*/*.ddl.sql")):
        warehouse.execute(conn, path.read_text(encoding="utf-8"))
    standing, required = _standing_columns(conn)
    for contract in all_contracts():
        if not contract.view:
            changes += _migrate_table(conn, contract, standing.get(contract.name))
            changes += _relax(conn, contract, required.get(contract.name, set()))
    for contract in all_contracts():
        if contract.view:
            select = (SQL_ROOT / contract.schema_name / f"{contract.table}.sql").read_text()
            changes += _migrate_view(conn, contract.name, select)
        elif contract.current and not _has_own_current(contract):
            changes += _migrate_view(conn, _current_name(contract), _current_select(conn, contract))
    for path in _functions():
        changes += _migrate_function(conn, f"{path.parent.name}.{_stem(path)}", path.read_text())
    _grant(conn)
    return changes


def _functions() -> list[Path]:
    return sorted(SQL_ROOT.glob("*/*.function.sql"))


def _stem(path: Path) -> str:
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
    conn: Connection, contract: Contract, standing: dict[str, str] | None
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
    return changes + _migrate_key(conn, contract)


def _migrate_key(conn: Connection, contract: Contract) -> list[str]:
    """Make the primary key anew where the contract names another; doubles under the new one stop it."""
    found = warehouse.rows(
        conn,
        """
        SELECT c.conname, array_agg(a.attname::text ORDER BY k.place)
        FROM pg_constraint AS c
        CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
        WHERE c.contype = 'p' AND c.conrelid = to_regclass(%(name)s)
        GROUP BY c.conname
        """,
        {"name": contract.name},
    )
    if not contract.keys or (found and found[0][1] == contract.keys):
        return []
    target = warehouse.qualified(contract.name)
    for name, _ in found:
        _run(conn, "ALTER TABLE {} DROP CONSTRAINT {}", target, pgsql.Identifier(name))
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
    return (SQL_ROOT / contract.schema_name / f"current_{contract.table}.yml").exists()


def _current_name(contract: Contract) -> str:
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


def documentation() -> str:
    """docs/tables.md: the data dictionary, table by table."""
    lines = [
        "# Tables",
        "",
        "Made from the contracts by `bin/regulars run -m include.contracts docs`; edit those instead.",
    ]
    for schema in SCHEMAS:
        members = [contract for contract in all_contracts() if contract.schema_name == schema]
        if members:
            lines += ["", f"## {schema}"]
        for contract in members:
            lines += _table_page(contract)
        for path in _functions():
            if path.parent.name == schema:
                lines += _function_page(f"{schema}.{_stem(path)}", path.read_text())
    return "\n".join(lines) + "\n"


def _function_page(name: str, definition: str) -> list[str]:
    """A function's head and the comment above it."""
    head, _, rest = definition.partition("CREATE FUNCTION ")
    words = " ".join(line.removeprefix("--").strip() for line in head.splitlines())
    signature = " ".join(rest.partition("\nLANGUAGE ")[0].split())
    callers = ", ".join(f"`{caller}`" for caller in CALLERS.get(name, ())) or "nobody else"
    return ["", f"### {name} (function)", "", words, "", f"Called by {callers}: `{signature}`."]


def _table_page(contract: Contract) -> list[str]:
    facts = [f"Grain: {contract.grain}.", f"Owner: {contract.owner}.", f"Tier: {contract.tier}."]
    if contract.keys:
        facts.append(f"Key: {', '.join(contract.keys)}.")
    if contract.dataset:
        facts.append(f"Published with: {contract.dataset}.")
    if contract.retention_days:
        facts.append(f"Kept for {contract.retention_days} days.")
    if contract.current:
        facts.append(f"Newest day: `{_current_name(contract)}`.")
    lines = ["", f"### {contract.name}", "", contract.description, "", " ".join(facts), ""]
    lines += ["| column | type | what it is |", "|---|---|---|"]
    for column in contract.columns:
        marks = [column.description, f"Unit: {column.unit}." if column.unit else ""]
        marks += [
            "*Personal data.*" if column.pii else "",
            "*Generated.*" if column.generated else "",
            f"Empty without the source {column.needs}." if column.needs else "",
            *_rules(column),
        ]
        lines.append(f"| `{column.name}` | {column.type} | {' '.join(filter(None, marks))} |")
    rejects = [*contract.rejects, *currency_rejects(contract, "the shop's")]
    if rejects:
        lines += ["", "Rows that go to quarantine:", ""]
        lines += [f"- `{rule.reason}`: expected {rule.expected}." for rule in rejects]
    return lines


def _rules(column: Column) -> list[str]:
    """The rules of cleaning of a column, a sentence each."""
    told = []
    if column.missing and column.missing.becomes is not None:
        becomes = column.missing.becomes.replace("%(currency)s", "the policy's currency")
        told.append(f"Missing: becomes `{becomes}`.")
    if column.missing and column.missing.flag:
        told.append(f"Missing: flagged `{column.missing.flag}`.")
    return told + [rule.words() for rule in column.outliers]


def main(arguments: list[str]) -> int:
    """`docs [FILE]` writes the data dictionary; `migrate` brings the warehouse up to date."""
    if arguments[:1] == ["docs"]:
        path = Path(arguments[1]) if arguments[1:] else warehouse.ROOT / "docs" / "tables.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(documentation(), encoding="utf-8")
        print(f"wrote {path}")
        return 0
    if arguments == ["migrate"]:
        with warehouse.connect() as conn:
            changes = migrate(conn)
        print("\n".join(changes) or "the warehouse is up to date")
        return 0
    print("expected `docs [FILE]` or `migrate`")
    return 2


if __name__ == "__main__":
    import sys

    try:
        sys.exit(main(sys.argv[1:]))
    except BadInput as error:
        sys.exit(str(error))

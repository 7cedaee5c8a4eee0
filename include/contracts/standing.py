"""What stands in the warehouse, as its catalogues tell: the columns, the key and the indexes of each table.

What a contract makes carries a comment (`MARK` on keys and indexes, the description on tables and columns).
What carries none is somebody's own: it is kept as it is.
"""

from dataclasses import dataclass, field

from include import warehouse
from include.contracts.files import SCHEMAS
from include.warehouse import Connection

#: The comment of a key or an index that a contract made.
MARK = "by contract"


@dataclass(frozen=True)
class StandingColumn:
    """One column: `given` says that it fills itself (a default, an identity, an expression)."""

    type: str
    required: bool
    given: bool
    comment: str | None

    @property
    def ours(self) -> bool:
        return self.comment is not None


@dataclass(frozen=True)
class Index:
    """One index, or the key, over plain columns."""

    name: str
    columns: list[str]
    unique: bool
    comment: str | None


@dataclass
class Table:
    """One table."""

    comment: str | None
    columns: dict[str, StandingColumn] = field(default_factory=dict)
    key: Index | None = None
    indexes: list[Index] = field(default_factory=list)


def tables(conn: Connection) -> dict[str, Table]:
    """Every table of the warehouse's schemas, by name."""
    schemas = {"schemas": list(SCHEMAS)}
    found: dict[str, Table] = {}
    for table, comment in warehouse.rows(
        conn,
        """
        SELECT n.nspname || '.' || c.relname, obj_description(c.oid, 'pg_class')
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p')
        """,
        schemas,
    ):
        found[table] = Table(comment)
    for table, column, *about in warehouse.rows(
        conn,
        """
        SELECT
            n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
            a.attnotnull, a.atthasdef OR a.attidentity <> '', col_description(c.oid, a.attnum)
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY(%(schemas)s) AND a.attnum > 0 AND NOT a.attisdropped
        """,
        schemas,
    ):
        found[table].columns[column] = StandingColumn(*about)
    for table, is_key, *about in warehouse.rows(
        conn,
        """
        SELECT
            n.nspname || '.' || t.relname, i.indisprimary, c.relname,
            ARRAY(
                SELECT a.attname::text
                FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                WHERE k.place <= i.indnkeyatts
                ORDER BY k.place
            ),
            i.indisunique, obj_description(c.oid, 'pg_class')
        FROM pg_index AS i
        JOIN pg_class AS t ON t.oid = i.indrelid AND t.relkind IN ('r', 'p')
        JOIN pg_namespace AS n ON n.oid = t.relnamespace
        JOIN pg_class AS c ON c.oid = i.indexrelid
        JOIN pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
        WHERE
            n.nspname = ANY(%(schemas)s) AND i.indisvalid AND i.indimmediate
            AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT i.indnullsnotdistinct
        ORDER BY c.relname
        """,
        schemas,
    ):
        if is_key:
            found[table].key = Index(*about)
        else:
            found[table].indexes.append(Index(*about))
    return found


def others(conn: Connection) -> dict[str, str]:
    """What else stands under the name of a table, by name: a view, a foreign table, a sequence."""
    kinds = {"v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence"}
    return {
        name: kinds[kind]
        for name, kind in warehouse.rows(
            conn,
            """
            SELECT n.nspname || '.' || c.relname, c.relkind::text
            FROM pg_class AS c
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('v', 'm', 'f', 'S')
            """,
            {"schemas": list(SCHEMAS)},
        )
    }

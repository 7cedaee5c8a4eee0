"""Views and functions: made again where their text has changed, with what hangs on them put back.

A view of somebody's own that stands in the way is taken down and put back as it was, in the same transaction:
with its text, options, comments and grants. What cannot be put back exactly is named, and nothing is changed.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql as pgsql

from include import warehouse
from include.contracts.form import Contract
from include.errors import BadInput
from include.warehouse import Connection

#: How the comment of a view or function of ours begins; a hash of its text follows.
_MARK = "definition "


@dataclass(frozen=True)
class Grant:
    """What somebody may do with a view or a function; PUBLIC is everybody."""

    who: str
    what: str
    passes_on: bool

    def give(self, conn: Connection, kind: str, target: pgsql.Composable) -> None:
        """Grant it again."""
        _run(
            conn,
            f"GRANT {self.what} ON {kind} {{}} TO {{}}{{}}",
            target,
            pgsql.SQL("PUBLIC") if self.who == "PUBLIC" else pgsql.Identifier(self.who),
            pgsql.SQL(" WITH GRANT OPTION" if self.passes_on else ""),
        )


@dataclass(frozen=True)
class View:
    """A view as it stands, with all that is needed to make it again."""

    oid: int
    schema: str
    name: str
    text: str
    options: list[str]
    comments: dict[str, str]
    grants: list[Grant]

    @property
    def target(self) -> pgsql.Composed:
        return warehouse.qualified(f"{self.schema}.{self.name}")

    def put_back(self, conn: Connection) -> None:
        """Make the view again."""
        options = pgsql.SQL(f" WITH ({', '.join(self.options)})" if self.options else "")
        _run(conn, "CREATE VIEW {}{} AS {}", self.target, options, pgsql.SQL(self.text))
        for column, comment in self.comments.items():
            if column:
                parts = (self.target, pgsql.Identifier(column), pgsql.Literal(comment))
                _run(conn, "COMMENT ON COLUMN {}.{} IS {}", *parts)
            else:
                _run(conn, "COMMENT ON VIEW {} IS {}", self.target, pgsql.Literal(comment))
        for grant in self.grants:
            grant.give(conn, "TABLE", self.target)


def functions() -> list[Path]:
    """The files of the functions that others may call."""
    return sorted(warehouse.SQL_ROOT.glob("*/*.function.sql"))


def stem(path: Path) -> str:
    """The name of the function in a file."""
    return path.name.partition(".")[0]


def current_name(contract: Contract) -> str:
    """The view of a table's newest day."""
    return f"{contract.schema_name}.current_{contract.table}"


def define_view(conn: Connection, name: str, select: str) -> list[str]:
    """Make a view again only where its text has changed, so that readers are not disturbed."""
    mark = _mark(select)
    standing = warehouse.rows(
        conn,
        "SELECT oid, obj_description(oid, 'pg_class') FROM pg_class WHERE oid = to_regclass(%(name)s)",
        {"name": name},
    )
    if standing and standing[0][1] == mark:
        return []
    target = warehouse.qualified(name)
    create = "CREATE VIEW {} AS {}"
    if standing:
        oid, known = standing[0]
        _refuse_foreign(name, known, "view")
        if not _replaces(conn, target, select):
            (old,) = _views(conn, [oid])
            with set_aside(conn, _hanging_on(conn, oid)):
                _run(conn, "DROP VIEW {}", target)
                _run(conn, create, target, pgsql.SQL(select))
                for grant in old.grants:
                    grant.give(conn, "TABLE", target)
    else:
        _run(conn, create, target, pgsql.SQL(select))
    _run(conn, "COMMENT ON VIEW {} IS {}", target, pgsql.Literal(mark))
    return [f"defined view {name}"]


def define_function(conn: Connection, name: str, definition: str) -> list[str]:
    """Make a function again only where its text has changed; who may call it still may."""
    mark = _mark(definition)
    standing = warehouse.rows(
        conn,
        "SELECT oid, obj_description(oid, 'pg_proc') FROM pg_proc WHERE oid = to_regproc(%(name)s)",
        {"name": name},
    )
    if standing and standing[0][1] == mark:
        return []
    target = warehouse.qualified(name)
    grants: list[Grant] = []
    if standing:
        oid, known = standing[0]
        _refuse_foreign(name, known, "function")
        grants = _grants(conn, "pg_proc", "proacl", "proowner", oid)
        _run(conn, "DROP FUNCTION {}", target)
    warehouse.execute(conn, definition)
    _run(conn, "REVOKE ALL ON FUNCTION {} FROM PUBLIC", target)
    for grant in grants:
        grant.give(conn, "FUNCTION", target)
    _run(conn, "COMMENT ON FUNCTION {} IS {}", target, pgsql.Literal(mark))
    return [f"defined function {name}"]


def columns_of(conn: Connection, table: str, column: str) -> list[int]:
    """The views that read a column of a table, and those that read them, in the order of making them."""
    return _hanging(
        conn,
        "d.refobjid = %(table)s::regclass AND d.refobjsubid = (SELECT attnum FROM pg_attribute "
        "WHERE attrelid = %(table)s::regclass AND attname = %(column)s)",
        {"table": table, "column": column},
    )


def _hanging_on(conn: Connection, oid: int) -> list[int]:
    """The same of a view."""
    return _hanging(conn, "d.refobjid = %(oid)s", {"oid": oid})


def _hanging(conn: Connection, first: str, params: dict[str, object]) -> list[int]:
    found = warehouse.rows(
        conn,
        f"""
        WITH RECURSIVE reads AS (
            SELECT DISTINCT r.ev_class, d.refobjid, d.refobjsubid
            FROM pg_depend AS d
            JOIN pg_rewrite AS r ON r.oid = d.objid
            WHERE
                d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
                AND r.ev_class <> d.refobjid
        ),

        hanging AS (
            SELECT d.ev_class AS oid, 1 AS depth FROM reads AS d WHERE {first}
            UNION
            SELECT d.ev_class, h.depth + 1 FROM hanging AS h JOIN reads AS d ON d.refobjid = h.oid
        )

        SELECT oid::bigint FROM hanging GROUP BY oid ORDER BY max(depth), oid
        """,
        params,
    )
    return [oid for (oid,) in found]


@contextmanager
def set_aside(conn: Connection, oids: Sequence[int]) -> Iterator[None]:
    """Take views down for a change beneath them, and put them back.

    Parameters
    ----------
    oids
        The views, each after those that it reads.

    Raises
    ------
    BadInput
        When one cannot be put back as it was, or what it reads is no longer there.
    """
    kept = _views(conn, oids)
    for view in reversed(kept):
        _run(conn, "DROP VIEW {}", view.target)
    yield
    for view in kept:
        try:
            view.put_back(conn)
        except psycopg2.ProgrammingError as error:
            raise BadInput(
                f"Expected to put the view {view.schema}.{view.name} back as it was, found: "
                f"{warehouse.without_values(error)}. Drop or change it first. Nothing was changed."
            ) from None


def _views(conn: Connection, oids: Sequence[int]) -> list[View]:
    found: dict[int, View] = {}
    for oid, schema, name, kind, owner, own, extras, text, options in warehouse.rows(
        conn,
        """
        SELECT
            c.oid::bigint, n.nspname, c.relname, c.relkind::text, c.relowner::regrole::text,
            c.relowner = current_user::regrole,
            EXISTS (SELECT 1 FROM pg_trigger AS t WHERE t.tgrelid = c.oid)
            OR EXISTS (SELECT 1 FROM pg_rewrite AS r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')
            OR EXISTS (SELECT 1 FROM pg_attrdef AS f WHERE f.adrelid = c.oid)
            OR EXISTS (SELECT 1 FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL),
            rtrim(pg_get_viewdef(c.oid), ';'), coalesce(c.reloptions, '{}')
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = ANY(%(oids)s::oid[])
        """,
        {"oids": list(oids)},
    ):
        if kind != "v" or not own or extras:
            what = "a rule or trigger of it" if extras else f"it is the {owner}'s"
            what = what if kind == "v" else "it is no plain view"
            raise BadInput(
                f"Expected to take {schema}.{name} down for the change of what it reads and to put it "
                f"back as it was, found that this cannot be done ({what}): drop it, and make it again "
                "afterwards. Nothing was changed."
            )
        comments = warehouse.rows(
            conn,
            """
            SELECT coalesce(a.attname, ''), d.description
            FROM pg_description AS d
            LEFT JOIN pg_attribute AS a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
                AND d.objsubid > 0
            WHERE d.classoid = 'pg_class'::regclass AND d.objoid = %(oid)s
            """,
            {"oid": oid},
        )
        grants = _grants(conn, "pg_class", "relacl", "relowner", oid)
        found[oid] = View(oid, schema, name, text, options, dict(comments), grants)
    return [found[oid] for oid in oids]


def _grants(conn: Connection, catalogue: str, rights: str, owner: str, oid: int) -> list[Grant]:
    """What is granted to others than the owner."""
    return [
        Grant(*row)
        for row in warehouse.rows(
            conn,
            f"""
            SELECT
                CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END,
                g.privilege_type, g.is_grantable
            FROM {catalogue} AS c, aclexplode(c.{rights}) AS g
            WHERE c.oid = %(oid)s AND g.grantee <> c.{owner}
            """,
            {"oid": oid},
        )
    ]


def _replaces(conn: Connection, target: pgsql.Composed, select: str) -> bool:
    """Whether the view could be replaced in place: as long as it only gains columns at its end."""
    warehouse.execute(conn, "SAVEPOINT replacing")
    try:
        _run(conn, "CREATE OR REPLACE VIEW {} AS {}", target, pgsql.SQL(select))
    except psycopg2.errors.InvalidTableDefinition:
        warehouse.execute(conn, "ROLLBACK TO SAVEPOINT replacing")
        return False
    warehouse.execute(conn, "RELEASE SAVEPOINT replacing")
    return True


def _refuse_foreign(name: str, comment: str | None, kind: str) -> None:
    if not (comment or "").startswith(_MARK):
        raise BadInput(
            f"Expected to make the {kind} {name}, found one of your own by that name: rename it. "
            "Nothing was changed."
        )


def _mark(text: str) -> str:
    return _MARK + hashlib.sha256(text.encode()).hexdigest()[:16]


def _run(conn: Connection, template: str, *parts: pgsql.Composable) -> None:
    with conn.cursor() as cursor:
        cursor.execute(pgsql.SQL(template).format(*parts))

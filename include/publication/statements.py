"""Pieces of the SQL by which batches are staged and published."""

from collections.abc import Sequence

from psycopg2 import sql as pgsql

from include.warehouse import Connection


def names_of(names: Sequence[str]) -> pgsql.Composed:
    """Quoted names, with commas."""
    return pgsql.SQL(", ").join(map(pgsql.Identifier, names))


def pairs(names: Sequence[str], template: str, joint: str) -> pgsql.Composed:
    """A template for each name, joined: `s.{0} = t.{0} AND ...`."""
    return pgsql.SQL(joint).join(
        pgsql.SQL(template).format(pgsql.Identifier(name)) for name in names
    )


def execute(
    conn: Connection, template: str, *parts: pgsql.Composable, **named: pgsql.Composable
) -> None:
    """Run a template with its parts quoted."""
    with conn.cursor() as cursor:
        cursor.execute(pgsql.SQL(template).format(*parts, **named))

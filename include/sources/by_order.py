"""Columns that lines of a file have from their order: what stands on its first line alone, shares of amounts.

Shop systems export an order as several lines. What is the order's own may stand on the first of them, blank
below; a discount or a refund may stand there in one sum.
"""

from psycopg2 import sql as pgsql

from include import warehouse
from include.sources.file_mapping import Files, FillDown
from include.warehouse import Connection


def fill(conn: Connection, table: str, fill: FillDown) -> None:
    """Fill the blanks of a table of lines from the first line of the same key and file."""
    statement = pgsql.SQL(
        "UPDATE {table} AS l SET {sets} FROM ("
        "SELECT DISTINCT ON (file, {key}) * FROM {table} ORDER BY file, {key}, line"
        ") AS f WHERE l.file = f.file AND l.{key} = f.{key} AND l.line > f.line"
    ).format(
        table=warehouse.qualified(table),
        key=pgsql.Identifier(fill.by),
        sets=pgsql.SQL(", ").join(
            pgsql.SQL("{0} = CASE WHEN btrim(l.{0}::text) <> '' THEN l.{0} ELSE f.{0} END").format(
                pgsql.Identifier(column)
            )
            for column in fill.columns
        ),
    )
    with conn.cursor() as cursor:
        cursor.execute(statement)


def with_more(lines: pgsql.Composed, form: Files) -> pgsql.Composed:
    """A SELECT of lines with the further columns of their form: `also`, then `shares`.

    A line's share is what the rounded sum up to it grows by: so the shares of an order sum to its amount to
    the penny, and none is further than a penny from its own. Where nothing has a weight, all have the same.
    """
    for name, expression in form.also.items():
        lines = pgsql.SQL("SELECT l.*, ({value}\n) AS {column} FROM ({lines}) AS l").format(
            value=pgsql.SQL(expression), column=pgsql.Identifier(name), lines=lines
        )
    for name, share in form.shares.items():
        # Blanks keep the helpers' names apart from those of any column.
        helpers = {
            helper: pgsql.Identifier(f"{name} {helper}")
            for helper in ("by", "of", "given", "weight", "total", "upto")
        }
        lines = pgsql.SQL(
            "SELECT n.*, round({of} * {upto} / {total}, 2) - round({of} * ({upto} - {weight}) / {total}, 2) "
            "AS {column} FROM (SELECT m.*, sum({weight}) OVER (PARTITION BY {by}) AS {total}, "
            "sum({weight}) OVER (PARTITION BY {by} ORDER BY file, line) AS {upto} FROM (SELECT k.*, "
            "CASE WHEN sum({given}) OVER (PARTITION BY {by}) > 0 THEN {given} ELSE 1 END AS {weight} "
            "FROM (SELECT l.*, ({key}\n) AS {by}, ({amount}\n)::numeric AS {of}, "
            "greatest(coalesce(({proportion}\n)::numeric, 0), 0) AS {given} FROM ({lines}) AS l"
            ") AS k) AS m) AS n"
        ).format(
            column=pgsql.Identifier(name),
            key=pgsql.SQL(share.by),
            amount=pgsql.SQL(share.of),
            proportion=pgsql.SQL(share.in_proportion_to),
            lines=lines,
            **helpers,
        )
    return lines

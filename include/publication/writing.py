"""One staged table into its published one, as its contract says: replaced by days, or changed by key."""

from collections.abc import Sequence
from datetime import date

from psycopg2 import sql as pgsql

from include import warehouse
from include.contracts import Contract
from include.publication import newest, past
from include.publication.batches import Batch
from include.publication.statements import execute, names_of, pairs
from include.warehouse import Connection


def write(conn: Connection, batch: Batch, contract: Contract) -> None:
    """Publish one table of a batch, in the caller's transaction."""
    if contract.write == "upsert":
        if contract.gives_way:
            execute(
                conn,
                "DELETE FROM {} AS t USING {} AS s WHERE {} AND ({})",
                warehouse.qualified(contract.name),
                staged_table(batch, contract),
                pairs(contract.gives_way.match, "s.{0} = t.{0}", " AND "),
                pgsql.SQL(contract.gives_way.when),
            )
        if contract.past:
            past.keep(conn, batch, contract, pgsql.SQL("true"))
        _upsert(conn, batch, contract, days=None)
        if contract.history:
            _close_versions(conn, batch, contract, contract.history.key)
        return
    if contract.partition is None:
        _replace_whole(conn, batch, contract)
        return
    days = _days_to_replace(conn, batch, contract)
    partition = pgsql.Identifier(contract.partition)
    target, staged = warehouse.qualified(contract.name), staged_table(batch, contract)
    window = pgsql.SQL("{} = ANY({}::date[])").format(partition, pgsql.Literal(days))
    if contract.past:
        past.keep(conn, batch, contract, window)
    standing = pgsql.SQL("SELECT 1 FROM {} WHERE {} LIMIT 1").format(target, window)
    if not contract.keys:
        execute(conn, "DELETE FROM {} WHERE {}", target, window)
        _insert(conn, contract, staged, window)
        return
    if warehouse.value(conn, standing.as_string(conn)) is not None:
        execute(
            conn,
            "DELETE FROM {} AS t WHERE t.{} AND NOT EXISTS (SELECT 1 FROM {} AS s WHERE {})",
            target,
            window,
            staged,
            pairs(contract.keys, "s.{0} = t.{0}", " AND "),
        )
    _upsert(conn, batch, contract, days=days)


def _replace_whole(conn: Connection, batch: Batch, contract: Contract) -> None:
    """A table without days: what is not staged goes, what is staged stays or comes."""
    target, staged = warehouse.qualified(contract.name), staged_table(batch, contract)
    if not contract.keys:
        execute(conn, "DELETE FROM {}", target)
        _insert(conn, contract, staged, pgsql.SQL("true"))
        return
    execute(
        conn,
        "DELETE FROM {} AS t WHERE NOT EXISTS (SELECT 1 FROM {} AS s WHERE {})",
        target,
        staged,
        pairs(contract.keys, "s.{0} = t.{0}", " AND "),
    )
    _upsert(conn, batch, contract, days=None)


def _days_to_replace(conn: Connection, batch: Batch, contract: Contract) -> list[date]:
    """The batch's days, without those that a newer batch has published."""
    return [
        day
        for (day,) in warehouse.rows(
            conn,
            """
            SELECT day::date
            FROM generate_series(%(since)s::date, %(as_of)s::date, interval '1 day') AS day
            WHERE NOT EXISTS (
                SELECT 1 FROM ops.publications AS p
                WHERE p.table_name = %(table)s AND p.partition = day::date AND p.token > %(token)s
            )
            """,
            batch.params | {"table": contract.name},
        )
    ]


def _insert(
    conn: Connection, contract: Contract, staged: pgsql.Composed, where: pgsql.Composable
) -> None:
    names = names_of(contract.column_names)
    execute(
        conn,
        "INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}",
        warehouse.qualified(contract.name),
        names,
        names,
        staged,
        where,
    )


def _upsert(
    conn: Connection, batch: Batch, contract: Contract, days: Sequence[date] | None
) -> None:
    """Insert by key, or change what differs; a row whose content stands is not touched.

    Where a table keeps only the newest version of a thing (`known_at` outside its key), an older
    version never overwrites a newer one, whichever run brings it.
    """
    where: pgsql.Composable = pgsql.SQL("true")
    if days is not None and contract.partition:
        where = pgsql.SQL("{} = ANY({}::date[])").format(
            pgsql.Identifier(contract.partition), pgsql.Literal(list(days))
        )
    fixed = set(contract.keys) | {column.name for column in contract.columns if column.keep}
    if contract.history:
        fixed.add("valid_to")
    changing = [name for name in contract.content if name not in fixed]
    if not changing:
        action: pgsql.Composable = pgsql.SQL("DO NOTHING")
    else:
        following = changing + [column.name for column in contract.columns if column.run]
        condition = pgsql.SQL("({}) IS DISTINCT FROM ({})").format(
            pairs(changing, "t.{0}", ", "), pairs(changing, "excluded.{0}", ", ")
        )
        if days is not None and contract.partition:
            # A row that stands on another day is replaced by a newer one alone: newer by the shop's stamp, or
            # by the batch where the shop has none.
            newer = pgsql.SQL(
                "NOT EXISTS (SELECT 1 FROM ops.publications AS p WHERE p.table_name = {} "
                "AND p.partition = t.{} AND p.token > {})"
            ).format(
                pgsql.Literal(contract.name),
                pgsql.Identifier(contract.partition),
                pgsql.Literal(batch.token),
            )
            if "known_at" in contract.content:
                newer = pgsql.SQL(
                    "CASE WHEN coalesce(excluded.known_at, t.known_at) IS NULL THEN {} ELSE {} END"
                ).format(newer, pgsql.SQL(newest.first(contract, "excluded", "t")))
            condition += pgsql.SQL(" AND (t.{day} = ANY({days}::date[]) OR {newer})").format(
                day=pgsql.Identifier(contract.partition),
                days=pgsql.Literal(list(days)),
                newer=newer,
            )
        if contract.write == "upsert" and "known_at" in changing:
            condition += pgsql.SQL(" AND excluded.known_at >= t.known_at")
        action = pgsql.SQL("DO UPDATE SET {} WHERE {}").format(
            pairs(following, "{0} = excluded.{0}", ", "), condition
        )
    names = names_of(contract.column_names)
    execute(
        conn,
        "INSERT INTO {} AS t ({}) SELECT {} FROM {} WHERE {} ON CONFLICT ({}) {}",
        warehouse.qualified(contract.name),
        names,
        names,
        staged_table(batch, contract),
        where,
        names_of(contract.keys),
        action,
    )


def _close_versions(conn: Connection, batch: Batch, contract: Contract, key: list[str]) -> None:
    """valid_to of each version is the next one's valid_from, for the keys the batch touched."""
    execute(
        conn,
        """
        UPDATE {target} AS t SET valid_to = v.next_from
        FROM (
            SELECT {primary}, lead(valid_from) OVER (
                PARTITION BY {key} ORDER BY valid_from, known_at, {primary}
            ) AS next_from
            FROM {target} AS h
            WHERE EXISTS (SELECT 1 FROM {staged} AS s WHERE {same_key})
        ) AS v
        WHERE {same_row} AND t.valid_to IS DISTINCT FROM v.next_from
        """,
        target=warehouse.qualified(contract.name),
        staged=staged_table(batch, contract),
        primary=names_of(contract.keys),
        key=names_of(key),
        same_key=pairs(key, "s.{0} = h.{0}", " AND "),
        same_row=pairs(contract.keys, "v.{0} = t.{0}", " AND "),
    )


def staged_table(batch: Batch, contract: Contract) -> pgsql.Composed:
    """The staged table, quoted."""
    return warehouse.qualified(batch.table(contract))

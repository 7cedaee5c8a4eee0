"""What piles up is cleared away: expired rows, batches that died, models that nobody needs."""

import logging

from psycopg2 import sql as pgsql

from include import contracts, warehouse
from include.contracts import Contract
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: A batch that was opened so long ago and never published is nobody's any more.
DEAD_AFTER_HOURS = 48

#: Champions are kept as long as the segments that name them: a day up to then can be scored again.
CHAMPION_DAYS = 400

#: Rather than wait for a reader or a publication, a step gives up and is tried again.
LOCK_TIMEOUT = "30s"


def remove_expired() -> dict[str, int]:
    """Remove what is older than its contract's `retention_days`; rows removed from each table.

    A business day is old beside the newest one that was published of its table, a stamp beside now. So a
    shop whose data stand still loses nothing. What says when it was loaded is kept that long from then on,
    whatever day it is of: a history that was loaded at once can be replayed as long as anything else.
    """
    removed = {}
    for contract in contracts.all_contracts():
        if contract.retention_days is not None:
            with warehouse.connect() as conn:
                _be_patient(conn)
                removed[contract.name] = _remove_expired(conn, contract)
    kept = {name: count for name, count in removed.items() if count}
    log.info("Removed expired rows: %s", kept or "none")
    return removed


def _remove_expired(conn: Connection, contract: Contract) -> int:
    age = contract.ages_by
    if age is None:
        return 0
    by_stamp = contract.column(age).type == "timestamptz"
    newest = (
        pgsql.SQL("now()")
        if by_stamp
        else pgsql.SQL(
            "coalesce((SELECT max(partition) FROM ops.publications WHERE table_name = {name}), "
            "(SELECT max({age}) FROM {table}))"
        ).format(
            name=pgsql.Literal(contract.name),
            age=pgsql.Identifier(age),
            table=warehouse.qualified(contract.name),
        )
    )
    days = pgsql.Literal(contract.retention_days)
    limit = pgsql.SQL("make_interval(days => {})").format(days) if by_stamp else days
    with conn.cursor() as cursor:
        cursor.execute(
            pgsql.SQL("DELETE FROM {table} WHERE {age} < {newest} - {limit}{loaded}").format(
                table=warehouse.qualified(contract.name),
                age=pgsql.Identifier(age),
                newest=newest,
                limit=limit,
                loaded=_loaded_long_ago(contract),
            )
        )
        return cursor.rowcount


def _loaded_long_ago(contract: Contract) -> pgsql.Composable:
    """That a row was loaded so long before the newest load of its table; nothing where it does not say."""
    if "_loaded_at" not in contract.column_names:
        return pgsql.SQL("")
    return pgsql.SQL(
        " AND coalesce(_loaded_at < (SELECT max(_loaded_at) FROM {table}) - make_interval(days => {days}), "
        "true)"
    ).format(table=warehouse.qualified(contract.name), days=pgsql.Literal(contract.retention_days))


def drop_dead_batches() -> int:
    """Drop the staging schemas of batches that were opened long ago and never published."""
    with warehouse.connect() as conn:
        _be_patient(conn)
        dead = warehouse.rows(
            conn,
            """
            SELECT n.nspname, b.token
            FROM pg_namespace AS n
            LEFT JOIN ops.batches AS b ON n.nspname = 'stage_' || b.token
            WHERE n.nspname ~ '^stage_[0-9]+$'
                AND (
                    b.token IS NULL
                    OR (b.published_at IS NULL AND b.opened_at < now() - make_interval(hours => %(hours)s))
                )
            """,
            {"hours": DEAD_AFTER_HOURS},
        )
        for schema, token in dead:
            with conn.cursor() as cursor:
                cursor.execute(
                    pgsql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(pgsql.Identifier(schema))
                )
            warehouse.execute(
                conn, "UPDATE ops.batches SET staged = false WHERE token = %(t)s", {"t": token}
            )
    log.info("Dropped %s batches that were never published.", len(dead))
    return len(dead)


def remove_old_models() -> dict[str, int]:
    """Empty the artefacts that no champion needs, and remove champions of long ago.

    A rival keeps its row and its figures, without the model. A run for a day whose champion was removed
    trains it again.
    """
    with warehouse.connect() as conn:
        _be_patient(conn)
        emptied = warehouse.execute(
            conn,
            """
            UPDATE ml.models AS m SET artefact = NULL
            WHERE NOT m.is_champion AND m.artefact IS NOT NULL AND EXISTS (
                SELECT 1 FROM ml.models AS c
                WHERE c.kind = m.kind AND c.is_champion AND c.anchor > m.anchor
            )
            """,
        )
        removed = warehouse.execute(
            conn,
            """
            DELETE FROM ml.models AS m
            WHERE m.anchor < (
                SELECT max(c.anchor) - %(days)s::integer FROM ml.models AS c
                WHERE c.kind = m.kind AND c.is_champion
            )
            """,
            {"days": CHAMPION_DAYS},
        )
    log.info("Emptied %s rivals, removed %s models.", emptied, removed)
    return {"emptied": emptied, "removed": removed}


def analyze_tables() -> int:
    """Bring the planner's statistics up to date; the number of tables."""
    tables = [contract for contract in contracts.all_contracts() if not contract.view]
    for contract in tables:
        with warehouse.connect() as conn:
            _be_patient(conn)
            with conn.cursor() as cursor:
                cursor.execute(pgsql.SQL("ANALYZE {}").format(warehouse.qualified(contract.name)))
    return len(tables)


def _be_patient(conn: Connection) -> None:
    warehouse.execute(conn, f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")

"""The warehouse as its contracts say: schemas, tables, views of the newest day, functions, grants.

Everything is planned first; what stands in the way stops it before anything is changed. Then all of it
happens in one transaction, or none of it. What has no way back is said before it is done.
"""

import logging
from collections.abc import Callable

import psycopg2
from psycopg2 import errors
from psycopg2 import sql as pgsql

from include import warehouse
from include.contracts import standing, tables, upgrades
from include.contracts.definitions import (
    current_name,
    define_function,
    define_view,
    functions,
    stem,
)
from include.contracts.files import SCHEMAS, all_contracts
from include.contracts.form import Contract
from include.errors import BadInput, Unreachable
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Who may read a schema besides the pipeline's own role, which owns it.
READERS = {
    "marketing": ("regulars_marketing", "regulars_console"),
    "ops": ("regulars_console",),
}

#: Functions that others may call (`<schema>/<name>.function.sql`), and who; nobody else may.
CALLERS = {
    "marketing.why": READERS["marketing"],
    "marketing.redeem": ("regulars_till",),
    "marketing.unredeem": ("regulars_till",),
    "ops.record_delivery_event": ("regulars_gateway",),
    "ops.record_refusal": ("regulars_gateway",),
}

#: Rather than hold up everybody behind a long reader, a change gives up.
LOCK_TIMEOUT = "30s"


def migrate(conn: Connection, say: Callable[[str], None] = log.warning) -> list[str]:
    """Bring the warehouse to what the contracts say; the changes made, one sentence each.

    Safe to run at any time and by several at once: in the caller's transaction, under a lock.

    Parameters
    ----------
    say
        Told of every change that has no way back, before anything is changed.

    Raises
    ------
    BadInput
        When the server or the version does not suit, or something stands in the way: a type that is no wider,
        doubles under a new key, something of somebody's own. Nothing is changed then.
    Unreachable
        When another session holds a table for long; later it may work.
    """
    warehouse.execute(conn, "SELECT pg_advisory_xact_lock(hashtext('regulars migrate'))")
    server = int(warehouse.value(conn, "SHOW server_version_num"))
    if server < 160000:
        raise BadInput(
            f"Expected PostgreSQL 16 or newer for the warehouse, found {server // 10000}: upgrade it."
        )
    before = upgrades.check(conn)
    plan = _planned(conn, marked=before is None or _has_record(conn))
    final = [step.no_way_back for step in plan.steps if step.no_way_back]
    for sentence in final:
        say(f"There is no way back from this upgrade but a copy from before: {sentence}.")
    warehouse.execute(conn, f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    at = "schemas and sequences"
    try:
        changes = _schemas(conn)
        for step in plan.steps:
            at = step.told or at
            step.do(conn)
            changes += filter(None, [step.told])
        changes += _drop_staged(conn, plan.reshaped)
        at = "views and functions"
        changes += _definitions(conn)
        at = "grants"
        _grant(conn)
        upgrades.record(conn, before, changes, no_way_back=bool(final))
    except (errors.LockNotAvailable, errors.DeadlockDetected):
        raise Unreachable(
            f"Expected to bring the warehouse up to date ({at}), found another session in the way for "
            f"{LOCK_TIMEOUT}: end the run or the reader, then try again. Nothing was changed."
        ) from None
    except psycopg2.Error as error:
        if conn.closed:
            raise
        # Of these the details name objects, never values.
        names = isinstance(error, errors.DependentObjectsStillExist | errors.FeatureNotSupported)
        more = f" ({error.diag.message_detail})" if names and error.diag.message_detail else ""
        raise BadInput(
            f"Expected to bring the warehouse up to date ({at}), found: "
            f"{warehouse.without_values(error)}{more}. Nothing was changed; remove what is in the way."
        ) from None
    warehouse.execute(conn, "SET LOCAL lock_timeout = DEFAULT")
    return changes


def _planned(conn: Connection, *, marked: bool) -> tables.Plan:
    """The changes to the tables.

    Parameters
    ----------
    marked
        Whether keys and indexes of ours carry a mark.

    Raises
    ------
    BadInput
        When something stands in the way: all of it, a sentence a line.
    """
    plan = tables.Plan()
    there, others = standing.tables(conn), standing.others(conn)
    for contract in all_contracts():
        if contract.view:
            continue
        if contract.name in others:
            plan.obstacles.append(
                f"Expected to make the table {contract.name}, found a {others[contract.name]} of your own "
                "by that name: rename it."
            )
            continue
        tables.plan(conn, contract, there.get(contract.name), adopt=not marked, to=plan)
    if plan.obstacles:
        raise BadInput("\n".join([*plan.obstacles, "Nothing was changed."]))
    return plan


def _has_record(conn: Connection) -> bool:
    return warehouse.value(conn, "SELECT to_regclass('ops.upgrades')") is not None


def _schemas(conn: Connection) -> list[str]:
    changes = []
    existing = {name for (name,) in warehouse.rows(conn, "SELECT nspname FROM pg_namespace")}
    for schema in SCHEMAS:
        if schema not in existing:
            _run(conn, "CREATE SCHEMA {}", pgsql.Identifier(schema))
            changes.append(f"created schema {schema}")
    for path in sorted(warehouse.SQL_ROOT.glob("*/*.ddl.sql")):
        warehouse.execute(conn, path.read_text(encoding="utf-8"))
    return changes


def _drop_staged(conn: Connection, datasets: set[str]) -> list[str]:
    """Drop what is staged in a shape of before: a gate that is run again builds it again."""
    changes = []
    for token, dataset in warehouse.rows(
        conn,
        "SELECT token, dataset FROM ops.batches WHERE staged AND dataset = ANY(%(datasets)s) "
        "ORDER BY token",
        {"datasets": sorted(datasets)},
    ):
        _run(conn, "DROP SCHEMA IF EXISTS {} CASCADE", pgsql.Identifier(f"stage_{token}"))
        warehouse.execute(
            conn, "UPDATE ops.batches SET staged = false WHERE token = %(token)s", {"token": token}
        )
        changes.append(
            f"dropped the staged batch {token} of {dataset}, which has the form of before"
        )
    return changes


def _definitions(conn: Connection) -> list[str]:
    changes = []
    for contract in all_contracts():
        if contract.view:
            path = warehouse.SQL_ROOT / contract.schema_name / f"{contract.table}.sql"
            changes += define_view(conn, contract.name, path.read_text(encoding="utf-8"))
        elif contract.current and not _has_own_current(contract):
            changes += define_view(conn, current_name(contract), _current_select(conn, contract))
    for path in functions():
        name = f"{path.parent.name}.{stem(path)}"
        changes += define_function(conn, name, path.read_text(encoding="utf-8"))
    return changes


def _has_own_current(contract: Contract) -> bool:
    return (warehouse.SQL_ROOT / contract.schema_name / f"current_{contract.table}.yml").exists()


def _current_select(conn: Connection, contract: Contract) -> str:
    names = pgsql.SQL(", ").join(map(pgsql.Identifier, contract.column_names)).as_string(conn)
    source = warehouse.qualified(contract.name).as_string(conn)
    if contract.partition is None:
        return f"SELECT {names} FROM {source}"
    day = pgsql.Identifier(contract.partition).as_string(conn)
    return (
        f"SELECT {names} FROM {source} WHERE {day} = (SELECT max(partition) FROM ops.publications "
        f"WHERE table_name = '{contract.name}')"
    )


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


def _run(conn: Connection, template: str, *parts: pgsql.Composable) -> None:
    with conn.cursor() as cursor:
        cursor.execute(pgsql.SQL(template).format(*parts))

"""Forgetting a customer everywhere, and keeping it so.

`forget` deletes every row of the warehouse that carries a number or pseudonym of the person: of all accounts
that identity resolution put together, in every schema and in every staged batch. What stays is
`ops.erasures`, which holds keyed hashes alone, and suppressions and refusals under such hashes, of the person
and of the addresses that the person opted out with. `keep_forgotten` runs in
the transaction of every publication and drops what a source has brought again. Neither writes a number into
a log or a result.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg2 import sql as pgsql

from include import contracts, warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.persons import pseudonym
from include.publication import Batch
from include.publication.locks import lock_publishing
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Columns by which a row is somebody's, and which of a person's marks they hold.
MARKS = {
    "customer_id": "ids", "account_id": "ids", "other_account_id": "ids", "linked_to": "ids",
    "author_id": "authors", "message_id": "messages", "trigger_id": "messages",
    "external_id": "numbers", "customer_number": "numbers", "account_number": "numbers",
    "owner_number": "numbers", "number": "numbers", "handle": "handles",
}  # fmt: skip
#: What is kept on purpose: hashes that keep the person forgotten and unaddressed, and the request itself,
#: which `include.erasure_requests` empties of its number.
KEPT = (
    "ops.erasures", "ops.suppressions", "ops.address_suppressions", "ops.refusals", "core.erasure_requests",
)  # fmt: skip


@dataclass
class Person:
    """Everything by which rows of a person are found; texts and pseudonyms."""

    numbers: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    handles: set[str] = field(default_factory=set)
    authors: set[str] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)


def forget(external_id: str, run_id: str, at: Any) -> dict[str, int]:
    """Delete a person everywhere; the rows deleted, by schema.

    Parameters
    ----------
    external_id
        A number of the person: a customer's, or one of the accounts'.
    at
        The moment to record.

    Raises
    ------
    BadInput
        When the number is empty. One that nothing is held of is recorded all the same, so that it never
        comes in.
    """
    if not external_id.strip():
        raise BadInput("Expected the number of a customer in external_id, found it empty: give it.")
    with warehouse.connect() as conn:
        # Nothing is published meanwhile, so that no batch built before puts the rows back unseen.
        for dataset in sorted({c.dataset for c in contracts.all_contracts() if c.dataset}):
            lock_publishing(conn, dataset)
        person = _find(conn, external_id.strip())
        record = {"at": at, "run_id": run_id}
        for kind, marks in (("account", person.ids), ("author", person.authors)):
            for mark in sorted(marks):
                warehouse.execute(
                    conn,
                    "INSERT INTO ops.erasures (pseudonym, kind, erased_at, run_id) "
                    "VALUES (%(mark)s, %(kind)s, %(at)s, %(run_id)s) ON CONFLICT (pseudonym) DO NOTHING",
                    record | {"mark": mark, "kind": kind},
                )
        deleted = _delete(conn, person)
        for mark in sorted(person.ids):
            warehouse.execute(
                conn,
                "INSERT INTO ops.suppressions (customer_id, channel, reason, recorded_at) "
                "VALUES (%(mark)s, 'all', 'erased', %(at)s) ON CONFLICT DO NOTHING",
                record | {"mark": mark},
            )
    log.info("Forgot one person: %s", deleted)
    return deleted


def remaining(external_id: str) -> int:
    """Rows that still carry a mark of an erased number; 0 once it is forgotten."""
    with warehouse.connect() as conn:
        person = _find(conn, external_id.strip())
        return sum(_count(conn, table, where) for table, where in _places(conn, person))


def _find(conn: Connection, number: str) -> Person:
    """A person's marks, from the links, accounts, orders and messages that stand."""
    secret = pseudonym.key()
    person = Person(numbers={number}, ids={str(pseudonym.pseudonym(number, secret))})
    params: dict[str, Any] = {"ids": list(person.ids)}
    linked = warehouse.rows(
        conn,
        """
        SELECT account_id::text, customer_id::text FROM core.identity_links
        WHERE customer_id IN (
            SELECT customer_id FROM core.identity_links WHERE account_id = ANY(%(ids)s::uuid[])
            UNION SELECT unnest(%(ids)s::uuid[])
        )
        """,
        params,
    )
    person.ids |= {mark for pair in linked for mark in pair}
    params = {"ids": list(person.ids)}
    for text, author in warehouse.rows(
        conn,
        "SELECT account_number, author_id::text FROM core.accounts WHERE account_id = ANY(%(ids)s::uuid[]) "
        "UNION SELECT external_id, NULL FROM core.identities WHERE customer_id = ANY(%(ids)s::uuid[])",
        params,
    ):
        person.numbers.add(text)
        person.authors |= {author} if author else set()
    person.handles = {
        handle
        for handle, plain in warehouse.rows(
            conn,
            "SELECT DISTINCT handle, lower(btrim(handle)) FROM raw.mentions WHERE handle IS NOT NULL "
            "UNION SELECT handle, lower(btrim(handle)) FROM raw.accounts WHERE account_number = ANY(%(n)s) "
            "AND handle IS NOT NULL",
            {"n": list(person.numbers)},
        )
        if str(pseudonym.pseudonym(f"handle {plain}", secret)) in person.authors
    }
    for name, statement in (
        ("orders", "SELECT order_id FROM core.orders WHERE customer_id = ANY(%(ids)s::uuid[])"),
        (
            "messages",
            "SELECT message_id::text FROM marketing.messages WHERE customer_id = ANY(%(ids)s::uuid[]) "
            "UNION SELECT trigger_id::text FROM marketing.coupon_triggers "
            "WHERE customer_id = ANY(%(ids)s::uuid[])",
        ),
    ):
        found = {text for (text,) in warehouse.rows(conn, statement, params)}
        setattr(person, name, found)
    return person


def _places(conn: Connection, person: Person) -> list[tuple[str, str]]:
    """(table, condition) of everything that may hold rows of a person."""
    columns: dict[str, list[tuple[str, str]]] = {}
    for schema, table, column, kind in warehouse.rows(
        conn,
        r"""
        SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, NULL)
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r'
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE (n.nspname = ANY(%(schemas)s) OR n.nspname LIKE 'stage\_%%')
            AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY 1, 2, 3
        """,
        {"schemas": list(contracts.SCHEMAS)},
    ):
        columns.setdefault(f"{schema}.{table}", []).append((column, kind))
    found = []
    for table, members in columns.items():
        conditions = [
            _any(conn, column, kind, getattr(person, MARKS[column]))
            for column, kind in members
            if column in MARKS and kind in ("uuid", "text")
        ]
        # Rows inside rows: what was set aside, and what corrections replaced.
        conditions += [_inside(conn, column, person) for column, kind in members if kind == "jsonb"]
        conditions = [condition for condition in conditions if condition]
        if conditions and table not in KEPT:
            found.append((table, " OR ".join(conditions)))
    return found


def _any(conn: Connection, column: str, kind: str, marks: set[str]) -> str:
    if not marks:
        return ""
    values = pgsql.Literal(sorted(marks)).as_string(conn)
    return f"{pgsql.Identifier(column).as_string(conn)} = ANY({values}::{kind}[])"


def _inside(conn: Connection, column: str, person: Person) -> str:
    """Whether a JSON object's own fields hold a mark of the person."""
    name = pgsql.Identifier(column).as_string(conn)
    parts = [
        f"{name} ->> '{key}' = ANY({pgsql.Literal(sorted(marks)).as_string(conn)})"
        for key, marks in (
            *((key, getattr(person, kind)) for key, kind in MARKS.items()),
            ("order_id", person.orders),
        )
        if marks
    ]
    return f"(jsonb_typeof({name}) = 'object' AND ({' OR '.join(parts)}))" if parts else ""


def _delete(conn: Connection, person: Person) -> dict[str, int]:
    deleted: dict[str, int] = {}
    for table, where in _places(conn, person):
        rows = _remove(conn, table, where)
        schema = table.split(".")[0]
        schema = "staged" if schema.startswith("stage_") else schema
        deleted[schema] = deleted.get(schema, 0) + rows
    return deleted


def _remove(conn: Connection, table: str, where: str) -> int:
    """Delete rows. A day of raw that is empty by it held nothing: it must not look like one that expired."""
    target = warehouse.qualified(table).as_string(conn)
    days = []
    if table.startswith("raw."):
        found = warehouse.rows(conn, f"SELECT DISTINCT _partition FROM {target} WHERE {where}")
        days = [day for (day,) in found]
    rows = warehouse.execute(conn, f"DELETE FROM {target} WHERE {where}")
    if days:
        warehouse.execute(
            conn,
            f"""
            UPDATE ops.publications AS p SET row_count = 0
            WHERE p.table_name = %(table)s AND p.partition = ANY(%(days)s::date[])
                AND NOT EXISTS (SELECT 1 FROM {target} AS r WHERE r._partition = p.partition)
            """,
            {"table": table, "days": days},
        )
    return rows


def _count(conn: Connection, table: str, where: str) -> int:
    target = warehouse.qualified(table).as_string(conn)
    return int(warehouse.value(conn, f"SELECT count(*) FROM {target} WHERE {where}"))


def keep_forgotten(conn: Connection, batch: Batch, tables: Sequence[Contract]) -> int:
    """Drop what a batch has brought of erased persons, published and staged; the rows dropped.

    The caller's transaction has just published the batch and holds the dataset's lock.
    """
    erased = {mark for (mark,) in warehouse.rows(conn, "SELECT pseudonym::text FROM ops.erasures")}
    if not erased:
        return 0
    dropped = 0
    for contract in tables:
        names = set(contract.column_names)
        conditions = [
            _any(conn, column, "uuid", erased)
            for column in ("customer_id", "account_id", "author_id")
            if column in names
        ]
        for column in ("customer_number", "account_number", "handle"):
            if contract.schema_name == "raw" and column in names:
                conditions.append(
                    _any(conn, column, "text", _known(conn, batch, contract, column, erased))
                )
        condition = " OR ".join(part for part in conditions if part)
        if condition:
            for table in (contract.name, batch.table(contract)):
                dropped += _remove(conn, table, condition)
    if dropped:
        log.info("Dropped %s rows of erased persons.", f"{dropped:,}")
    return dropped


def _known(
    conn: Connection, batch: Batch, contract: Contract, column: str, erased: set[str]
) -> set[str]:
    """The texts of a staged column whose keyed hash was erased."""
    secret = pseudonym.key()
    table = warehouse.qualified(batch.table(contract)).as_string(conn)
    texts = warehouse.rows(
        conn, f'SELECT DISTINCT "{column}" FROM {table} WHERE "{column}" IS NOT NULL'
    )

    def mark(text: str) -> UUID:
        plain = f"handle {text.strip().lower()}" if column == "handle" else text
        return pseudonym.pseudonym(plain, secret)

    return {text for (text,) in texts if str(mark(text)) in erased}

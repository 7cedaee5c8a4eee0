"""Identity resolution in the warehouse: evidence in, links out, and every row of core to its person.

`include.persons.identity` decides. Here its input is read from what `core` and the batch know, new accounts
are given their person while a batch is built, and after each publication of `core`, in its transaction, the
links are worked out from everything that stands and the rows of whoever was put together or taken apart
follow. An account that leads to nobody any more has no link, its rows are under its own number, and their
days are built again (`include.persons.stale`). So the outcome depends on what `core` holds and not on the
order in which it came.

Contact points and answers about marketing of an account that leads to nobody stand in `core` under its own
number: what is known of an account must not depend on where it led before, and no refusal may be lost.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg2 import sql as pgsql

from include import contracts, warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.persons import pseudonym, stale
from include.persons.identity import (
    Account,
    Link,
    decide,
    resolve,
)
from include.publication import Batch
from include.publication.locks import lock_publishing
from include.warehouse import Connection

log = logging.getLogger(__name__)

LINKS, DOUBTS = "core.identity_links", "core.identity_doubts"


def evidence(conn: Connection, batch: Batch | None = None) -> tuple[list[Account], dict[str, UUID]]:
    """Every account with what is known of it, and the pseudonym of each number.

    Parameters
    ----------
    batch
        Its staged identities, accounts and contact points count as they will once they are published.
    """
    ids: dict[str, UUID] = {}
    found: dict[str, dict[str, Any]] = {}
    for number, account, first, last, born in warehouse.rows(
        conn,
        "SELECT external_id, customer_id, first_name, last_name, birth_date::text "
        f"FROM {_newest(conn, batch, 'identities')} AS i",
    ):
        ids[number] = account
        found[number] = {
            "system": "shop", "is_customer": True, "first_name": first, "last_name": last,
            "birth_date": born, "emails": set(), "phones": set(),
        }  # fmt: skip
    for row in warehouse.rows(
        conn,
        f"""
        SELECT account_number, account_id, system, owner_number, first_name, last_name,
            CASE WHEN email_verified THEN email END, phone, loyalty_number
        FROM {_newest(conn, batch, "accounts")} AS a
        """,
    ):
        number, account, system, owner, first, last, email, phone, card = row
        ids[number] = account
        known = found.setdefault(
            number,
            {"is_customer": False, "birth_date": None, "emails": set(), "phones": set()},
        )
        known |= {"system": system, "owner": owner, "loyalty_number": card}
        if first or last or not known["is_customer"]:
            known |= {"first_name": first, "last_name": last}
        known["emails"].add(email)
        known["phones"].add(phone)
    numbers = {account: number for number, account in ids.items()}
    for account, channel, address in warehouse.rows(
        conn,
        f"SELECT DISTINCT account_id, channel, address FROM {_newest(conn, batch, 'contact_points')} AS c "
        "WHERE verified AND address IS NOT NULL",
    ):
        if account in numbers:
            kind = "emails" if channel == "email" else "phones"
            found[numbers[account]][kind].add(address)
    return [
        Account(
            number=number,
            **known
            | {
                kind: tuple(sorted(text for text in known[kind] if text))
                for kind in ("emails", "phones")
            },
        )
        for number, known in found.items()
    ], ids


def _newest(conn: Connection, batch: Batch | None, table: str) -> str:
    """A table of core as it will be once the batch is published: no older state replaces a newer one."""
    contract = contracts.load("core", table)
    staged = f"{batch.schema}.{table}" if batch else None
    if not staged or not warehouse.value(conn, "SELECT to_regclass(%(t)s)", {"t": staged}):
        return contract.name
    names = ", ".join(contract.content)
    same = " AND ".join(f"s.{name} = k.{name}" for name in contract.keys)
    return (
        f"(SELECT {names} FROM {staged} AS s WHERE NOT EXISTS "
        f"(SELECT 1 FROM {contract.name} AS k WHERE {same} AND k.known_at > s.known_at) "
        f"UNION ALL SELECT {names} FROM {contract.name} AS k WHERE NOT EXISTS "
        f"(SELECT 1 FROM {staged} AS s WHERE {same} AND s.known_at >= k.known_at))"
    )


def stage_accounts(conn: Connection, batch: Batch) -> None:
    """`numbers` for the contact points, by which persons are found: each account under its own number."""
    warehouse.execute(
        conn,
        f"""
        CREATE UNLOGGED TABLE {batch.schema}.numbers AS
        SELECT DISTINCT n.number, n.account_id, n.account_id AS customer_id
        FROM (
            SELECT external_id AS number, customer_id AS account_id
            FROM {_newest(conn, batch, "identities")} AS i
            UNION ALL SELECT account_number, account_id FROM {_newest(conn, batch, "accounts")} AS a
        ) AS n
        WHERE n.number IN (
            SELECT customer_number FROM raw.contact_points
            WHERE _partition BETWEEN %(since)s AND %(as_of)s
        )
        """,
        batch.params,
    )


def stage_numbers(conn: Connection, batch: Batch) -> None:
    """`numbers`: which account and person each number is, for the tables of a batch.

    An account without a person is one that leads to nobody. One that was linked before keeps its link here;
    `settle` moves it with all its rows at once.
    """
    accounts, ids = evidence(conn, batch)
    links = resolve(accounts, _splits(conn, ids))
    standing = dict(warehouse.rows(conn, f"SELECT account_id, customer_id FROM {LINKS}"))
    persons = {link.number: standing.get(ids[link.number], ids[link.person]) for link in links}
    table = f"{batch.schema}.numbers"
    warehouse.execute(conn, f"DROP TABLE IF EXISTS {table}")
    warehouse.execute(
        conn, f"CREATE UNLOGGED TABLE {table} (number text, account_id uuid, customer_id uuid)"
    )
    warehouse.copy_rows(
        conn,
        ((number, account, persons.get(number)) for number, account in ids.items()),
        table,
        ["number", "account_id", "customer_id"],
    )
    warehouse.execute(conn, f"ANALYZE {table}")
    warehouse.execute(
        conn,
        f"UPDATE {batch.schema}.contact_points AS c SET customer_id = n.customer_id "
        f"FROM {batch.schema}.numbers AS n "
        "WHERE c.account_id = n.account_id AND c.customer_id <> n.customer_id",
    )


def settle(conn: Connection, batch: Batch | None = None) -> int:
    """Work out the links from what stands in core, and move rows to their persons; the accounts moved.

    The caller's transaction holds the lock of the publication of core.

    Parameters
    ----------
    batch
        The one whose rows were just written, perhaps by older links.
    """
    accounts, ids = evidence(conn)
    links, doubts = decide(accounts, _splits(conn, ids))
    changes = _store(conn, links, doubts, ids)
    moved = changes.moved
    affected = sorted({str(person) for pair in moved.values() for person in pair})
    since, until = (batch.since, batch.as_of) if batch else (None, None)
    window = {"persons": affected, "since": since, "until": until}
    moving = [c for c in contracts.all_contracts() if c.schema_name == "core" and not c.view]
    # Lines follow their orders, so these come first.
    for contract in sorted(moving, key=lambda c: c.table == "order_lines"):
        if contract.name not in (LINKS, DOUBTS):
            _move(conn, contract, window)
    _refusals(conn)
    numbers = {account: number for number, account in ids.items()}
    stale.note(conn, batch, numbers, changes.come, changes.gone)
    warehouse.execute(
        conn,
        f"""
        INSERT INTO ops.suppressions (customer_id, channel, reason, recorded_at)
        SELECT l.customer_id, s.channel, s.reason, min(s.recorded_at)
        FROM ops.suppressions AS s
        JOIN {LINKS} AS l ON l.account_id = s.customer_id AND l.customer_id <> l.account_id
        GROUP BY 1, 2, 3
        ON CONFLICT (customer_id, channel, reason) DO NOTHING
        """,
    )
    if moved:
        log.info("Identity resolution moved %s account(s) to another person.", len(moved))
    return len(moved)


def _splits(conn: Connection, ids: dict[str, UUID]) -> list[tuple[str, str]]:
    numbers = {account: number for number, account in ids.items()}
    return [
        (numbers[one], numbers[other])
        for one, other in warehouse.rows(
            conn, "SELECT account_id, other_account_id FROM ops.identity_splits"
        )
        if one in numbers and other in numbers
    ]


@dataclass(frozen=True)
class _Changes:
    """Accounts that moved, with the person before and now; those that lead somewhere, or are known, only now;
    and those that lead to nobody any more.
    """

    moved: dict[UUID, tuple[UUID, UUID]]
    come: list[UUID]
    gone: list[UUID]


def _store(
    conn: Connection,
    links: Iterable[Link],
    doubts: Iterable[tuple[str, str]],
    ids: dict[str, UUID],
) -> _Changes:
    """Write the links and doubts that changed, and take away those that hold no longer.

    Under its own number an account is nobody's, until it leads to a person.
    """
    standing = {
        account: (person, rule, via)
        for account, person, rule, via in warehouse.rows(
            conn, f"SELECT account_id, customer_id, rule, linked_to FROM {LINKS}"
        )
    }
    wanted = {
        ids[link.number]: (
            ids[link.person],
            link.rule,
            ids[link.linked_to] if link.linked_to else None,
        )
        for link in links
    }
    changed = {a: link for a, link in wanted.items() if standing.get(a) != link}
    warehouse.execute(
        conn,
        f"DELETE FROM {LINKS} WHERE account_id = ANY(%(accounts)s::uuid[])",
        {"accounts": [str(account) for account in {*changed, *(standing.keys() - wanted.keys())}]},
    )
    warehouse.copy_rows(
        conn,
        ((account, *link) for account, link in changed.items()),
        LINKS,
        ["account_id", "customer_id", "rule", "linked_to"],
    )
    nobodys = set(ids.values()) - wanted.keys()
    before = set(warehouse.rows(conn, f"SELECT account_id, customer_id FROM {DOUBTS}"))
    now = {(account, account) for account in nobodys}
    now |= {(ids[number], ids[person]) for number, person in doubts}
    over = sorted(before - now)
    warehouse.execute(
        conn,
        f"DELETE FROM {DOUBTS} WHERE (account_id, customer_id) IN "
        "(SELECT * FROM unnest(%(accounts)s::uuid[], %(persons)s::uuid[]))",
        {"accounts": [str(one) for one, _ in over], "persons": [str(one) for _, one in over]},
    )
    warehouse.copy_rows(conn, sorted(now - before), DOUBTS, ["account_id", "customer_id"])
    moved = {}
    for account in set(ids.values()):
        was = standing.get(account, (account, None, None))[0]
        person = wanted.get(account, (account, None, None))[0]
        if was != person:
            moved[account] = (was, person)
    known = standing.keys() | {account for account, _ in before}
    return _Changes(
        moved=moved,
        come=[*(wanted.keys() - standing.keys()), *(nobodys - known)],
        gone=list(nobodys & standing.keys()),
    )


def _move(conn: Connection, contract: Contract, window: dict[str, Any]) -> None:
    """Bring the rows of one table to their persons: of those affected, and of the days just written."""
    names = contract.column_names
    table = warehouse.qualified(contract.name).as_string(conn)
    reach = "t.customer_id = ANY(%(persons)s::uuid[])"
    if contract.partition:
        reach += f' OR t."{contract.partition}" BETWEEN %(since)s AND %(until)s'
    elif contract.history:
        reach = "true"  # small tables: a state a customer
    if contract.table == "mentions":
        warehouse.execute(
            conn,
            f"""
            UPDATE {table} AS t SET account_id = a.account_id, customer_id = l.customer_id
            FROM core.accounts AS a
            LEFT JOIN {LINKS} AS l ON l.account_id = a.account_id
            WHERE t.author_id = a.author_id AND (t.account_id, t.customer_id)
                IS DISTINCT FROM (a.account_id, l.customer_id)
            """,
        )
    elif contract.table == "order_lines":
        warehouse.execute(
            conn,
            f"UPDATE {table} AS t SET customer_id = o.customer_id FROM core.orders AS o "
            f"WHERE t.order_id = o.order_id AND t.customer_id <> o.customer_id AND ({reach})",
            window,
        )
    elif contract.table == "past_states":
        warehouse.execute(
            conn,
            f"UPDATE {table} AS t SET state = jsonb_set(t.state, '{{customer_id}}', "
            "to_jsonb(l.customer_id)) "
            f"FROM {stale.WHOSE} AS l WHERE t.state ->> 'customer_id' = ANY(%(persons)s) "
            "AND l.account_id = (t.state ->> 'account_id')::uuid "
            "AND l.customer_id <> (t.state ->> 'customer_id')::uuid",
            window,
        )
    elif {"account_id", "customer_id"} <= set(names):
        changed = warehouse.execute(
            conn,
            f"UPDATE {table} AS t SET customer_id = l.customer_id FROM {stale.WHOSE} AS l "
            f"WHERE t.account_id = l.account_id AND t.customer_id <> l.customer_id AND ({reach})",
            window,
        )
        if changed and contract.history:
            _follow_one_another(conn, contract, table, window)


def _follow_one_another(
    conn: Connection, contract: Contract, table: str, window: dict[str, Any]
) -> None:
    """valid_to of each state of a person is the next one's valid_from, whichever account it came from."""
    history = contract.history.key if contract.history else []
    key = pgsql.SQL(", ").join(map(pgsql.Identifier, history)).as_string(conn)
    warehouse.execute(
        conn,
        f"""
        UPDATE {table} AS t SET valid_to = v.next_from
        FROM (
            SELECT ctid AS row_at, lead(valid_from) OVER (
                PARTITION BY {key} ORDER BY valid_from, known_at, account_id
            ) AS next_from
            FROM {table} WHERE customer_id = ANY(%(persons)s::uuid[])
        ) AS v
        WHERE t.ctid = v.row_at AND t.valid_to IS DISTINCT FROM v.next_from
        """,
        window,
    )


def _refusals(conn: Connection) -> None:
    """`granted` of each answer: no where any account of the person had last answered no by then."""
    warehouse.execute(
        conn,
        f"""
        WITH several AS (
            SELECT customer_id FROM {LINKS} GROUP BY customer_id HAVING count(*) > 1
        ),
        resolved AS (
            SELECT c.account_id, c.channel, c.purpose, c.valid_from, bool_and(last.answer) AS granted
            FROM core.consents AS c
            JOIN several USING (customer_id)
            CROSS JOIN LATERAL (
                SELECT DISTINCT ON (o.account_id) coalesce(o.answer, o.granted) AS answer
                FROM core.consents AS o
                WHERE o.customer_id = c.customer_id AND o.channel = c.channel
                    AND o.purpose = c.purpose AND o.valid_from <= c.valid_from
                ORDER BY o.account_id, o.valid_from DESC
            ) AS last
            GROUP BY 1, 2, 3, 4
        )
        UPDATE core.consents AS t SET granted = coalesce(r.granted, t.answer)
        FROM core.consents AS s
        LEFT JOIN resolved AS r USING (account_id, channel, purpose, valid_from)
        WHERE t.account_id = s.account_id AND t.channel = s.channel AND t.purpose = s.purpose
            AND t.valid_from = s.valid_from AND t.granted IS DISTINCT FROM coalesce(r.granted, t.answer)
            AND t.answer IS NOT NULL
        """,
    )


def explain(conn: Connection, number: str) -> list[tuple[str, str, str]]:
    """The accounts of a number's person: (number, rule, number it was found through).

    Raises
    ------
    BadInput
        When no customer has the number.
    """
    accounts, ids = evidence(conn)
    links = resolve(accounts, _splits(conn, ids))
    person = next((link.person for link in links if link.number == number), None)
    if person is None:
        raise BadInput(f"Expected the number of a customer or account, found '{number}'.")
    return [
        (link.number, link.rule or "the person's own number", link.linked_to or "")
        for link in links
        if link.person == person
    ]


def split(one: str, other: str, reason: str) -> int:
    """Keep two numbers apart from now on, and move their rows at once; the accounts moved."""
    key = pseudonym.key()
    pair = sorted(str(pseudonym.pseudonym(number, key)) for number in (one, other))
    if pair[0] == pair[1]:
        raise BadInput(f"Expected two numbers, found '{one}' twice.")
    with warehouse.connect() as conn:
        lock_publishing(conn, "core")
        for number in (one, other):
            explain(conn, number)
        # An account that no customer is called by becomes a customer of its own.
        warehouse.execute(
            conn,
            "INSERT INTO core.identities (customer_id, external_id, first_name, last_name, flags, known_at) "
            "SELECT account_id, account_number, first_name, last_name, '{}', known_at FROM core.accounts "
            "WHERE account_id = ANY(%(pair)s::uuid[]) ON CONFLICT (customer_id) DO NOTHING",
            {"pair": pair},
        )
        warehouse.execute(
            conn,
            "INSERT INTO ops.identity_splits VALUES (%(one)s, %(other)s, %(reason)s, %(at)s) "
            "ON CONFLICT (account_id, other_account_id) DO UPDATE SET reason = excluded.reason",
            {"one": pair[0], "other": pair[1], "reason": reason, "at": datetime.now(UTC)},
        )
        return settle(conn)

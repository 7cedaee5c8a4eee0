"""Identity resolution in the warehouse: evidence in, links out, and every row of core to its person.

`include.identity` decides. Here its input is read from what `core` and the batch know, new accounts are given
their person while a batch is built, and after each publication of `core`, in its transaction, the links are
worked out from everything that stands and the rows of whoever was put together or taken apart follow. So the
outcome depends on what `core` holds and not on the order in which it came.
"""

import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg2 import sql as pgsql

from include import contracts, pseudonym, warehouse
from include.contracts import Contract
from include.errors import BadInput, RegularsError
from include.identity import Account, Link, resolve
from include.publication import Batch
from include.warehouse import Connection

log = logging.getLogger(__name__)

LINKS = "core.identity_links"


def evidence(conn: Connection, schema: str | None = None) -> tuple[list[Account], dict[str, UUID]]:
    """Every account with what is known of it, and the pseudonym of each number.

    Parameters
    ----------
    schema
        A batch's schema: its staged identities (which hold everybody known) and accounts come first.
    """
    identities = f"{schema}.identities" if schema else "core.identities"
    ids: dict[str, UUID] = {}
    found: dict[str, dict[str, Any]] = {}
    for number, account, first, last, born in warehouse.rows(
        conn,
        f"SELECT external_id, customer_id, first_name, last_name, birth_date::text FROM {identities}",
    ):
        ids[number] = account
        found[number] = {
            "system": "shop", "is_customer": True, "first_name": first, "last_name": last,
            "birth_date": born, "emails": set(), "phones": set(),
        }  # fmt: skip
    names = ", ".join(contracts.load("core", "accounts").content)
    staged = f"SELECT {names} FROM {schema}.accounts UNION ALL " if schema else ""
    for row in warehouse.rows(
        conn,
        f"""
        SELECT DISTINCT ON (account_number) account_number, account_id, system, owner_number, first_name,
            last_name, CASE WHEN email_verified THEN email END, phone, loyalty_number
        FROM ({staged}SELECT {names} FROM core.accounts) AS a
        ORDER BY account_number, known_at DESC
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
        "SELECT DISTINCT account_id, channel, address FROM core.contact_points "
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


def stage_numbers(conn: Connection, batch: Batch) -> None:
    """`numbers`: which account and person each number is, for the tables of a batch.

    An account that was linked before keeps its link here; `settle` moves it with all its rows at once.
    """
    accounts, ids = evidence(conn, batch.schema)
    links = resolve(accounts, _splits(conn, ids))
    standing = dict(warehouse.rows(conn, f"SELECT account_id, customer_id FROM {LINKS}"))
    persons = {link.number: ids[link.person] for link in links}
    # An account that leads to nobody any more stays with the person it was last found to be.
    persons |= {number: standing[a] for number, a in ids.items() if a in standing}
    table = f"{batch.schema}.numbers"
    warehouse.execute(
        conn, f"CREATE UNLOGGED TABLE {table} (number text, account_id uuid, customer_id uuid)"
    )
    warehouse.copy_rows(
        conn,
        ((number, ids[number], person) for number, person in persons.items()),
        table,
        ["number", "account_id", "customer_id"],
    )
    warehouse.execute(conn, f"ANALYZE {table}")


def settle(conn: Connection, since: str | None = None, until: str | None = None) -> int:
    """Work out the links from what stands in core, and move rows to their persons; the accounts moved.

    The caller's transaction holds the lock of the publication of core.

    Parameters
    ----------
    since, until
        Days whose rows were just written, perhaps by a batch that knew older links.
    """
    accounts, ids = evidence(conn)
    links = resolve(accounts, _splits(conn, ids))
    moved = _store(conn, links, ids)
    affected = sorted({str(person) for pair in moved.values() for person in pair})
    window = {"persons": affected, "since": since, "until": until}
    moving = [c for c in contracts.all_contracts() if c.schema_name == "core" and not c.view]
    # Lines follow their orders, so these come first.
    for contract in sorted(moving, key=lambda c: c.table == "order_lines"):
        if contract.name != LINKS:
            _move(conn, contract, window)
    _refusals(conn)
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


def _store(
    conn: Connection, links: Iterable[Link], ids: dict[str, UUID]
) -> dict[UUID, tuple[UUID, UUID]]:
    """Write the links that changed; account -> (person before, person now) of those that moved."""
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
        {"accounts": [str(account) for account in changed]},
    )
    warehouse.copy_rows(
        conn,
        ((account, *link) for account, link in changed.items()),
        LINKS,
        ["account_id", "customer_id", "rule", "linked_to"],
    )
    moved = {}
    for account, (person, _, _) in wanted.items():
        before = standing.get(account, (account, None, None))[0]
        if before != person:
            moved[account] = (before, person)
    return moved


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
            f"FROM {LINKS} AS l WHERE t.state ->> 'customer_id' = ANY(%(persons)s) "
            "AND l.account_id = (t.state ->> 'account_id')::uuid "
            "AND l.customer_id <> (t.state ->> 'customer_id')::uuid",
            window,
        )
    elif {"account_id", "customer_id"} <= set(names):
        changed = warehouse.execute(
            conn,
            f"UPDATE {table} AS t SET customer_id = l.customer_id FROM {LINKS} AS l "
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
        warehouse.execute(conn, "SELECT pg_advisory_xact_lock(hashtext('publish core'))")
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


def main(arguments: list[str]) -> int:
    """`explain NUMBER` shows a person's accounts; `split NUMBER NUMBER REASON` undoes a merge for good."""
    try:
        if arguments[:1] == ["explain"] and len(arguments) == 2:
            with warehouse.connect() as conn:
                for number, rule, via in explain(conn, arguments[1]):
                    print(f"{number:<24}{rule:<26}{via}")
            return 0
        if arguments[:1] == ["split"] and len(arguments) == 4:
            print(f"{split(*arguments[1:])} account(s) moved; the pair stays apart.")
            return 0
    except RegularsError as error:
        print(error, file=sys.stderr)
        return 1
    print("usage: python -m include.people explain NUMBER | split NUMBER NUMBER REASON")
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

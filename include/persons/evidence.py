"""What is known of every account, read from what `core` and a batch hold: the input of `identity`.

The web account `W2` has no name, and the number of customer `c2` beside it; the social account `S3` has a
name and the verified address of `c3`. Each comes out of here as one `Account` with all that is known of it.
"""

from typing import Any
from uuid import UUID

from include import contracts, policy, warehouse
from include.persons import addresses
from include.persons.identity import Account
from include.publication import Batch
from include.warehouse import Connection


def evidence(conn: Connection, batch: Batch | None = None) -> tuple[list[Account], dict[str, UUID]]:
    """Every account with what is known of it, and the pseudonym of each number.

    Parameters
    ----------
    batch
        Its staged identities, accounts and contact points count as they will once they are published.
    """
    region = policy.load().shop.phone_region
    ids: dict[str, UUID] = {}
    found: dict[str, dict[str, Any]] = {}
    for number, account, first, last, born in warehouse.rows(
        conn,
        # Those that many share say nothing of who is who: core.placeholder_birthdays.
        f"""
        SELECT external_id, customer_id, first_name, last_name,
            CASE
                WHEN count(*) OVER (PARTITION BY birth_date)
                    < greatest(5, 0.002 * count(birth_date) OVER ())
                THEN birth_date::text
            END
        FROM {newest(conn, batch, "identities")} AS i
        """,
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
        FROM {newest(conn, batch, "accounts")} AS a
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
        known["phones"].add(addresses.phone(phone, region))
    numbers = {account: number for number, account in ids.items()}
    for account, channel, address in warehouse.rows(
        conn,
        f"SELECT DISTINCT account_id, channel, address FROM {newest(conn, batch, 'contact_points')} AS c "
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


def splits(conn: Connection, ids: dict[str, UUID]) -> list[tuple[str, str]]:
    """Pairs of numbers that were taken apart by hand; `ids` is the pseudonym of each number."""
    numbers = {account: number for number, account in ids.items()}
    return [
        (numbers[one], numbers[other])
        for one, other in warehouse.rows(
            conn, "SELECT account_id, other_account_id FROM ops.identity_splits"
        )
        if one in numbers and other in numbers
    ]


def newest(conn: Connection, batch: Batch | None, table: str) -> str:
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

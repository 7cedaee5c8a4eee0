"""Whose each account is, as it stands in the warehouse: `core.identity_links` and `core.identity_doubts`.

An account that leads to a person has one link, a customer's own number one to itself. An account that leads
to nobody, such as a web account whose address no customer has, has no link: it stands in the doubts under its
own number, beside each person whom it may belong to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from include import warehouse
from include.persons.identity import Link
from include.warehouse import Connection

LINKS, DOUBTS = "core.identity_links", "core.identity_doubts"

#: Whom each account leads to: a person, or nobody, which is its own number.
WHOSE = """(
    SELECT account_id, customer_id, true AS leads FROM core.identity_links
    UNION ALL
    SELECT account_id, customer_id, false FROM core.identity_doubts WHERE account_id = customer_id
)"""


@dataclass(frozen=True)
class Changes:
    """What is new about whose the accounts are.

    Attributes
    ----------
    moved
        Of each account that moved: the person before, and now.
    come
        Accounts that lead somewhere, or are known, only now.
    gone
        Accounts that lead to nobody any more.
    """

    moved: dict[UUID, tuple[UUID, UUID]]
    come: list[UUID]
    gone: list[UUID]


def store(
    conn: Connection,
    links: Iterable[Link],
    doubts: Iterable[tuple[str, str]],
    ids: dict[str, UUID],
) -> Changes:
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
    return Changes(
        moved=moved,
        come=[*(wanted.keys() - standing.keys()), *(nobodys - known)],
        gone=list(nobodys & standing.keys()),
    )

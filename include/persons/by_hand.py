"""Who is who, by hand: show which accounts are one person and why, and take a wrong merge apart for good.

Two sisters of one name and one birthday at one address come out as one person; `split` says they are two.
"""

from datetime import UTC, datetime

from include import warehouse
from include.errors import BadInput
from include.persons import pseudonym
from include.persons.evidence import evidence, splits
from include.persons.identity import resolve
from include.persons.settle import settle
from include.publication.locks import lock_publishing
from include.warehouse import Connection


def explain(conn: Connection, number: str) -> list[tuple[str, str, str]]:
    """The accounts of a number's person: (number, rule, number it was found through).

    Raises
    ------
    BadInput
        When no customer has the number.
    """
    accounts, ids = evidence(conn)
    links = resolve(accounts, splits(conn, ids))
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

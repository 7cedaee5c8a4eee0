"""Refusals beside the shop's answers: `ops.refusals`, which deciding and sending obey as a no in core.

They are told by a call between two runs (`ops.record_refusal`), asked for just before a message leaves
(`_refusals.sql`), set aside with a row that breaks a rule, or dated where no run looks. Whoever can be
identified by what was said is not written to until a later yes.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from uuid import UUID

from include import policy, warehouse
from include.contracts import words
from include.persons import addresses, pseudonym
from include.warehouse import Connection

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refusal:
    """One refusal as it was said; `number`, `address` or both name whose it is."""

    number: str | None
    address: str | None
    channel: str | None
    at: datetime
    key: str

    @property
    def meant(self) -> str:
        """The channel that it is about: every one, where its word is empty or not known."""
        return words.channel(self.channel) or "all"


def take_up(conn: Connection) -> int:
    """Take up what `ops.record_refusal` was told; how many. The caller commits."""
    waiting = warehouse.rows(
        conn,
        "DELETE FROM core.told_refusals "
        "RETURNING customer_number, address, channel, refused_at, refusal_id::text",
    )
    if waiting:
        record(conn, [Refusal(*row) for row in waiting], "told")
    return len(waiting)


def record(conn: Connection, said: Iterable[Refusal], how: str) -> int:
    """Note refusals, each once; how many are new.

    One that names an address is also of every customer who has it, and one that names a customer also of the
    addresses that the customer has.
    """
    found, secret = list(said), pseudonym.key()
    people = _people(conn, {r.number for r in found if r.number})
    marks = {r.address: _marks(r) for r in found if r.address}
    owners = _owners(conn, {mark for given in marks.values() for _, mark in given})
    rows, closed, unknown = [], [], 0
    for refusal in found:
        named = people.get(refusal.number or "", set())
        given = marks.get(refusal.address or "", [])
        who = named | {owner for _, mark in given for owner in owners.get(mark, ())}
        unknown += not who and not given
        key = str(pseudonym.pseudonym(f"refusal {refusal.key}", secret))  # it may hold an address
        rows += [(one, refusal.meant, how, key, refusal.at) for one in who]
        whose = next(iter(who)) if len(who) == 1 else None
        closed += [(mark, c, whose, refusal.at) for c, mark in given if refusal.meant in ("all", c)]
    if unknown:
        log.error(
            "%s refusals name nobody that is known: neither a number nor an address was read.",
            unknown,
        )
    if closed:
        _close(conn, closed)
    return _note(conn, rows, close=how in ("told", "asked")) if rows else 0


def _people(conn: Connection, numbers: set[str]) -> dict[str, set[UUID]]:
    """The accounts that each number means: spelt as it is, or in another case and with other blanks."""
    if not numbers:
        return {}
    secret = pseudonym.key()
    plain = {number: addresses.visible(number) for number in numbers}
    found = {
        n: {pseudonym.pseudonym(n, secret), pseudonym.pseudonym(p, secret)}
        for n, p in plain.items()
    }
    for number, account in warehouse.rows(
        conn,
        """
        SELECT n.given, k.account_id
        FROM unnest(%(given)s::text[], %(plain)s::text[]) AS n (given, plain)
        JOIN (
            SELECT external_id AS number, customer_id AS account_id FROM core.identities
            UNION ALL SELECT account_number, account_id FROM core.accounts
        ) AS k ON lower(btrim(k.number)) = lower(n.plain)
        """,
        {"given": list(plain), "plain": list(plain.values())},
    ):
        found[number].add(account)
    return found


def _marks(refusal: Refusal) -> list[tuple[str, UUID]]:
    """(channel, hash) of an address: of each channel whose form it has."""
    said = words.channel(refusal.channel)
    tried = ["email" if "@" in (refusal.address or "") else "sms"]
    tried += ["push"] if said == "push" else []
    region, secret = policy.load().shop.phone_region, pseudonym.key()
    # As it may be copied from a mail: `mailto:ann@shop.example`, `Ann <ann@shop.example>`.
    given = re.sub(r"^\s*mailto:", "", refusal.address or "", flags=re.IGNORECASE)
    given = (parseaddr(given)[1] or given) if "@" in given else given
    found = [(c, addresses.normal(c, given, region)) for c in tried]
    return [(c, addresses.hashed(c, address, secret)) for c, address in found if address]


def _owners(conn: Connection, marks: set[UUID]) -> dict[UUID, list[UUID]]:
    """Who has each address now."""
    owners: dict[UUID, list[UUID]] = {}
    if marks:
        for mark, customer in warehouse.rows(
            conn,
            "SELECT DISTINCT address_hash, customer_id FROM core.contact_points "
            "WHERE address_hash = ANY(%(marks)s) AND valid_to IS NULL",
            {"marks": list(marks)},
        ):
            owners.setdefault(mark, []).append(customer)
    return owners


def _note(
    conn: Connection, rows: list[tuple[UUID, str, str, str, datetime]], *, close: bool
) -> int:
    customers, channels, hows, keys, moments = zip(*rows, strict=True)
    params = {
        "customers": list(customers), "channels": list(channels), "hows": list(hows), "keys": list(keys),
        "moments": list(moments),
    }  # fmt: skip
    new = warehouse.execute(
        conn,
        """
        INSERT INTO ops.refusals AS n (customer_id, channel, how, source_key, refused_at, recorded_at)
        SELECT DISTINCT ON (1, 2, 3, 4) r.*, clock_timestamp()
        FROM unnest(%(customers)s::uuid[], %(channels)s::text[], %(hows)s::text[], %(keys)s::text[],
            %(moments)s::timestamptz[]) AS r
        -- A shop that says no moment says it anew each time.
        ON CONFLICT (customer_id, channel, how, source_key) DO UPDATE SET refused_at = excluded.refused_at
        WHERE excluded.how = 'asked' AND excluded.refused_at > n.refused_at
        """,
        params,
    )
    if close:
        held = warehouse.rows(
            conn,
            """
            SELECT p.address_hash, p.channel, r.customer_id, r.refused_at
            FROM unnest(%(customers)s::uuid[], %(channels)s::text[], %(moments)s::timestamptz[])
                AS r (customer_id, channel, refused_at)
            LEFT JOIN core.identity_links AS l ON r.customer_id = l.account_id
            JOIN core.contact_points AS p ON p.customer_id = coalesce(l.customer_id, r.customer_id)
            WHERE p.valid_to IS NULL AND p.address_hash IS NOT NULL AND r.channel IN ('all', p.channel)
            """,
            params,
        )
        _close(conn, held)
    return new


def _close(conn: Connection, rows: list[tuple[UUID, str, UUID | None, datetime]]) -> None:
    """List addresses as refused, whoever registers them."""
    if not rows:
        return
    marks, channels, customers, moments = zip(*rows, strict=True)
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.address_suppressions AS a
            (address_hash, channel, reason, customer_id, recorded_at, "by")
        SELECT DISTINCT ON (r.mark, r.channel) r.mark, r.channel, 'refused', r.customer_id, r.at, 'shop'
        FROM unnest(%(marks)s::uuid[], %(channels)s::text[], %(customers)s::uuid[],
            %(moments)s::timestamptz[]) AS r (mark, channel, customer_id, at)
        ORDER BY r.mark, r.channel, r.at DESC
        ON CONFLICT (address_hash, channel, reason) DO UPDATE
        SET customer_id = excluded.customer_id, recorded_at = excluded.recorded_at, until = NULL
        WHERE excluded.recorded_at > a.recorded_at
        """,
        {"marks": list(marks), "channels": list(channels), "customers": list(customers),
         "moments": list(moments)},
    )  # fmt: skip

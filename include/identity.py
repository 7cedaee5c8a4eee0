"""Who is who: which accounts of a shop (loyalty card, web, till, social) belong to one person.

Deterministic rules alone, strongest first. Each merge is an edge that names its rule, so it can be explained,
and a pair of accounts on the list of splits is never joined, directly or through others.

==================  ==========================================================  =======================
rule                two accounts are one person where                            and
==================  ==========================================================  =======================
account_id          one names the other's number as its owner
loyalty_number      both carry the same card                                     nothing contradicts it
verified_email      both have answered a message to the same address             nothing contradicts it
phone               both have the same number (E.164)                            the names agree, and
                                                                                the birthdays, or neither
                                                                                card nor address differ
==================  ==========================================================  =======================

What contradicts is a different birthday, or a different name: of two people who share a card, an address or a
telephone the names differ, and so do those of twins and of whoever is given a recycled address. First and
last name may be swapped. A value that more accounts share than a family has members belongs to nobody.

Pure: neither database nor clock.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Rules after `account_id`, strongest first, with the field of an account each reads.
RULES = (
    ("loyalty_number", "loyalty_number"),
    ("verified_email", "emails"),
    ("phone", "phones"),
)
#: Whose number a person keeps: the kinds of account, best first; the shop's own record counts as a card.
SYSTEMS = ("loyalty", "shop", "web", "till", "social")
#: A value that more accounts have is a placeholder (a till's own telephone), not somebody's.
MOST_SHARED = 12


@dataclass(frozen=True, slots=True)
class Account:
    """One account; texts as they were given, None where the shop does not know.

    `is_customer`: its number is in the shop's table of customers, so a person can be called by it.
    `emails` are those that were verified, at any time.
    """

    number: str
    system: str
    is_customer: bool
    owner: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    birth_date: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    loyalty_number: str | None = None

    def values(self, field: str) -> set[str]:
        """The normal forms of one of the fields that RULES name."""
        if field == "loyalty_number":
            return {_card(self.loyalty_number)} - {None}  # type: ignore[return-value]
        normal = normal_email if field == "emails" else normal_phone
        return {normal(text) for text in getattr(self, field)} - {None}  # type: ignore[return-value]

    @property
    def name(self) -> frozenset[str]:
        """The words of both names, without accents and case: order does not count."""
        return frozenset(_words(f"{self.first_name or ''} {self.last_name or ''}"))


@dataclass(frozen=True, slots=True)
class Link:
    """An account, the number its person is called by, and the edge that led there.

    `rule` and `linked_to` are None for the number itself.
    """

    number: str
    person: str
    rule: str | None
    linked_to: str | None


def normal_email(text: str | None) -> str | None:
    """An address in small letters, or None where it is none."""
    address = (text or "").strip().lower()
    return address if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", address) else None


def normal_phone(text: str | None) -> str | None:
    """A telephone number in E.164, or None where the country is not said."""
    number = re.sub(r"[\s().\-/]", "", text or "")
    number = re.sub(r"^00", "+", number)
    return number if re.fullmatch(r"\+[1-9][0-9]{6,14}", number) else None


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.findall(r"\w+", plain.replace("'", ""))


def names_agree(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two names are one: the same words, or one with a further name of at least two shared."""
    smaller, larger = sorted((one, other), key=len)
    return bool(smaller) and (smaller == larger or (len(smaller) > 1 and smaller <= larger))


class _People:
    """Disjoint sets of accounts (Tarjan 1975), what is known of each, and the edges that made them."""

    def __init__(self, accounts: dict[str, Account], splits: Iterable[tuple[str, str]]) -> None:
        self._parent = {number: number for number in accounts}
        self.members = {number: [number] for number in accounts}
        self._names = {n: {a.name} - {frozenset()} for n, a in accounts.items()}
        self._births = {n: {a.birth_date} - {None} for n, a in accounts.items()}
        self._own = {
            n: {kind: a.values(kind) for kind in ("loyalty_number", "emails")}
            for n, a in accounts.items()
        }
        self._apart: dict[str, set[str]] = defaultdict(set)
        for one, other in splits:
            self._apart[one].add(other)
            self._apart[other].add(one)
        self.edges: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def root(self, number: str) -> str:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def contradict(self, one: str, other: str) -> bool:
        """Whether the sets of two accounts have different birthdays, or a pair of different names."""
        a, b = self.root(one), self.root(other)
        if len(self._births[a] | self._births[b]) > 1:
            return True
        return any(not names_agree(x, y) for x in self._names[a] for y in self._names[b])

    def named(self, number: str) -> bool:
        return bool(self._names[self.root(number)])

    def agree(self, one: str, other: str) -> bool:
        return self.named(one) and self.named(other) and not self.contradict(one, other)

    def nothing_differs(self, one: str, other: str) -> bool:
        """Whether two sets have one birthday, or at least neither two cards nor two addresses.

        A father and a son of one name and one telephone are told apart by these alone.
        """
        a, b = self.root(one), self.root(other)
        if self._births[a] & self._births[b]:
            return True
        return not any(
            self._own[a][kind]
            and self._own[b][kind]
            and not self._own[a][kind] & self._own[b][kind]
            for kind in ("loyalty_number", "emails")
        )

    def join(self, one: str, other: str, rule: str) -> None:
        a, b = self.root(one), self.root(other)
        if a == b or self._split(a, b):
            return
        if len(self.members[a]) < len(self.members[b]):
            a, b = b, a
        self._parent[b] = a
        self.members[a] += self.members.pop(b)
        self._names[a] |= self._names.pop(b)
        self._births[a] |= self._births.pop(b)
        for kind, values in self._own.pop(b).items():
            self._own[a][kind] |= values
        self.edges[one].append((other, rule))
        self.edges[other].append((one, rule))

    def _split(self, a: str, b: str) -> bool:
        smaller, larger = sorted((self.members[a], self.members[b]), key=len)
        if not self._apart:
            return False
        return any(self._apart[number].intersection(larger) for number in smaller)


def resolve(accounts: Iterable[Account], splits: Iterable[tuple[str, str]] = ()) -> list[Link]:
    """The person of every account that belongs to a customer, by number.

    The outcome depends on the set of accounts and splits alone, not on their order. Accounts that lead to
    no customer are left out.

    Parameters
    ----------
    splits
        Pairs of numbers that are never one person, whatever the rules say.
    """
    known = {account.number: account for account in sorted(accounts, key=lambda a: a.number)}
    pairs = sorted({(min(p), max(p)) for p in splits if p[0] in known and p[1] in known})
    people = _People(known, pairs)
    for account in known.values():
        if account.owner in known and account.owner != account.number:
            people.join(account.number, str(account.owner), "account_id")
    for rule, field in RULES:
        for group in _sharing(known, field):
            _merge(people, group, rule)
    return sorted(
        (
            link
            for members in people.members.values()
            for link in _links(people, [known[number] for number in members])
        ),
        key=lambda link: link.number,
    )


def _sharing(known: dict[str, Account], field: str) -> Iterator[list[str]]:
    """The numbers of the accounts that have a value in common, value by value."""
    holders: dict[str, list[str]] = defaultdict(list)
    for number, account in known.items():
        for value in account.values(field):
            holders[value].append(number)
    for value in sorted(holders):
        if 1 < len(holders[value]) <= MOST_SHARED:
            yield holders[value]


def _card(text: str | None) -> str | None:
    return re.sub(r"[\s\-]", "", text or "").upper() or None


def _merge(people: _People, group: list[str], rule: str) -> None:
    named = [number for number in group if people.named(number)]
    for place, one in enumerate(named):
        for other in named[place + 1 :]:
            if people.agree(one, other) and (rule != "phone" or people.nothing_differs(one, other)):
                people.join(one, other, rule)
    if rule == "phone":
        return
    # An account without a name follows the value, unless the value leads to two people.
    nameless = [number for number in group if not people.named(number)]
    holders = sorted({people.root(number) for number in named})
    if len(holders) > 1:
        return
    first = named[:1] or nameless[:1]
    for number in nameless:
        if number != first[0] and not people.contradict(first[0], number):
            people.join(first[0], number, rule)


def _links(people: _People, members: list[Account]) -> Iterator[Link]:
    """The person of one set: the best of its customer numbers, and how each account leads there."""
    customers = [account for account in members if account.is_customer]
    if not customers:
        return
    person = min(customers, key=_precedence).number
    yield Link(person, person, None, None)
    seen, waiting = {person}, [person]
    while waiting:
        here = waiting.pop()
        for there, rule in sorted(people.edges[here]):
            if there not in seen:
                seen.add(there)
                waiting.append(there)
                yield Link(there, person, rule, here)


def _precedence(account: Account) -> tuple[int, int, str]:
    """Better kinds of account first, then shorter and smaller numbers, which are commonly the older ones."""
    rank = SYSTEMS.index(account.system) if account.system in SYSTEMS else len(SYSTEMS)
    return rank, len(account.number), account.number

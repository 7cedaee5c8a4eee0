"""Who is who: which accounts of a shop (loyalty card, web, till, social) belong to one person.

Deterministic rules alone, strongest first. Each merge is an edge that names its rule, so it can be explained,
and a pair of accounts on the list of splits is never joined, directly or through others.

==================  ==========================================================
rule                two accounts may be one person where
==================  ==========================================================
account_id          one names the other's number as its owner
loyalty_number      both carry the same card
verified_email      both have answered a message to the same address
phone               both have the same number (E.164)
==================  ==========================================================

The first says it all. What the others share is a key, and a key is shared by families and handed on to
strangers, so it counts only where the rest agrees (`include.persons.names`):

- *Names agree* (first and last name may be swapped), or are *near* (a short form, or one letter off): one
  person, unless the birthdays differ; by telephone also unless the cards differ, which alone tell a father
  from a son of one name.
- *No name, or an initial*: one person where the birthdays are equal, or the card or the address is and
  nothing else differs of card, address and telephone.
- *Another surname* with the same first name: one person renamed, where the card or the address is equal, and
  a second key or the birthdays are, or nothing differs.
- Anything else contradicts: families, couples with one card, twins, and whoever is given a recycled address.

What is uncertain (all but names that agree) waits until what is certain has been put together, and is joined
only where each of the two is among the other's best matches and these do not contradict one another. What
contradicts holds for whole groups of accounts. A value that more accounts share than a family has members
belongs to nobody.

Pure: neither database nor clock.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from include.persons import addresses, names
from include.persons.names import Name

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
        if not getattr(self, field):
            return set()
        if field == "loyalty_number":
            return {_card(self.loyalty_number)} - {None}  # type: ignore[return-value]
        normal = addresses.email if field == "emails" else addresses.phone
        return {normal(text) for text in getattr(self, field)} - {None}  # type: ignore[return-value]

    @property
    def name(self) -> Name:
        """First and last name in their normal form."""
        return names.read(self.first_name, self.last_name)


@dataclass(frozen=True, slots=True)
class Link:
    """An account, the number its person is called by, and the edge that led there.

    `rule` and `linked_to` are None for the number itself.
    """

    number: str
    person: str
    rule: str | None
    linked_to: str | None


class _Group:
    """What is known of the accounts of one person."""

    def __init__(self, account: Account) -> None:
        self.members = [account.number]
        self.names = {account.name} if account.name else set()
        self.births = {account.birth_date} - {None}
        self.keys = {rule: account.values(field) for rule, field in RULES}

    def absorb(self, other: "_Group") -> None:
        self.members += other.members
        self.names |= other.names
        self.births |= other.births
        for rule, values in other.keys.items():
            self.keys[rule] |= values

    def common(self, other: "_Group") -> list[str]:
        """The rules whose values both have in common, strongest first."""
        return [rule for rule, _ in RULES if self.keys[rule] & other.keys[rule]]

    def differs(self, other: "_Group") -> list[str]:
        """The rules for which both have values, and none in common."""
        return [
            rule
            for rule, _ in RULES
            if self.keys[rule] and other.keys[rule] and not self.keys[rule] & other.keys[rule]
        ]

    def same_birth(self, other: "_Group") -> bool:
        return bool(self.births & other.births)

    def other_birth(self, other: "_Group") -> bool:
        return bool(self.births and other.births) and not self.same_birth(other)


def _certain(one: _Group, other: _Group, rule: str) -> bool:
    """Whether two groups that share a key are one person beyond what else could still be found."""
    if one.other_birth(other) or not names.compatible(one.names, other.names):
        return False
    if not any(names.agree(a, b) for a in one.names for b in other.names):
        return False
    return rule != "phone" or one.same_birth(other) or "loyalty_number" not in one.differs(other)


def _likely(one: _Group, other: _Group) -> bool:
    """Whether two groups that share a key are one person unless a better match is found."""
    common = one.common(other)
    if one.other_birth(other) or not common:
        return False
    is_strong, differs = common != ["phone"], one.differs(other)
    if not names.compatible(one.names, other.names):
        is_renamed = any(names.renamed(a, b) for a in one.names for b in other.names)
        return (
            is_strong and is_renamed and (one.same_birth(other) or len(common) > 1 or not differs)
        )
    if one.same_birth(other):
        return True
    if any(names.near(a, b) for a in one.names for b in other.names):
        return is_strong or "loyalty_number" not in differs
    return is_strong and not differs


class _People:
    """Disjoint sets of accounts (Tarjan 1975), what is known of each, and the edges that made them."""

    def __init__(self, accounts: dict[str, Account], splits: Iterable[tuple[str, str]]) -> None:
        self._parent = {number: number for number in accounts}
        self.groups = {number: _Group(account) for number, account in accounts.items()}
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

    def group(self, number: str) -> _Group:
        return self.groups[self.root(number)]

    def join(self, one: str, other: str, rule: str) -> bool:
        """Put the groups of two accounts together, unless they are one or split; whether it was done."""
        a, b = self.root(one), self.root(other)
        if a == b or self.split(a, b):
            return False
        if len(self.groups[a].members) < len(self.groups[b].members):
            a, b = b, a
        self._parent[b] = a
        self.groups[a].absorb(self.groups.pop(b))
        self.edges[one].append((other, rule))
        self.edges[other].append((one, rule))
        return True

    def split(self, a: str, b: str) -> bool:
        if not self._apart:
            return False
        smaller, larger = sorted((self.groups[a].members, self.groups[b].members), key=len)
        return any(self._apart[number].intersection(larger) for number in smaller)


def resolve(accounts: Iterable[Account], splits: Iterable[tuple[str, str]] = ()) -> list[Link]:
    """The person of every account that belongs to a customer, by number; see `decide`."""
    return decide(accounts, splits)[0]


def decide(
    accounts: Iterable[Account], splits: Iterable[tuple[str, str]] = ()
) -> tuple[list[Link], list[tuple[str, str]]]:
    """The person of every account that belongs to a customer, and whom the others may belong to, by number.

    The outcome depends on the set of accounts and splits alone, not on their order. Accounts that lead to
    no customer have no link. Of these the second list gives each person who shares a value with them and
    whom nothing contradicts: (account, person).

    Parameters
    ----------
    splits
        Pairs of numbers that are never one person, whatever the rules say.
    """
    known = {account.number: account for account in sorted(accounts, key=lambda a: a.number)}
    holders = {rule: _holders(known, field) for rule, field in RULES}
    sharing = {
        rule: [numbers for _, numbers in sorted(found.items()) if 1 < len(numbers) <= MOST_SHARED]
        for rule, found in holders.items()
    }
    owned = [
        (account.number, account.owner)
        for account in known.values()
        if account.owner in known and account.owner != account.number
    ]
    # Most accounts share nothing with another: each is a person by itself, and no more is asked about it.
    bound = {number for found in sharing.values() for numbers in found for number in numbers}
    bound.update(number for pair in owned for number in pair if number)
    pairs = sorted({(min(p), max(p)) for p in splits if p[0] in bound and p[1] in bound})
    people = _People({number: known[number] for number in known if number in bound}, pairs)
    for number, owner in owned:
        people.join(number, str(owner), "account_id")
    while _join_certain(people, sharing) or _join_likely(people, sharing):
        continue
    links = [
        link
        for group in people.groups.values()
        for link in _links(people, [known[number] for number in group.members])
    ]
    links += [
        Link(number, number, None, None)
        for number, account in known.items()
        if number not in bound and account.is_customer
    ]
    return sorted(links, key=lambda link: link.number), _doubts(people, sharing, known)


_Sharing = dict[str, list[list[str]]]


def _doubts(people: _People, sharing: _Sharing, known: dict[str, Account]) -> list[tuple[str, str]]:
    """(account, person) of whom the rules do not make one, and who may be one."""
    persons = {
        root: _person([known[number] for number in group.members])
        for root, group in people.groups.items()
    }
    found = set()
    for holders in sharing.values():
        for numbers in holders:
            roots = {people.root(number) for number in numbers}
            for here in (root for root in roots if persons[root] is None):
                for there in roots:
                    one, other = people.groups[here], people.groups[there]
                    if (
                        persons[there] is not None
                        and not one.other_birth(other)
                        and names.compatible(one.names, other.names)
                        and not people.split(here, there)
                    ):
                        found |= {(number, str(persons[there])) for number in one.members}
    return sorted(found)


def _person(members: list[Account]) -> str | None:
    """The number that one set is called by: the best of its customers' numbers, if any."""
    customers = [account for account in members if account.is_customer]
    return min(customers, key=_precedence).number if customers else None


def _join_certain(people: _People, sharing: _Sharing) -> bool:
    """Join whom the names make one; whether there was any."""
    found = False
    for rule, holders in sharing.items():
        for numbers in holders:
            for one, other in combinations(numbers, 2):
                if people.root(one) != people.root(other) and _certain(
                    people.group(one), people.group(other), rule
                ):
                    found |= people.join(one, other, rule)
    return found


def _join_likely(people: _People, sharing: _Sharing) -> bool:
    """Join the uncertain ones that are each other's only best match; whether there was any."""
    edges: dict[tuple[str, str], tuple[str, str, str]] = {}
    for rule, holders in sharing.items():
        for numbers in holders:
            for one, other in combinations(numbers, 2):
                a, b = sorted((people.root(one), people.root(other)))
                if a != b:
                    edges.setdefault((a, b), (one, other, rule))
    matches: dict[str, list[tuple[tuple[int, bool], str]]] = defaultdict(list)
    for a, b in edges:
        here, there = people.groups[a], people.groups[b]
        if _likely(here, there) and not people.split(a, b):
            closeness = (len(here.common(there)), here.same_birth(there))
            matches[a].append((closeness, b))
            matches[b].append((closeness, a))
    best = {root: _closest(people, found) for root, found in matches.items()}
    mutual = [(a, b) for a, b in sorted(edges) if b in best.get(a, ()) and a in best.get(b, ())]
    found = False
    for pair in mutual:
        # What was joined since may have changed what is known of either.
        number, neighbour, rule = edges[pair]
        if people.root(number) != people.root(neighbour) and _likely(
            people.group(number), people.group(neighbour)
        ):
            found |= people.join(number, neighbour, rule)
    return found


def _closest(people: _People, found: list[tuple[tuple[int, bool], str]]) -> set[str]:
    """The best of some matches; none where the best ones cannot be one person themselves."""
    closest = max(closeness for closeness, _ in found)
    best = [other for closeness, other in found if closeness == closest]
    groups = [people.groups[root] for root in best]
    agree = all(
        not a.other_birth(b) and names.compatible(a.names, b.names)
        for a, b in combinations(groups, 2)
    )
    return set(best) if agree else set()


def _holders(known: dict[str, Account], field: str) -> dict[str, list[str]]:
    """The numbers of the accounts that have a value, value by value."""
    found: dict[str, list[str]] = defaultdict(list)
    for number, account in known.items():
        for value in account.values(field):
            found[value].append(number)
    return found


def _card(text: str | None) -> str | None:
    return re.sub(r"[\s\-]", "", text or "").upper() or None


def _links(people: _People, members: list[Account]) -> Iterator[Link]:
    """The person of one set: the best of its customer numbers, and how each account leads there."""
    person = _person(members)
    if person is None:
        return
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

"""How well accounts are put together, on generated people whose truth is known.

People have one to four accounts (loyalty card, web, till, social) that carry what such accounts carry, typed
as people type: other case, blanks, swapped names, missing fields, a typing error in a name here and there.
Among them are the hard cases: families that share a telephone, couples that share a card, twins who share a
birthday, a telephone and a surname, fathers and sons of one name, and e-mail addresses that a stranger was
given after their first owner.

Precision and recall are of pairs of accounts: of the pairs that were merged, the share that is one person;
of the pairs that are one person, the share that was merged. The peer merges whatever shares a card, an
address or a telephone.

    bin/regulars bench identity [--people 20000] [--seed 1]
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from benchmarks._lines import show
from include.demo_shop.generate import FIRST_NAMES, LAST_NAMES
from include.identity import Account, resolve

PEER_NAME = "any shared card, address or telephone"
#: Shares of people who live as a family with one telephone, who are twins, of one name with a parent, and
#: whose address was somebody else's.
FAMILY, TWINS, NAMESAKES, RECYCLED = 0.25, 0.02, 0.01, 0.03
#: Share of accounts that were opened with a second address of their person.
SECOND = 0.04

Person = dict[str, str]


def persons(count: int, rng: random.Random) -> list[Person]:
    """People with a name, a birthday, an address, a telephone and a card."""
    found: list[Person] = []
    while len(found) < count:
        found.append(_person(len(found), rng))
        one, draw = found[-1], rng.random()
        if draw < FAMILY:
            for _ in range(rng.randint(1, 3)):
                found.append(
                    _person(len(found), rng) | {"last": one["last"], "phone": one["phone"]}
                )
            if rng.random() < 0.3:
                found[-1]["card"] = one["card"]
        elif draw < FAMILY + TWINS:
            twin = _person(len(found), rng)
            found.append(twin | {key: one[key] for key in ("last", "born", "phone")})
        elif draw < FAMILY + TWINS + NAMESAKES:
            child = _person(len(found), rng)
            found.append(child | {key: one[key] for key in ("first", "last", "phone")})
        elif draw < FAMILY + TWINS + NAMESAKES + RECYCLED:
            found.append(_person(len(found), rng) | {"email": one["email"]})
    return found[:count]


def _person(place: int, rng: random.Random) -> Person:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return {
        "first": first,
        "last": last,
        "born": f"{rng.randint(1930, 2000)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
        "email": f"{first}.{last}.{place}@example.com".lower(),
        "phone": f"+1212{place:07d}",
        "card": f"L{place:07d}",
    }


def accounts(people: list[Person], rng: random.Random) -> tuple[list[Account], dict[str, int]]:
    """Accounts of the people, and whose each one is."""
    found, owner = [], {}
    for place, person in enumerate(people):
        for system in ("loyalty", "web", "till", "social"):
            share = {"loyalty": 0.9, "web": 0.6, "till": 0.3, "social": 0.3}[system]
            if rng.random() >= share:
                continue
            account = _account(f"{system[0].upper()}{place}", system, person, rng)
            found.append(account)
            owner[account.number] = place
    rng.shuffle(found)
    return found, owner


def _account(number: str, system: str, person: Person, rng: random.Random) -> Account:
    first, last = person["first"], person["last"]
    draw = rng.random()
    if draw < 0.03:
        first, last = last, first
    elif draw < 0.04:
        first = first[:-1] or first  # a letter is lost
    elif draw < 0.07:
        first = last = ""
    elif draw < 0.20:
        first, last = first.upper(), f" {last} "
    carries = {
        "loyalty": {"card": 1.0, "email": 0.9, "phone": 0.9, "born": 0.7},
        "web": {"card": 0.5, "email": 1.0, "phone": 0.7, "born": 0.3},
        "till": {"card": 0.9, "email": 0.0, "phone": 0.8, "born": 0.0},
        "social": {"card": 0.0, "email": 1.0, "phone": 0.5, "born": 0.2},
    }[system]
    has = {field: rng.random() < share for field, share in carries.items()}
    verified = rng.random() < 0.97
    mail = person["email"].upper() if rng.random() < 0.1 else person["email"]
    if rng.random() < SECOND:
        mail = f"second.{person['email']}"
    phone = person["phone"]
    spaced = f"00{phone[1:2]} ({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
    return Account(
        number=number,
        system=system,
        is_customer=True,
        first_name=first or None,
        last_name=last or None,
        birth_date=person["born"] if has["born"] else None,
        emails=(mail,) if has["email"] and verified else (),
        phones=(spaced if rng.random() < 0.3 else phone,) if has["phone"] else (),
        loyalty_number=person["card"] if has["card"] else None,
    )


def naive(found: Iterable[Account]) -> dict[str, str]:
    """The peer: number to person, where any shared value merges."""
    parent: dict[str, str] = {}

    def root(item: str) -> str:
        parent.setdefault(item, item)
        while parent[item] != item:
            item = parent[item]
        return item

    numbers = []
    for account in sorted(found, key=lambda a: a.number):
        numbers.append(account.number)
        for field in ("loyalty_number", "emails", "phones"):
            for value in account.values(field):
                parent[root(account.number)] = root(f"={value}")
    return {number: root(number) for number in numbers}


def pairs(person: dict[str, str] | dict[str, int]) -> set[tuple[str, str]]:
    """Every pair of accounts that is one person."""
    groups: dict[str | int, list[str]] = defaultdict(list)
    for number, who in person.items():
        groups[who].append(number)
    return {pair for group in groups.values() for pair in combinations(sorted(group), 2)}


def precision_recall(
    found: set[tuple[str, str]], true: set[tuple[str, str]]
) -> tuple[float, float]:
    """Of pairs."""
    right = len(found & true)
    return right / max(len(found), 1), right / max(len(true), 1)


def main() -> None:
    """Print precision and recall beside the peer's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    given, owner = accounts(persons(asked.people, rng), rng)
    truth = pairs(owner)
    ours = precision_recall(pairs({link.number: link.person for link in resolve(given)}), truth)
    peer = precision_recall(pairs(naive(given)), truth)
    for metric, mine, theirs in zip(("precision", "recall"), ours, peer, strict=True):
        show(
            "identity", metric, f"people={asked.people}", mine, theirs, PEER_NAME,
            unit="share of pairs", n=len(truth),
        )  # fmt: skip


if __name__ == "__main__":
    main()

"""How well accounts are put together, on generated people whose truth is known.

Precision and recall are of pairs of accounts: of the pairs that were merged, the share that is one person;
of the pairs that are one person, the share that was merged. The peer merges whatever shares a card, an
address or a telephone. `ceiling` is the share of true pairs that any rule over these keys could find: those
whose accounts hang together by keys in common, directly or through other accounts of the person.

The worlds and the grounds of their rates stand in `benchmarks/_people.py`. A case's figures are of the pairs
with a person of that case (precision) or with an account of that fault (recall).

    bin/regulars bench identity [--people 20000] [--seeds 1 2 3]
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from benchmarks import _people
from benchmarks._lines import show
from benchmarks._people import Person, World
from include.persons.identity import RULES, Account, resolve
from include.persons.names import agree

PEER_NAME = "any shared card, address or telephone"

Pairs = set[tuple[str, str]]


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


def pairs(person: dict[str, str] | dict[str, int]) -> Pairs:
    """Every pair of accounts that is one person."""
    groups: dict[str | int, list[str]] = defaultdict(list)
    for number, who in person.items():
        groups[who].append(number)
    return {pair for group in groups.values() for pair in combinations(sorted(group), 2)}


def precision_recall(found: Pairs, true: Pairs) -> tuple[float, float]:
    """Of pairs."""
    right = len(found & true)
    return right / max(len(found), 1), right / max(len(true), 1)


def hang_together(given: Iterable[Account], truth: Pairs) -> Pairs:
    """The true pairs whose accounts hang together by keys, through accounts of the same person alone."""
    known = {account.number: account for account in given}
    keys = {
        number: {number, account.owner}
        | {f"{field} {value}" for _, field in RULES for value in account.values(field)}
        for number, account in known.items()
    }
    linked: dict[str, set[str]] = defaultdict(set)
    for one, other in truth:
        if (keys[one] & keys[other]) - {None}:
            linked[one].add(other)
            linked[other].add(one)
    found = set()
    for pair in truth:
        seen, waiting = {pair[0]}, [pair[0]]
        while waiting:
            new = linked[waiting.pop()] - seen
            seen |= new
            waiting += new
        if pair[1] in seen:
            found.add(pair)
    return found


def fault(account: Account, person: Person) -> str:
    """What an account's name has: swapped, none, other letters, or nothing worth a line."""
    if not account.name:
        return "no_name"
    right = Account(
        "", "", is_customer=False, first_name=person["first"], last_name=person["last"]
    ).name
    if not agree(account.name, right):
        return "other_letters"
    return "swapped" if account.name.first != right.first else "as_it_is"


def measure(world: World, count: int, seed: int) -> None:
    """Print one world's figures."""
    rng = random.Random(seed)
    people = _people.persons(count, rng, world)
    given, owner = _people.accounts(people, rng, world)
    truth = pairs(owner)
    ours = pairs({link.number: link.person for link in resolve(given)})
    peer = pairs(naive(given))
    setting = f"world={world.name},people={count},seed={seed}"

    def line(metric: str, mine: float, theirs: float | None, n: int, case: str = "") -> None:
        show(
            "identity", metric, setting + (f",case={case}" if case else ""), mine, theirs, PEER_NAME,
            unit="share of pairs", n=n,
        )  # fmt: skip

    for metric, mine, theirs in zip(
        ("precision", "recall"),
        precision_recall(ours, truth),
        precision_recall(peer, truth),
        strict=True,
    ):
        line(metric, mine, theirs, len(truth))
    line("ceiling", len(hang_together(given, truth)) / len(truth), None, len(truth))
    cases = {number: people[place]["case"] for number, place in owner.items()}
    for case in _people.CASES:
        of_case = [
            {p for p in found if case in (cases[p[0]], cases[p[1]])}
            for found in (ours, truth, peer)
        ]
        if of_case[1]:
            mine, theirs = (
                precision_recall(found, of_case[1])[0] for found in (of_case[0], of_case[2])
            )
            line("precision", mine, theirs, len(of_case[0]), case)
            line("recall", len(of_case[0] & truth) / len(of_case[1]), None, len(of_case[1]), case)
    faults = {account.number: fault(account, people[owner[account.number]]) for account in given}
    for case in ("swapped", "other_letters", "no_name"):
        with_fault = {p for p in truth if case in (faults[p[0]], faults[p[1]])}
        if with_fault:
            right, theirs = (len(found & with_fault) / len(with_fault) for found in (ours, peer))
            line("recall", right, theirs, len(with_fault), case)


def main() -> None:
    """Print precision and recall beside the peer's, world by world."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    for world in _people.WORLDS:
        for seed in asked.seeds:
            measure(world, asked.people, seed)


if __name__ == "__main__":
    main()

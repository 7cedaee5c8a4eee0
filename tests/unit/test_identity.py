"""Who is who: the rules, what contradicts, the splits, and how well it does where the truth is known."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._people import WORLDS, accounts, persons
from benchmarks.identity import hang_together, naive, pairs, precision_recall
from include.persons import identity
from include.persons.identity import (
    Account,
    resolve,
)


def account(
    number: str, system: str = "loyalty", name: str = "Ana Silva", **more: object
) -> Account:
    first, _, last = name.partition(" ")
    fields: dict[str, Any] = {
        "first_name": first or None,
        "last_name": last or None,
        "is_customer": True,
    } | more
    return Account(number=number, system=system, **fields)


MAIL: dict[str, Any] = {"emails": ("ana@example.com",)}
PHONE: dict[str, Any] = {"phones": ("+12125550100",)}


def groups(*given_: Account, splits: tuple[tuple[str, str], ...] = ()) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for link in resolve(given_, splits):
        found.setdefault(link.person, set()).add(link.number)
    return {frozenset(numbers) for numbers in found.values()}


ONE, TWO = {frozenset({"1", "2"})}, {frozenset({"1"}), frozenset({"2"})}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (account("1", **MAIL), account("2", emails=(" ANA@Example.com ",)), ONE),
        (account("1", **MAIL), account("2", name="Silva ANA", **MAIL), ONE),  # swapped
        (account("1", **MAIL), account("2", name="", **MAIL), ONE),  # nothing contradicts
        (account("1", **MAIL), account("2", name="Ben Silva", **MAIL), TWO),  # recycled, or a couple
        (account("1", **PHONE), account("2", phones=("001 (212) 555-0100",)), ONE),
        (account("1", **PHONE), account("2", name="Ben Silva", **PHONE), TWO),  # a family's telephone
        (account("1", **PHONE), account("2", name="", **PHONE), TWO),  # a telephone alone says little
        (account("1", birth_date="1980-01-01", **PHONE),
         account("2", birth_date="2004-01-01", **PHONE), TWO),  # of one name with a parent
        (account("1", loyalty_number="L1", **PHONE), account("2", loyalty_number="L2", **PHONE), TWO),
        (account("1", birth_date="1980-01-01", **PHONE),
         account("2", name="Bea Silva", birth_date="1980-01-01", **PHONE), TWO),  # twins
        (account("1", loyalty_number="l-1"), account("2", loyalty_number="L 1"), ONE),
        (account("1"), account("2", name="Ben Park", owner="1"), ONE),  # the shop says so
        (account("1"), account("2"), TWO),  # a name alone is none
        (account("1", name="Zoë O'Neil", **MAIL), account("2", name="Zoe ONeil", **MAIL), ONE),
        (account("1", name="Robert Silva", **MAIL), account("2", name="Rob Silva", **MAIL), ONE),
        (account("1", name="Robert Silva", **MAIL), account("2", name="R Silva", **MAIL), ONE),
        (account("1", name="Robert Silva", **MAIL), account("2", name="Silva Rboert", **MAIL), ONE),
        (account("1", name="Robert Silva", **MAIL), account("2", name="Roberta Silva", **MAIL), TWO),
        (account("1", name="Maria Silva", **MAIL), account("2", name="Mario Silva", **MAIL), TWO),
        (account("1", name="Paul Silva", **MAIL), account("2", name="Paula Silva", **MAIL), TWO),
        (account("1", name="Ana Silva", **MAIL), account("2", name="Ann Silva", **MAIL), TWO),
        (account("1", name="Robert Silva", loyalty_number="L", **PHONE),
         account("2", name="Rbert Silva", loyalty_number="M", **PHONE), TWO),
        (account("1", name="Robert Silva", birth_date="1980-01-01", **MAIL),
         account("2", name="Rob Silva", birth_date="1980-02-01", **MAIL), TWO),
        (account("1", name="Ana Silva", **MAIL), account("2", name="Ana Park", **MAIL), ONE),  # renamed
        (account("1", name="Ana Silva", **PHONE), account("2", name="Ana Park", **PHONE), TWO),
        (account("1", name="Robert Silva", **PHONE), account("2", name="Rob Silva", **PHONE), ONE),
        (account("1", birth_date="1980-01-01", **PHONE),
         account("2", name="", birth_date="1980-01-01", **PHONE), ONE),
        (account("1", loyalty_number="L", **MAIL),  # a partner's nameless account of the shared card
         account("2", name="", loyalty_number="L", emails=("ben@example.com",)), TWO),
    ],
)  # fmt: skip
def test_each_rule_and_what_contradicts_it(first, second, expected):
    assert groups(first, second) == expected
    assert groups(second, first) == expected


def test_contradictions_count_through_others():
    ana, nobody, ben = (
        account("1", **MAIL),
        account("2", name="", loyalty_number="L", **MAIL),
        account("3", name="Ben Park", loyalty_number="L"),
    )
    assert frozenset({"1", "3"}) not in groups(ana, nobody, ben)
    assert all(len(group & {"1", "3"}) < 2 for group in groups(ana, nobody, ben))


def test_an_account_without_a_name_does_not_choose_between_two_people():
    first, second = account("1", **MAIL), account("2", name="Ben Park", **MAIL)
    assert groups(first, second, account("3", name="", **MAIL)) == {
        frozenset({"1"}), frozenset({"2"}), frozenset({"3"})
    }  # fmt: skip


def test_a_short_name_does_not_choose_between_two_people():
    brothers = [account("1", name="Daniel Silva", **MAIL), account("2", name="Diego Silva", **MAIL)]
    assert groups(*brothers, account("3", name="D Silva", **MAIL)) == {
        frozenset({"1"}), frozenset({"2"}), frozenset({"3"})
    }  # fmt: skip
    same = account("4", name="D Silva", birth_date="1980-01-01", loyalty_number="L", **MAIL)
    known = account("5", name="Daniel Silva", birth_date="1980-01-01", **MAIL)
    assert frozenset({"4", "5"}) in groups(known, brothers[1], same)  # the birthday does


def test_an_initial_says_less_than_a_short_name():
    one = account("1", name="Robert Silva", **PHONE)
    assert groups(one, account("2", name="Rob Silva", **PHONE)) == ONE
    assert groups(one, account("2", name="R Silva", **PHONE)) == TWO
    partner: dict[str, Any] = {"loyalty_number": "L", "emails": ("rosa@example.com",)}
    known = account("1", name="Robert Silva", loyalty_number="L", **MAIL)
    assert groups(known, account("2", name="R Silva", **partner)) == TWO
    assert groups(known, account("2", name="Rbert Silva", **partner)) == ONE


def test_what_is_certain_comes_first_and_then_tells_the_uncertain_apart():
    card: dict[str, Any] = {"loyalty_number": "L"}
    nameless = account("3", name="", **MAIL, **card)
    assert groups(account("1", **MAIL, **card), account("2", name="Ben Silva", **card), nameless) == {
        frozenset({"1", "3"}), frozenset({"2"})
    }  # fmt: skip


def test_a_value_that_everybody_has_belongs_to_nobody():
    crowd = [account(str(n), name=f"A{n} B", phones=("+12125550000",)) for n in range(40)]
    crowd += [account("x", **PHONE), account("y", **PHONE)]
    many = [account(f"k{n}", emails=("till@example.com",)) for n in range(40)]
    assert frozenset({"x", "y"}) in groups(*crowd, *many)
    assert all(len(group) <= 2 for group in groups(*crowd, *many))


def test_a_person_keeps_the_number_of_the_best_account_and_strangers_are_left_out():
    links = resolve(
        [
            account("w", "web", is_customer=True, **MAIL),
            account("77", "loyalty", **MAIL),
            account("s", "social", is_customer=False, **MAIL),
            account("z", "social", name="No Body", is_customer=False),
        ]
    )
    assert {(link.number, link.person) for link in links} == {
        ("w", "77"),
        ("77", "77"),
        ("s", "77"),
    }
    assert {link.number: link.rule for link in links}["s"] == "verified_email"


def test_a_split_holds_directly_and_through_others():
    three = [account("1", **MAIL), account("2", **MAIL, **PHONE), account("3", **PHONE)]
    assert groups(*three) == {frozenset({"1", "2", "3"})}
    assert all(len(g & {"1", "3"}) < 2 for g in groups(*three, splits=(("3", "1"),)))
    assert all(len(g & {"1", "2"}) < 2 for g in groups(*three, splits=(("1", "2"),)))


@given(st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_accounts_does_not_matter(shuffled):
    rng = random.Random(3)
    found, _ = accounts(persons(60, rng), rng)
    expected = resolve(found)
    shuffled.shuffle(found)
    assert resolve(found) == expected


def everyone_asked(given_: list[Account], splits: list[tuple[str, str]]) -> list[identity.Link]:
    """The same rules put to every account at once, whether it shares anything with another or not."""
    known = {one.number: one for one in sorted(given_, key=lambda one: one.number)}
    people = identity._People(known, sorted({(min(pair), max(pair)) for pair in splits}))
    for one in known.values():
        if one.owner in known and one.owner != one.number:
            people.join(one.number, str(one.owner), "account_id")
    sharing = {
        rule: [
            numbers
            for _, numbers in sorted(identity._holders(known, field).items())
            if 1 < len(numbers) <= identity.MOST_SHARED
        ]
        for rule, field in identity.RULES
    }
    while identity._join_certain(people, sharing) or identity._join_likely(people, sharing):
        continue
    found = (
        link
        for group in people.groups.values()
        for link in identity._links(people, [known[number] for number in group.members])
    )
    return sorted(found, key=lambda link: link.number)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_leaving_out_who_shares_nothing_changes_nothing(data):
    few = st.integers(0, 9).map(lambda n: () if n > 6 else (f"{n % 4}@example.com",))
    numbers = [str(n) for n in range(data.draw(st.integers(1, 30)))]
    given_ = [
        account(
            number,
            system=data.draw(st.sampled_from(["loyalty", "web", "social"])),
            name=data.draw(st.sampled_from(["Ana Silva", "Ben Silva", "Ana", "", "Bea Park"])),
            is_customer=data.draw(st.booleans()),
            owner=data.draw(st.sampled_from([None, None, None, "0", "31", number])),
            emails=data.draw(few),
            phones=data.draw(st.sampled_from([(), (), ("+12125550100",), ("+12125550101",)])),
            loyalty_number=data.draw(st.sampled_from([None, None, "L1", "L2"])),
        )
        for number in numbers
    ]
    pair = st.tuples(st.sampled_from(numbers), st.sampled_from(numbers))
    splits = (
        data.draw(st.lists(pair.filter(lambda two: two[0] != two[1]), max_size=3))
        if len(numbers) > 1
        else []
    )
    assert resolve(given_, splits) == everyone_asked(given_, splits)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_precision_and_recall_on_people_whose_truth_is_known(world):
    rng = random.Random(11)
    found, owner = accounts(persons(6_000, rng, world), rng, world)
    truth = pairs(owner)
    merged = pairs({link.number: link.person for link in resolve(found)})
    precision, recall = precision_recall(merged, truth)
    assert precision >= 0.99
    assert recall >= 0.90
    assert recall < len(hang_together(found, truth)) / len(truth) < 0.97  # no rule finds them all
    assert precision_recall(pairs(naive(found)), truth)[0] < 0.6  # the cases are hard


def test_whom_an_account_without_a_customer_may_belong_to():
    web = account("w", "web", name="", is_customer=False, **MAIL)
    ana, ben = account("1", **MAIL), account("2", name="Ben Park", **MAIL)
    assert identity.decide([web, ana])[1] == []  # she is one
    assert identity.decide([web, ana, ben])[1] == [("w", "1"), ("w", "2")]
    # A name says whose it is not, and a split that it is not hers.
    eva = account("w", "web", name="Eva Roth", is_customer=False, **MAIL)
    assert identity.decide([eva, ana, ben])[1] == []
    assert identity.decide([web, ana], [("w", "1")])[1] == []
    assert identity.decide([web, ana, ben], [("w", "1"), ("w", "2")])[1] == []

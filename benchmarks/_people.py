"""Generated people whose accounts are known to be theirs, for measuring identity resolution.

People have one to four accounts (loyalty card, web, till, social) that carry what such accounts carry, typed
as people type. Among them are the hard cases: families that share a telephone, couples that share a card,
twins, fathers and sons of one name, and addresses and telephone numbers that a stranger was given after their
first owner.

The rates of a world are judgements, with their grounds beside them: `HARSH` leans to the worse for each,
`ORDINARY` is a shop whose forms check what is typed. They were settled while the rules were written, so the
figures describe these worlds and promise nothing about a shop; what a key could tie at all is printed beside.
"""

import random
from dataclasses import dataclass

from include.demo_shop.households import FIRST_NAMES, LAST_NAMES
from include.persons.identity import Account

SYSTEMS = ("loyalty", "web", "till", "social")
#: Share of people who have each kind of account.
HAVE = {"loyalty": 0.9, "web": 0.6, "till": 0.3, "social": 0.3}
#: Who a person is to another one who shares something with them.
CASES = ("alone", "family", "couple", "twins", "namesakes", "recycled_email", "recycled_phone")


@dataclass(frozen=True, slots=True)
class World:
    """How people live and how they type.

    Shares of people who are followed by relatives or successors: `family` (two to four with one telephone and
    surname), of these `couple` (two use one card), `twins` (one surname, birthday and telephone), `namesakes`
    (parent and child of one name and telephone), `recycled_email`, `recycled_phone` (a stranger was given it
    later). Shares of accounts: `swapped` names, `slip` of one letter, `short` form of the first name or its
    initial, `nameless`, `renamed` (a surname by marriage), `second_email`, `second_phone`, `wrong_birth` (day
    and month turned). `verified` and `carries` are by kind of account; `owned` is the share of web and social
    accounts whose customer number the shop itself knows.
    """

    name: str
    family: float
    couple: float
    twins: float
    namesakes: float
    recycled_email: float
    recycled_phone: float
    swapped: float
    slip: float
    short: float
    nameless: float
    renamed: float
    second_email: float
    second_phone: float
    wrong_birth: float
    owned: float
    verified: dict[str, float]
    carries: dict[str, dict[str, float]]


ORDINARY = World(
    name="ordinary",
    family=0.25, couple=0.3, twins=0.02, namesakes=0.01, recycled_email=0.03, recycled_phone=0.0,
    swapped=0.03, slip=0.01, short=0.0, nameless=0.03, renamed=0.0,
    second_email=0.04, second_phone=0.0, wrong_birth=0.0, owned=0.0,
    verified=dict.fromkeys(SYSTEMS, 0.97),
    carries={
        "loyalty": {"card": 1.0, "email": 0.9, "phone": 0.9, "born": 0.7},
        "web": {"card": 0.5, "email": 1.0, "phone": 0.7, "born": 0.3},
        "till": {"card": 0.9, "email": 0.0, "phone": 0.8, "born": 0.0},
        "social": {"card": 0.0, "email": 1.0, "phone": 0.5, "born": 0.2},
    },
)  # fmt: skip

HARSH = World(
    name="harsh",
    # Nearly half of all live with somebody who is a customer under the same number.
    family=0.25, couple=0.3,
    # 31 of 1,000 births are twins (US, CDC); both are customers of one shop in two cases of three.
    twins=0.02, namesakes=0.01,
    # Providers hand out addresses that lay idle for a year; 35 of some 500 million US numbers change hands a
    # year (FCC), and a shop's records are several years old.
    recycled_email=0.03, recycled_phone=0.10,
    # Forms filled in by hand: of names of one person in two files 5 to 10% differ in their letters.
    swapped=0.03, slip=0.03, short=0.03, nameless=0.04, renamed=0.01,
    # People have 1.8 addresses on average, most of them one for shops.
    second_email=0.08, second_phone=0.05, wrong_birth=0.01,
    # Whoever signs in by a network or links the card while logged in has said whose account it is.
    owned=0.25,
    # A web shop lets nobody in unverified; a form at the counter is confirmed by most.
    verified={"loyalty": 0.85, "web": 0.97, "till": 0.0, "social": 0.97},
    carries={
        "loyalty": {"card": 1.0, "email": 0.85, "phone": 0.9, "born": 0.7},
        "web": {"card": 0.5, "email": 1.0, "phone": 0.8, "born": 0.3},
        "till": {"card": 0.9, "email": 0.0, "phone": 0.8, "born": 0.0},
        "social": {"card": 0.0, "email": 0.95, "phone": 0.4, "born": 0.2},
    },
)  # fmt: skip

WORLDS = (HARSH, ORDINARY)

Person = dict[str, str]


def persons(count: int, rng: random.Random, world: World = HARSH) -> list[Person]:
    """People with a name, a birthday, an address, a telephone, a card and the case they belong to."""
    found: list[Person] = []
    while len(found) < count:
        found.append(_person(len(found), rng))
        one, draw = found[-1], rng.random()
        for case, share in (
            ("family", world.family), ("twins", world.twins), ("namesakes", world.namesakes),
            ("recycled_email", world.recycled_email), ("recycled_phone", world.recycled_phone),
        ):  # fmt: skip
            if draw < share:
                found += _others(case, one, len(found), rng, world)
                one["case"] = found[-1]["case"]
                break
            draw -= share
    return found[:count]


def _others(case: str, one: Person, place: int, rng: random.Random, world: World) -> list[Person]:
    """Who comes after a person by one of the cases."""
    shared = {
        "family": ("last", "phone"),
        "twins": ("last", "born", "phone"),
        "namesakes": ("first", "last", "phone"),
        "recycled_email": ("email",),
        "recycled_phone": ("phone",),
    }[case]
    count = rng.randint(1, 3) if case == "family" else 1
    others = [
        _person(place + n, rng) | {key: one[key] for key in shared} | {"case": case}
        for n in range(count)
    ]
    if case == "twins" and others[0]["first"] == one["first"]:
        others[0]["first"] = next(name for name in FIRST_NAMES if name != one["first"])
    if case == "family" and rng.random() < world.couple:
        others[-1] |= {"card": one["card"], "case": "couple"}
    return others


def _person(place: int, rng: random.Random) -> Person:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return {
        "first": first,
        "last": last,
        "born": f"{rng.randint(1930, 2000)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
        "email": f"{first}.{last}.{place}@example.com".lower(),
        "phone": f"+1212{place:07d}",
        "card": f"L{place:07d}",
        "case": "alone",
    }


def accounts(
    people: list[Person], rng: random.Random, world: World = HARSH
) -> tuple[list[Account], dict[str, int]]:
    """Accounts of the people, and whose each one is."""
    found, owner = [], {}
    for place, person in enumerate(people):
        for system in SYSTEMS:
            if rng.random() >= HAVE[system]:
                continue
            account = _account(f"{system[0].upper()}{place}", system, person, rng, world)
            found.append(account)
            owner[account.number] = place
    rng.shuffle(found)
    return found, owner


def _names(person: Person, rng: random.Random, world: World) -> tuple[str, str]:
    """First and last name as this account has them."""
    first, last = person["first"], person["last"]
    if rng.random() < world.renamed:
        last = rng.choice(LAST_NAMES)
    draw = rng.random()
    for share, typed in (
        (world.swapped, (last, first)),
        (world.slip, _slipped(first, last, rng)),
        # Samuel is Sam and Robert is Rob; whoever has a shorter name has an initial at most.
        (world.short, (first[: rng.choice((1, 3)) if len(first) > 5 else 1], last)),
        (world.nameless, ("", "")),
        (0.13, (first.upper(), f" {last} ")),
    ):
        if draw < share:
            return typed
        draw -= share
    return first, last


def _slipped(first: str, last: str, rng: random.Random) -> tuple[str, str]:
    """One letter of one of the names is lost, doubled, changed, or turned with its neighbour."""
    which = rng.random() < 0.5
    word = first if which else last
    at = rng.randrange(len(word) - 1)
    typed = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + rng.choice("aeinrst") + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return (typed, last) if which else (first, typed)


def _account(number: str, system: str, person: Person, rng: random.Random, world: World) -> Account:
    first, last = _names(person, rng, world)
    has = {field: rng.random() < share for field, share in world.carries[system].items()}
    # A till knows a customer by card or telephone: with neither there is no account.
    has["card"] |= system == "till" and not has["phone"]
    mail = person["email"].upper() if rng.random() < 0.1 else person["email"]
    if rng.random() < world.second_email:
        mail = f"second.{person['email']}"
    phone = person["phone"]
    if rng.random() < world.second_phone:
        phone = f"+1917{phone[5:]}"
    spaced = f"00{phone[1:2]} ({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
    year, month, day = person["born"].split("-")
    born = person["born"]
    if rng.random() < world.wrong_birth and day <= "12":
        born = f"{year}-{day}-{month}"
    is_owned = system in ("web", "social") and rng.random() < world.owned
    return Account(
        number=number,
        system=system,
        is_customer=True,
        owner=f"L{number[1:]}" if is_owned else None,
        first_name=first or None,
        last_name=last or None,
        birth_date=born if has["born"] else None,
        emails=(mail,) if has["email"] and rng.random() < world.verified[system] else (),
        phones=(spaced if rng.random() < 0.3 else phone,) if has["phone"] else (),
        loyalty_number=person["card"] if has["card"] else None,
    )

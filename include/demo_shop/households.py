"""The people behind the households: names, birthdays, where they live, how they are reached, consent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from include.demo_shop.seeded import CLOSING, DAY, OPENING, Baskets, draws, of_number, stamps, texts
from include.features.arrays import Floats, Ints

#: How far a household lives from its store, in km: half of them within three.
DISTANCE_MEDIAN_KM, DISTANCE_SPREAD = 3.0, 0.75
AGE_BANDS = {
    "19-24": (19, 24), "25-34": (25, 34), "35-44": (35, 44),
    "45-54": (45, 54), "55-64": (55, 64), "65+": (65, 90),
}  # fmt: skip

#: Shares of the age bands among the 801 households that state one, for those that do not.
AGE_SHARES = (0.057, 0.177, 0.242, 0.360, 0.074, 0.090)

#: Ages are as of the middle of the data's year.
AGE_DAY = date(2017, 7, 1)
LEAP_BIRTHDAYS = 6

#: What is typed where a date should stand; none of these can be read as one.
UNREADABLE_BIRTHDAYS = (
    "0000-00-00", "31/02/1975", "1985-02-30", "unknown", "1979-13-04", "n/a", "1988-06-31",
    "19.5.", "1971-00-12", "60s",
)  # fmt: skip
FIRST_NAMES = (
    "Aaliyah", "Abigail", "Adam", "Agnes", "Aisha", "Albert", "Alice", "Amara", "Amir", "Andrea",
    "Anita", "Anna", "Antonio", "Arthur", "Beatriz", "Ben", "Bianca", "Carla", "Carmen", "Cédric",
    "Chen", "Chloë", "Clara", "Daniel", "David", "Diana", "Diego", "Dolores", "Edith", "Elena",
    "Elias", "Emily", "Emma", "Eric", "Esther", "Fatima", "Felix", "Fiona", "Frank", "Gabriel",
    "George", "Grace", "Hannah", "Harold", "Helen", "Henry", "Ibrahim", "Ida", "Isabel", "Ivan",
    "Jack", "Jamal", "James", "Jane", "Jasmine", "João", "José", "Julia", "Karen", "Keiko",
    "Kevin", "Laura", "Leila", "Leo", "Linda", "Lucas", "Mae", "Marcus", "Maria", "Martha",
    "Mateo", "Maya", "Mei", "Michael", "Mohammed", "Nadia", "Nathan", "Nina", "Noah", "Nora",
    "Olga", "Oliver", "Oscar", "Patricia", "Paul", "Priya", "Rachel", "Raj", "Renée", "Robert",
    "Rosa", "Ruth", "Samuel", "Sarah", "Sofia", "Stella", "Tariq", "Thomas", "Vera", "Walter",
    "William", "Yusuf", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Adams", "Ahmed", "Alvarez", "Andersen", "Baker", "Banerjee", "Barnes", "Becker", "Bell",
    "Bennett", "Brooks", "Brown", "Campbell", "Carter", "Castillo", "Chang", "Clark", "Cohen",
    "Collins", "Cook", "Cooper", "Cruz", "Davis", "Delgado", "Diaz", "Dubois", "Edwards", "Evans",
    "Fischer", "Fisher", "Flores", "Foster", "Garcia", "García", "Gomez", "Gonzalez", "Gray",
    "Green", "Gupta", "Hall", "Harris", "Hernandez", "Hill", "Hoffmann", "Howard", "Hughes",
    "Ivanov", "Jackson", "James", "Jensen", "Johnson", "Jones", "Kaur", "Kelly", "Khan", "Kim",
    "King", "Kowalski", "Larsen", "Lee", "Lewis", "Li", "Lopez", "MacDonald", "Martin", "Martinez",
    "McCarthy", "Meyer", "Miller", "Mitchell", "Moore", "Morgan", "Morris", "Murphy", "Müller",
    "Nelson", "Nguyen", "Novak", "Núñez", "O'Brien", "O'Connor", "Okafor", "Olsen", "Ortiz",
    "Park", "Parker", "Patel", "Perez", "Peterson", "Phillips", "Price", "Ramirez", "Reed", "Reyes",
    "Rivera", "Roberts", "Robinson", "Rodriguez", "Rogers", "Rossi", "Russell", "Sanchez",
    "Schmidt", "Scott", "Silva", "Singh", "Smith", "Stewart", "Sullivan", "Tanaka", "Taylor",
    "Thomas", "Thompson", "Torres", "Turner", "Walker", "Ward", "Watson", "White", "Williams",
    "Wilson", "Wong", "Wood", "Wright", "Yamamoto", "Young", "Zimmermann",
)  # fmt: skip

#: Area codes; with the line numbers 555-0100 to 555-0199, which are reserved for fiction, they make
#: telephone numbers that ring nowhere.
AREA_CODES = (
    212, 213, 214, 215, 216, 303, 305, 312, 313, 314, 404, 405, 412, 413, 414, 415, 502, 503, 504,
    505, 512, 513, 602, 603, 612, 614, 615, 617, 702, 713, 716, 718, 773, 801, 804,
)  # fmt: skip


@dataclass(frozen=True)
class People:
    """The customers table, and what the other generated tables need of it."""

    table: pa.Table
    number: Ints  #: household number, ascending
    registered: Ints  #: seconds since 1970, UTC
    first: list[str]
    last: list[str]


def customers(demographics: pa.Table, baskets: Baskets, first_trace: dict[int, int]) -> People:
    """One row per household that bought anything.

    Parameters
    ----------
    demographics
        The source's table of the households that stated something about themselves.
    baskets
        All baskets in time order.
    first_trace
        Household number to the stamp of the first campaign sent to it, where there was one.
    """
    number, first_basket = np.unique(baskets.customer, return_index=True)
    first_stamp = baskets.stamp[first_basket]
    traced = np.array(
        [min(int(stamp), first_trace.get(int(who), CLOSING)) for who, stamp in zip(
            number, first_stamp, strict=True)]
    )  # fmt: skip
    # A third registers at the till, minutes before the first basket; the others up to two weeks before.
    gap = np.where(
        of_number("customers.at_the_till", number) < 0.35,
        5 * 60,
        np.floor(of_number("customers.gap", number) * 14 * DAY),
    ).astype(np.int64)
    registered = np.maximum(traced - gap, OPENING)
    first = _picked("customers.first_name", number, FIRST_NAMES)
    last = _picked("customers.last_name", number, LAST_NAMES)
    known = {row["household_id"]: row for row in demographics.to_pylist()}
    stated = [known.get(int(who), {}) for who in number]
    table = pa.table(
        {
            "customer_number": texts(number.tolist()),
            "first_name": pa.array(_as_typed(first, number), pa.string()),
            "last_name": pa.array(last, pa.string()),
            "birthday": pa.array(
                _birthdays(number, [row.get("age") for row in stated]), pa.string()
            ),
            "age_band": texts(row.get("age") for row in stated),
            "income_band": texts(row.get("income") for row in stated),
            "home_ownership": texts(row.get("home_ownership") for row in stated),
            "marital_status": texts(row.get("marital_status") for row in stated),
            "household_size": texts(row.get("household_size") for row in stated),
            "household_composition": texts(row.get("household_comp") for row in stated),
            "kids_count": texts(row.get("kids_count") for row in stated),
            "home_store_id": texts(baskets.store[first_basket].tolist()),
            "store_distance_km": pa.array(store_distances(number)),
            "registered_at": stamps(registered),
            "updated_at": stamps(registered),
        }
    )
    return People(table, number, registered, first, last)


def _picked(variable: str, number: Ints, options: Sequence[str]) -> list[str]:
    places = np.floor(of_number(variable, number) * len(options)).astype(int)
    return [options[place] for place in places]


def _as_typed(names: list[str], number: Ints) -> list[str]:
    """Names as people type them: one in fifty in capitals, one in fifty with stray blanks."""
    habit = of_number("customers.typing", number)
    return [
        name.upper() if draw < 0.02 else f" {name} " if draw < 0.04 else name
        for name, draw in zip(names, habit, strict=True)
    ]


def store_distances(number: Ints) -> Floats:
    """Kilometres from each household to its store, log-normal."""
    uniform = np.clip(of_number("customers.distance", number), 1e-6, 1 - 1e-6)
    # Box and Muller's normal from two uniform draws, so that it hangs on the number alone.
    angle = of_number("customers.bearing", number)
    normal = np.sqrt(-2 * np.log(uniform)) * np.cos(2 * np.pi * angle)
    return np.round(DISTANCE_MEDIAN_KM * np.exp(DISTANCE_SPREAD * normal), 2)


def _birthdays(number: Ints, bands: list[str | None]) -> list[str | None]:
    """Dates within the stated band, or within one drawn for those who stated none and yet a birthday."""
    given = of_number("customers.birthday_given", number)
    share = np.cumsum(AGE_SHARES)
    drawn = np.minimum(np.searchsorted(share, of_number("customers.band", number)), len(share) - 1)
    position = of_number("customers.birthday", number)
    names = list(AGE_BANDS)
    born: list[date | None] = []
    for index, band in enumerate(bands):
        if given[index] > (0.92 if band else 0.70):
            born.append(None)
            continue
        youngest, oldest = AGE_BANDS[band or names[drawn[index]]]
        # Age y on AGE_DAY: born after the day y + 1 years before it, on or before the day y years before.
        first = AGE_DAY.replace(year=AGE_DAY.year - oldest - 1) + timedelta(days=1)
        last = AGE_DAY.replace(year=AGE_DAY.year - youngest)
        born.append(first + timedelta(days=int(position[index] * ((last - first).days + 1))))
    order = np.argsort(of_number("customers.oddity", number))
    leap = [day is not None and day.year % 4 == 0 and day.month <= AGE_DAY.month for day in born]
    leaps = [index for index in order if leap[index]][:LEAP_BIRTHDAYS]  # the age stays what it was
    typed = [None if day is None else day.isoformat() for day in born]
    for index in leaps:
        typed[index] = f"{(born[index] or AGE_DAY).year}-02-29"
    unreadable = [index for index in order if typed[index] and index not in leaps]
    for index, text in zip(unreadable, UNREADABLE_BIRTHDAYS, strict=False):
        typed[index] = text
    return typed


def contact_points(people: People) -> pa.Table:
    """An e-mail address for 97% of customers, a telephone for 85%; 3% of the addresses change later."""
    rows: list[tuple[int, str, str, str, bool]] = []
    has_mail = of_number("contact_points.email", people.number) < 0.97
    has_phone = of_number("contact_points.sms", people.number) < 0.85
    verified = of_number("contact_points.verified", people.number)
    malformed = of_number("contact_points.malformed", people.number) < 0.003
    moves = of_number("contact_points.moves", people.number)
    moved_at = OPENING + (of_number("contact_points.moved_at", people.number) * 365 * DAY).astype(
        int
    )
    phones = draws("contact_points.phone").permutation(len(AREA_CODES) * 100)
    for index, who in enumerate(people.number.tolist()):
        registered = int(people.registered[index])
        name = f"{_ascii(people.first[index])}.{_ascii(people.last[index])}.{who}"
        if has_mail[index]:
            joint = ".at." if malformed[index] else "@"
            sound = bool(verified[index] < 0.9 and not malformed[index])
            rows.append((registered, str(who), "email", f"{name}{joint}example.com", sound))
            if moves[index] < 0.03 and moved_at[index] > registered:
                rows.append((int(moved_at[index]), str(who), "email", f"{name}@example.net", True))
        if has_phone[index]:
            area, line = divmod(int(phones[who % len(phones)]), 100)
            number = f"+1{AREA_CODES[area]}55501{line:02d}"
            rows.append((registered, str(who), "sms", number, bool(verified[index] < 0.95)))
    rows.sort()
    return pa.table(
        {
            "contact_id": pa.array(range(1, len(rows) + 1), pa.int64()),
            "customer_number": pa.array([row[1] for row in rows]),
            "channel": pa.array([row[2] for row in rows]),
            "address": pa.array([row[3] for row in rows]),
            "verified": pa.array([row[4] for row in rows]),
            "updated_at": stamps(np.array([row[0] for row in rows], dtype=np.int64)),
        }
    )


def _ascii(name: str) -> str:
    plain = name.lower().translate(str.maketrans("éèëãáíñüú", "eeeaainuu"))
    return "".join(letter for letter in plain if letter.isalpha())


def consents(people: People) -> pa.Table:
    """Answers about marketing: about 75% allow e-mail and 45% texts; some withdraw, few come back."""
    rows: list[tuple[int, str, str, bool]] = []
    for channel, share in (("email", 0.75), ("sms", 0.45)):
        answer = of_number(f"consents.{channel}", people.number)
        silent = of_number(f"consents.{channel}.silent", people.number)
        fickle = of_number(f"consents.{channel}.withdraws", people.number)
        when = of_number(f"consents.{channel}.when", people.number)
        for index, who in enumerate(people.number.tolist()):
            registered = int(people.registered[index])
            granted = bool(answer[index] < share)
            if not granted and silent[index] < 0.4:
                continue  # never asked, or never answered
            rows.append((registered, str(who), channel, granted))
            later = registered + DAY + int(when[index] * (CLOSING - OPENING))
            if granted and fickle[index] < 0.09 and later < CLOSING:
                rows.append((later, str(who), channel, False))
                if fickle[index] < 0.01 and later + 30 * DAY < CLOSING:
                    rows.append((later + 30 * DAY, str(who), channel, True))
            elif not granted and fickle[index] < 0.05 and later < CLOSING:
                rows.append((later, str(who), channel, True))
    rows.sort()
    return pa.table(
        {
            "consent_id": pa.array(range(1, len(rows) + 1), pa.int64()),
            "customer_number": pa.array([row[1] for row in rows]),
            "channel": pa.array([row[2] for row in rows]),
            "purpose": pa.array(["marketing"] * len(rows)),
            "granted": pa.array([row[3] for row in rows]),
            "recorded_at": stamps(np.array([row[0] for row in rows], dtype=np.int64)),
        }
    )

"""What the real rows lack, made from them with a seed: people, consent, browsing, reviews, stock.

Pure functions from arrays to tables. Two properties hold, and tests keep them:

- The same input gives the same output, row for row.
- A row with stamp t is made from rows at or before t alone: cutting the history at t and generating
  again gives the same rows up to t. Each random variable therefore has a stream of its own, whose
  n-th draw belongs to the n-th line of the history. The exceptions are by design and carry nothing
  about spending: `customers.registered_at` is set shortly before the first basket, and the home store
  is that basket's.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SEED = 20170101
ZONE = ZoneInfo("America/New_York")
#: The shop's first day, midnight in its own zone. Nothing is stamped earlier.
OPENING = int(datetime(2017, 1, 1, tzinfo=ZONE).timestamp())
#: The end of the data: midnight after its last day.
CLOSING = int(datetime(2018, 1, 1, tzinfo=ZONE).timestamp())
HOUR = 3_600
DAY = 24 * HOUR
WEEK = 7 * DAY

#: The source's week 1 begins here, though its first order is of the Sunday.
FIRST_MONDAY = date(2016, 12, 26)
#: How long before its week a mailer is planned.
PLANNED_AHEAD = timedelta(weeks=8)

STAMP = pa.timestamp("s", tz="UTC")

#: How far a household lives from its store, in km: half of them within three.
DISTANCE_MEDIAN_KM, DISTANCE_SPREAD = 3.0, 0.75

REGIONS = ("north", "south", "east", "west", "central")
#: Departments of things that are not sold by the piece: left out of browsing, reviews and stock.
UNCOUNTED_DEPARTMENTS = ("FUEL", "COUPON", "MISCELLANEOUS")
UNCOUNTED_CATEGORIES = ("COUPON/MISC ITEMS",)
#: The store's own supplies and expenses, which it does not offer to customers.
INTERNAL_DEPARTMENTS = ("CNTRL/STORE SUP", "CHARITABLE CONT", "GM MERCH EXP", "PROD-WHS SALES")

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

EVENT_TYPES = ("browse", "cart", "wishlist", "follow")
EVENT_SHARES = (0.76, 0.14, 0.06, 0.04)
#: About 150,000 events and 8,000 reviews over the year.
EVENT_RATE = 0.102
REVIEW_RATE = 0.0063

REVIEW_SENTENCES = {
    1: ("Would not buy this {thing} again.", "Stale when I opened it.", "Not what the label says.",
        "Went straight into the bin.", "Broken on arrival, and nobody answered."),
    2: ("Too expensive for what it is.", "The {thing} used to be better.", "Rather bland.",
        "Half of it was no good.", "I expected more."),
    3: ("It is all right.", "Does the job, nothing more.", "Decent {thing}, average price.",
        "The children eat it, I do not.", "Neither good nor bad."),
    4: ("Good {thing}, fair price.", "We buy this most weeks.", "Tasty, and keeps well.",
        "Better than the brand I had before.", "Pleasant surprise."),
    5: ("The best {thing} in the shop.", "Love it, always in our basket.", "Fresh every time.",
        "My favourite, please never stop selling it.", "Excellent."),
}  # fmt: skip


@dataclass(frozen=True)
class Baskets:
    """Every basket in time order: arrays of one length, one element a basket."""

    order: Ints
    customer: Ints  #: household number
    store: Ints  #: store number
    stamp: Ints  #: seconds since 1970, UTC


@dataclass(frozen=True)
class Lines:
    """Every order line of a counted product, in time order: arrays of one length."""

    customer: npt.NDArray[np.int32]  #: household number
    product: npt.NDArray[np.int32]  #: row of the product table
    store: npt.NDArray[np.int32]  #: store number
    quantity: npt.NDArray[np.int32]
    stamp: Ints  #: seconds since 1970, UTC

    def __len__(self) -> int:
        return len(self.stamp)


def draws(variable: str) -> np.random.Generator:
    """A random stream of its own for each variable, so that none shifts another."""
    return np.random.default_rng([SEED, zlib.crc32(variable.encode())])


def local_days(stamps: Ints) -> Ints:
    """The shop's calendar day of each stamp, in days since 1970."""
    hours, places = np.unique(stamps // HOUR, return_inverse=True)
    offsets = np.array(
        [
            (
                datetime.fromtimestamp(int(hour) * HOUR, ZONE).utcoffset() or timedelta()
            ).total_seconds()
            for hour in hours
        ],
        dtype=np.int64,
    )
    return (stamps + offsets[places]) // DAY


def morning(day: date, hour: int = 9) -> int:
    """The stamp of an hour of a calendar day in the shop's zone."""
    return int(datetime.combine(day, time(hour), ZONE).timestamp())


def stamps(seconds: Ints) -> pa.Array:
    """Seconds as a column of stamps in UTC."""
    return pa.array(seconds, pa.int64()).cast(STAMP)


def texts(values: Iterable[Any]) -> pa.Array:
    """Any column as text, missing values kept."""
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def counted(products: pa.Table) -> Bools:
    """True for the products that are sold by the piece."""
    departments = products["department"].to_pylist()
    categories = products["product_category"].to_pylist()
    return np.array(
        [
            department not in UNCOUNTED_DEPARTMENTS and category not in UNCOUNTED_CATEGORIES
            for department, category in zip(departments, categories, strict=True)
        ]
    )


def stores(numbers: Ints) -> pa.Table:
    """The stores, each in one of five regions."""
    region = draws("stores.region").integers(0, len(REGIONS), len(numbers))
    return pa.table(
        {
            "store_number": texts(numbers.tolist()),
            "region": pa.array([REGIONS[index] for index in region]),
            "updated_at": stamps(np.full(len(numbers), OPENING)),
        }
    )


def store_regions(numbers: Ints) -> Ints:
    """The region of each store, as its position in REGIONS."""
    return draws("stores.region").integers(0, len(REGIONS), len(numbers))


def products(source: pa.Table) -> pa.Table:
    """The catalogue with a name, whether it is offered, and a margin."""
    size = source.num_rows
    department = source["department"].to_pylist()
    brand = source["brand"].to_pylist()
    base = np.array([0.34 if name == "Private" else 0.25 for name in brand])
    margin = np.clip(base + draws("products.unit_margin").normal(0, 0.05, size), 0.04, 0.6)
    margin = np.where([name in UNCOUNTED_DEPARTMENTS for name in department], 0.05, margin)
    return pa.table(
        {
            "product_number": texts(source["product_id"].to_pylist()),
            "manufacturer_number": texts(source["manufacturer_id"].to_pylist()),
            "department": source["department"],
            "brand": source["brand"],
            "category": source["product_category"],
            "type": source["product_type"],
            "package_size": source["package_size"],
            "name": pa.array(_product_names(source), pa.string()),
            "active": pa.array([name not in INTERNAL_DEPARTMENTS for name in department]),
            "unit_margin": pa.array(np.round(margin, 4)),
            "updated_at": stamps(np.full(size, OPENING)),
        }
    )


def _product_names(source: pa.Table) -> list[str]:
    """`Mints, 3.22 OZ (Private)`: the type in words, the package, and whose brand it is."""
    names = []
    for kind, category, department, package, brand in zip(
        source["product_type"].to_pylist(),
        source["product_category"].to_pylist(),
        source["department"].to_pylist(),
        source["package_size"].to_pylist(),
        source["brand"].to_pylist(),
        strict=True,
    ):
        words = " ".join((kind or category or department or "article").split()).capitalize()
        names.append(f"{words}{f', {package}' if package else ''} ({brand})")
    return names


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


def of_number(variable: str, number: Ints) -> Floats:
    """A uniform draw for each household that hangs on its number alone, not on who else there is."""
    return draws(variable).random(int(number.max()) + 1)[number]


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


def events(lines: Lines, people: People, product_numbers: Sequence[str]) -> pa.Table:
    """Browse, cart, wish-list and follow events.

    One line in ten is followed, hours to weeks later, by an event of the same customer: in 55 of 100
    about the product bought, otherwise about one that somebody bought shortly before, which makes what
    is popular looked at most. New customers look around in the week after they register, too.
    """
    size = len(lines)
    anchor = np.flatnonzero(draws("events.anchor").random(size) < EVENT_RATE)
    delay = draws("events.delay").exponential(5 * DAY, len(anchor)).astype(np.int64) + 10 * 60
    own = draws("events.own").random(len(anchor)) < 0.55
    back = draws("events.back").exponential(40_000, len(anchor)).astype(np.int64)
    seen = np.where(own, anchor, np.maximum(anchor - back, 0))
    first_customer, first_stamp, first_seen = _first_visits(lines, people)
    customer = np.concatenate([lines.customer[anchor], first_customer])
    stamp = np.concatenate([lines.stamp[anchor] + delay, first_stamp])
    product = lines.product[np.concatenate([seen, first_seen])]
    kind = np.searchsorted(np.cumsum(EVENT_SHARES), draws("events.kind").random(len(anchor)))
    kind = np.concatenate([np.minimum(kind, 3), np.zeros(len(first_stamp), dtype=kind.dtype)])
    order = np.lexsort((product, customer, stamp))
    order = order[stamp[order] < CLOSING]
    return pa.table(
        {
            "event_id": pa.array(np.arange(1, len(order) + 1)),
            "customer_number": pa.array([str(who) for who in customer[order].tolist()]),
            "product_number": pa.array([product_numbers[row] for row in product[order].tolist()]),
            "event_type": pa.array([EVENT_TYPES[place] for place in kind[order].tolist()]),
            "occurred_at": stamps(stamp[order]),
        }
    )


def _first_visits(lines: Lines, people: People) -> tuple[Ints, Ints, Ints]:
    """Browsing in the week after registration: customers, stamps and the lines looked at."""
    visits = np.floor(of_number("events.first_visits", people.number) * 4).astype(int)
    index = np.repeat(np.arange(len(visits)), visits)
    turn = np.arange(len(index)) - np.repeat(np.cumsum(visits) - visits, visits)
    moment, back = (
        draws(f"events.first_visits.{name}").random((int(people.number.max()) + 1, 4))[
            people.number[index], turn
        ]
        for name in ("when", "back")
    )
    stamp = people.registered[index] + (moment * WEEK).astype(np.int64)
    newest = np.searchsorted(lines.stamp, stamp, side="right") - 1
    seen = np.maximum(newest - (back * 20_000).astype(np.int64), 0)
    sound = newest >= 0  # nobody had bought anything yet
    return people.number[index][sound], stamp[sound], seen[sound]


def reviews(lines: Lines, product_numbers: Sequence[str], product_types: Sequence[str]) -> pa.Table:
    """One review at most per customer and product, two days to three weeks after a purchase.

    A rating is the customer's habit plus the product's merit plus chance, cut to 1-5.
    """
    anchor = np.flatnonzero(draws("reviews.anchor").random(len(lines)) < REVIEW_RATE)
    customer, product = lines.customer[anchor], lines.product[anchor]
    pair = customer.astype(np.int64) * len(product_numbers) + product
    firsts = np.sort(np.unique(pair, return_index=True)[1])
    habit = draws("reviews.habit").normal(0, 0.5, 10_000)[customer % 10_000]
    merit = draws("reviews.merit").normal(0, 0.5, len(product_numbers))[product]
    chance = draws("reviews.chance").normal(0, 0.8, len(anchor))
    rating = np.clip(np.rint(4.0 + habit + merit + chance), 1, 5).astype(int)
    wait = 2 * DAY + np.floor(draws("reviews.wait").random(len(anchor)) * 19 * DAY).astype(np.int64)
    written = lines.stamp[anchor] + wait
    wording = draws("reviews.wording").integers(0, 5, len(anchor))
    silent = draws("reviews.silent").random(len(anchor)) < 0.2
    order = firsts[np.lexsort((product[firsts], customer[firsts], written[firsts]))]
    order = order[written[order] < CLOSING]
    bodies = [
        None
        if silent[row]
        else REVIEW_SENTENCES[int(rating[row])][wording[row]].format(
            thing=product_types[product[row]].lower()
        )
        for row in order
    ]
    return pa.table(
        {
            "review_id": pa.array(np.arange(1, len(order) + 1)),
            "customer_number": pa.array([str(who) for who in customer[order].tolist()]),
            "product_number": pa.array([product_numbers[row] for row in product[order].tolist()]),
            "rating": pa.array(rating[order]),
            "body": pa.array(bodies, pa.string()),
            "written_at": stamps(written[order]),
        }
    )


def stock_levels(
    lines: Lines, store_numbers: Ints, product_numbers: Sequence[str], *, least_units: int = 8
) -> pa.Table:
    """A count each Monday at midnight, per region, of products that sold in the four weeks before.

    Stock covers from nothing to four weeks of the recent rate of sale; what is short is on order.
    Products that sold fewer than `least_units` in a region are not counted there.
    """
    region = store_regions(store_numbers)[np.searchsorted(store_numbers, lines.store)]
    size = len(product_numbers)
    cell = region * size + lines.product
    parts: list[tuple[Ints, Ints, Ints, Ints]] = []
    for week in range(4, 53):
        moment = morning(date(2017, 1, 2) + timedelta(weeks=week - 1), hour=0)
        if moment > (lines.stamp[-1] if len(lines) else 0) + DAY:
            break
        start, end = np.searchsorted(lines.stamp, [moment - 4 * WEEK, moment])
        cells, places = np.unique(cell[start:end], return_inverse=True)
        units = np.bincount(places, lines.quantity[start:end], len(cells))
        kept = units >= least_units
        cells, weekly = cells[kept], units[kept] / 4
        chance = draws(f"stock_levels.{week}").random((2, len(REGIONS) * size))[:, cells]
        on_hand = np.where(chance[0] < 0.04, 0, np.rint(weekly * chance[0] * 4)).astype(np.int64)
        order = np.where(on_hand < 1.5 * weekly, np.rint(weekly * (1 + chance[1])), 0)
        parts.append((np.full(len(cells), moment), cells, on_hand, order.astype(np.int64)))
    counted_at, cells, on_hand, on_order = (
        np.concatenate([part[place] for part in parts] or [np.zeros(0, np.int64)])
        for place in range(4)
    )
    return pa.table(
        {
            "region": pa.array([REGIONS[row] for row in (cells // size).tolist()], pa.string()),
            "product_number": pa.array(
                [product_numbers[row] for row in (cells % size).tolist()], pa.string()
            ),
            "on_hand": pa.array(on_hand),
            "on_order": pa.array(on_order),
            "counted_at": stamps(counted_at),
        }
    )


def campaigns(source: pa.Table) -> pa.Table:
    """The campaigns, known two weeks before they start."""
    starts = [value.date() for value in source["start_date"].to_pylist()]
    return pa.table(
        {
            "campaign_number": texts(source["campaign_id"].to_pylist()),
            "campaign_type": source["campaign_type"],
            "starts_on": source["start_date"].cast(pa.date32()),
            "ends_on": source["end_date"].cast(pa.date32()),
            "updated_at": stamps(np.array([planned(start) for start in starts], dtype=np.int64)),
        }
    )


def planned(start: date) -> int:
    """When a campaign that starts on a day became known to the shop's database."""
    return max(morning(start - timedelta(days=14)), OPENING)


def exposure_stamp(start: date) -> int:
    """When a campaign that starts on a day reached the households it was sent to."""
    return max(morning(start), OPENING + 6 * HOUR)


def exposures(source: pa.Table, starts: dict[int, date]) -> pa.Table:
    """Who was sent which campaign, on the morning of its first day."""
    campaign = source["campaign_id"].to_pylist()
    return pa.table(
        {
            "campaign_number": texts(campaign),
            "customer_number": texts(source["household_id"].to_pylist()),
            "exposed_at": stamps(
                np.array([exposure_stamp(starts[number]) for number in campaign], dtype=np.int64)
            ),
        }
    )


def coupons(source: pa.Table, starts: dict[int, date]) -> pa.Table:
    """The coupons as they stand in the source, its exact duplicates included."""
    campaign = source["campaign_id"].to_numpy()
    known = np.zeros(max(starts) + 1, dtype=np.int64)
    for number, start in starts.items():
        known[number] = planned(start)
    return pa.table(
        {
            "coupon_row": pa.array(np.arange(1, source.num_rows + 1)),
            "coupon_upc": source["coupon_upc"].cast(pa.string()),
            "product_number": source["product_id"].cast(pa.string()),
            "campaign_number": source["campaign_id"].cast(pa.string()),
            "updated_at": stamps(known[campaign]),
        }
    )


def redemptions(source: pa.Table, baskets: Baskets) -> pa.Table:
    """Coupons redeemed, at the time of the household's first basket of the source's day.

    Every redemption falls on a day on which its household bought something, in the shop's zone.
    """
    days = source["redemption_date"].cast(pa.timestamp("s")).cast(pa.int64()).to_numpy() // DAY
    visit = baskets.customer * 100_000 + local_days(baskets.stamp)
    visits, place = np.unique(visit, return_index=True)
    wanted = source["household_id"].to_numpy() * 100_000 + days
    found = np.minimum(np.searchsorted(visits, wanted), len(visits) - 1)
    noon = np.array(
        [morning(date(1970, 1, 1) + timedelta(days=int(day)), hour=12) for day in days],
        dtype=np.int64,
    )
    at = np.where(visits[found] == wanted, baskets.stamp[place[found]], noon)
    return pa.table(
        {
            "redemption_id": pa.array(np.arange(1, source.num_rows + 1)),
            "coupon_upc": source["coupon_upc"].cast(pa.string()),
            "campaign_number": texts(source["campaign_id"].to_pylist()),
            "customer_number": texts(source["household_id"].to_pylist()),
            "redeemed_at": stamps(at),
        }
    )


def promotions(source: Iterable[pa.RecordBatch]) -> pa.Table:
    """The weekly mailers by product: the page that most stores had it on, and the share of stores.

    Mailers are planned eight weeks ahead. Displays in the store are left out.

    Parameters
    ----------
    source
        The source's rows of product, store and week, in order of the week.
    """
    stores: set[int] = set()
    parts: list[pa.Table] = []
    for batch in source:
        stores.update(pc.unique(batch["store_id"]).to_pylist())
        mailed = batch.filter(pc.not_equal(batch["mailer_location"], "0"))
        parts.append(
            pa.table(
                {
                    name: mailed[name]
                    for name in ("product_id", "week", "mailer_location", "store_id")
                }
            )
            .group_by(["product_id", "week", "mailer_location"])
            .aggregate([("store_id", "count")])
        )
    # A product's week may be cut by the end of a batch.
    cells = (
        pa.concat_tables(parts)
        .group_by(["product_id", "week", "mailer_location"])
        .aggregate([("store_id_count", "sum")])
    )
    product, week = cells["product_id"].to_numpy(), cells["week"].to_numpy()
    count = cells["store_id_count_sum"].to_numpy()
    page = np.array(cells["mailer_location"].to_pylist())
    order = np.lexsort((page, -count, product, week))
    key = (week * 10**9 + product)[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    share = np.add.reduceat(count[order], first) / max(len(stores), 1) if len(first) else count
    main = order[first]
    mondays = [FIRST_MONDAY + timedelta(weeks=number - 1) for number in range(1, 54)]
    known = np.array([max(morning(day - PLANNED_AHEAD), OPENING) for day in mondays])
    return pa.table(
        {
            "product_number": pa.array(product[main]).cast(pa.string()),
            "starts_on": pa.array(
                [mondays[number - 1] for number in week[main].tolist()], pa.date32()
            ),
            "mailer_location": pa.array(page[main].tolist(), pa.string()),
            # A store may have it on two pages.
            "stores_in_mailer": pa.array(np.round(np.minimum(share, 1.0), 4)),
            "updated_at": stamps(known[week[main] - 1]),
        }
    )

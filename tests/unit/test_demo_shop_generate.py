"""The generator of what the demo shop's real rows lack: same again, nothing from the future, plausible."""

import re
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from include.demo_shop import assortment, behaviour, channels, households, seeded
from include.demo_shop.households import AGE_BANDS, AGE_DAY
from include.demo_shop.seeded import CLOSING, DAY, OPENING, Baskets, Lines

CUSTOMERS, PRODUCTS, STORES = 400, 60, 7
NUMBERS = [str(1000 + row) for row in range(PRODUCTS)]
STORE_NUMBERS = np.arange(1, STORES + 1)


def history(size: int = 30_000) -> tuple[Baskets, Lines]:
    """Orders of three lines each, spread over the year."""
    rng = np.random.default_rng(1)
    stamp = np.sort(rng.integers(OPENING + DAY, CLOSING, size // 3))
    customer = rng.integers(1, CUSTOMERS + 1, len(stamp))
    store = rng.integers(1, STORES + 1, len(stamp))
    baskets = Baskets(np.arange(len(stamp)), customer, store, stamp)
    small = [np.repeat(column, 3).astype(np.int32) for column in (customer, store)]
    product = rng.integers(0, PRODUCTS, size).astype(np.int32)
    quantity = rng.integers(1, 5, size).astype(np.int32)
    return baskets, Lines(small[0], product, small[1], quantity, np.repeat(stamp, 3))


def before(lines: Lines, moment: int) -> Lines:
    end = int(np.searchsorted(lines.stamp, moment))
    return Lines(*(getattr(lines, name)[:end] for name in Lines.__dataclass_fields__))


def demographics(rows: list[dict[str, object]]) -> pa.Table:
    names = ("household_id", "age", "income", "home_ownership", "marital_status", "household_size",
             "household_comp", "kids_count")  # fmt: skip
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})


BASKETS, LINES = history()
STATED = [
    {"household_id": who, "age": list(AGE_BANDS)[who % 6], "income": "35-49K"}
    for who in range(1, CUSTOMERS + 1, 2)
]
PEOPLE = households.customers(demographics(STATED), BASKETS, {3: OPENING + 6 * seeded.HOUR})


def events(lines: Lines, people: households.People = PEOPLE) -> pa.Table:
    return behaviour.events(lines, people, NUMBERS)


def reviews(lines: Lines) -> pa.Table:
    return behaviour.reviews(lines, NUMBERS, ["CAKE"] * PRODUCTS)


def stock(lines: Lines) -> pa.Table:
    return assortment.stock_levels(lines, STORE_NUMBERS, NUMBERS)


def mentions(lines: Lines) -> pa.Table:
    return channels.mentions(lines, PEOPLE, ["CAKE"] * PRODUCTS, NUMBERS)


@pytest.mark.parametrize("make", [events, reviews, stock, mentions])
def test_the_same_history_gives_the_same_rows(make):
    assert make(LINES).num_rows > 100
    assert make(LINES).equals(make(LINES))


@pytest.mark.parametrize(
    ("make", "stamp"),
    [
        (events, "occurred_at"),
        (reviews, "written_at"),
        (stock, "counted_at"),
        (mentions, "posted_at"),
    ],
)
@pytest.mark.parametrize("day", [60, 200, 333])
def test_a_row_is_made_from_rows_before_it(make, stamp, day):
    moment = OPENING + day * DAY
    upto = pc.less(pc.field(stamp), pa.scalar(moment, pa.int64()).cast(seeded.STAMP))
    whole = make(LINES).filter(upto)
    assert whole.num_rows > 20
    assert make(before(LINES, moment)).filter(upto).equals(whole)


@pytest.mark.parametrize("size", [300, 5_000])
def test_a_delivery_hangs_on_the_orders_before_it(size):
    early = Baskets(*(getattr(BASKETS, name)[:size] for name in Baskets.__dataclass_fields__))
    moment = int(BASKETS.stamp[size])
    upto = pc.less(pc.field("delivered_at"), pa.scalar(moment, pa.int64()).cast(seeded.STAMP))
    whole = channels.deliveries(BASKETS).filter(upto)
    assert whole.num_rows > 5
    assert channels.deliveries(early).filter(upto).equals(whole)


def test_returns_do_not_hang_on_how_lines_are_batched():
    def made(batch: int) -> pa.Table:
        returns = channels.Returns()
        number = np.arange(len(LINES)) % 3 + 1
        for start in range(0, len(LINES), batch):
            part = slice(start, start + batch)
            counted = np.ones(len(LINES.stamp[part]), dtype=bool)
            returns.see(
                counted, np.arange(len(LINES))[part] // 3, number[part], LINES.product[part],
                LINES.customer[part], LINES.quantity[part], LINES.quantity[part] * 2.5,
                LINES.stamp[part],
            )  # fmt: skip
        return returns.table()

    whole = made(len(LINES))
    assert whole.num_rows > 100
    assert whole.equals(made(777))


def test_member_events_are_known_before_they_are_held():
    for row in channels.member_events().to_pylist():
        assert row["updated_at"].date() < row["starts_on"] <= row["ends_on"]
        assert row["region"] in (None, *assortment.REGIONS)


def test_people_depend_on_their_own_number_alone():
    early = Baskets(*(getattr(BASKETS, name)[:2000] for name in Baskets.__dataclass_fields__))
    fewer = households.customers(demographics(STATED), early, {})
    known = {row["customer_number"]: row for row in PEOPLE.table.to_pylist()}
    odd = {"birthday"}  # which few are unreadable or 29 February hangs on the whole list
    for row in fewer.table.to_pylist():
        if row["customer_number"] != "3":  # reached by a campaign before the first basket
            same = known[row["customer_number"]]
            assert {k: v for k, v in row.items() if k not in odd} == {
                k: v for k, v in same.items() if k not in odd
            }


def test_customers_register_before_their_first_trace_and_not_before_the_shop_opens():
    first: dict[int, int] = {}
    for who, stamp in zip(BASKETS.customer.tolist(), BASKETS.stamp.tolist(), strict=True):
        first.setdefault(who, stamp)
    for who, registered in zip(PEOPLE.number.tolist(), PEOPLE.registered.tolist(), strict=True):
        assert OPENING <= registered < first[who]
        assert first[who] - registered <= 14 * DAY or who == 3
    assert PEOPLE.registered[PEOPLE.number == 3] <= OPENING + 6 * seeded.HOUR


def test_birthdays_fit_the_age_bands_and_a_few_cannot_be_read():
    rows = PEOPLE.table.to_pylist()
    typed = [row for row in rows if row["birthday"]]
    read = [row for row in typed if _date(row["birthday"])]
    assert len(typed) - len(read) == len(households.UNREADABLE_BIRTHDAYS)
    leaps = [row for row in read if row["birthday"].endswith("-02-29")]
    assert len(leaps) >= households.LEAP_BIRTHDAYS
    for row in read:
        born = date.fromisoformat(row["birthday"])
        age = AGE_DAY.year - born.year - ((born.month, born.day) > (AGE_DAY.month, AGE_DAY.day))
        youngest, oldest = AGE_BANDS[row["age_band"]] if row["age_band"] else (19, 90)
        assert youngest <= age <= oldest


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
    except ValueError:
        return None


def test_contact_points_reach_nobody_real():
    rows = households.contact_points(PEOPLE).to_pylist()
    mails = [row["address"] for row in rows if row["channel"] == "email"]
    phones = [row["address"] for row in rows if row["channel"] == "sms"]
    assert all(re.search(r"(@|\.at\.)example\.(com|net)$", address) for address in mails)
    assert all(re.fullmatch(r"\+1\d{3}55501\d{2}", number) for number in phones)
    assert len(set(phones)) == len(phones) > 300
    assert any(".at." in address for address in mails) or len(mails) < 1000


def test_consent_is_an_answer_after_registration():
    registered = dict(zip(PEOPLE.number.tolist(), PEOPLE.registered.tolist(), strict=True))
    rows = households.consents(PEOPLE).to_pylist()
    newest: dict[tuple[str, str], bool] = {}
    for row in rows:
        assert row["recorded_at"].timestamp() >= registered[int(row["customer_number"])]
        newest[row["customer_number"], row["channel"]] = row["granted"]
    for channel, low, high in (("email", 0.6, 0.8), ("sms", 0.35, 0.5)):
        share = sum(yes for (_, name), yes in newest.items() if name == channel) / CUSTOMERS
        assert low < share < high
    assert len(newest) < len(rows)  # some changed their minds


def test_events_follow_the_registration():
    registered = dict(zip(PEOPLE.number.tolist(), PEOPLE.registered.tolist(), strict=True))
    rows = events(LINES).to_pylist()
    assert {row["event_type"] for row in rows} == set(behaviour.EVENT_TYPES)
    for row in rows:
        stamp = row["occurred_at"].timestamp()
        assert registered[int(row["customer_number"])] <= stamp < CLOSING


def test_a_review_follows_a_purchase_of_the_product():
    bought: dict[tuple[str, str], int] = {}
    for who, product, stamp in zip(LINES.customer, LINES.product, LINES.stamp, strict=True):
        bought.setdefault((str(who), NUMBERS[product]), int(stamp))
    rows = reviews(LINES).to_pylist()
    pairs = [(row["customer_number"], row["product_number"]) for row in rows]
    assert len(set(pairs)) == len(pairs)
    for pair, row in zip(pairs, rows, strict=True):
        assert bought[pair] < row["written_at"].timestamp()
        assert 1 <= row["rating"] <= 5
    assert any(row["body"] is None for row in rows)


def test_stock_is_counted_of_what_sold_lately():
    rows = stock(LINES).to_pylist()
    assert {row["region"] for row in rows} <= set(assortment.REGIONS)
    assert all(row["on_hand"] >= 0 and row["on_order"] >= 0 for row in rows)
    keys = [(row["region"], row["product_number"], row["counted_at"]) for row in rows]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2017, 1, 1, 4, 59, tzinfo=UTC), date(2016, 12, 31)),
        (datetime(2017, 1, 1, 5, 0, tzinfo=UTC), date(2017, 1, 1)),
        (datetime(2017, 3, 13, 3, 59, tzinfo=UTC), date(2017, 3, 12)),  # summer time has begun
        (datetime(2017, 11, 6, 4, 59, tzinfo=UTC), date(2017, 11, 5)),  # and ended
    ],
)
def test_days_are_the_shop_s_own(moment: datetime, day: date):
    found = seeded.local_days(np.array([int(moment.timestamp())]))
    assert date(1970, 1, 1).toordinal() + int(found[0]) == day.toordinal()

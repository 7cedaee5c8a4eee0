"""However the days are run, raw and core end as one clean pass makes them; readers see whole days only."""

import random
import time
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from include import (
    contracts,
    policy,
    publication,
    warehouse,
)
from include.quality import checks, expectations, profiles
from include.sources import offered
from include.steps import gate, ingest
from tests.sql.readers import watch
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    hashes,
    ingest_day,
    owner,
    policy_without,
)

FIRST = date(2017, 3, 1)
DAYS = 33
LATE = 3  # the policy's look-back
NEVER = "9999-12-31"


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    without = tuple(name for name in OFF if name not in ("accounts", "contact_points", "consents"))
    module_env.setenv("REGULARS_POLICY", str(policy_without(without, home / "policy.yml")))
    assert policy.load().ingest.lookback_days == LATE
    # This shop keeps each record of a store, as a shop may.
    owner("ALTER TABLE stores DROP CONSTRAINT stores_pkey")
    yield
    owner("TRUNCATE stores", "ALTER TABLE stores ADD PRIMARY KEY (store_number)")


@pytest.fixture
def unaudited(monkeypatch) -> None:
    """Audits change nothing of what is published, and take most of the time; many rows are bad on purpose."""
    monkeypatch.setattr(checks, "MOST_REJECTED", 1)
    monkeypatch.setattr(expectations, "check", lambda batch, tables, address: [])
    monkeypatch.setattr(profiles, "of_batch", lambda conn, batch, tables: [])


def day(place: int) -> str:
    return (FIRST + timedelta(days=place)).isoformat()


def fill_future(seed: int) -> None:
    """Everything that the shop will ever send, each row with the day on which it arrives.

    Late orders, corrections in place (another store, another day, another amount, a line less), copies,
    orphans and refused lines, customers and products that come on the way, all within the look-back; orders
    sent again under another day, some of them taken back; rows without a stamp; stores that change region;
    web accounts that lead to customers by addresses and telephones, some of them shared or handed on.
    """
    chance = random.Random(seed)
    fill_shop()
    owner(
        "TRUNCATE orders, order_lines",
        "DROP TABLE IF EXISTS future_orders, future_lines, future_stores",
        "CREATE TABLE future_orders (LIKE orders, arrives date, goes date)",
        "CREATE TABLE future_stores (LIKE stores, arrives date)",
        "CREATE TABLE future_lines (LIKE order_lines, arrives date, goes date)",
    )
    orders: list[tuple[Any, ...]] = []
    lines: list[tuple[Any, ...]] = []
    for place in range(DAYS):
        for number in range(5):
            order = f"o{place}-{number}"
            customer = "ghost" if chance.random() < 0.03 else f"c{chance.randint(1, 70)}"
            if chance.random() < 0.2:
                customer = f"W{chance.randint(1, 20)}"
            arrives = place + chance.choice([0, 0, 0, 1, 2, LATE])
            at = f"{day(place)} {chance.randint(12, 23)}:{chance.randint(10, 59)}+00"
            corrected = place + chance.randint(1, LATE)
            moved = at
            if chance.random() < 0.2 and corrected >= arrives:
                if chance.random() < 0.3:
                    moved = f"{day(max(place - 1, corrected - LATE, 0))} 15:00+00"
                stamp = f"{day(corrected)} 16:00+00"
                orders.append(
                    (order, customer, "s2", "till", "USD", moved, stamp, day(corrected), NEVER)
                )
            else:
                corrected = DAYS + LATE
            placed = (order, customer, "s1", "till", "USD", at, at, day(arrives), day(corrected))
            orders += [placed] * (2 if chance.random() < 0.1 else 1)
            for line in range(1, chance.randint(2, 4)):
                amount = chance.choice([1.99, 2.5, 7] * 6 + [-1, 9999])
                first = (order, line, f"p{chance.randint(1, 60)}", 1, amount, 0, 0, 0)
                goes = day(corrected)
                lines.append((*first, at, day(arrives), goes))
                if line > 1 or chance.random() < 0.7:
                    lines.append((*first[:4], 3, 0, 0, 0, moved, goes, NEVER))
            if chance.random() < 0.1 and place < DAYS - LATE:
                # The order once more, under a later day: newer, as old, or without a stamp of its record.
                again = chance.randint(place + 1, DAYS - 1)
                then = f"{day(again)} 13:00+00"
                known = chance.choice([then, at, None])
                gone = day(again + LATE) if chance.random() < 0.3 else NEVER
                orders.append((order, customer, "s3", "till", "USD", then, known, day(again), gone))
                for line in range(1, chance.randint(2, 4)):
                    lines.append((order, line, "p1", 1, 2, 0, 0, 0, then, day(again), gone))
            if chance.random() < 0.05:
                # Nobody knows when: of no day, from the day on which it arrives.
                orders.append(
                    (f"u{order}", customer, "s1", "till", "USD", None, at, day(arrives), NEVER)
                )
                lines.append((order, 9, "p1", 1, 2, 0, 0, 0, None, day(arrives), NEVER))
    # One order on the first day and one on the last, so that the shop covers them.
    for order, place in (("start", 0), ("end", DAYS - 1 + LATE)):
        at = f"{day(place)} 15:00+00"
        orders.append((order, "c1", "s1", "till", "USD", at, at, day(0), NEVER))
    with warehouse.connect("shop_owner") as conn:
        columns = "order_number customer_number store_number channel currency ordered_at updated_at"
        warehouse.copy_rows(
            conn, orders, "public.future_orders", [*columns.split(), "arrives", "goes"]
        )
        columns = (
            "order_number line_number product_number quantity sales_value retail_discount "
            "coupon_discount coupon_match_discount ordered_at"
        )
        warehouse.copy_rows(
            conn, lines, "public.future_lines", [*columns.split(), "arrives", "goes"]
        )
        for store in ("s1", "s2", "s3"):
            for place in sorted(chance.sample(range(DAYS), 3)):
                warehouse.execute(
                    conn,
                    "INSERT INTO future_stores VALUES (%(store)s, %(region)s, %(at)s, %(day)s)",
                    {
                        "store": store,
                        "region": chance.choice(["north", "south", "west"]),
                        "at": f"{day(place)} 07:00+00",
                        "day": day(place),
                    },
                )
        for number in range(61, 71):
            stamp = f"{day(chance.randint(0, DAYS - 1))} 06:00+00"
            warehouse.execute(
                conn,
                "INSERT INTO customers (customer_number, registered_at, updated_at) "
                "VALUES (%(c)s, %(s)s, %(s)s)",
                {"c": f"c{number}", "s": stamp},
            )
        fill_accounts(conn, chance)


def fill_accounts(conn: Any, chance: random.Random) -> None:
    """Twenty web accounts, and the addresses and telephones of customers; each on its own day."""

    def stamp() -> str:
        return f"{day(chance.randint(0, DAYS - 1))} 06:{chance.randint(10, 59)}+00"

    for number in range(1, 11):
        warehouse.execute(
            conn,
            "UPDATE customers SET first_name = %(name)s, last_name = 'Park', birthday = NULL "
            "WHERE customer_number = %(customer)s",
            {"name": chance.choice(["Ana", "Ben", "Eva"]), "customer": f"c{number}"},
        )
    web = []
    for number in range(1, 21):
        name = chance.choice([None, None, "Ana", "Ben"])
        web.append(
            (f"W{number}", "web", name, name and "Park", f"e{chance.randint(1, 15)}@example.com",
             f"+1212555010{chance.randint(0, 9)}" if chance.random() < 0.3 else None,
             chance.random() < 0.9, stamp())
        )  # fmt: skip
    columns = "account_number system first_name last_name email phone email_verified updated_at"
    warehouse.copy_rows(conn, web, "public.accounts", columns.split())
    points = []
    for number in range(1, 41):
        # Of fifteen addresses some become a second customer's, or a third's; a few are an account's own.
        whose = (
            f"c{chance.randint(1, 12)}" if chance.random() < 0.9 else f"W{chance.randint(1, 20)}"
        )
        is_mail = chance.random() < 0.7
        address = (
            f"e{chance.randint(1, 15)}@example.com" if is_mail else f"+1212555010{number % 10}"
        )
        points.append((number, whose, "email" if is_mail else "sms", address, True, stamp()))
    warehouse.copy_rows(
        conn,
        points,
        "public.contact_points",
        ["contact_id", "customer_number", "channel", "address", "verified", "updated_at"],
    )
    answers = [
        (number, chance.choice([f"c{number % 12 + 1}", f"W{number % 20 + 1}"]), "email", "marketing",
         chance.random() < 0.5, stamp())
        for number in range(1, 41)
    ]  # fmt: skip
    warehouse.copy_rows(
        conn,
        answers,
        "public.consents",
        ["consent_id", "customer_number", "channel", "purpose", "granted", "recorded_at"],
    )


def set_clock(place: int) -> None:
    """The shop as it is at the end of a day: what has arrived, in its newest state."""
    today = day(place)
    owner(
        "TRUNCATE orders, order_lines, stores",
        f"""
        INSERT INTO orders (order_number, customer_number, store_number, channel, currency, ordered_at,
            updated_at)
        SELECT order_number, customer_number, store_number, channel, currency, ordered_at, updated_at
        FROM future_orders WHERE arrives <= '{today}' AND goes > '{today}'
        """,
        "INSERT INTO stores VALUES ('s1', 'east', '2017-03-01 06:00+00')",
        "INSERT INTO stores SELECT store_number, region, updated_at FROM future_stores "
        f"WHERE arrives <= '{today}'",
        f"""
        INSERT INTO order_lines (order_number, line_number, product_number, quantity, sales_value,
            retail_discount, coupon_discount, coupon_match_discount, ordered_at)
        SELECT order_number, line_number, product_number, quantity, sales_value, retail_discount,
            coupon_discount, coupon_match_discount, ordered_at
        FROM future_lines WHERE arrives <= '{today}' AND goes > '{today}'
        """,
    )


def clean_pass() -> dict[str, str]:
    empty_warehouse()
    ingest_day(day(DAYS - 1 + LATE), since=FIRST.isoformat())
    return standing()


def standing() -> dict[str, str]:
    """Hashes of raw and core, and of whose each account is."""
    with warehouse.connect() as conn:
        whose = {
            name: publication.content_hash(conn, contracts.load("core", name))
            for name in ("identity_links", "identity_doubts")
        }
    found = {name: mark for name, mark in hashes().items() if not name.startswith("quarantine.")}
    return found | whose


def set_aside() -> list[tuple[Any, ...]]:
    """What stands in quarantine, apart from what an order on two days puts there, and from whose it is."""
    return found(
        "SELECT table_name, business_day, row_key, payload - 'customer_id', count(*) "
        "FROM quarantine.rejected_rows WHERE NOT reasons && ARRAY['superseded', 'orphan_order'] "
        "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )


LIVES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        # Days on which the schedule did not run, days run twice, and backfills that overlap it.
        "missed": st.sets(st.integers(0, DAYS - 1), max_size=8),
        "repeated": st.sets(st.integers(0, DAYS - 1), max_size=5),
        "backfills": st.lists(
            st.tuples(st.integers(0, DAYS - 1), st.integers(0, DAYS - 1), st.integers(0, 12)),
            max_size=5,
        ),
    }
)


@pytest.mark.slow
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a life is long: it is told as it was met, not made shorter
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(life=LIVES)
def test_a_schedule_with_late_rows_corrections_gaps_and_backfills_ends_as_one_clean_pass(
    unaudited, life
):
    fill_future(life["seed"])
    empty_warehouse()
    for place in range(DAYS):
        set_clock(place)
        if place not in life["missed"]:
            ingest_day(day(place), run_id=f"scheduled {place}")
        if place in life["repeated"]:
            ingest_day(day(place), run_id=f"again {place}")
        for at, until, length in life["backfills"]:
            if at == place and until <= place:
                ingest_day(
                    day(until), since=day(max(until - length, 0)), run_id=f"backfill {until}"
                )
    for place in range(DAYS, DAYS + LATE):
        set_clock(place)
        ingest_day(day(place), run_id=f"scheduled {place}")
    lived, aside = standing(), set_aside()
    assert found("SELECT count(*) > 100 FROM core.orders") == [(True,)]
    assert found("SELECT count(*) > 5 FROM quarantine.rejected_rows") == [(True,)]
    assert found("SELECT count(*) > 3 FROM core.identity_links WHERE rule IS NOT NULL") == [(True,)]
    assert found("SELECT count(*) > 3 FROM core.identity_doubts") == [(True,)]
    assert lived == clean_pass()
    assert aside == set_aside()


@pytest.mark.slow
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a life is long: it is told as it was met, not made shorter
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(order=st.permutations(range(0, DAYS, 3)), seed=st.integers(0, 10**6))
def test_days_in_any_order_end_as_one_clean_pass(unaudited, order, seed):
    fill_future(seed)
    set_clock(DAYS + LATE)
    empty_warehouse()
    for place in order:
        ingest_day(day(place), run_id=f"day {place}")
    ingest_day(day(DAYS - 1 + LATE))
    lived, aside = standing(), set_aside()
    assert lived == clean_pass()
    assert aside == set_aside()


# --- readers ---


def test_a_hundred_readers_see_whole_days_of_every_core_table(many_connections, monkeypatch):
    fill_shop()
    with warehouse.connect("shop_owner") as conn:
        fill_accounts(conn, random.Random(1))
    empty_warehouse()
    ingest_day("2017-03-05", since="2017-03-01")
    tables = [
        contract
        for contract in contracts.of_dataset("core")
        if contract.source and offered.is_on(policy.load(), contract.source.partition(".")[2])
    ]
    assert {"core.orders", "core.order_lines", "core.customers"} <= {t.name for t in tables}
    counts = {t.name: found(f"SELECT count(*) FROM {t.name}")[0][0] for t in tables}
    # Every version of the shop gives all of a table's rows one mark.
    marks = {
        "core.orders": ", count(DISTINCT store_id), min(store_id)",
        "core.order_lines": ", count(DISTINCT sales), min(sales)::text",
    }

    def publish() -> None:
        for version in ("s2", "s3"):
            owner(
                f"UPDATE orders SET store_number = '{version}'",
                f"UPDATE order_lines SET sales_value = {int(version[1]) * 1.5}",
            )
            plan = ingest.plan({"as_of": "2017-03-05", "since": "2017-03-01", "run_id": version})
            gate.gate(ingest.extract(plan), rebuild=ingest.extract)
            gate.gate(ingest.build_core(plan), rebuild=ingest.build_core)
            time.sleep(0.3)

    seen = watch(
        {t.name: f"SELECT count(*){marks.get(t.name, '')} FROM {t.name}" for t in tables}, publish
    )
    faults = [
        (name, row)
        for name, rows in seen.items()
        for row in rows
        if row[0] != counts[name] or row[1:2] not in ((), (1,))
    ]
    assert faults == []
    assert {row[2] for row in seen["core.orders"]} >= {"s2", "s3"}

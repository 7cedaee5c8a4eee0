"""A shop redeems coupons by one SQL function: the right customer, once, in time, from any writer."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg2
import pytest

from include import policy, warehouse
from include.launcher.servers import databases
from include.steps.delivery import clock, guessing
from tests.sql import planted
from tests.sql.planted import person

pytestmark = pytest.mark.usefixtures("warehouse")

CODE = "KDF7T-9XWPM-C4HRY"
DAY = date(2017, 10, 5)


@pytest.fixture(autouse=True)
def conn(warehouse):
    from include.warehouse import connect

    with connect() as opened:
        planted.clear(opened)
        planted.fill(
            opened,
            "marketing.coupon_triggers",
            [
                {
                    "trigger_id": person(1),
                    "customer_id": person(7),
                    "external_id": "7",
                    "campaign": "welcome",
                    "coupon_code": CODE,
                    "status": "sent",
                    "discount_kind": "amount_off",
                    "discount_value": 5,
                    "minimum_spend": 25,
                    "currency": "USD",
                    "valid_from": "2017-10-02",
                    "valid_until": "2017-10-15",
                }
            ],
        )
        clock.write(opened, policy.load(), datetime(2017, 10, 5, 12, tzinfo=UTC))
        opened.commit()
        yield opened


@pytest.fixture(scope="module")
def till(server, warehouse) -> Callable[[], Any]:
    """Opens connections as a login of the shop's own, a member of regulars_shop."""
    url = warehouse["warehouse"]
    database = url.rpartition("/")[2]
    with databases.admin(server.server.admin_url()) as admin:
        databases.make_role(admin, "a_till", "till")
        databases.run(admin, "GRANT regulars_shop TO {}", "a_till")
    address = databases.address(server.server.admin_url(), "a_till", "till", database)
    return lambda: psycopg2.connect(address)


def redeem(
    till, code=CODE, customer="7", order="B-1", basket: Any = 40, day=DAY, store=None, at=None
):
    with till() as shop:
        (found,) = warehouse.rows(
            shop,
            "SELECT accepted, reason, discount, currency FROM marketing.redeem(%(code)s, %(customer)s, "
            "%(order)s, %(basket)s, %(day)s, %(at)s, %(store)s)",
            {
                "code": code, "customer": customer, "order": order, "basket": basket, "day": day,
                "at": at or f"{day}T15:00Z", "store": store,
            },
        )  # fmt: skip
        shop.commit()
    return found


def give_back(till, code=CODE, customer="7", order="B-1", day=DAY, store=None):
    with till() as shop:
        (found,) = warehouse.rows(
            shop,
            "SELECT accepted, reason FROM marketing.unredeem(%(code)s, %(customer)s, %(order)s, %(day)s, "
            "'2017-10-05T16:00Z', %(store)s)",
            {"code": code, "customer": customer, "order": order, "day": day, "store": store},
        )
        shop.commit()
    return found


def now(conn, moment: str) -> None:
    """Let the shop's clock show another moment."""
    clock.write(conn, policy.load(), datetime.fromisoformat(moment))
    conn.commit()


def change(conn, **columns):
    names = ", ".join(f"{name} = %({name})s" for name in columns)
    warehouse.execute(conn, f"UPDATE marketing.coupon_triggers SET {names}", columns)
    conn.commit()


def test_a_coupon_counts_once_and_the_same_order_hears_the_same_answer(conn, till):
    assert redeem(till) == (True, "redeemed", Decimal("5.00"), "USD")
    assert redeem(till) == (True, "redeemed", Decimal("5.00"), "USD"), "a till that asks again"
    assert redeem(till, order="B-2") == (False, "already_redeemed", 0, "USD")
    assert warehouse.rows(
        conn,
        "SELECT status, redeemed_on, redeemed_order, discount_given FROM marketing.coupon_triggers",
    ) == [("redeemed", DAY, "B-1", Decimal("5.00"))]


@pytest.mark.parametrize("typed", ["kdf7t-9xwpm-c4hry", "KDF7T9XWPMC4HRY", " kdf7t 9xwpm c4hry "])
def test_a_code_may_be_typed_as_people_type(till, typed):
    assert redeem(till, code=typed)[:2] == (True, "redeemed")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"code": "AAAAA-BBBBB-CCCCC"}, "unknown_code"),
        ({"customer": "8"}, "unknown_code"),
        ({"basket": Decimal("24.99")}, "basket_too_small"),
        ({"day": date(2017, 10, 1)}, "not_yet_valid"),
        ({"day": date(2017, 10, 16)}, "expired"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_the_coupon(conn, till, asked, reason):
    now(conn, f"{asked.get('day', DAY)}T12:00Z")
    accepted, said, discount, _ = redeem(till, **asked)
    assert (accepted, said, discount) == (False, reason, 0)
    now(conn, "2017-10-05T12:00Z")
    assert redeem(till)[0], "it is still good"


@pytest.mark.parametrize(
    "asked",
    [{"day": date(2017, 10, 2)}, {"day": date(2017, 10, 15)}, {"basket": Decimal("25.00")}],
)
def test_the_first_and_the_last_day_and_the_least_basket_still_fit(conn, till, asked):
    now(conn, f"{asked.get('day', DAY)}T12:00Z")
    assert redeem(till, **asked)[:2] == (True, "redeemed")


@pytest.mark.parametrize("status", ["awaiting_approval", "approved", "rejected", "expired"])
def test_what_was_never_sent_cannot_be_redeemed(conn, till, status):
    change(conn, status=status)
    assert redeem(till)[:2] == (False, "not_sent")


@pytest.mark.parametrize(
    ("kind", "value", "at_most", "basket", "discount"),
    [
        ("percent_off", "0.10", "10", "40", "4.00"),
        ("percent_off", "0.10", "10", "400", "10.00"),
        ("percent_off", "0.10", None, "400", "40.00"),
        ("amount_off", "50", None, "40", "40.00"),
    ],
)
def test_the_discount_follows_the_offer(conn, till, kind, value, at_most, basket, discount):
    change(conn, discount_kind=kind, discount_value=value, discount_at_most=at_most)
    assert redeem(till, basket=basket)[2] == Decimal(discount)


def test_sixteen_tills_at_once_redeem_one_coupon_once(conn, till):
    answers: list[tuple[Any, ...]] = []
    barrier = threading.Barrier(16)

    def ask(number: int) -> None:
        barrier.wait()
        answers.append(redeem(till, order=f"B-{number}"))

    tills = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in tills:
        thread.start()
    for thread in tills:
        thread.join()
    assert sorted(reason for _, reason, *_ in answers) == ["already_redeemed"] * 15 + ["redeemed"]
    assert warehouse.value(conn, "SELECT count(*) FROM marketing.coupon_triggers") == 1


def test_a_missing_figure_is_a_clear_sentence(till):
    with pytest.raises(psycopg2.errors.NullValueNotAllowed, match="Expected code, customer"):
        redeem(till, basket=None)


@pytest.mark.parametrize("basket", ["NaN", "Infinity", "-Infinity", "-0.01"])
def test_a_basket_that_is_no_amount_is_a_clear_sentence_and_leaves_the_coupon(till, basket):
    told = f"Expected a basket of 0 or more, found {basket}."
    with pytest.raises(psycopg2.errors.InvalidParameterValue, match=told):
        redeem(till, basket=basket)
    assert redeem(till)[0], "it is still good"
    with pytest.raises(psycopg2.errors.InvalidParameterValue, match=told):
        redeem(till, basket=basket)


def test_the_shop_may_redeem_and_see_nothing(till):
    with till() as shop:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            warehouse.rows(shop, "SELECT * FROM marketing.coupon_triggers")
        shop.rollback()
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            warehouse.rows(shop, "SELECT * FROM marketing.why('7')")
    with (
        warehouse.connect("warehouse_marketing") as marketing,
        pytest.raises(psycopg2.errors.InsufficientPrivilege),
    ):
        warehouse.rows(
            marketing, "SELECT * FROM marketing.redeem('x', '7', 'B', 40, '2017-10-05', now())"
        )


def test_a_redeemed_coupon_stays_redeemed_when_its_day_is_decided_again(conn, till):
    planted.clear(conn)
    planted.people(conn, range(1, 21))
    conn.commit()
    planted.decide()
    change(conn, status="sent")
    now(conn, "2017-10-05T12:00Z")
    code, customer = warehouse.rows(
        conn,
        "SELECT coupon_code, external_id FROM marketing.coupon_triggers "
        "WHERE coupon_code IS NOT NULL ORDER BY 1 LIMIT 1",
    )[0]
    assert redeem(till, code=code, customer=customer, basket=60)[0]
    planted.decide(run_id="run-2")
    conn.commit()
    assert warehouse.rows(
        conn,
        "SELECT status, redeemed_order FROM marketing.coupon_triggers WHERE coupon_code = %(c)s",
        {"c": code},
    ) == [("redeemed", "B-1")]


def test_an_order_is_its_number_its_day_and_its_store(conn, till):
    """A till counts from 1 again each morning, and so does the one next door."""
    assert redeem(till, order="1", store="s1")[:2] == (True, "redeemed")
    assert redeem(till, order=" 1 ", store="s1")[:2] == (True, "redeemed"), "the same order"
    assert redeem(till, order="1", store="s2")[:2] == (False, "already_redeemed")
    assert redeem(till, order="1")[:2] == (False, "already_redeemed")
    assert redeem(till, order="1", store="s1", day=date(2017, 10, 6))[1] == "already_redeemed"


def other_coupon(conn, number: int, who: int, code: str) -> None:
    planted.fill(
        conn,
        "marketing.coupon_triggers",
        [
            {
                "trigger_id": person(number), "customer_id": person(who), "external_id": str(who),
                "campaign": "birthday", "coupon_code": code, "status": "sent",
                "discount_kind": "amount_off", "discount_value": 5, "minimum_spend": 25,
                "currency": "USD", "valid_from": "2017-10-02", "valid_until": "2017-10-15",
            }
        ],
    )  # fmt: skip
    conn.commit()


def test_an_order_of_somebody_else_is_refused(conn, till):
    other = "AAAAA-AAAAA-AAAAA"
    other_coupon(conn, 2, 8, other)
    assert redeem(till)[0]
    assert redeem(till, code=other, customer="8") == (False, "order_of_another", 0, "USD")
    assert redeem(till, code=other, customer="8", order="B-2")[0]


def link(conn, account: int, of: int) -> None:
    warehouse.execute(
        conn,
        "INSERT INTO core.identity_links (account_id, customer_id, rule) "
        "VALUES (%(account)s, %(of)s, 'verified_email'), (%(of)s, %(of)s, NULL)",
        {"account": person(account), "of": person(of)},
    )
    conn.commit()


def test_an_account_of_the_customer_may_bring_it_and_another_customers_may_not(conn, till):
    for number, account in ((70, "W7"), (80, "W8")):
        warehouse.execute(
            conn,
            "INSERT INTO core.accounts (account_id, account_number, system, email_verified, known_at) "
            "VALUES (%(id)s, %(number)s, 'web', false, now())",
            {"id": person(number), "number": account},
        )
    link(conn, 70, of=7)
    link(conn, 80, of=8)
    assert redeem(till, customer="W8")[1] == "unknown_code"
    assert redeem(till, customer="W7")[:2] == (True, "redeemed")
    assert redeem(till)[:2] == (True, "redeemed"), "the same order by the other number"
    assert give_back(till, customer="W7") == (True, "given_back")


def test_after_a_merge_either_number_is_good(conn, till):
    """The coupon went to 7, who was then found to be 9."""
    planted.people(conn, [7, 9])
    link(conn, 7, of=9)
    assert redeem(till, customer="9")[:2] == (True, "redeemed")
    assert redeem(till, customer="7")[:2] == (True, "redeemed")


@pytest.mark.parametrize(
    ("day", "at", "answer"),
    [
        ("2017-10-05", "2017-10-05T15:00Z", "redeemed"),
        ("2017-10-07", "2017-10-07T11:59Z", "redeemed"),
        ("2017-10-05", "2017-10-07T12:01Z", "wrong_clock"),
        ("2017-10-08", "2017-10-05T15:00Z", "wrong_clock"),
        ("2017-10-05", "2018-10-05T15:00Z", "wrong_clock"),
        ("2017-10-02", "2017-10-05T15:00Z", "wrong_clock"),
        ("2017-10-05", "-infinity", "wrong_clock"),
    ],
)
def test_a_till_whose_clock_is_wrong_is_refused(till, day, at, answer):
    assert redeem(till, day=day, at=at)[1] == answer


def test_without_a_standing_clock_the_wall_clock_counts(conn, till):
    warehouse.execute(conn, "UPDATE ops.clock SET moment = NULL")
    conn.commit()
    assert redeem(till)[1] == "wrong_clock"
    today = datetime.now(UTC).date()
    change(conn, valid_until=today)
    assert redeem(till, day=today, at=datetime.now(UTC))[0]


@pytest.mark.parametrize("order", ["", "  ", "9" * 201])
def test_an_order_needs_a_number_of_ordinary_length(till, order):
    for ask in (redeem, give_back):
        with pytest.raises(psycopg2.errors.InvalidParameterValue, match="Expected an order number"):
            ask(till, order=order)


def test_an_order_that_falls_through_gives_the_coupon_back(conn, till):
    assert give_back(till) == (False, "not_redeemed")
    assert redeem(till)[0]
    assert give_back(till, order="B-2") == (False, "not_redeemed")
    assert give_back(till, customer="8") == (False, "unknown_code")
    assert give_back(till) == (True, "given_back")
    assert give_back(till) == (True, "given_back"), "a till that asks again"
    assert redeem(till, order="B-2")[:2] == (True, "redeemed"), "it counts again"
    assert give_back(till) == (False, "not_redeemed"), "that order has it no longer"


def test_what_was_asked_is_kept_with_who_asked(conn, till):
    redeem(till, code="AAAAA-BBBBB-CCCCC", store="s1")
    redeem(till, basket=1)
    redeem(till)
    assert warehouse.rows(
        conn,
        "SELECT asked, login, trigger_id::text, order_number, store, day, accepted, reason "
        "FROM ops.till_answers ORDER BY answered_at",
    ) == [
        ("redeem", "a_till", None, "B-1", "s1", DAY, False, "unknown_code"),
        ("redeem", "a_till", person(1), "B-1", None, DAY, False, "basket_too_small"),
        ("redeem", "a_till", person(1), "B-1", None, DAY, True, "redeemed"),
    ]


def test_guessing_is_slowed(conn, till):
    """From the eleventh wrong code within an hour on; the others' tills are not."""
    waited = []
    for _ in range(13):
        begun = time.monotonic()
        redeem(till, code="AAAAA-BBBBB-CCCCC")
        waited.append(time.monotonic() - begun)
    assert waited[-1] >= 0.3
    warehouse.execute(conn, "UPDATE ops.till_answers SET login = 'another_till'")
    conn.commit()
    begun = time.monotonic()
    redeem(till, code="AAAAA-BBBBB-CCCCC")
    assert time.monotonic() - begun < waited[-1]


def test_guessing_is_told_once(conn, till):
    assert guessing.tell(conn, "regulars_deliver") == []
    warehouse.execute(
        conn,
        "INSERT INTO ops.till_answers (answer_id, asked, login, order_number, day, accepted, reason, "
        "answered_at) SELECT gen_random_uuid(), 'redeem', 'a_till', 'o' || n, now(), false, "
        "'unknown_code', now() FROM generate_series(1, 30) AS n",
    )
    conn.commit()
    for _ in range(2):
        assert guessing.tell(conn, "regulars_deliver") == ["a_till"]
    told = warehouse.rows(
        conn, "SELECT error FROM ops.notices WHERE run_id LIKE 'guessing-a_till-%'"
    )
    assert len(told) == 1
    assert "asked for 30 coupon codes" in told[0][0]


@pytest.mark.parametrize(
    ("decimals", "discount"), [(0, "12"), (2, "12.35"), (3, "12.345"), (None, "12.35")]
)
def test_a_discount_has_the_decimals_of_its_currency(conn, till, decimals, discount):
    change(
        conn, discount_kind="percent_off", discount_value="0.1", discount_at_most=None,
        currency_decimals=decimals,
    )  # fmt: skip
    assert redeem(till, basket=Decimal("123.45"))[2] == Decimal(discount)
    assert redeem(till, basket=Decimal("123.45"))[2] == Decimal(discount), "as it was kept"


def test_a_till_tells_no_events_and_a_gateway_redeems_nothing(server, warehouse):
    told = "SELECT ops.record_delivery_event('e', 'opened', now(), message => gen_random_uuid())"
    asked = "SELECT * FROM marketing.redeem('x', '7', 'B', 40, '2017-10-05', now())"
    url = warehouse["warehouse"]
    for login, group, may, may_not in (
        ("only_a_till", "regulars_till", asked, told),
        ("only_a_gateway", "regulars_gateway", told, asked),
    ):
        with databases.admin(server.server.admin_url()) as admin:
            databases.make_role(admin, login, "x")
            databases.run(admin, "GRANT {} TO {}", group, login)
        address = databases.address(server.server.admin_url(), login, "x", url.rpartition("/")[2])
        with psycopg2.connect(address) as conn, conn.cursor() as cursor:
            cursor.execute(may)
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(may_not)

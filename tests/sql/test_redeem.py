"""A shop redeems coupons by one SQL function: the right customer, once, in time, from any writer."""

import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg2
import pytest

from include import warehouse
from include.launcher.servers import databases
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


def redeem(till, code=CODE, customer="7", order="B-1", basket: Any = 40, day=DAY):
    with till() as shop:
        (found,) = warehouse.rows(
            shop,
            "SELECT accepted, reason, discount, currency FROM marketing.redeem(%(code)s, %(customer)s, "
            "%(order)s, %(basket)s, %(day)s, '2017-10-05T15:00Z')",
            {"code": code, "customer": customer, "order": order, "basket": basket, "day": day},
        )
        shop.commit()
    return found


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
    accepted, said, discount, _ = redeem(till, **asked)
    assert (accepted, said, discount) == (False, reason, 0)
    assert redeem(till)[0], "it is still good"


@pytest.mark.parametrize(
    "asked",
    [{"day": date(2017, 10, 2)}, {"day": date(2017, 10, 15)}, {"basket": Decimal("25.00")}],
)
def test_the_first_and_the_last_day_and_the_least_basket_still_fit(till, asked):
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

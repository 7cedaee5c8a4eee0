"""Ways to say no: each planted for one customer of a small shop, beside a twin who says yes in the same way.

One run of the chain, as its DAGs call it: two days from the shop to core, the second decided and delivered to
a real mail server and a real gateway. They count 0 for whoever said no, and one message for each twin.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import yaml

from include import warehouse
from include.launcher.commands import suppress
from include.persons import addresses, pseudonym
from include.steps.delivery import deliver
from tests.sql import planted
from tests.sql.conftest import Gateway, Mailbox, gateway, mailbox  # noqa: F401
from tests.sql.small_shop import found, ingest_day, owner

FIRST, LAST = "2017-03-04", "2017-03-05"
MORNING = datetime(2017, 3, 6, 15, tzinfo=UTC)  # 10:00 in New York
NEW = "2017-03-05 12:00+00"  # on the second day

#: The shop: nothing of its own beside what every customer of a way has.
SHOP = """
INSERT INTO stores VALUES ('s1', 'north', '2017-03-01 06:00+00');
INSERT INTO products (product_number, department, brand, category, type, name, active, unit_margin,
    updated_at)
SELECT 'p' || n, 'GROCERY', 'National', 'CAKE', 'CAKE', 'Cake ' || n, true, 0.3, '2017-03-01 06:00+00'
FROM generate_series(1, 60) AS n;
"""

#: Sources that no way needs.
ON = {
    "customers",
    "stores",
    "products",
    "orders",
    "order_lines",
    "contact_points",
    "consents",
    "accounts",
}


@dataclass(frozen=True)
class Who:
    """A customer: one who says no, or the twin, who says yes in the same way."""

    place: int
    says_no: bool
    channel: str

    @property
    def number(self) -> str:
        return f"{'n' if self.says_no else 'y'}{self.place}"

    @property
    def id(self) -> int:
        return self.place * 2 + self.says_no

    @property
    def address(self) -> str:
        if self.channel == "email":
            return f"{self.number}@example.com"
        return f"+44207946{self.id:04d}"

    @property
    def granted(self) -> str:
        return "false" if self.says_no else "true"


@dataclass(frozen=True)
class Way:
    """A way to say no.

    Attributes
    ----------
    shop
        What it changes in the shop, of the second day's data.
    before
        The same, of the first day's.
    told
        What it does between deciding and delivery.
    """

    name: str
    shop: Callable[[Who], str] | None = None
    before: Callable[[Who], str] | None = None
    told: Callable[[Who], None] | None = None
    channel: str = "email"


def answer(
    channel: str | None = "email",
    purpose: str | None = "marketing",
    at: str | None = NEW,
    number: Callable[[str], str] = str,
    granted: str | None = None,
) -> Callable[[Who], str]:
    """One more row of consents."""

    def literal(text: str | None) -> str:
        return "NULL" if text is None else "'" + text.replace("'", "''") + "'"

    def statement(who: Who) -> str:
        said = who.granted if who.says_no is False or granted is None else granted
        return (
            f"INSERT INTO consents VALUES ({9000 + who.id}, {literal(number(who.number))}, "
            f"{literal(channel)}, {literal(purpose)}, {said}, {literal(at)})"
        )

    return statement


def only(statement: str) -> Callable[[Who], str]:
    """What only those do who say no."""
    return lambda who: (
        statement.format(number=who.number, id=who.id, channel=who.channel)
        if who.says_no
        else "SELECT 1"
    )


def refuse(
    customer: Callable[[Who], str | None], address: Callable[[Who], str | None], channel: str | None
) -> Callable[[Who], None]:
    """`ops.record_refusal`, by those who say no."""

    def told(who: Who) -> None:
        if who.says_no:
            call("SELECT ops.record_refusal(%(c)s, %(a)s, %(k)s, now())",
                 {"c": customer(who), "a": address(who), "k": channel})  # fmt: skip

    return told


def nothing(_: Who) -> None:
    return None


def heard(kind: str, spelt: Callable[[str], str] = str) -> Callable[[Who], None]:
    """An event of a message that somebody else got at the same mailbox, whose address was spelt otherwise."""

    def told(who: Who) -> None:
        other, message = (
            str(pseudonym.pseudonym(f"o{who.number}", pseudonym.key())),
            f"{who.id:032x}",
        )
        address = addresses.normal(who.channel, spelt(who.address))
        assert address == who.address
        mark = str(addresses.hashed(who.channel, address, pseudonym.key()))
        with warehouse.connect() as conn:
            for table, more in (
                ("marketing.coupon_triggers", {"status": "sent", "coupon_code": f"o{who.id}",
                                               "sent_at": "2017-02-01"}),
                ("marketing.messages", {"message_id": message, "status": "sent", "sent_at": "2017-02-01",
                                        "cap_class": "marketing", "address_hash": mark}),
            ):  # fmt: skip
                planted.fill(
                    conn,
                    table,
                    [
                        {
                            "trigger_id": message, "customer_id": other, "external_id": f"o{who.number}",
                            "as_of": "2017-01-31", "campaign": "vip_exclusive", "period": "2017-Q1",
                            "channel": who.channel,
                        }
                        | more
                    ],
                )  # fmt: skip
        call(
            "SELECT ops.record_delivery_event(%(e)s, %(k)s, now(), message => %(m)s::uuid)",
            {"e": f"event {who.id}", "k": kind if who.says_no else "delivered", "m": message},
        )

    return told


def by_hand(spelt: Callable[[str], str]) -> Callable[[Who], None]:
    def told(who: Who) -> None:
        if who.says_no:
            assert suppress.run("add", spelt(who.address), "letter", "ann", None) == 0

    return told


def asked(statement: str) -> Callable[[Who], str]:
    """A row of the shop's table of refusals, which `_refusals.sql` reads."""
    return only(statement)


def web_account(who: Who, answered: str) -> str:
    return (
        "INSERT INTO accounts (account_number, system, customer_number, email_verified, updated_at) VALUES "
        f"('W{who.number}', 'web', '{who.number}', false, '{NEW}'); "
        f"INSERT INTO consents VALUES ({9000 + who.id}, {answered})"
    )


def call(statement: str, params: dict[str, Any]) -> None:
    with warehouse.connect() as conn:
        assert warehouse.value(conn, statement, params) is True


def spaced(number: str) -> str:
    return f" {number[:3]} (0){number[3:5]} {number[5:9]}-{number[9:]}\u00a0"


CHANNEL_WORDS = (
    "email", "EMAIL", " Email ", "e-mail", "E_Mail", "E MAIL", "mail", "all", "ALL", "*", "any",
    "e\u00admail", "ｅｍａｉｌ", "\u200bemail", "newsletter",
)  # fmt: skip
#: What only a no may be spelt as: the twins' yes is set aside, and their earlier one stands.
NO_WORDS = ("", "   ", None, "pigeon", "e-post")
PURPOSE_WORDS = (
    "MARKETING", " marketing ", "newsletter", "Ads", "all", "", None, "Werbung", "lottery",
    "Direct-Marketing",
)  # fmt: skip

WAYS = (
    *(Way(f"channel {word!r}", answer(channel=word)) for word in (*CHANNEL_WORDS, *NO_WORDS)),
    *(Way(f"purpose {word!r}", answer(purpose=word)) for word in PURPOSE_WORDS),
    *(
        Way(f"text messages, channel {word!r}", answer(channel=word), channel="sms")
        for word in ("sms", "SMS ", "Text", "mobile", "phone", "all", "", None)
    ),
    Way("no answer", answer(granted="NULL")),
    Way("no answer, by no channel, for nothing", answer(None, None, granted="NULL")),
    # stamps
    Way("without a stamp", answer(at=None)),
    Way("at the moment of the yes", answer(at="2017-03-01 06:00+00")),
    Way("dated next month", answer(at="2017-04-05 12:00+00")),
    Way("dated in another millennium", answer(at="3017-03-05 12:00+00")),
    Way("dated for ever", answer(at="infinity")),
    Way("dated in 1850", answer(at="1850-03-05 12:00+00")),
    Way("late by more than the look-back", answer(at="2017-03-01 07:00+00")),
    Way("late, for all channels, without a purpose", answer("ALL", None, at="2017-03-01 07:00+00")),
    # whose it is
    Way("number with blanks", answer(number=lambda text: f" {text} ")),
    Way("number in capitals", answer(number=str.upper)),
    Way("number with a no-break space", answer(number=lambda text: f"{text}\u00a0")),
    # on the first day already, before anything was known
    Way("from the beginning", before=answer(at="2017-03-02 12:00+00")),
    Way("from the beginning, by any channel", before=answer("Any", "", at="2017-03-02 12:00+00")),
    Way("from the beginning, without a stamp", before=answer(at=None)),
    # what the shop deleted
    Way("answer deleted", only("DELETE FROM consents WHERE customer_number = '{number}'")),
    Way("address deleted", only("DELETE FROM contact_points WHERE customer_number = '{number}'")),
    Way("number deleted", only("DELETE FROM contact_points WHERE customer_number = '{number}'"),
        channel="sms"),
    Way("customer deleted", only("DELETE FROM customers WHERE customer_number = '{number}'")),
    # what the shop emptied or spoilt
    *(
        Way(
            f"{'address' if channel == 'email' else 'number'} {text}",
            only(
                f"UPDATE contact_points SET address = {text}, updated_at = '{NEW}' WHERE contact_id = {{id}}"
            ),
            channel=channel,
        )
        for text, channel in (
            ("''", "email"), ("'  '", "email"), ("NULL", "email"), ("chr(8203)", "email"),
            ("'none'", "email"), ("'n a@example.com'", "email"), ("''", "sms"), ("'+44 20'", "sms"),
        )
    ),
    # between deciding and delivery
    Way("told with the number", told=refuse(lambda w: w.number, lambda _: None, "email")),
    Way("told with the number, in capitals",
        told=refuse(lambda w: f" {w.number.upper()} ", lambda _: None, "E-Mail")),
    Way("told of every channel", told=refuse(lambda w: w.number, lambda _: None, "all")),
    Way("told of no channel", told=refuse(lambda w: w.number, lambda _: None, None)),
    Way("told of a channel nobody knows",
        told=refuse(lambda w: w.number, lambda _: "", "carrier pigeon")),
    Way("told with the address", told=refuse(lambda _: None, lambda w: w.address, "email")),
    Way("told with the address, in capitals",
        told=refuse(lambda _: "", lambda w: f" {w.address.upper()}", None)),
    Way("told with both", told=refuse(lambda w: w.number, lambda w: w.address, "")),
    Way("told with a telephone", told=refuse(lambda _: None, lambda w: w.address, "sms"), channel="sms"),
    Way("told with a telephone, spelt otherwise",
        told=refuse(lambda _: None, lambda w: spaced(w.address), "SMS"), channel="sms"),
    Way("told with a telephone, from abroad",
        told=refuse(lambda _: None, lambda w: f"00{w.address[1:]}", None), channel="sms"),
    # what the shop is asked just before
    Way("asked, by number", asked("INSERT INTO refusals VALUES ('{number}', NULL, 'email')")),
    Way("asked, by address", asked("INSERT INTO refusals VALUES (NULL, '{number}@EXAMPLE.com', NULL)")),
    # what was said of the mailbox
    Way("mailbox of another who unsubscribed", told=heard("unsubscribed")),
    Way("mailbox of another who complained", told=heard("complained", str.upper)),
    Way("mailbox of another that bounced", told=heard("bounced", lambda text: f"\u200b{text} ")),
    Way("number of another who unsubscribed", told=heard("unsubscribed", spaced), channel="sms"),
    Way("listed by hand", told=by_hand(str.upper)),
    Way("number listed by hand", told=by_hand(spaced), channel="sms"),
    # several accounts
    Way("by another account",
        lambda w: web_account(w, f"'W{w.number}', 'email', 'marketing', {w.granted}, '{NEW}'")),
    Way("by another account, of all channels",
        lambda w: web_account(w, f"'W{w.number}', 'Any', NULL, {'false' if w.says_no else 'true'}, '{NEW}'")),
    Way("by another account, without a stamp",
        lambda w: web_account(w, f"'W{w.number}', 'email', 'marketing', {w.granted}, NULL")),
    Way("by another account, told",
        lambda w: web_account(w, f"'{w.number}', 'email', 'marketing', true, '{NEW}'"),
        told=refuse(lambda w: f"W{w.number}", lambda _: None, "email")),
)  # fmt: skip

PEOPLE = [Who(place, no, way.channel) for place, way in enumerate(WAYS) for no in (True, False)]


@pytest.fixture(scope="module")
def source(module_env: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shop's folder of SELECTs: the demo's, and one that asks who has refused."""
    root = tmp_path_factory.mktemp("sql") / "sql"
    shutil.copytree(warehouse.SQL_ROOT, root)
    module_env.setattr(warehouse, "SQL_ROOT", root)
    (root / "extract" / "complete_journey" / "_refusals.sql").write_text(
        "SELECT customer_number, address, channel, now() AS refused_at FROM refusals"
    )
    return "complete_journey"


@pytest.fixture(scope="module")
def rules(home: Path, module_env: pytest.MonkeyPatch, source: str) -> None:
    from include import contracts
    from include.policy import DEFAULT_PATH

    settings = yaml.safe_load(DEFAULT_PATH.read_text())
    settings["shop"]["clock"] = None
    settings["ingest"]["sources"] = {c.table: c.table in ON for c in contracts.of_dataset("raw")}
    settings["control"] |= {"share": 0.0, "exploration_share": 0.0}
    settings["budgets"]["per_day"] = 1e6
    settings["delivery"] |= {
        "channels": {"email": "smtp", "sms": "webhook", "push": "outbox"},
        "per_minute": {"email": None, "sms": None, "push": None},
    }
    for campaign in settings["campaigns"]:
        campaign["enabled"] = campaign["name"] == "vip_exclusive"
        campaign["budget_per_day"] = 1e5
    file = home / "policy.yml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    module_env.setenv("REGULARS_POLICY", str(file))


def fill() -> None:
    """Everybody with an address, verified, and a clear yes to it."""
    owner("CREATE TABLE refusals (customer_number text, address text, channel text)", SHOP)
    owner("GRANT SELECT ON refusals TO PUBLIC")
    for who in PEOPLE:
        owner(
            f"""
            INSERT INTO customers (customer_number, first_name, birthday, home_store_id, registered_at,
                updated_at)
            VALUES ('{who.number}', 'Ann', '1980-05-17', 's1', '2017-03-01 06:00+00', '2017-03-01 06:00+00');
            INSERT INTO contact_points VALUES
                ({who.id}, '{who.number}', '{who.channel}', '{who.address}', true, '2017-03-01 06:00+00');
            INSERT INTO consents VALUES
                ({who.id}, '{who.number}', '{who.channel}', 'marketing', true, '2017-03-01 06:00+00');
            INSERT INTO orders (order_number, customer_number, store_number, channel, currency, ordered_at,
                updated_at)
            SELECT 'o{who.id}-' || d, '{who.number}', 's1', 'till', 'USD', stamp, stamp
            FROM generate_series(1, 5) AS d,
                LATERAL (SELECT timestamptz '2017-02-28 17:00+00' + d * interval '1 day' AS stamp) AS s;
            """
        )
    owner(
        "INSERT INTO order_lines (order_number, line_number, product_number, quantity, sales_value, "
        "retail_discount, coupon_discount, coupon_match_discount, ordered_at) "
        "SELECT order_number, n, 'p' || n, 1, 2.50, 0, 0, 0, ordered_at "
        "FROM orders, generate_series(1, 2) AS n"
    )


def segments() -> None:
    """Everybody a customer of the highest value, as the models would say."""
    with warehouse.connect() as conn:
        planted.fill(
            conn,
            "marketing.customer_segments",
            [
                {
                    "as_of": LAST, "customer_id": str(pseudonym.pseudonym(who.number, pseudonym.key())),
                    "external_id": who.number, "segment": "vip", "priority_service": True,
                    "predicted_value": 600, "predicted_orders": 10, "model_version": "value-1",
                    "expected_next_order_date": LAST,
                }
                for who in PEOPLE
            ],
        )  # fmt: skip


@pytest.fixture
def received(
    shop: dict[str, str], rules: None, request: pytest.FixtureRequest
) -> Callable[[], Counter[str]]:
    """The chain, once; what the two servers got, by address."""
    request.getfixturevalue("warehouse")
    mails: Mailbox = request.getfixturevalue("mailbox")
    texts: Gateway = request.getfixturevalue("gateway")
    fill()
    for who in PEOPLE:
        if before := WAYS[who.place].before:
            owner(before(who))
    ingest_day(FIRST, run_id="first")
    for who in PEOPLE:
        if change := WAYS[who.place].shop:
            owner(change(who))
    ingest_day(LAST, run_id="second")
    segments()
    planted.decide(LAST)
    for who in PEOPLE:
        if say := WAYS[who.place].told:
            say(who)
    deliver.send(MORNING)

    def counted() -> Counter[str]:
        by_mail = (str(message_from_bytes(mail)["To"]) for mail in mails.mails)
        by_text = (json.loads(body)["to"] for _, body in texts.requests)
        return Counter([*by_mail, *by_text])

    return counted


def test_nobody_who_says_no_is_written_to_and_everybody_else_is(received):
    got = received()
    assert len(WAYS) >= 60
    assert len({way.name for way in WAYS}) == len(WAYS)
    wrong = {
        WAYS[who.place].name: got[who.address] for who in PEOPLE if who.says_no and got[who.address]
    }
    assert wrong == {}
    unheard = [WAYS[who.place].name for who in PEOPLE if not who.says_no and got[who.address] != 1]
    assert unheard == []
    assert sum(got.values()) == len(WAYS)
    assert found(
        "SELECT check_name, severity FROM ops.quality_results WHERE check_name LIKE 'refusals_%%' "
        "AND NOT passed GROUP BY 1, 2 ORDER BY 1",
        {},
    ) == [(f"refusals_{how}", "critical") for how in ("future", "late", "set_aside")]
    # Each row that was extracted is published, set aside, or one of two that are equal.
    assert found(
        "SELECT table_name FROM ops.row_counts WHERE extracted <> published + quarantined + duplicates"
    ) == []  # fmt: skip

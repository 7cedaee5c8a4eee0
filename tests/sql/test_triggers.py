"""Each trigger on given rows, from the warehouse to what is decided; the rows stand in triggers/<name>.yml.

A file has `customers` (number to columns that differ from the ordinary), `rows` (table to rows; `customer` is
a number, what is not given is ordinary), and `cases`: the trigger's keys, whom it finds, about what. `ends`
are cases of what comes between decision and claim: rows, changed customers, or statements; whose message is
then withdrawn, and whose leaves.
"""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from include import policy, warehouse
from include.offers.decide import decide
from include.policy.triggers import KINDS
from include.steps import activate
from include.steps.delivery import deliver
from tests.sql import planted
from tests.sql.planted import DAY, person

pytestmark = pytest.mark.usefixtures("warehouse")

#: 10:00 in New York on the day after the planted business day.
MORNING = datetime(2017, 10, 2, 14, tzinfo=UTC)

FILES = Path(__file__).parent / "triggers"
GIVEN = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(FILES.glob("*.yml"))}
ENDS = [(name, number) for name in GIVEN for number in range(len(GIVEN[name].get("ends", [])))]
CASES = [(name, number) for name in GIVEN for number in range(len(GIVEN[name]["cases"]))]

#: Beside those that planted.clear empties.
MORE_TABLES = ("core.stores", "core.past_states", "marketing.stock_priorities")
LONG_AGO = {"valid_from": "2017-01-01T05:00Z", "known_at": "2017-01-01T05:00Z"}

#: Table -> what is ordinary of its row number n.
ORDINARY: dict[str, Callable[[int, dict[str, Any]], dict[str, Any]]] = {
    "core.stores": lambda n, row: LONG_AGO,
    "core.member_events": lambda n, row: {
        "known_at": "2017-01-01T05:00Z", "cancelled": False,
    },
    "core.products": lambda n, row: LONG_AGO | {"name": f"Good {row['product_id']}", "active": True},
    "core.events": lambda n, row: {"event_id": n, "occurred_at": f"{row['business_day']}T15:00Z"},
    "core.order_lines": lambda n, row: {
        "order_id": f"o{n}", "line_number": n, "quantity": 1, "sales": 2.0, "is_unit": True,
        "ordered_at": f"{row['business_day']}T16:00Z",
    },
    "core.returns": lambda n, row: {
        "return_id": f"r{n}", "returned_at": f"{row['business_day']}T17:00Z",
    },
    "core.stock_levels": lambda n, row: {"counted_at": f"{row['business_day']}T12:00Z"},
    "core.orders": lambda n, row: {"ordered_at": f"{row['business_day']}T16:00Z"},
    "core.customers": lambda n, row: LONG_AGO,
    "core.reviews": lambda n, row: {"written_at": f"{row['business_day']}T12:00Z"},
}  # fmt: skip

#: Tables that planted.people fills, where `customers` may change a column.
OF_PEOPLE = ("core.identities", "core.customers", "marketing.customer_segments")

CAMPAIGN = {
    "name": "asked", "enabled": True, "audience": "all", "offer": "no_coupon", "channels": ["email"],
    "repeat": "quarter", "priority": 1, "budget_per_day": 10.0, "cap_class": "marketing",
    "success_metric": "a purchase within 14 days",
    "assumed": {"p_redeem": 0.2, "incremental_share": 0.5, "margin_share": 0.3, "basket": 30.0},
}  # fmt: skip


@pytest.fixture(autouse=True)
def conn(warehouse):
    from include.warehouse import connect, execute

    with connect() as opened:
        planted.clear(opened)
        execute(opened, f"TRUNCATE {', '.join(MORE_TABLES)}")
        opened.commit()
        yield opened
        opened.rollback()
        execute(opened, f"TRUNCATE {', '.join(MORE_TABLES)}")
        opened.commit()


def plant(conn, given: dict[str, Any]) -> None:
    """The people and rows of a file."""
    planted.people(conn, given["customers"], segment="regular")
    change(conn, given)


def change(conn, given: dict[str, Any]) -> None:
    """Change some customers, add rows, run statements."""
    for number, changes in given.get("customers", {}).items():
        for column, value in changes.items():
            changed = 0
            for table in OF_PEOPLE:
                if column in columns_of(conn, table):
                    changed += warehouse.execute(
                        conn,
                        f"UPDATE {table} SET {column} = %(value)s WHERE customer_id = %(who)s",
                        {"value": value, "who": person(number)},
                    )
            assert changed, f"no customer has a column {column}"
    for table, rows in given.get("rows", {}).items():
        full = []
        for n, row in enumerate(rows, start=1):
            told = {k: str(v) if isinstance(v, date | datetime) else v for k, v in row.items()}
            told = ORDINARY.get(table, lambda n, row: {"as_of": DAY})(n, told) | told
            if "customer" in told:
                told["customer_id"] = person(told.pop("customer"))
            full.append(told)
        planted.fill(conn, table, full)
    for statement in given.get("sql", []):
        assert warehouse.execute(conn, statement), f"no row was touched by {statement}"
    conn.commit()


def columns_of(conn, table: str) -> set[str]:
    rows = warehouse.rows(
        conn,
        "SELECT attname FROM pg_attribute WHERE attrelid = %(table)s::regclass AND attnum > 0",
        {"table": table},
    )
    return {name for (name,) in rows}


def use(monkeypatch, tmp_path: Path, name: str, keys: dict[str, Any], **changes: Any) -> None:
    """The shipped policy with one campaign, of this trigger, and nobody left to chance."""
    document = yaml.safe_load(policy.DEFAULT_PATH.read_text(encoding="utf-8"))
    campaign = CAMPAIGN | {"template": KINDS[name].template, "trigger": {"when": name} | keys}
    if name == "birthday":
        campaign |= {"repeat": "year"}
    document["campaigns"] = [campaign | changes]
    document["control"] |= {"share": 0.0, "exploration_share": 0.0}
    file = tmp_path / "policy.yml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    monkeypatch.setenv("REGULARS_POLICY", str(file))


def found_on_the_day(conn) -> dict[int, str | None]:
    """Customer -> what the message would be about, of everybody whom the policy in force finds."""
    rules, day = policy.load(), date.fromisoformat(DAY)
    rows = decide(activate.read_inputs(conn, rules, day), rules, day).decisions
    found = dict(zip(rows["external_id"].astype(int), rows["about"], strict=True))
    return dict(sorted(found.items()))


@pytest.mark.parametrize(("name", "number"), CASES)
def test_it_finds_whom_it_says(conn, monkeypatch, tmp_path, name, number):
    given = GIVEN[name]
    case = given["cases"][number]
    use(monkeypatch, tmp_path, name, case["trigger"], audience=case.get("audience", "all"))
    plant(conn, given)
    found = found_on_the_day(conn)
    assert list(found) == case["found"]
    assert {who: found[who] for who in case.get("about", {})} == case.get("about", {})


@pytest.mark.parametrize(("name", "number"), ENDS)
def test_a_reason_that_has_ended_sends_nothing(conn, monkeypatch, tmp_path, name, number):
    """Nothing leaves; the trigger is cancelled, its coupon closed, and its period not used up."""
    given, case = GIVEN[name], GIVEN[name]["ends"][number]
    use(
        monkeypatch, tmp_path, name, case["trigger"], audience=case.get("audience", "all"),
        offer="come_back_5", budget_per_day=1000.0, **case.get("campaign", {}),
    )  # fmt: skip
    plant(conn, given)
    planted.decide()
    decided = case["gone"] + case["sent"]
    assert states_of(conn) == dict.fromkeys(decided, ("pending", None, "approved"))
    change(conn, case)
    deliver.send(MORNING)
    assert states_of(conn) == {
        who: ("cancelled", "reason_gone", "cancelled")
        if who in case["gone"]
        else ("sent", None, "sent")
        for who in decided
    }
    accepted = warehouse.rows(
        conn,
        "SELECT t.external_id::integer, r.accepted FROM marketing.coupon_triggers AS t, "
        "marketing.redeem(t.coupon_code, t.external_id, 'o' || t.external_id, 100, t.valid_from, "
        "t.valid_from + interval '12 hours') AS r",
    )
    assert dict(accepted) == {who: who in case["sent"] for who in decided}
    used = warehouse.rows(conn, warehouse.sql("queries/activate/history"), {"as_of": "2017-10-02"})
    assert {str(who) for who, *_ in used} == {person(who) for who in case["sent"]}
    # Told in words where somebody asks.
    for who in case["gone"]:
        assert ("message", "cancelled") in {
            (what, outcome) for what, outcome in warehouse.rows(
                conn, "SELECT what, outcome FROM marketing.why(%(who)s)", {"who": str(who)}
            )
        }  # fmt: skip


def states_of(conn) -> dict[int, tuple[str, str | None, str]]:
    """Customer -> status and error of the message, and status of its trigger."""
    conn.commit()
    found = warehouse.rows(
        conn,
        "SELECT m.external_id::integer, m.status, m.error, t.status FROM marketing.messages AS m "
        "JOIN marketing.coupon_triggers AS t USING (trigger_id)",
    )
    return {who: (status, error, trigger) for who, status, error, trigger in found}


def test_every_kind_has_a_case_that_ends():
    assert {name for name, number in ENDS if GIVEN[name]["ends"][number]["gone"]} == set(KINDS)


WORDS = {
    (True, None, "en_US"): "you took Good gouda with you lately",
    (True, None, "es_US"): "hace poco se llevó Good gouda",
    (False, 56, "en_US"): "it has been a while since you took Good gouda with you",
    (False, 56, "es_US"): "hace tiempo que no se lleva Good gouda",
    (False, None, "en_US"): "something that you have not tried lately",
    (False, None, "es_US"): "algo que no ha probado últimamente",
}


@pytest.mark.parametrize(("bought", "before", "locale"), WORDS)
def test_what_was_bought_or_not_stands_in_the_words(
    conn, monkeypatch, tmp_path, bought, before, locale
):
    keys = {"categories": ["CHEESE"], "within_days": 21, "bought": bought}
    if before:
        keys["bought_before_days"] = before
    use(monkeypatch, tmp_path, "bought", keys)
    file = tmp_path / "policy.yml"
    file.write_text(file.read_text().replace("locale: en_US", f"locale: {locale}"))
    plant(conn, GIVEN["bought"])
    planted.decide()
    found = warehouse.rows(
        conn,
        "SELECT m.body FROM marketing.messages AS m WHERE m.external_id = %(who)s",
        {"who": "1" if bought else "2"},
    )
    assert len(found) == 1
    assert WORDS[bought, before, locale] in found[0][0]


def test_what_was_just_bought_is_not_offered_again_and_may_be_sold_out(conn, monkeypatch, tmp_path):
    given = GIVEN["bought"]
    shop = {
        "customers": given["customers"] | {1: {"home_store_id": "n"}, 2: {"home_store_id": "n"}}
    }
    gone = {"region": "north", "product_id": "gouda", "on_hand": 0, "business_day": DAY}
    rows = given["rows"] | {
        "core.stores": [{"store_id": "n", "region": "north"}],
        "core.stock_levels": [gone],
    }
    plant(conn, given | shop | {"rows": rows})
    keys = {"categories": ["CHEESE"], "within_days": 21}
    use(monkeypatch, tmp_path, "bought", keys)
    planted.decide()
    assert why(conn, 1) == ("send", "best_offer")
    planted.clear_decisions(conn)
    use(monkeypatch, tmp_path, "bought", keys | {"bought": False, "bought_before_days": 56})
    planted.decide()
    assert why(conn, 2) == ("suppress", "out_of_stock")


def why(conn, number: int) -> tuple[str, str]:
    conn.commit()
    (row,) = warehouse.rows(
        conn,
        "SELECT decision, decision_reason FROM marketing.decisions WHERE customer_id = %(who)s",
        {"who": person(number)},
    )
    return row


def test_only_what_was_known_then_counts(conn, monkeypatch, tmp_path):
    """A line that was corrected after the day counts for it as it stood, and one that came late does not."""
    use(monkeypatch, tmp_path, "bought", {"product_ids": ["gouda"], "within_days": 21})
    rows = {
        "core.products": GIVEN["bought"]["rows"]["core.products"],
        "core.order_lines": [
            {"customer": n, "order_id": f"o{n}", "line_number": 1, "product_id": "gouda",
             "business_day": "2017-09-20"}
            for n in (1, 2, 3)
        ],
    }  # fmt: skip
    plant(conn, {"customers": {1: {}, 2: {}, 3: {}}, "rows": rows})
    for number, state in ((1, "to_jsonb(l)"), (2, "NULL::jsonb")):
        warehouse.execute(
            conn,
            "INSERT INTO core.past_states (table_name, row_key, superseded_at, state) "
            "SELECT 'core.order_lines', "
            "jsonb_build_object('order_id', l.order_id, 'line_number', l.line_number), "
            f"'2017-10-05', {state} FROM core.order_lines AS l WHERE l.order_id = %(order)s",
            {"order": f"o{number}"},
        )
    warehouse.execute(
        conn, "UPDATE core.order_lines SET product_id = 'milk' WHERE order_id IN ('o1')"
    )
    conn.commit()
    assert list(found_on_the_day(conn)) == [1, 3]


def test_a_shop_without_categories_and_brands_finds_by_product_alone(conn, monkeypatch, tmp_path):
    given = GIVEN["bought"]
    rows = given["rows"] | {"core.products": [{"product_id": "gouda"}, {"product_id": "brie"}]}
    plant(conn, given | {"rows": rows})
    for keys, found in (
        ({"categories": ["CHEESE"]}, []),
        ({"brands": ["Private"], "bought": False}, []),
        ({"product_ids": ["gouda"]}, [1, 12]),
    ):
        use(monkeypatch, tmp_path, "bought", {"within_days": 21} | keys)
        assert list(found_on_the_day(conn)) == found


def test_what_the_shop_does_not_have_is_told_where_it_is_asked_for(
    conn, monkeypatch, tmp_path, caplog
):
    keys = {"categories": ["CHEESE", "CHEEESE"], "brands": ["Private"], "within_days": 21}
    use(monkeypatch, tmp_path, "bought", keys)
    described = [{"customer": n, "recency_days": 9, "tenure_days": 99} for n in range(1, 13)]
    rows = GIVEN["bought"]["rows"] | {"features.customer_features": described}
    plant(conn, GIVEN["bought"] | {"rows": rows})
    sentence = (
        "Campaign asked asks for products with category 'CHEEESE', and by 2017-10-01 the shop has none; "
        "correct its trigger in the policy."
    )
    with caplog.at_level(logging.WARNING, logger=activate.log.name):
        planted.decide()
    assert sentence in caplog.messages
    assert activate.preview(policy.load()).startswith(f"Warning: {sentence}\n")


def test_thanks_for_a_review_list_what_goes_with_the_product_and_not_the_product(
    conn, monkeypatch, tmp_path
):
    """Cheese and crackers are bought together; milk is bought by everybody, beside anything."""
    given = GIVEN["review"]
    orders = {
        "o1": [1, "p1", "crackers", "milk"], "o2": [2, "p1", "crackers", "milk", "test", "old"],
        "o3": [3, "milk"], "o4": [4, "milk"], "o5": [5, "milk"], "o6": [1, "milk", "test"],
        "o7": [3, "p1", "once"], "o8": [1, "p1", "test", "old"],
    }  # fmt: skip
    lines = [
        {"customer": who, "order_id": name, "product_id": product, "business_day": "2017-09-20"}
        for name, (who, *products) in orders.items()
        for product in products
    ]
    products = [
        {"product_id": "crackers"}, {"product_id": "milk"}, {"product_id": "once"},
        {"product_id": "old", "active": False},
    ]  # fmt: skip
    rows = given["rows"] | {"core.order_lines": lines}
    rows["core.products"] = rows["core.products"] + products
    plant(conn, given | {"rows": rows})
    use(monkeypatch, tmp_path, "review", given["cases"][0]["trigger"])
    planted.decide()
    ((body,),) = warehouse.rows(conn, "SELECT body FROM marketing.messages WHERE external_id = '1'")
    listed = [line.removeprefix("- ") for line in body.splitlines() if line.startswith("- ")]
    assert listed == ["Good crackers", "Good milk"]


def test_a_birthday_that_many_share_is_nobodys(conn, monkeypatch, tmp_path):
    """A till that wants a birthday is given one: nobody is congratulated on it, and nobody is refused."""
    given = GIVEN["birthday"]
    use(monkeypatch, tmp_path, "birthday", given["cases"][0]["trigger"])
    alike = {number: {"birth_date": "1970-10-04"} for number in range(51, 56)}
    plant(conn, {"customers": alike | {number: {"birth_date": None} for number in range(60, 70)}})
    assert found_on_the_day(conn) == {}
    assert warehouse.rows(conn, "SELECT birth_date, customers FROM core.placeholder_birthdays") == [
        (date(1970, 10, 4), 5)
    ]
    warehouse.execute(
        conn,
        "UPDATE core.identities SET birth_date = '1971-10-04' WHERE customer_id = %(who)s",
        {"who": person(51)},
    )
    assert list(found_on_the_day(conn)) == [51, 52, 53, 54, 55]

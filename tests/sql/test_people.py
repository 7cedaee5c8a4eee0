"""One person across loyalty card, web account, till and social handle, in the warehouse."""

import pytest

from include import contracts, publication, warehouse
from include.errors import BadInput, QualityStop
from include.persons import by_hand, pseudonym
from include.quality import checks
from include.steps import gate, ingest
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
    to_raw,
)

ON = ("contact_points", "consents", "accounts", "mentions", "exposures", "campaigns")

#: c1 came twice (w1 is her web account, with a customer record of its own); W2 is a web account without
#: one; S3 is a handle. c4 and c5 share a telephone and are two people. T6 has c6's card.
PEOPLE = """
UPDATE customers SET first_name = 'Ana', last_name = 'Silva' WHERE customer_number = 'c1';
UPDATE customers SET first_name = 'Eva', last_name = 'Roth' WHERE customer_number = 'c3';
UPDATE customers SET first_name = 'Ben', last_name = 'Park' WHERE customer_number = 'c4';
UPDATE customers SET first_name = 'Bea', last_name = 'Park' WHERE customer_number = 'c5';
UPDATE customers SET birthday = NULL WHERE customer_number IN ('c4', 'c5');
INSERT INTO customers (customer_number, first_name, last_name, birthday, home_store_id, registered_at,
    updated_at)
VALUES ('w1', 'SILVA', 'ana', NULL, 's1', '2017-03-02 06:00+00', '2017-03-02 06:00+00');
INSERT INTO contact_points VALUES
    (1, 'c1', 'email', 'ana@example.com', true, '2017-03-01 06:00+00'),
    (2, 'w1', 'email', 'ANA@example.com', true, '2017-03-02 06:00+00'),
    (3, 'c3', 'email', 'eva@example.com', true, '2017-03-01 06:00+00'),
    (4, 'c4', 'sms', '+12125550104', true, '2017-03-01 06:00+00'),
    (5, 'c5', 'sms', '+12125550104', true, '2017-03-01 06:00+00');
INSERT INTO consents VALUES
    (1, 'w1', 'email', 'marketing', false, '2017-03-02 07:00+00'),
    (2, 'c1', 'email', 'marketing', true, '2017-03-03 07:00+00'),
    (3, 'c5', 'email', 'marketing', true, '2017-03-01 07:00+00');
INSERT INTO accounts (account_number, system, customer_number, first_name, last_name, email, phone,
    loyalty_number, handle, email_verified, updated_at)
VALUES
    ('W2', 'web', 'c2', NULL, NULL, NULL, NULL, NULL, NULL, false, '2017-03-02 06:00+00'),
    ('S3', 'social', NULL, 'Eva', 'Roth', 'eva@example.com', NULL, NULL, '@Eva', true, '2017-03-04 06:00+00'),
    ('c6', 'loyalty', NULL, NULL, NULL, NULL, NULL, 'L 6', NULL, false, '2017-03-01 06:00+00'),
    ('T6', 'till', NULL, NULL, NULL, NULL, NULL, 'l-6', NULL, false, '2017-03-01 06:00+00'),
    ('W9', 'web', NULL, 'No', 'Body', 'nobody@example.com', NULL, NULL, NULL, true, '2017-03-01 06:00+00');
INSERT INTO orders VALUES
    ('a1', 'w1', 's1', 'web', 'USD', '2017-03-02 17:00+00', '2017-03-02 17:00+00'),
    ('a2', 'W2', 's1', 'web', 'USD', '2017-03-03 17:00+00', '2017-03-03 17:00+00'),
    ('a6', 'T6', 's1', 'till', 'USD', '2017-03-04 17:00+00', '2017-03-04 17:00+00'),
    ('a9', 'W9', 's1', 'web', 'USD', '2017-03-04 17:00+00', '2017-03-04 17:00+00');
INSERT INTO order_lines SELECT o.order_number, 1, 'p1', 1, 2.50, 0, 0, 0, o.ordered_at
FROM orders AS o WHERE o.order_number LIKE 'a%';
INSERT INTO mentions VALUES
    (1, 'birdsong', '@eva', 'p1', 'LOVE the cake here!', '2017-03-03 10:00+00'),
    (2, 'birdsong', '@stranger', NULL, 'The worst shop.', '2017-03-03 11:00+00');
INSERT INTO campaigns VALUES ('1', 'Type A', '2017-03-01', '2017-04-01', '2017-03-01 06:00+00');
INSERT INTO exposures VALUES
    ('1', 'c1', '2017-03-02 14:00+00'), ('1', 'w1', '2017-03-02 14:00+00');
"""


#: W7 is c7's, by her address, until c90 is given it on the 4th; W8 is nobody's until c8 gives its address on
#: the 4th; W10 answers before it is known, and is nobody's.
RECYCLED = """
UPDATE customers SET first_name = 'Mia', last_name = 'Lund' WHERE customer_number = 'c7';
INSERT INTO customers (customer_number, first_name, last_name, home_store_id, registered_at, updated_at)
VALUES ('c90', 'Ben', 'Park', 's1', '2017-03-04 06:00+00', '2017-03-04 06:00+00');
INSERT INTO contact_points VALUES
    (11, 'c7', 'email', 'm@example.com', true, '2017-03-01 06:00+00'),
    (12, 'c90', 'email', 'm@example.com', true, '2017-03-04 06:00+00'),
    (13, 'c8', 'email', 'w8@example.com', true, '2017-03-04 06:00+00'),
    (14, 'W7', 'sms', '+12125550107', true, '2017-03-01 08:00+00');
INSERT INTO accounts (account_number, system, email, email_verified, updated_at) VALUES
    ('W7', 'web', 'm@example.com', true, '2017-03-01 07:00+00'),
    ('W8', 'web', 'w8@example.com', true, '2017-03-01 07:00+00'),
    ('W10', 'web', 'w10@example.com', true, '2017-03-04 07:00+00');
INSERT INTO orders VALUES
    ('b2', 'W7', 's1', 'web', 'USD', '2017-03-02 17:00+00', '2017-03-02 17:00+00'),
    ('b5', 'W7', 's1', 'web', 'USD', '2017-03-05 17:00+00', '2017-03-05 17:00+00'),
    ('b8', 'W8', 's1', 'web', 'USD', '2017-03-02 17:00+00', '2017-03-02 17:00+00');
INSERT INTO order_lines SELECT o.order_number, 1, 'p1', 1, 2.50, 0, 0, 0, o.ordered_at
FROM orders AS o WHERE o.order_number LIKE 'b%';
INSERT INTO consents VALUES
    (11, 'W7', 'email', 'marketing', false, '2017-03-02 07:00+00'),
    (12, 'c7', 'email', 'marketing', true, '2017-03-01 07:00+00'),
    (13, 'c90', 'email', 'marketing', true, '2017-03-04 07:00+00'),
    (14, 'W10', 'email', 'marketing', false, '2017-03-02 07:00+00');
"""


@pytest.fixture
def shop_of_people(shop, warehouse, home, module_env) -> None:
    without = tuple(name for name in OFF if name not in ON)
    module_env.setenv("REGULARS_POLICY", str(policy_without(without, home / "policy.yml")))
    fill_shop()
    owner(PEOPLE)
    empty_warehouse()


def person(number: str) -> str:
    return str(pseudonym.pseudonym(number, pseudonym.key()))


def whose(order: str) -> str:
    ((header, line),) = found(
        "SELECT o.customer_id::text, l.customer_id::text FROM core.orders AS o "
        "JOIN core.order_lines AS l USING (order_id) WHERE order_id = %(order)s",
        {"order": order},
    )
    assert header == line
    return str(header)


def allows(number: str) -> bool:
    return bool(
        found(
            "SELECT granted FROM core.consents WHERE customer_id = %(who)s "
            "ORDER BY valid_from DESC, known_at DESC LIMIT 1",
            {"who": person(number)},
        )[0][0]
    )


def test_everything_moves_to_the_person(shop_of_people):
    ingest_day()
    assert whose("a1") == person("c1")
    assert whose("a2") == person("c2")
    assert whose("a6") == person("c6")
    assert found("SELECT mention_id, customer_id::text, sentiment > 0 FROM core.mentions ORDER BY 1") == [
        (1, person("c3"), True), (2, None, False)
    ]  # fmt: skip
    for table, rows in (("customers", 2), ("contact_points", 2), ("consents", 2), ("exposures", 2)):
        counted = found(
            f"SELECT count(*) FROM core.{table} WHERE customer_id = %(who)s", {"who": person("c1")}
        )
        assert counted == [(rows,)], table
    # one state of a person is open, whichever account it came from
    assert found(
        "SELECT customer_id FROM core.customers WHERE valid_to IS NULL GROUP BY 1 HAVING count(*) > 1"
    ) == []  # fmt: skip
    # whoever is nobody's is set aside, with the reason
    assert found(
        "SELECT row_key, reasons[1] FROM quarantine.rejected_rows WHERE table_name = 'core.orders'"
    ) == [("a9", "orphan_customer")]


def test_a_shared_telephone_is_no_person_and_a_merge_is_explained(shop_of_people):
    ingest_day()
    with warehouse.connect() as conn:
        assert by_hand.explain(conn, "c4") == [("c4", "the person's own number", "")]
        assert by_hand.explain(conn, "w1") == [
            ("c1", "the person's own number", ""),
            ("w1", "verified_email", "c1"),
        ]
        with pytest.raises(BadInput, match="'zz'"):
            by_hand.explain(conn, "zz")
    assert found(
        "SELECT rule, linked_to::text FROM core.identity_links WHERE account_id = %(who)s",
        {"who": person("T6")},
    ) == [("loyalty_number", person("c6"))]


def test_a_refusal_by_any_account_wins_until_it_is_taken_back(shop_of_people):
    ingest_day("2017-03-03")
    assert not allows("c1")  # she said yes later, by another account
    assert allows("c5")
    owner(
        "INSERT INTO consents VALUES (9, 'w1', 'email', 'marketing', true, '2017-03-04 07:00+00')"
    )
    ingest_day("2017-03-04")
    assert allows("c1")


def test_a_merge_is_undone_and_stays_undone(shop_of_people):
    ingest_day()
    assert by_hand.split("w1", "c1", "two sisters of one name") == 1
    for _ in range(2):
        assert whose("a1") == person("w1")
        assert allows("c1")
        assert not allows("w1")
        ingest_day(since="2017-03-01")
    # an account without a customer record becomes a customer of its own
    by_hand.split("W2", "c2", "another household")
    assert whose("a2") == person("W2")
    assert found(
        "SELECT external_id FROM core.identities WHERE customer_id = %(who)s", {"who": person("W2")}
    ) == [("W2",)]
    with pytest.raises(BadInput):
        by_hand.split("c1", "c1", "nothing")


def test_a_suppression_follows_its_person(shop_of_people):
    with warehouse.connect() as conn:
        warehouse.execute(
            conn,
            "INSERT INTO ops.suppressions VALUES (%(who)s, 'email', 'unsubscribed', '2017-03-01')",
            {"who": person("w1")},
        )
    ingest_day()
    assert found(
        "SELECT channel, reason FROM ops.suppressions WHERE customer_id = %(who)s",
        {"who": person("c1")},
    ) == [("email", "unsubscribed")]


def hashes() -> dict[str, str]:
    tables = [
        *contracts.of_dataset("core"),
        contracts.load("core", "identity_links"),
    ]
    with warehouse.connect() as conn:
        return {contract.name: publication.content_hash(conn, contract) for contract in tables}


def may_be_mailed(number: str, day: str) -> bool:
    end = f"{day} 23:59+00"
    with warehouse.connect() as conn:
        rows = warehouse.rows(
            conn,
            warehouse.sql("queries/activate/permissions"),
            {"end": end, "granted_by": end, "customers": [person(number)]},
        )
    ((granted, suppressed),) = [(row[2], row[5]) for row in rows if row[1] == "email"]
    return bool(granted and not suppressed)


def test_an_account_that_leads_to_nobody_any_more_leaves_its_person_however_the_days_are_run(
    shop_of_people, monkeypatch
):
    monkeypatch.setattr(checks, "MOST_REJECTED", 1)  # where the 4th comes first, all its rows are
    owner(RECYCLED)
    ingest_day(since="2017-03-01")
    whole = hashes()
    assert found(
        "SELECT row_key, reasons[1] FROM quarantine.rejected_rows "
        "WHERE table_name = 'core.orders' AND row_key LIKE 'b%%' ORDER BY 1"
    ) == [("b2", "orphan_customer"), ("b5", "orphan_customer")]
    assert whose("b8") == person("c8")
    ingest_day(since="2017-03-01", run_id="again")
    assert hashes() == whole
    empty_warehouse()
    for day in range(1, 6):
        ingest_day(f"2017-03-0{day}", since=f"2017-03-0{day}")
        if day == 3:
            assert whose("b2") == person("c7")
    assert hashes() == whole
    ingest_day(since="2017-03-01", run_id="again")
    assert hashes() == whole
    empty_warehouse()
    for day in (4, 1, 5, 3, 2):
        ingest_day(f"2017-03-0{day}", since=f"2017-03-0{day}")
    assert hashes() == whole


def test_a_day_that_raw_no_longer_holds_is_nobodys_then(shop_of_people):
    owner(RECYCLED)
    ingest_day("2017-03-03", since="2017-03-01")
    assert whose("b2") == person("c7")
    with warehouse.connect() as conn:
        for contract in contracts.of_dataset("raw"):
            warehouse.execute(conn, f"DELETE FROM {contract.name} WHERE _partition < '2017-03-04'")
    ingest_day("2017-03-05", since="2017-03-04")
    assert whose("b2") == person("W7")
    assert found("SELECT count(*) FROM ops.stale_days") == [(0,)]


def test_what_an_account_refused_counts_for_everybody_whose_it_may_be(shop_of_people):
    owner(RECYCLED)
    ingest_day("2017-03-03", since="2017-03-01")
    assert not may_be_mailed("c7", "2017-03-03")
    ingest_day("2017-03-05")
    assert not may_be_mailed("c7", "2017-03-05")
    assert not may_be_mailed("c90", "2017-03-05")
    owner(
        "INSERT INTO consents VALUES (19, 'W7', 'email', 'marketing', true, '2017-03-05 07:00+00')"
    )
    ingest_day("2017-03-05")
    assert may_be_mailed("c7", "2017-03-05")
    assert may_be_mailed("c90", "2017-03-05")


def test_days_that_cannot_be_built_again_wait_for_the_next_publication(shop_of_people):
    def refuse(run):
        raise QualityStop("Expected 1, found 2.")

    owner(RECYCLED)
    ingest_day("2017-03-03", since="2017-03-01")
    plan = to_raw("2017-03-05", since="2017-03-04")
    gate.gate(ingest.build_core(plan), rebuild=refuse)
    assert found("SELECT business_day::text FROM ops.stale_days") == [("2017-03-02",)]
    ingest_day("2017-03-05", since="2017-03-05")
    assert found("SELECT count(*) FROM ops.stale_days") == [(0,)]
    assert found("SELECT count(*) FROM core.orders WHERE order_id = 'b2'") == [(0,)]


@pytest.mark.slow
def test_a_day_at_a_time_gives_what_one_pass_gives(shop_of_people):
    ingest_day(since="2017-03-01")
    whole = hashes()
    empty_warehouse()
    for day in range(1, 6):
        ingest_day(f"2017-03-0{day}", since=f"2017-03-0{day}")
    assert hashes() == whole
    assert found("SELECT count(*) FROM core.past_states") == [(0,)]

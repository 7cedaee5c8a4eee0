"""One person across loyalty card, web account, till and social handle, in the warehouse."""

import pytest

from include import contracts, people, pseudonym, publication, warehouse
from include.errors import BadInput
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
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
        assert people.explain(conn, "c4") == [("c4", "the person's own number", "")]
        assert people.explain(conn, "w1") == [
            ("c1", "the person's own number", ""),
            ("w1", "verified_email", "c1"),
        ]
        with pytest.raises(BadInput, match="'zz'"):
            people.explain(conn, "zz")
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
    assert people.split("w1", "c1", "two sisters of one name") == 1
    for _ in range(2):
        assert whose("a1") == person("w1")
        assert allows("c1")
        assert not allows("w1")
        ingest_day(since="2017-03-01")
    # an account without a customer record becomes a customer of its own
    people.split("W2", "c2", "another household")
    assert whose("a2") == person("W2")
    assert found(
        "SELECT external_id FROM core.identities WHERE customer_id = %(who)s", {"who": person("W2")}
    ) == [("W2",)]
    with pytest.raises(BadInput):
        people.split("c1", "c1", "nothing")


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


@pytest.mark.slow
def test_a_day_at_a_time_gives_what_one_pass_gives(shop_of_people):
    ingest_day(since="2017-03-01")
    whole = hashes()
    empty_warehouse()
    for day in range(1, 6):
        ingest_day(f"2017-03-0{day}", since=f"2017-03-0{day}")
    assert hashes() == whole
    assert found("SELECT count(*) FROM core.past_states") == [(0,)]

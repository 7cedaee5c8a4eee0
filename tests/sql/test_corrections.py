"""What the shop changes later: in place, with and without a trace, and what a day in the past may know."""

import uuid

import pandas as pd
import pytest

from include import warehouse
from include.persons import pseudonym
from include.steps import features
from include.steps.training.panels import Panels
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
)

DAY = "2017-03-03"


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(policy_without(OFF, home / "policy.yml")))


@pytest.fixture(autouse=True)
def _fresh():
    fill_shop()
    empty_warehouse()


def person(number: str) -> uuid.UUID:
    return uuid.UUID(str(pseudonym.pseudonym(number, pseudonym.key())))


def known(day: str = DAY) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    with warehouse.connect() as conn:
        return (
            features.customers(conn, day),
            features.products(conn, day),
            warehouse.frame(
                conn, warehouse.sql("queries/recommend/interactions"), features.parameters(day)
            ),
        )


def assert_same(before: tuple[pd.DataFrame, ...], after: tuple[pd.DataFrame, ...]) -> None:
    for old, new in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(old, new)


def test_a_customer_changed_in_place_after_the_day_still_owns_his_orders():
    owner("UPDATE customers SET updated_at = '2017-09-01' WHERE customer_number = 'c2'")
    ingest_day()
    assert found("SELECT count(*) FROM quarantine.rejected_rows") == [(0,)]
    assert found("SELECT count(*) FROM core.orders") == [(100,)]


@pytest.mark.parametrize("registered", ["NULL", "'2017-08-01'"])
def test_an_order_before_the_shops_record_begins_is_its_customers(registered):
    owner(
        f"UPDATE customers SET registered_at = {registered}, updated_at = '2017-09-01' "
        "WHERE customer_number = 'c2'"
    )
    ingest_day()
    assert found("SELECT count(*) FROM core.orders") == [(100,)]
    # Once for each day on which he ordered: both of his orders were on one.
    assert found("SELECT count(*) FROM raw.customers WHERE customer_number = 'c2'") == [(1,)]


#: An order of the day is corrected two days later: another customer, a dearer line, one line less and
#: another more.
CORRECTION_OF_O7 = (
    "UPDATE orders SET customer_number = 'c50', updated_at = '2017-03-05 12:00+00' "
    "WHERE order_number = 'o7'",
    "UPDATE order_lines SET sales_value = 99 WHERE order_number = 'o7' AND line_number = 1",
    "DELETE FROM order_lines WHERE order_number = 'o7' AND line_number = 2",
    "INSERT INTO order_lines VALUES ('o7', 4, 'p9', 1, 5, 0, 0, 0, '2017-03-03 17:00+00')",
)


def test_a_later_correction_changes_nothing_that_an_earlier_day_knew():
    ingest_day(as_of=DAY, run_id="before")
    before = known()
    owner(*CORRECTION_OF_O7)
    ingest_day(as_of="2017-03-05", run_id="after")
    assert found(
        "SELECT line_number, sales::text FROM core.order_lines WHERE order_id = 'o7' ORDER BY 1"
    ) == [(1, "99.00"), (3, "2.50"), (4, "5.00")]
    assert_same(before, known())
    later = known("2017-03-05")[0].set_index("customer_id")
    assert later.loc[str(person("c50")), "sales_total"] == pytest.approx(2.5 * 3 + 106.5)
    assert later.loc[str(person("c8")), "sales_total"] == pytest.approx(2.5 * 3)
    assert (known("2017-03-04")[0]["sales_total"] < 99).all()


def test_what_came_after_a_past_day_is_what_was_known_on_the_day_that_asks():
    def after(asked_on: str) -> pd.DataFrame:
        with warehouse.connect() as conn:
            return features.outcomes(conn, "2017-03-01", 2, asked_on)

    ingest_day(as_of=DAY, run_id="before")
    before = after(DAY)
    owner(*CORRECTION_OF_O7)
    ingest_day(as_of="2017-03-05", run_id="after")
    for asked_on in (DAY, "2017-03-04"):
        pd.testing.assert_frame_equal(before, after(asked_on))
    told = [
        frame.set_index("customer_id")[["spend", "orders"]].to_dict("index")
        for frame in (before, after("2017-03-05"))
    ]
    his, hers = str(person("c8")), str(person("c50"))
    assert told[0][his] == {"spend": 7.5 * 2, "orders": 2}
    assert hers not in told[0]
    assert told[1].pop(his) == {"spend": 7.5, "orders": 1}
    assert told[1].pop(hers) == {"spend": 2.5 + 99 + 5, "orders": 1}
    assert told[1] == {who: row for who, row in told[0].items() if who != his}, "and nobody else"


def test_a_model_learns_from_what_was_known_on_its_day_and_is_judged_by_what_is_known(monkeypatch):
    monkeypatch.setattr("include.features.panels.CHURN_DAYS", 2)
    monkeypatch.setattr("include.steps.training.panels.RECENT_CUTS_DAYS", (2, 4))
    owner(
        "INSERT INTO orders VALUES ('x1', 'c1', 's1', 'till', 'USD', '2017-03-03 17:00+00', "
        "'2017-03-03 17:00+00')",
        "INSERT INTO order_lines VALUES ('x1', 1, 'p1', 1, 10, 0, 0, 0, '2017-03-03 17:00+00')",
    )
    ingest_day(as_of=DAY, since="2017-03-01", run_id="before")
    owner(
        "UPDATE orders SET updated_at = '2017-03-05 12:00+00' WHERE order_number = 'x1'",
        "UPDATE order_lines SET sales_value = 40 WHERE order_number = 'x1'",
    )
    ingest_day(as_of="2017-03-05", run_id="after")
    with warehouse.connect() as conn:
        panels = Panels(conn, 2)
        found = {
            "matured": [panels.matured(DAY)],
            "recent": [panels.recent(DAY), panels.recent("2017-03-05")],
            "judged": [panels.judged("2017-03-01", day) for day in (DAY, "2017-03-05")],
        }
    spent = {
        name: [
            panel.loc[panel["customer_id"] == str(person("c1")), "spend"].max() for panel in panels
        ]
        for name, panels in found.items()
    }
    assert spent == {"matured": [10], "recent": [10, 40], "judged": [10, 40]}


def test_an_order_read_only_after_its_correction_is_known_from_its_day():
    owner("UPDATE orders SET updated_at = '2017-03-05 12:00+00' WHERE order_number = 'o7'")
    ingest_day()
    customers = known()[0].set_index("customer_id")
    assert customers.loc[str(person("c8")), "orders_total"] == 2


def test_the_older_of_two_states_that_come_together_is_kept_too():
    owner(
        "INSERT INTO orders SELECT order_number, 'c50', store_number, channel, currency, ordered_at, "
        "'2017-03-05 12:00+00' FROM orders WHERE order_number = 'o7'"
    )
    ingest_day()
    assert found(
        "SELECT customer_id, known_until::date::text FROM core.known_orders WHERE order_id = 'o7' "
        "ORDER BY known_from"
    ) == [(person("c8"), "2017-03-05"), (person("c50"), "infinity")]


def test_a_rule_that_is_repaired_holds_for_the_past_too():
    owner("UPDATE products SET department = 'FUEL' WHERE product_number = 'p1'")
    ingest_day(as_of=DAY)
    owner("UPDATE products SET department = 'GROCERY' WHERE product_number = 'p1'")
    ingest_day(as_of="2017-03-04", since="2017-03-01")
    assert found("SELECT count(*) FROM core.past_states") == [(0,)]
    assert found("SELECT count(*) FROM core.known_order_lines WHERE NOT is_unit") == [(0,)]


def test_a_product_recorded_later_is_described_by_its_oldest_record():
    owner("UPDATE products SET updated_at = '2017-03-05 06:00+00' WHERE product_number <> 'p60'")
    ingest_day()
    customers, products, _ = known()
    assert set(products["product_id"]) == {"p1", "p2", "p3", "p60"}  # what was sold or known
    assert products.set_index("product_id").loc["p1", "department"] == "GROCERY"
    assert (customers["departments_13w"].dropna() <= 1).all()
    assert customers["departments_13w"].max() == 1
    with warehouse.connect() as conn:
        catalogue = warehouse.rows(
            conn, warehouse.sql("queries/recommend/catalogue"), features.parameters(DAY)
        )
    assert {row[0] for row in catalogue} == {"p1", "p2", "p3", "p60"}


def test_a_newer_record_of_a_product_is_not_known_before_its_time():
    ingest_day(as_of=DAY)
    owner(
        "UPDATE products SET department = 'DELI', updated_at = '2017-03-05 06:00+00' "
        "WHERE product_number = 'p1'"
    )
    ingest_day(as_of="2017-03-05")
    assert known()[1].set_index("product_id").loc["p1", "department"] == "GROCERY"
    assert known("2017-03-05")[1].set_index("product_id").loc["p1", "department"] == "DELI"


# --- what happens once has no stamp of the shop; campaigns are changed in place ---

FACTS = (
    "INSERT INTO accounts (account_number, system, customer_number, handle, email_verified, updated_at) "
    "VALUES ('S3', 'social', 'c3', '@c3', false, '2017-03-01 07:00+00')",
    "INSERT INTO campaigns VALUES ('1', 'Type A', '2017-03-02', '2017-04-01', '2017-03-01 06:00+00')",
    "INSERT INTO coupons VALUES (1, 'u1', 'p1', '1', '2017-03-01 06:00+00')",
    "INSERT INTO promotions VALUES ('p1', '2017-03-06', 'D', 0.5, '2017-03-01 06:00+00')",
    "INSERT INTO exposures VALUES ('1', 'c3', '2017-03-02 14:00+00'), ('1', 'c4', '2017-03-02 14:00+00')",
    "INSERT INTO redemptions VALUES (1, 'u1', '1', 'c3', '2017-03-02 17:00+00')",
    "INSERT INTO reviews VALUES (1, 'c3', 'p1', 5, 'Great cake.', '2017-03-02 12:00+00'), "
    "(2, 'c4', 'p1', 4, 'Good.', '2017-03-02 12:00+00')",
    "INSERT INTO mentions VALUES (1, 'birdsong', '@c3', 'p1', 'Great!', '2017-03-02 12:00+00')",
    "INSERT INTO deliveries VALUES ('D1', 'o2', 'c3', 'van', 'delivered', '2017-03-02 12:00+00', "
    "'2017-03-02 15:00+00')",
    "INSERT INTO returns VALUES ('R1', 'o2', 'p1', 'c3', 1, 1.50, 'damaged', '2017-03-02 12:00+00')",
)

#: A correction of the shop, and the feature of customer c3 that the later day tells by it, with its value.
CORRECTED = {
    "review": ("UPDATE reviews SET rating = 1 WHERE review_id = 1", "rating_mean", 1),
    "mention": ("UPDATE mentions SET body = 'Awful.'", "mention_sentiment_mean_26w", -0.4588),
    "delivery": (
        "UPDATE deliveries SET promised_at = '2017-03-01 12:00+00'", "delivery_delay_hours_26w", 27,
    ),
    "return": ("UPDATE returns SET refund = 2.50", "return_share_26w", 2.5 / 15),
    "event": (
        "UPDATE events SET event_type = 'cart' WHERE event_id = 2", "carted_13w", 1,
    ),
    "exposure taken back": ("DELETE FROM exposures WHERE customer_number = 'c3'", "campaigns_total", 0),
    "redemption of another": ("UPDATE redemptions SET customer_number = 'c4'", "redemptions_total", 0),
    "review on another day": (
        "UPDATE reviews SET written_at = '2017-03-05 12:00+00', rating = 2 WHERE review_id = 1",
        "rating_mean", 2,
    ),
    "late review": (
        "INSERT INTO reviews VALUES (3, 'c3', 'p2', 1, 'Bad.', '2017-03-03 12:00+00')", "reviews_total", 2,
    ),
}  # fmt: skip


@pytest.fixture
def facts(monkeypatch, home) -> None:
    """The sources of the other facts are on, and hold something."""
    off = ("contact_points", "consents", "stock_levels", "member_events")
    monkeypatch.setenv("REGULARS_POLICY", str(policy_without(off, home / "facts.yml")))
    owner(*FACTS)


def of_c3(day: str) -> pd.Series:
    customers = known(day)[0]
    return customers[customers["customer_id"] == str(person("c3"))].iloc[0]


def campaign_rows(day: str, reference: str | None = None) -> pd.DataFrame:
    given = {"opened_on": "2017-01-01", "history_days": 0, "reference": reference}
    with warehouse.connect() as conn:
        return warehouse.frame(
            conn,
            warehouse.sql("queries/training/campaign_exposures"),
            features.parameters(day) | given,
        )


@pytest.mark.parametrize("name", CORRECTED)
def test_what_happened_once_is_known_otherwise_from_the_day_of_the_run_that_read_it(facts, name):
    correction, feature, value = CORRECTED[name]
    ingest_day(as_of=DAY, since="2017-03-01", run_id="before")
    before, sent = known(), campaign_rows(DAY)
    assert len(sent) == 2
    owner(correction)
    ingest_day(as_of="2017-03-05", run_id="after")
    assert_same((*before, sent), (*known(), campaign_rows(DAY)))
    assert of_c3("2017-03-04")[feature] == of_c3(DAY)[feature]
    assert of_c3("2017-03-05")[feature] == pytest.approx(value)


def test_a_load_of_history_gives_past_days_what_they_would_have_known(facts):
    ingest_day(as_of=DAY, since="2017-03-01")
    lived = known()
    empty_warehouse()
    ingest_day(since="2017-03-01")
    assert found("SELECT count(*) FROM core.past_states") == [(0,)]
    assert_same(lived, known())


def test_an_older_day_run_again_changes_nothing_that_the_days_since_knew(facts):
    ingest_day(since="2017-03-01")
    before = known("2017-03-04")
    owner(CORRECTED["review"][0], CORRECTED["late review"][0])
    ingest_day(as_of=DAY, run_id="again")
    assert_same(before, known("2017-03-04"))
    assert of_c3("2017-03-05")["reviews_total"] == 2
    assert of_c3("2017-03-05")["rating_mean"] == 1


def test_a_day_run_again_knows_what_it_read_then(facts):
    ingest_day(as_of=DAY, since="2017-03-01")
    owner(CORRECTED["review"][0], CORRECTED["late review"][0])
    ingest_day(as_of=DAY, run_id="again")
    assert of_c3(DAY)["reviews_total"] == 2
    assert of_c3("2017-03-02")["rating_mean"] == 5


def test_a_review_taken_back_and_sent_again_is_known_as_it_was_on_each_day(facts):
    ingest_day(as_of=DAY, since="2017-03-01")
    owner("DELETE FROM reviews WHERE review_id = 1")
    ingest_day(as_of="2017-03-04")
    owner("INSERT INTO reviews VALUES (1, 'c3', 'p1', 3, 'Hm.', '2017-03-02 12:00+00')")
    ingest_day(as_of="2017-03-05")
    ratings = [of_c3(f"2017-03-0{day}")["rating_mean"] for day in (2, 3, 4, 5)]
    assert ratings == pytest.approx([5, 5, float("nan"), 3], nan_ok=True)
    # What was written is nobody's business any more: a kept state holds no words.
    assert found("SELECT count(*) FROM core.past_states WHERE state ? 'body'") == [(0,)]


def test_a_campaign_its_coupons_and_a_mailer_changed_after_the_day_leave_it_as_it_was(facts):
    ingest_day(as_of=DAY, since="2017-03-01")
    given = {"weeks": 4}

    def mailers(day: str) -> pd.DataFrame:
        with warehouse.connect() as conn:
            return warehouse.frame(
                conn, warehouse.sql("queries/demand/mailers"), features.parameters(day) | given
            )

    before = (campaign_rows(DAY), campaign_rows(DAY, reference="1"), mailers(DAY))
    assert before[0]["coupons"].tolist() == [1, 1]
    owner(
        "UPDATE campaigns SET ends_on = '2017-04-08', updated_at = '2017-03-05 06:00+00'",
        "UPDATE coupons SET updated_at = '2017-03-05 06:00+00'",
        "UPDATE promotions SET stores_in_mailer = 0.9, updated_at = '2017-03-05 06:00+00'",
        # Bought that day: an amount that is corrected later.
        "UPDATE orders SET updated_at = '2017-03-05 06:00+00' WHERE order_number = 'o2'",
        "UPDATE order_lines SET sales_value = 50 WHERE order_number = 'o2'",
    )
    ingest_day(as_of="2017-03-05")
    assert_same(before, (campaign_rows(DAY), campaign_rows(DAY, reference="1"), mailers(DAY)))
    later = campaign_rows("2017-03-05")
    assert {str(day)[:10] for day in later["ends_on"]} == {"2017-04-08"}
    assert mailers("2017-03-05")["store_share"].tolist() == [0.9]
    # Recorded again and again, a coupon is kept once: from when it was known.
    owner("UPDATE coupons SET updated_at = '2017-03-05 09:00+00'")
    ingest_day(as_of="2017-03-05", run_id="again")
    assert found("SELECT count(*) FROM core.past_states WHERE table_name = 'core.coupons'") == [
        (1,)
    ]
    assert campaign_rows(DAY)["coupons"].tolist() == [1, 1]


def test_a_campaign_first_read_after_its_correction_is_known_to_whom_it_was_sent(facts):
    owner("UPDATE campaigns SET updated_at = '2017-03-05 06:00+00'")
    ingest_day(since="2017-03-01")
    assert len(campaign_rows(DAY)) == 2

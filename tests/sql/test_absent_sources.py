"""Features of sources that a shop does not have are empty, and the run says so."""

import logging
from typing import Any

import pytest
import yaml

from include import contracts, policy, warehouse
from include.sources import offered
from include.steps import features, gate
from tests.sql.small_shop import OFF, empty_warehouse, fill_shop, found, ingest_day, owner
from tests.sql.small_shop import policy_without as without

DAY = "2017-03-05"
FEATURES = contracts.load("features", "customer_features")
NEEDED = sorted({column.needs for column in FEATURES.columns if column.needs})
BEHAVIOUR = """
INSERT INTO reviews VALUES (1, 'c1', 'p1', 5, 'Love it, always in our basket.', '2017-03-03 12:00+00');
INSERT INTO accounts (account_number, system, customer_number, handle, email_verified, updated_at)
    VALUES ('S1', 'social', 'c1', '@one', false, '2017-03-01 12:00+00');
INSERT INTO mentions VALUES (1, 'birdsong', '@one', 'p1', 'What a terrible cake.', '2017-03-04 12:00+00');
INSERT INTO deliveries VALUES
    ('D1', 'o60', 'c1', 'van', 'delivered', '2017-03-02 12:00+00', '2017-03-02 15:00+00'),
    ('D2', 'o60', 'c1', 'van', 'delivered', '2017-03-03 12:00+00', '2017-03-03 11:00+00');
INSERT INTO returns VALUES ('R1', 'o60', 'p9', 'c1', 1, 1.50, 'damaged', '2017-03-04 12:00+00');
UPDATE customers SET store_distance_km = 2.5 WHERE customer_number = 'c1';
"""


@pytest.fixture(scope="module")
def published(shop, warehouse, home, module_env) -> None:
    off = tuple(s for s in OFF if s not in (*NEEDED, "accounts"))
    module_env.setenv("REGULARS_POLICY", str(without(off, home / "policy.yml")))
    fill_shop()
    owner(BEHAVIOUR)
    empty_warehouse()
    ingest_day()


def build() -> None:
    batch = features.build({"as_of": DAY, "run_id": "run"})
    gate.gate(batch, rebuild=features.build)


def of_customer(columns: list[str]) -> tuple[Any, ...]:
    return found(
        f"SELECT {', '.join(columns)} FROM features.customer_features AS f "
        "JOIN core.identities AS i USING (customer_id) WHERE i.external_id = 'c1'"
    )[0]


def test_reviews_mentions_returns_deliveries_and_distance_are_features(published):
    build()
    review, mentions, mood, share, deliveries, delay, late, far = of_customer(
        ["review_sentiment_mean", "mentions_26w", "mention_sentiment_mean_26w", "return_share_26w",
         "deliveries_26w", "delivery_delay_hours_26w", "late_delivery_share_26w", "store_distance_km"]
    )  # fmt: skip
    assert review > 0 > mood
    assert (mentions, deliveries, delay, late, far) == (1, 2, 1.0, 0.5, 2.5)
    ((spend,),) = found(
        "SELECT sum(l.sales)::float FROM core.order_lines AS l JOIN core.identities AS i "
        "USING (customer_id) WHERE i.external_id = 'c1'"
    )
    assert share == pytest.approx(1.5 / spend)


@pytest.mark.parametrize("source", NEEDED)
def test_a_source_that_is_off_leaves_its_features_empty_and_says_so(
    published, home, monkeypatch, caplog, source
):
    rules = yaml.safe_load((home / "policy.yml").read_text())
    rules["ingest"]["sources"][source] = False
    path = home / f"without_{source}.yml"
    path.write_text(yaml.safe_dump(rules, sort_keys=False))
    monkeypatch.setenv("REGULARS_POLICY", str(path))
    assert not offered.is_on(policy.load(), source)
    with caplog.at_level(logging.INFO, logger="include.steps.features"):
        build()
    columns = [column.name for column in FEATURES.columns if column.needs == source]
    others = [column.name for column in FEATURES.columns if column.needs and column.needs != source]
    assert set(of_customer(columns)) == {None}
    assert any(value is not None for value in of_customer(others))
    for name in columns:
        assert f"{name} ({source})" in caplog.text
    with warehouse.connect() as conn:  # rebuilt for a model, they are as empty
        assert features.customers(conn, DAY)[columns].isna().all().all()


def test_all_of_them_may_be_off_at_once_from_the_shop_on(published, home, monkeypatch, caplog):
    rules = yaml.safe_load((home / "policy.yml").read_text())
    rules["ingest"]["sources"] |= dict.fromkeys([*OFF, *NEEDED], False)
    path = home / "without_all.yml"
    path.write_text(yaml.safe_dump(rules, sort_keys=False))
    monkeypatch.setenv("REGULARS_POLICY", str(path))
    ingest_day()
    with caplog.at_level(logging.INFO, logger="include.steps.features"):
        build()
    columns = [column.name for column in FEATURES.columns if column.needs]
    assert set(of_customer(columns)) == {None}
    assert all(f"({source})" in caplog.text for source in NEEDED)
    assert found("SELECT count(*) FROM features.customer_features") == [(60,)]
    assert found("SELECT count(*) > 0 FROM features.product_features") == [(True,)]


@pytest.mark.parametrize("told", ["reviews", "mentions"])
def test_equal_texts_of_one_source_stay_one_row_each_where_the_other_is_off(
    published, home, monkeypatch, told
):
    off = tuple(source for source in OFF if source not in (told, "accounts"))
    monkeypatch.setenv("REGULARS_POLICY", str(without(off, home / f"only_{told}.yml")))
    fill_shop()
    owner(
        BEHAVIOUR,
        "INSERT INTO reviews SELECT 2, customer_number, product_number, rating, body, written_at "
        "FROM reviews",
        "INSERT INTO mentions SELECT 2, network, handle, product_number, body, posted_at FROM mentions",
    )
    empty_warehouse()
    ingest_day()
    assert found(f"SELECT count(*), count(sentiment) FROM core.{told}") == [(2, 2)]

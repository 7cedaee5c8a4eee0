"""Interactions and recommendation steps on a real PostgreSQL, with a small shop."""

import uuid

import numpy as np
import pandas as pd
import pytest

from include import contracts, publication, warehouse
from include.errors import BadInput
from include.features.purchases import Catalogue, Purchases
from include.models.products.als import AlsSettings
from include.models.products.recommender import Settings
from include.models.products.rivals import RIVALS
from include.steps import gate, lists, product_rows
from include.steps.training import champions, recommender
from tests.sql import planted

pytestmark = pytest.mark.usefixtures("warehouse")

DAY = "2017-06-25"


def person(number):
    return str(uuid.UUID(int=number + 1))


def fill(conn, table, records):
    """Rows into a table of core; what must be there and is not given gets an empty value."""
    planted.fill(conn, f"core.{table}", records)


def line(order, number, product, day, *, quantity=1.0, sales=2.0, discount=0.0, unit=True, who=0):
    return {
        "order_id": order,
        "line_number": number,
        "customer_id": person(who),
        "product_id": product,
        "business_day": day,
        "ordered_at": f"{day}T15:00:00+00:00",
        "quantity": quantity,
        "sales": sales,
        "retail_discount": discount,
        "is_unit": unit,
    }


def orders_of(lines, **known_at):
    first = {x["order_id"]: x for x in reversed(lines)}
    return [
        {
            "order_id": order,
            "customer_id": x["customer_id"],
            "business_day": x["business_day"],
            "ordered_at": x["ordered_at"],
            "currency": "USD",
            "known_at": known_at.get(order, x["ordered_at"]),
        }
        for order, x in first.items()
    ]


@pytest.fixture
def conn(warehouse):
    from include.warehouse import connect, execute

    with connect() as opened:
        execute(opened, "TRUNCATE core.orders, core.order_lines, core.products, core.customers")
        execute(opened, "TRUNCATE core.identities, core.stores, ml.models, ml.backtests")
        execute(opened, "TRUNCATE core.events, core.reviews, core.returns, core.stock_levels")
        execute(opened, "TRUNCATE marketing.recommendation_lists")
        execute(opened, "TRUNCATE marketing.product_recommendations, ml.recommendations")
        execute(opened, "TRUNCATE ops.publications")
        opened.commit()
        yield opened


def test_interactions_add_up_by_customer_product_and_day(conn):
    lines = [
        line("o1", 1, "milk", "2017-06-20", quantity=2, sales=3.10, discount=0.4),
        line("o1", 2, "milk", "2017-06-20", quantity=1, sales=1.55),
        line("o2", 1, "milk", "2017-06-20", quantity=1, sales=1.55),
        line("o3", 1, "milk", "2017-06-25", sales=1.55),
        line("o4", 1, "milk", "2017-06-20", who=1),
        # Not to be seen: fuel, nothing for nothing, the day after.
        line("o3", 2, "fuel", "2017-06-25", unit=False),
        line("o3", 3, "gift", "2017-06-25", quantity=0, sales=0),
        line("o5", 1, "milk", "2017-06-26"),
        # Recorded anew since, and not otherwise: known from the moment it was ordered.
        line("o6", 1, "late", "2017-06-24"),
        # Given away, or sold without a count: bought all the same.
        line("o3", 4, "free", "2017-06-25", sales=0),
        line("o3", 5, "loose", "2017-06-25", quantity=0),
    ]
    fill(conn, "order_lines", lines)
    fill(conn, "orders", orders_of(lines, o6="2017-06-26T04:00:00+00:00"))
    found = product_rows.interactions(conn, DAY)
    found["business_day"] = found["business_day"].dt.strftime("%Y-%m-%d")
    columns = [
        "customer_id",
        "product_id",
        "business_day",
        "orders",
        "quantity",
        "sales",
        "discount",
    ]
    rows = {tuple(row[:3]): tuple(row[3:]) for row in found[columns].to_numpy().tolist()}
    assert rows == {
        (person(0), "milk", "2017-06-20"): (2, 4.0, 6.2, 0.4),
        (person(0), "milk", "2017-06-25"): (1, 1.0, 1.55, 0.0),
        (person(0), "free", "2017-06-25"): (1, 1.0, 0.0, 0.0),
        (person(0), "loose", "2017-06-25"): (1, 0.0, 2.0, 0.0),
        (person(0), "late", "2017-06-24"): (1, 1.0, 2.0, 0.0),
        (person(1), "milk", "2017-06-20"): (1, 1.0, 2.0, 0.0),
    }


def test_interactions_of_an_empty_shop_are_empty(conn):
    found = product_rows.interactions(conn, DAY)
    assert len(found) == 0
    assert set(found.columns) >= {"customer_id", "product_id", "business_day", "sales", "discount"}


def product(number, valid_from="2017-01-01T00:00:00+00:00", **more):
    return {
        "product_id": number,
        "valid_from": valid_from,
        "known_at": valid_from,
        "name": number.title(),
        "type": "things",
        "category": "all",
        "manufacturer_id": "1",
        "active": True,
        "is_unit": True,
    } | more


def test_the_catalogue_is_what_was_known_at_the_end_of_the_day(conn):
    fill(
        conn,
        "products",
        [
            product("milk"),
            product("milk", "2017-06-25T20:00:00+00:00", name="Milk again", active=False),
            product("milk", "2017-06-26T20:00:00+00:00", name="Milk anew"),
            product("fuel", is_unit=False),
            product("next", "2017-06-26T20:00:00+00:00"),
        ],
    )
    known = product_rows.catalogue(conn, DAY)
    assert known.item_ids.tolist() == ["fuel", "milk"]
    assert known.names.tolist() == ["Fuel", "Milk again"]
    assert known.eligible.tolist() == [False, False]
    earlier = product_rows.catalogue(conn, "2017-06-24")
    assert earlier.eligible.tolist() == [False, True]


@pytest.mark.parametrize(
    ("day", "anchor"),
    [
        ("2017-10-01", "2017-10-01"),
        ("2017-10-07", "2017-10-01"),
        ("2017-09-30", "2017-09-24"),
        ("2017-01-01", "2017-01-01"),
    ],
)
def test_the_anchor_is_the_newest_at_or_before_the_day(day, anchor):
    assert champions.anchor_of(day) == anchor


def test_a_day_before_the_first_anchor_is_refused():
    with pytest.raises(BadInput, match="Expected a business day from 2017-01-01 on"):
        champions.anchor_of("2016-12-31")


def shop(conn):
    """40 customers, 30 products, a purchase of some of them every week since January."""
    generator = np.random.default_rng(2)
    lines = []
    for who in range(40):
        taste = np.arange(15) + 15 * (who % 2)
        for week in range(24):
            day = str(np.datetime64("2017-01-10") + 7 * week)
            for number, item in enumerate(generator.choice(taste, 4, replace=False), start=1):
                lines.append(line(f"o{who}-{week}", number, f"p{item:02d}", day, who=who))
    fill(conn, "order_lines", lines)
    fill(conn, "orders", orders_of(lines))
    fill(conn, "products", [product(f"p{i:02d}", active=i != 3) for i in range(30)])
    stamp = {"valid_from": "2017-01-01T00:00:00+00:00", "known_at": "2017-01-01T00:00:00+00:00"}
    fill(conn, "stores", [{"store_id": "e", "region": "east"} | stamp])
    # One more customer than have bought.
    fill(
        conn,
        "customers",
        [
            {"customer_id": person(w), "registered_at": stamp["known_at"], "home_store_id": "e"}
            | stamp
            for w in range(41)
        ],
    )
    fill(
        conn,
        "identities",
        [
            {"customer_id": person(w), "external_id": str(1000 + w), "known_at": stamp["known_at"]}
            for w in range(41)
        ],
    )
    conn.commit()


@pytest.fixture
def small(monkeypatch):
    """Settings that fit a shop of thirty products."""
    als = AlsSettings(factors=4, regularization=1.0, iterations=5, min_buyers=2)
    monkeypatch.setattr(recommender, "settings", lambda: Settings(als=als, als_depth=15))


def train_and_list(conn, run_id):
    run = {"as_of": DAY, "run_id": run_id}
    with publication.new_batch("champions", run) as (opened, batch):
        for contract in contracts.of_dataset("champions"):
            publication.stage(opened, batch, contract)
    trained = recommender.train(batch.as_dict())
    with warehouse.connect() as publishing:
        publication.publish(publishing, batch, publication.claim_day(publishing, batch))
    with publication.new_batch("scores", run) as (_, scores):
        pass
    done = lists.recommend(scores.as_dict())
    with warehouse.connect() as publishing:
        publication.publish(publishing, scores, publication.claim_day(publishing, scores))
    return trained, done


def test_a_day_is_trained_once_and_listed_the_same_every_time(conn, small):
    shop(conn)
    trained, done = train_and_list(conn, "first")
    assert trained["trained"]
    assert trained["model_version"].startswith("als-2017-06-25-")
    assert trained["metrics"]["product/all"]["ndcg_at_10"] > 0
    assert done["recommended_customers"] == 41
    contract = contracts.load("marketing", "product_recommendations")
    before = publication.content_hash(conn, contract)
    stamps = warehouse.value(conn, f"SELECT max(updated_at) FROM {contract.name}")
    conn.commit()

    again, _ = train_and_list(conn, "second")
    assert again == {"model_version": trained["model_version"], "trained": False, "metrics": {}}
    assert publication.content_hash(conn, contract) == before
    assert warehouse.value(conn, f"SELECT max(updated_at) FROM {contract.name}") == stamps


def test_marketing_reads_lists_with_the_shops_own_numbers(conn, small):
    shop(conn)
    train_and_list(conn, "first")
    with warehouse.connect("warehouse_marketing") as marketing:
        found = warehouse.frame(
            marketing, "SELECT * FROM marketing.current_product_recommendations"
        )
    assert set(found["external_id"]) == {str(1000 + w) for w in range(41)}
    assert found.groupby(["customer_id", "list"])["rank"].max().max() <= 10
    assert "p03" not in set(found["product_id"])
    assert found["name"].notna().all()
    cold = found[found["external_id"] == "1040"]
    assert set(cold["list"]) == {"discover"}
    assert cold["reason"].str.startswith("popular in region east").all()
    assert found[["policy_hash", "model_version"]].notna().all(axis=None)
    with warehouse.connect() as etl:
        figures = warehouse.frame(etl, "SELECT * FROM ml.backtests")
    assert set(figures["baseline_name"]) == set(RIVALS)
    assert (figures["cut"] == pd.Timestamp("2017-05-28")).all()


def test_stock_returns_and_reviews_of_the_day_keep_products_away_and_the_table_says_why(
    conn, small
):
    shop(conn)
    bought = warehouse.rows(
        conn,
        "SELECT product_id FROM core.order_lines WHERE customer_id = %(c)s "
        "GROUP BY product_id HAVING max(business_day) < '2017-06-10' ORDER BY 1",
        {"c": person(0)},
    )
    mine = [row[0] for row in bought if row[0] != "p03"]
    told = {"customer_id": person(0), "business_day": "2017-06-20"}
    stamp = "2017-06-20T15:00:00+00:00"
    fill(
        conn,
        "reviews",
        [told | {"review_id": 1, "product_id": mine[0], "rating": 1, "written_at": stamp}],
    )
    fill(
        conn,
        "returns",
        [
            told
            | {
                "return_id": "r1",
                "product_id": mine[1],
                "quantity": 1,
                "refund": 2,
                "returned_at": stamp,
            }
        ],
    )
    count = {"region": "east", "counted_at": stamp, "business_day": "2017-06-20", "on_order": 0}
    fill(
        conn,
        "stock_levels",
        [
            count | {"product_id": mine[2], "on_hand": 0},
            count | {"product_id": mine[3], "on_hand": 5},
            # Counted too long ago, and counted after the day: neither says anything.
            count
            | {
                "product_id": mine[4],
                "on_hand": 0,
                "business_day": "2017-05-01",
                "counted_at": "2017-05-01T15:00:00+00:00",
            },
            count
            | {
                "product_id": mine[5],
                "on_hand": 0,
                "business_day": "2017-06-26",
                "counted_at": "2017-06-26T15:00:00+00:00",
            },
        ],
    )
    conn.commit()
    train_and_list(conn, "first")
    shown = {
        row[0]
        for row in warehouse.rows(
            conn,
            "SELECT product_id FROM marketing.product_recommendations WHERE external_id = '1000'",
        )
    }
    assert not {mine[0], mine[1], mine[2]} & shown
    text = lists.explain("1000")
    assert "out of stock in the region" in text
    assert "returned (not_what_came_back)" in text
    assert "rated low by the customer (not_what_disappointed)" in text
    short = warehouse.frame(
        conn,
        "SELECT list, products, why_short FROM marketing.recommendation_lists "
        "WHERE external_id = '1000' AND why_short IS NOT NULL",
    )
    assert "out of stock in the region" in " ".join(short["why_short"])
    everybody = warehouse.value(
        conn, "SELECT count(DISTINCT customer_id) FROM marketing.recommendation_lists"
    )
    assert everybody == 41


def test_stock_that_the_day_before_reserved_is_kept_from_low_value_customers(conn):
    fill(conn, "products", [product("milk"), product("rice"), product("salt")])
    told = {
        "as_of": "2017-06-24",
        "region": "east",
        "product_id": "milk",
        "promote_to": "high_value",
    }
    rows = [
        told,
        told | {"product_id": "rice", "promote_to": "everybody"},
        # Of the day itself: worked out from its scores, so later than its lists.
        told | {"as_of": DAY, "product_id": "salt"},
    ]
    execute = warehouse.execute
    execute(conn, "TRUNCATE marketing.stock_priorities")
    planted.fill(conn, "marketing.stock_priorities", rows)
    known = product_rows.catalogue(conn, DAY)
    found = product_rows.shelf(conn, DAY, known, ["east", "west"])
    assert found.kept_back.tolist() == [[True, False, False], [False] * 3, [False] * 3]
    assert not found.out_of_stock.any()
    execute(conn, "TRUNCATE marketing.stock_priorities")


def test_people_have_the_region_segment_and_value_that_are_known(conn):
    purchases = Purchases.from_frame(
        pd.DataFrame({"customer_id": ["a"], "product_id": ["p"], "business_day": [DAY]}).assign(
            sales=1.0, discount=0.0, quantity=1.0
        ),
        Catalogue.from_frame(
            pd.DataFrame(
                [
                    {
                        "item_id": "p",
                        "name": "P",
                        "group": "g",
                        "family": "f",
                        "maker": "m",
                        "eligible": True,
                    }
                ]
            )
        ),
        ["b", "c"],
    )
    who = pd.DataFrame(
        {"customer_id": ["a", "b"], "external_id": ["1", "2"], "region": ["east", None]}
    )
    groups = pd.DataFrame({"customer_id": ["a"], "segment": ["vip"], "value_tier": ["low"]})
    found = product_rows.people(purchases, who, groups)
    assert found.listed.tolist() == [True, True, False]
    assert found.region.tolist() == [0, -1, -1]
    assert found.segment.tolist() == ["vip", "", ""]
    assert found.low_value.tolist() == [True, False, False]


def test_explain_refuses_strangers_and_empty_warehouses(conn, small, capsys, monkeypatch):
    with pytest.raises(BadInput, match="Expected published recommendations, found none"):
        lists.explain("1000")
    shop(conn)
    train_and_list(conn, "first")
    assert lists.main(["explain", "9999"]) == 1
    assert "found '9999': look it up" in capsys.readouterr().err
    assert lists.main(["explain", "1000", "soon"]) == 1
    assert lists.main(["why"]) == 2
    assert lists.main(["explain", "1040"]) == 0
    assert "0 of 10: the customer has bought nothing yet" in capsys.readouterr().out

    def heavy(*_):
        raise AssertionError("the purchases of everybody were read")

    monkeypatch.setattr(product_rows, "load_purchases", heavy)
    with pytest.raises(BadInput, match="found '9999'"):
        lists.explain("9999")
    warehouse.execute(conn, "DELETE FROM ml.models WHERE kind = 'als'")
    conn.commit()
    with pytest.raises(BadInput, match="Expected a trained recommender"):
        lists.explain("1000")


def test_the_gate_lets_good_lists_pass(conn, small):
    shop(conn)
    train_and_list(conn, "first")
    with publication.new_batch("scores", {"as_of": DAY, "run_id": "third"}) as (_, scores):
        pass
    batch = lists.recommend(scores.as_dict())
    counts = gate.gate(batch, rebuild=lists.recommend)
    assert counts["marketing.product_recommendations"] == counts["ml.recommendations"] > 0


def test_a_day_without_a_model_is_refused(conn, small):
    shop(conn)
    with publication.new_batch("scores", {"as_of": DAY, "run_id": "early"}) as (_, scores):
        pass
    with pytest.raises(BadInput, match="run regulars_models for the day first"):
        lists.recommend(scores.as_dict())

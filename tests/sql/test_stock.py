"""Demand and stock on a real warehouse: a planted shop of ten weeks, by the steps that the DAG calls."""

from datetime import date, timedelta
from typing import Any

import pytest

from include import policy, warehouse
from include.errors import BadInput
from include.steps import gate, stock
from tests.sql.planted import fill, person

pytestmark = pytest.mark.usefixtures("warehouse")

DAY = date(2017, 3, 12)
TABLES = (
    "core.orders",
    "core.order_lines",
    "core.products",
    "core.stores",
    "core.promotions",
    "core.stock_levels",
    "core.warehouses",
    "marketing.customer_segments",
    "marketing.stock_priorities",
    "ml.demand_forecasts",
    "ops.publications",
    "ops.fences",
)
#: product: units each of the six customers takes a week
RATES = {"1": 3, "2": 1, "3": 2}


@pytest.fixture
def conn(warehouse):
    from include.warehouse import connect, execute

    with connect() as opened:
        execute(opened, f"TRUNCATE {', '.join(TABLES)}")
        plant(opened)
        opened.commit()
        yield opened


def plant(conn, weeks: int = 10) -> None:
    """Six customers of two regions, of whom the first two are of high value; product 2 is theirs alone."""
    orders, lines = [], []
    for week in range(weeks):
        day = DAY - timedelta(days=7 * week)
        stamp = f"{day}T15:00Z"
        for customer in range(6):
            order = f"{customer}-{week}"
            orders.append({
                "order_id": order, "customer_id": person(customer), "store_id": str(customer % 2),
                "ordered_at": stamp, "business_day": day.isoformat(), "known_at": stamp,
            })  # fmt: skip
            for number, (product, rate) in enumerate(RATES.items()):
                if product == "2" and customer > 1:
                    continue
                lines.append({
                    "order_id": order, "line_number": number, "customer_id": person(customer),
                    "product_id": product, "store_id": str(customer % 2), "ordered_at": stamp,
                    "business_day": day.isoformat(), "quantity": rate, "sales": 4.0 * rate,
                    "is_unit": True,
                })  # fmt: skip
    fill(conn, "core.orders", orders)
    fill(conn, "core.order_lines", lines)
    fill(
        conn, "core.stores", [{"store_id": str(n), "region": ("north", "south")[n]} for n in (0, 1)]
    )
    fill(conn, "core.products", [
        {"product_id": product, "valid_from": "2017-01-01T06:00Z", "known_at": "2017-01-01T06:00Z",
         "type": "A" if product == "1" else "B", "name": f"Product {product}", "is_unit": True,
         "unit_margin": 0.25}
        for product in RATES
    ])  # fmt: skip
    fill(conn, "core.stock_levels", [
        {"region": region, "product_id": product, "on_hand": held, "on_order": 0,
         "counted_at": "2017-03-10T12:00Z", "business_day": "2017-03-10"}
        for region, product, held in (("north", "1", 4), ("north", "2", 1), ("south", "1", 400))
    ])  # fmt: skip
    segments(conn, DAY)


def segments(conn, day: date) -> None:
    fill(conn, "marketing.customer_segments", [
        {"as_of": day.isoformat(), "customer_id": person(n), "value_tier": "high" if n < 2 else "low"}
        for n in range(6)
    ])  # fmt: skip


def publish(day: date = DAY):
    run = {"as_of": day.isoformat(), "run_id": "test"}
    return gate.gate(stock.build(run), rebuild=stock.build)


def test_a_day_is_forecast_and_ranked(conn):
    counts = publish()
    # 3 products, 2 rests and 2 types, 8 weeks each.
    assert counts["ml.demand_forecasts"] == 7 * 8
    total = dict(warehouse.rows(conn, """
        SELECT level, sum(units) FROM ml.demand_forecasts GROUP BY level
    """))  # fmt: skip
    assert total["product"] + total["rest"] == pytest.approx(total["type"])
    ((units,),) = warehouse.rows(
        conn,
        "SELECT units FROM ml.demand_forecasts WHERE series = '1' AND level = 'product' AND step = 1",
    )
    assert units == pytest.approx(18.0, rel=0.1)
    found = {
        (region, product): row
        for region, product, *row in warehouse.rows(conn, """
            SELECT region, product_id, promote_to, action, units_high_value::float8, units_other::float8,
                units_to_reserve, units_reducible, p_run_out
            FROM marketing.current_stock_priorities ORDER BY priority_rank
        """)
    }  # fmt: skip
    assert next(iter(found)) == ("north", "1")
    scarce, theirs, plenty = found["north", "1"], found["north", "2"], found["south", "1"]
    assert scarce[:2] == ["high_value", "order and reserve"]
    # One of three customers in the north is of high value: 3 pieces a week of 9, for two weeks.
    assert (scarce[2], scarce[3]) == (pytest.approx(6, rel=0.15), pytest.approx(12, rel=0.15))
    assert 0 < scarce[4] <= 4
    assert theirs[2] > 3 * theirs[3]
    assert plenty[:2] == ["clear", "reduce"]
    assert plenty[5] > 300
    assert found["south", "3"][1] == "count"


@pytest.mark.parametrize("counted", [True, False])
def test_stock_that_nobody_counts_is_a_warning_unless_its_source_is_off(
    conn, tmp_path, monkeypatch, counted
):
    warehouse.execute(conn, "TRUNCATE core.stock_levels")
    conn.commit()
    path = tmp_path / "policy.yml"
    text = policy.DEFAULT_PATH.read_text()
    path.write_text(text.replace("stock_levels: true", f"stock_levels: {str(counted).lower()}"))
    monkeypatch.setenv("REGULARS_POLICY", str(path))
    publish()
    found = warehouse.rows(
        conn,
        "SELECT check_name FROM ops.quality_results WHERE NOT passed AND token = "
        "(SELECT max(token) FROM ops.quality_results)",
    )
    asked = [name for (name,) in found if "on_hand" in name]
    assert len(asked) == (1 if counted else 0)
    ((filled,),) = warehouse.rows(
        conn,
        "SELECT empty_share ? 'on_hand' FROM ops.table_profiles "
        "WHERE table_name = 'marketing.stock_priorities'",
    )
    assert filled == counted


def test_the_buying_list_adds_up_the_regions(conn):
    publish()
    rows = warehouse.rows(
        conn, "SELECT product_id, regions_to_order, on_hand::int FROM marketing.buying_list"
    )
    assert rows[0] == ("1", 1, 404)


def test_a_second_run_changes_nothing(conn):
    publish()
    query = "SELECT product_id, region, updated_at FROM marketing.stock_priorities ORDER BY 1, 2"
    before = warehouse.rows(conn, query)
    conn.commit()
    publish()
    assert warehouse.rows(conn, query) == before


def test_later_rows_do_not_move_an_earlier_day(conn):
    publish()
    query = "SELECT series, step, units FROM ml.demand_forecasts WHERE as_of = '2017-03-12' ORDER BY 1, 2"
    before = warehouse.rows(conn, query)
    later = {
        "order_id": "late", "line_number": 1, "customer_id": person(1), "product_id": "1",
        "ordered_at": "2017-03-14T12:00Z", "business_day": "2017-03-14", "quantity": 500, "is_unit": True,
    }  # fmt: skip
    fill(conn, "core.order_lines", [later])
    fill(conn, "core.orders", [
        {"order_id": "late", "customer_id": person(1), "ordered_at": "2017-03-14T12:00Z",
         "business_day": "2017-03-14", "known_at": "2017-03-14T12:00Z"}
    ])  # fmt: skip
    conn.commit()
    publish()
    assert warehouse.rows(conn, query) == before


def test_a_day_without_segments_says_what_to_run(conn):
    with pytest.raises(BadInput, match="run regulars_score"):
        stock.build({"as_of": "2017-03-05", "run_id": "test"})


def test_a_young_shop_publishes_nothing_with_a_warning(conn, caplog):
    with caplog.at_level("WARNING"):
        counts = publish(date(2017, 1, 8))
    assert set(counts.values()) == {0}
    assert "4 whole weeks" in caplog.text


def test_an_old_count_is_no_count(conn):
    warehouse.execute(conn, "UPDATE core.stock_levels SET business_day = '2017-02-01'")
    conn.commit()
    publish()
    actions = warehouse.rows(conn, "SELECT DISTINCT action FROM marketing.stock_priorities")
    assert actions == [("count",)]


def rows(conn, columns: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        conn, f"SELECT {columns} FROM marketing.stock_priorities ORDER BY priority_rank"
    )


def test_stock_is_kept_where_the_goods_are(conn):
    publish()
    wanted = dict(rows(conn, "region || ' ' || product_id, units_high_value + units_other"))
    fill(conn, "core.warehouses", [
        {"warehouse_id": "Hall", "region": region, "valid_from": "2017-03-01T06:00Z",
         "known_at": "2017-03-01T06:00Z", "serves": True}
        for region in ("north", "south")
    ])  # fmt: skip
    # What was counted by region is in the warehouse too, and what is counted in the warehouse.
    fill(conn, "core.stock_levels", [
        {"region": "hall", "product_id": "3", "on_hand": 7, "on_order": 1,
         "counted_at": "2017-03-10T12:00Z", "business_day": "2017-03-10"}
    ])  # fmt: skip
    conn.commit()
    publish()
    found = {
        product: tuple(map(float, numbers))
        for product, region, *numbers in rows(
            conn, "product_id, region, on_hand, on_order, units_high_value + units_other"
        )
        if region == "hall"
    }
    assert {region for (region,) in rows(conn, "region")} == {"hall"}
    assert {product: numbers[:2] for product, numbers in found.items()} == {
        "1": (404, 0), "2": (1, 0), "3": (7, 1),
    }  # fmt: skip
    for product in ("1", "3"):  # what the south wants of the second was too little to be told there
        both = sum(float(wanted.get(f"{region} {product}", 0)) for region in ("north", "south"))
        assert found[product][2] == pytest.approx(both, abs=0.002)
    # A day before the warehouse was known is as it was.
    warehouse.execute(conn, "UPDATE core.warehouses SET known_at = '2017-03-13T06:00Z'")
    conn.commit()
    publish()
    assert {region for (region,) in rows(conn, "region")} >= {"north", "south"}


def test_a_region_reads_what_its_warehouse_has(conn):
    fill(conn, "core.warehouses", [
        {"warehouse_id": "Hall", "region": "north", "valid_from": "2017-03-01T06:00Z",
         "known_at": "2017-03-01T06:00Z", "serves": True},
    ])  # fmt: skip
    warehouse.execute(
        conn,
        "UPDATE core.stock_levels SET region = 'hall', on_hand = 0 "
        "WHERE region = 'north' AND product_id = '1'",
    )
    warehouse.execute(conn, "UPDATE core.stock_levels SET on_hand = 0 WHERE region = 'south'")
    conn.commit()
    asked = {"as_of": DAY, "end": "2017-03-13T04:00Z", "days": 28}
    empty = warehouse.rows(conn, warehouse.sql("queries/recommend/stock"), asked)
    assert empty == [("north", "1"), ("south", "1")]


def test_without_any_count_what_will_be_wanted_most_comes_first_and_it_is_said(conn):
    warehouse.execute(conn, "TRUNCATE core.stock_levels")
    conn.commit()
    publish()
    found = rows(conn, "units_high_value + units_other, action, reason, cost_of_running_out")
    assert len(found) >= 4
    needs = [need for need, *_ in found]
    assert needs == sorted(needs, reverse=True)
    assert len(set(needs)) > 1
    for _, action, reason, cost in found:
        assert (action, cost) == ("count", None)
        assert reason.endswith(
            "stock is not counted anywhere, so this ranks by what will be wanted."
        )

"""What the shop's own lines say of a price and a quantity, and how much may be set aside."""

import pytest

from include.errors import QualityStop
from tests.sql.small_shop import (
    OFF,
    empty_warehouse,
    fill_shop,
    found,
    ingest_day,
    nothing_changes,
    owner,
    policy_without,
)

AT = "'2017-03-05 17:00+00'"
#: Beside the small shop's lines, 2.50 for a piece: a product that goes by the thousand, one that is sold at
#: all prices, and one whose number could be mistaken for pieces.
USUAL = (
    "INSERT INTO products (product_number, department, category, updated_at) VALUES "
    "('bulk', 'GROCERY', 'CAKE', '2017-03-01 06:00+00'), ('gift', 'GROCERY', 'CAKE', '2017-03-01 06:00+00'), "
    "('85123A', 'GROCERY', 'CAKE', '2017-03-01 06:00+00')",
    "INSERT INTO order_lines SELECT order_number, 20 + k, (ARRAY['bulk', 'gift', '85123A'])[k], "
    "(ARRAY[4000, 1, 6])[k], (ARRAY[4000, 10, 12])[k], 0, 0, 0, ordered_at "
    "FROM orders, generate_series(1, 3) AS k WHERE ordered_at < '2017-03-05'",
    "UPDATE order_lines SET sales_value = 10 ^ (1 + substr(order_number, 2)::integer % 3) "
    "WHERE product_number = 'gift'",
)
ORDER = f"INSERT INTO orders VALUES ('new', 'c4', 's1', 'web', 'USD', {AT}, {AT})"
LINE = "INSERT INTO order_lines VALUES ('new', {}, '{}', {}, {}, 0, 0, 0, " + AT + ")"


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    off = tuple(name for name in OFF if name != "returns")
    module_env.setenv("REGULARS_POLICY", str(policy_without(off, home / "policy.yml")))


@pytest.fixture(autouse=True)
def _fresh():
    fill_shop()
    empty_warehouse()
    owner(*USUAL, ORDER)


def lines() -> dict[int, list[str]]:
    """Flags of the new order's lines that stand, reasons of those that were set aside."""
    return dict(
        found(
            "SELECT line_number, flags FROM core.order_lines WHERE order_id = 'new' UNION ALL "
            "SELECT (payload ->> 'line_number')::integer, reasons FROM quarantine.rejected_rows "
            "WHERE table_name = 'core.order_lines' AND payload ->> 'order_id' = 'new'"
        )
    )


@pytest.mark.parametrize(
    ("product", "quantity", "sales", "expected"),
    [
        pytest.param("p1", 1, 2.50, [], id="as ever"),
        pytest.param("p1", 100, 250, [], id="many"),
        pytest.param("p1", 1, 25, [], id="dear"),
        pytest.param("p1", 1, 75, ["outlier_price"], id="far too dear"),
        pytest.param("p1", 10, 0.5, ["outlier_price"], id="far too cheap"),
        pytest.param("p1", 2, 500, ["absurd_price"], id="a slipped decimal point"),
        pytest.param("p1", 1, 4000, ["absurd_price"], id="a thousandfold"),
        pytest.param("p1", 300, 750, ["outlier_quantity"], id="far too many"),
        pytest.param("p1", 4011, 2.50, ["absurd_quantity"], id="pieces that the amount denies"),
        pytest.param("85123A", 85123, 170246, ["absurd_quantity"], id="the product's number"),
        pytest.param("bulk", 9000, 9000, [], id="by the thousand"),
        pytest.param("gift", 1, 1000, [], id="at all prices"),
        pytest.param(
            "p50", 1, 900, ["outlier_price"], id="the first of its product, far from the shop's"
        ),
        pytest.param("p50", 1, 20, [], id="the first of its product"),
    ],
)
def test_a_line_is_compared_with_what_was_usual_by_its_day(product, quantity, sales, expected):
    owner(LINE.format(1, product, quantity, sales))
    ingest_day()
    assert lines() == {1: expected}
    with nothing_changes():
        ingest_day(since="2017-03-05", run_id="again")


def test_what_is_sold_later_says_nothing_of_a_line_before():
    owner(
        LINE.format(30, "p1", 1, 75).replace("2017-03-05", "2017-03-02").replace("'new'", "'o1'"),
        "UPDATE order_lines SET sales_value = 75 "
        "WHERE product_number = 'p1' AND ordered_at > '2017-03-03'",
    )
    ingest_day()
    assert found(
        "SELECT flags FROM core.order_lines WHERE order_id = 'o1' AND line_number = 30"
    ) == [(["outlier_price"],)]


def test_a_sale_and_what_returns_it_share_one_fate():
    owner(
        LINE.format(1, "p1", 2, 500),
        LINE.format(2, "p2", 2, 5),
        f"INSERT INTO returns VALUES ('r1', 'new', 'p1', 'c4', 2, 500, 'x', {AT}), "
        f"('r2', 'new', 'p2', 'c4', 2, 5, 'x', {AT})",
    )
    ingest_day()
    assert found("SELECT return_id FROM core.returns") == [("r2",)]
    assert found(
        "SELECT row_key, reasons FROM quarantine.rejected_rows WHERE table_name = 'core.returns'"
    ) == [("r1", ["sale_set_aside"])]
    with nothing_changes():
        ingest_day(since="2017-03-05", run_id="again")


def test_what_is_flagged_is_told_first():
    owner(LINE.format(1, "p1", 1, 75))
    ingest_day()
    ((severity, message),) = found(
        "SELECT severity, message FROM ops.quality_results "
        "WHERE check_name = 'as_usual(sales, quantity)' AND NOT passed"
    )
    assert severity == "warning"
    assert "found 1 of" in message
    assert "75.00 together" in message


def test_where_a_tenth_of_the_lines_is_far_off_nothing_is_published():
    ingest_day(as_of="2017-03-04", run_id="before")
    owner(f"UPDATE order_lines SET sales_value = sales_value * 30 WHERE ordered_at = {AT}")
    with pytest.raises(QualityStop, match="unit or currency has changed"):
        ingest_day(since="2017-03-05", run_id="after")


@pytest.mark.parametrize(("amount", "stops"), [(5, False), (50000, True)])
def test_a_day_of_which_too_much_money_is_set_aside_is_not_published(amount, stops):
    owner(
        f"INSERT INTO order_lines VALUES ('nowhere', 1, 'p50', {amount}, {amount}, 0, 0, 0, {AT})",
    )
    if not stops:
        ingest_day()
        return
    with pytest.raises(QualityStop) as stopped:
        ingest_day()
    sentence = str(stopped.value)
    assert "5.0% of the money of core.order_lines" in sentence
    assert "orphan_order (50,000" in sentence


def test_one_of_three_lines_stops_no_day():
    ingest_day(as_of="2017-03-04", run_id="before")
    owner(
        f"DELETE FROM order_lines WHERE ordered_at = {AT}",
        LINE.format(1, "p1", 1, 2.5),
        LINE.format(2, "p1", 1, 2.5),
        f"INSERT INTO order_lines VALUES ('nowhere', 1, 'p1', 1, 2.5, 0, 0, 0, {AT})",
    )
    ingest_day(since="2017-03-05", run_id="after")
    assert found("SELECT count(*) FROM core.order_lines WHERE business_day = '2017-03-05'") == [
        (2,)
    ]
    assert found(
        "SELECT severity, passed FROM ops.quality_results WHERE check_name = 'money_published' "
        "AND table_name = 'core.order_lines' AND run_id = 'after'"
    ) == [("warning", False)]

"""The first load, sources that are off, and batches that are mostly bad, on a small shop."""

import pytest
import yaml

from include import policy, warehouse
from include.errors import BadInput, QualityStop
from include.launcher.servers.state import ROOT
from include.steps import gate, ingest

DAY = "2017-03-02"

SHOP = """
INSERT INTO stores VALUES ('s1', 'north', '2017-01-05 06:00+00');
INSERT INTO products (product_number, department, category, type, active, unit_margin, updated_at)
    SELECT 'p' || n, 'GROCERY', 'CAKE', 'CAKE', true, 0.3, '2017-01-05 06:00+00'
    FROM generate_series(1, 9) AS n;
INSERT INTO customers (customer_number, birthday, home_store_id, registered_at, updated_at)
    SELECT 'c' || n, '1980-05-17', 's1', '2017-01-05 06:00+00', '2017-01-05 06:00+00'
    FROM generate_series(1, 100) AS n;
INSERT INTO orders
    SELECT 'o' || n, 'c' || n, 's1', 'till', 'USD', '2017-03-02 17:00+00', '2017-03-02 17:00+00'
    FROM generate_series(1, 100) AS n;
INSERT INTO order_lines
    SELECT 'o' || n, 1, 'p1', 1, 1.99, 0, 0, 0, '2017-03-02 17:00+00' FROM generate_series(1, 100) AS n;
"""

OFF = (
    "contact_points",
    "consents",
    "events",
    "reviews",
    "stock_levels",
    "campaigns",
    "exposures",
    "coupons",
    "redemptions",
)


@pytest.fixture(scope="module")
def small(shop, warehouse, home, module_env):
    """A shop with half of the sources, and a policy that says so."""
    owner("TRUNCATE orders", SHOP)
    settings = yaml.safe_load((ROOT / "config" / "policy.yml").read_text())
    settings["ingest"]["sources"] |= dict.fromkeys(OFF, False)
    path = home / "policy.yml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    module_env.setenv("REGULARS_POLICY", str(path))
    assert not policy.load().ingest.sources["consents"]


def owner(*statements: str) -> None:
    with warehouse.connect("shop_owner") as conn:
        for statement in statements:
            warehouse.execute(conn, statement)


def run(**more) -> dict[str, int]:
    plan = ingest.plan({"as_of": DAY, "since": None, "run_id": "run"} | more)
    gate.gate(ingest.extract(plan), rebuild=ingest.extract)
    return gate.gate(ingest.build_core(plan), rebuild=ingest.build_core)


def test_the_first_run_loads_the_history_and_later_ones_look_back(small):
    assert ingest.plan({"as_of": DAY, "since": None, "run_id": "first"})["since"] == "2017-01-01"
    counts = run()
    assert counts["core.order_lines"] == 100
    assert counts["quarantine.rejected_rows"] == 0
    assert ingest.plan({"as_of": DAY, "since": None, "run_id": "later"})["since"] == "2017-02-27"


def test_a_source_that_is_off_is_neither_built_nor_published(small):
    counts = run()
    for name in OFF:
        assert f"core.{name}" not in counts
    assert counts["core.orders"] == 100


def test_orders_of_unknown_customers_stop_the_run_when_they_are_most(small):
    owner("UPDATE orders SET customer_number = 'x' || customer_number WHERE order_number > 'o4'")
    with pytest.raises(QualityStop, match=r"rejected, found \d+.*rejected_rows"):
        run()
    owner("UPDATE orders SET customer_number = ltrim(customer_number, 'x')")
    with warehouse.connect() as conn:
        assert warehouse.value(conn, "SELECT count(*) FROM core.orders") == 100


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"as_of": "2016-12-31"}, "found 2016-12-31"),
        ({"as_of": "2017-03-03"}, "the shop's data ends on 2017-03-02"),
        ({"since": "2017-03-05"}, "found 2017-03-05 after 2017-03-02"),
    ],
)
def test_a_day_outside_the_data_is_one_sentence(small, request_, sentence):
    with pytest.raises(BadInput) as stopped:
        run(**request_)
    assert sentence in str(stopped.value)


def test_days_that_were_left_out_are_taken_up_and_quarantine_keeps_what_it_has(small):
    owner(
        "INSERT INTO orders SELECT 'late' || n, 'nobody', 's1', 'till', 'USD', "
        "'2017-03-02 17:00+00', '2017-03-02 17:00+00' FROM generate_series(1, 3) AS n",
        "INSERT INTO products (product_number, department, updated_at) "
        "VALUES ('  ', 'GROCERY', '2017-01-05 06:00+00')",
        "INSERT INTO orders VALUES ('o900', 'c1', 's1', 'till', 'USD', "
        "'2017-03-20 17:00+00', '2017-03-20 17:00+00')",
    )
    run(since="2017-01-01")
    with warehouse.connect() as conn:
        before = warehouse.value(conn, "SELECT count(*) FROM quarantine.rejected_rows")
    assert before >= 3
    assert (
        ingest.plan({"as_of": "2017-03-20", "since": None, "run_id": "x"})["since"] == "2017-02-27"
    )
    run(as_of="2017-03-20")
    with warehouse.connect() as conn:
        assert warehouse.value(conn, "SELECT count(*) FROM quarantine.rejected_rows") == before

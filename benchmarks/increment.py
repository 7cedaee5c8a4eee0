"""What a day costs beside its year, and whether it grows with history.

A shop of our own making (so many orders a day for a year, ten lines each, 2,500 customers, 20,000 products)
is loaded whole, then one day with the ordinary look-back, from the shop to published core: extraction, both
gates, cleaning. A day is to cost at most 5% of its year at the size of a real shop: 400 orders a day, as the
demo's (427 baskets and 4,026 lines a day of 2,469 households). A quarter and four times as many are shown
beside it: what a day costs whatever it holds (some hundred statements, the checks of each table) weighs more
in a small shop, whose year is loaded in seconds.

Then the smallest shop and its core are given 4 and 16 times the history, and the same day is run again: it is
to cost no more with more history.

    bin/regulars bench increment [--orders 100 400 1600] [--multiples 1 4 16] [--rounds 5]
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import yaml

from benchmarks._lines import show
from include import contracts, warehouse
from include.launcher.servers import databases
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import ROOT, State
from include.steps import gate, ingest

FIRST_DAY, EVE, DAY = "2017-01-01", "2017-12-30", "2017-12-31"
NAMES = {"warehouse": "bench_increment_warehouse", "shop": "bench_increment_shop"}
SOURCES = {"customers", "stores", "products", "orders", "order_lines"}

SHOP = """
INSERT INTO stores VALUES ('s1', 'north', '2017-01-01 06:00+00');
INSERT INTO products (product_number, department, brand, category, type, name, active, unit_margin,
    updated_at)
SELECT 'p' || n, 'GROCERY', 'National', 'CAKE', 'CAKE', 'Cake ' || n, true, 0.3, '2017-01-01 06:00+00'
FROM generate_series(1, 20000) AS n;
INSERT INTO customers (customer_number, first_name, home_store_id, registered_at, updated_at)
SELECT 'c' || n, 'Ana', 's1', '2017-01-01 06:00+00', '2017-01-01 06:00+00' FROM generate_series(1, 2500) AS n;
INSERT INTO orders (order_number, customer_number, store_number, channel, currency, ordered_at, updated_at)
SELECT 'o' || d || '-' || n, 'c' || (d * 7 + n * 13) % 2500 + 1, 's1', 'till', 'USD', at, at
FROM generate_series(0, 364) AS d, generate_series(1, {orders}) AS n,
    LATERAL (
        SELECT timestamptz '2017-01-01 12:00+00' + d * interval '1 day' + n * interval '1 second' AS at
    ) AS s;
INSERT INTO order_lines (order_number, line_number, product_number, quantity, sales_value, retail_discount,
    coupon_discount, coupon_match_discount, ordered_at)
SELECT order_number, n, 'p' || (hashtext(order_number) % 9000 + 9000 + n), 1, 2.50, 0, 0, 0, ordered_at
FROM orders, generate_series(1, 10) AS n;
"""  # fmt: skip

#: Years before the first one: the same orders again, in the shop and in core.
OLDER = {
    "shop_owner": (
        "INSERT INTO orders SELECT 'y{year}' || order_number, customer_number, store_number, channel, "
        "currency, ordered_at - interval '{year} years', updated_at - interval '{year} years' FROM orders "
        "WHERE order_number LIKE 'o%'",
        "INSERT INTO order_lines SELECT 'y{year}' || order_number, line_number, product_number, quantity, "
        "sales_value, retail_discount, coupon_discount, coupon_match_discount, "
        "ordered_at - interval '{year} years' FROM order_lines WHERE order_number LIKE 'o%'",
    ),
    "warehouse": (
        "INSERT INTO core.orders (order_id, customer_id, store_id, channel, currency, ordered_at, "
        "business_day, known_at) SELECT 'y{year}' || order_id, customer_id, store_id, channel, currency, "
        "ordered_at - interval '{year} years', business_day - {year} * 365, "
        "known_at - interval '{year} years' FROM core.orders WHERE order_id LIKE 'o%'",
        "INSERT INTO core.order_lines (order_id, line_number, customer_id, product_id, store_id, "
        "business_day, ordered_at, quantity, sales, retail_discount, coupon_discount, "
        "coupon_match_discount, known_at, is_unit, flags) SELECT 'y{year}' || order_id, line_number, "
        "customer_id, product_id, store_id, business_day - {year} * 365, "
        "ordered_at - interval '{year} years', quantity, sales, retail_discount, coupon_discount, "
        "coupon_match_discount, known_at - interval '{year} years', is_unit, flags FROM core.order_lines "
        "WHERE order_id LIKE 'o%'",
    ),
}


@contextmanager
def own_databases(orders: int) -> Iterator[None]:
    """A shop and a warehouse of the bench's own, removed at its end."""
    from include.demo_shop.load import create_schema

    state = State()
    server = Server(state)
    passwords = {role: state.secret(role) for role in databases.ROLES}
    before = dict(os.environ)
    settings = yaml.safe_load((ROOT / "config" / "policy.yml").read_text())
    for contract in contracts.of_dataset("raw"):
        settings["ingest"]["sources"][contract.table] = contract.table in SOURCES
    policy = state.home / "bench_increment.yml"
    policy.write_text(yaml.safe_dump(settings, sort_keys=False))
    os.environ["REGULARS_POLICY"] = str(policy)
    try:
        with databases.admin(server.admin_url()) as conn:
            for kind, name in NAMES.items():
                databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
                databases.make_database(conn, kind, name)
        for name, url in databases.addresses(server.admin_url(), passwords, NAMES).items():
            os.environ[f"AIRFLOW_CONN_{name.upper()}"] = url
        with warehouse.connect("shop_owner") as shop, shop.cursor() as cursor:
            create_schema(cursor)
            cursor.execute(SHOP.replace("{orders}", str(orders)))
            cursor.execute((ROOT / "include" / "demo_shop" / "indexes.sql").read_text())
            cursor.execute("ANALYZE")
        with databases.admin(server.admin_url(), NAMES["shop"]) as conn:
            databases.grant_reading(conn)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        policy.unlink(missing_ok=True)
        with databases.admin(server.admin_url()) as conn:
            for name in NAMES.values():
                databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def run(day: str, since: str | None) -> float:
    """Seconds from the shop to published core."""
    started = time.perf_counter()
    plan = ingest.plan({"as_of": day, "since": since, "run_id": "bench"})
    gate.gate(ingest.extract(plan), rebuild=ingest.extract)
    gate.gate(ingest.build_core(plan), rebuild=ingest.build_core)
    return time.perf_counter() - started


def grow(first: int, last: int) -> None:
    """Give the shop and core the years from so many before the first one to so many."""
    for name, statements in OLDER.items():
        with warehouse.connect(name) as conn:
            for year in range(first, last):
                for statement in statements:
                    warehouse.execute(conn, statement.replace("{year}", str(year)))
            warehouse.execute(conn, "ANALYZE")


def measure(orders: int, multiples: list[int], rounds: int) -> None:
    """Print what a day of a shop of one size costs, over so many years of history."""
    with own_databases(orders):
        with warehouse.connect() as conn:
            contracts.migrate(conn)
        run(FIRST_DAY, FIRST_DAY)  # imports
        year = run(EVE, FIRST_DAY)
        run(DAY, None)
        years = 1
        for multiple in sorted(multiples):
            grow(years, multiple)
            years = max(years, multiple)
            show(
                "increment",
                "seconds",
                f"orders={orders},history={multiple}x",
                median(run(DAY, None) for _ in range(rounds)),
                year,
                "loading the year",
                unit="s",
                n=orders * 10,
            )


def main(argv: list[str]) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--orders", type=int, nargs="+", default=[100, 400, 1600], help="a day, of each shop"
    )
    parser.add_argument(
        "--multiples", type=int, nargs="+", default=[1, 4, 16], help="years, of the smallest shop"
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    for orders in sorted(options.orders):
        smallest = orders == min(options.orders)
        measure(orders, options.multiples if smallest else [1], options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

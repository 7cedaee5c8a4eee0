"""A shop of sixty customers and a few days, and the way from it to core, for the tests of ingestion."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from include import contracts, publication, warehouse
from include.steps import gate, ingest

FIRST, LAST = "2017-03-01", "2017-03-05"

ROWS = """
INSERT INTO stores VALUES ('s1', 'north', '2017-03-01 06:00+00');
INSERT INTO products (product_number, department, brand, category, type, name, active, unit_margin,
    updated_at)
SELECT 'p' || n, 'GROCERY', 'National', 'CAKE', 'CAKE', 'Cake ' || n, true, 0.3, '2017-03-01 06:00+00'
FROM generate_series(1, 60) AS n;
INSERT INTO customers (customer_number, birthday, home_store_id, registered_at, updated_at)
SELECT 'c' || n, '1980-05-17', 's1', '2017-03-01 06:00+00', '2017-03-01 06:00+00'
FROM generate_series(1, 60) AS n;
INSERT INTO orders (order_number, customer_number, store_number, channel, currency, ordered_at, updated_at)
SELECT 'o' || n, 'c' || (n % 60 + 1), 's1', 'till', 'USD', stamp, stamp
FROM generate_series(1, 100) AS n,
    LATERAL (SELECT timestamptz '2017-03-01 17:00+00' + n % 5 * interval '1 day' AS stamp) AS s;
INSERT INTO order_lines (order_number, line_number, product_number, quantity, sales_value, retail_discount,
    coupon_discount, coupon_match_discount, ordered_at)
SELECT o.order_number, n, 'p' || n, 1, 2.50, 0, 0, 0, o.ordered_at
FROM orders AS o, generate_series(1, 3) AS n;
INSERT INTO events (event_id, customer_number, product_number, event_type, occurred_at)
SELECT n, 'c' || (n % 60 + 1), 'p1', 'browse', timestamptz '2017-03-01 18:00+00' + n % 5 * interval '1 day'
FROM generate_series(1, 100) AS n;
"""

#: Sources that these tests have no need of: those without a row above.
OFF = tuple(
    contract.table
    for contract in contracts.of_dataset("raw")
    if f"INSERT INTO {contract.table} " not in ROWS
)


def owner(*statements: str) -> None:
    """Change the shop."""
    with warehouse.connect("shop_owner") as conn:
        for statement in statements:
            warehouse.execute(conn, statement)


def fill_shop() -> None:
    """The shop as it is at first, whatever it was before."""
    with warehouse.connect("shop_owner") as conn:
        tables = warehouse.rows(conn, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        warehouse.execute(conn, f"TRUNCATE {', '.join(name for (name,) in tables)}")
        warehouse.execute(conn, ROWS)


def empty_warehouse() -> None:
    """As if nothing had ever been published."""
    with warehouse.connect() as conn:
        for contract in contracts.all_contracts():
            if not contract.view:
                warehouse.execute(conn, f"TRUNCATE {contract.name}")


def policy_without(sources: tuple[str, ...], path: Any) -> Any:
    """A policy file with some sources switched off; its path."""
    import yaml

    from include.launcher.servers.state import ROOT

    settings = yaml.safe_load((ROOT / "config" / "policy.yml").read_text())
    settings["ingest"]["sources"] |= dict.fromkeys(sources, False)
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def everything_on(path: Any) -> Any:
    """A policy file with every source switched on, whatever the demo shop has; its path."""
    import yaml

    settings = yaml.safe_load(policy_without((), path).read_text())
    settings["ingest"]["sources"] = {c.table: True for c in contracts.of_dataset("raw")}
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def to_raw(as_of: str = LAST, since: str | None = None, run_id: str = "run") -> dict[str, Any]:
    """The day's plan, extracted and published as raw."""
    plan = ingest.plan({"as_of": as_of, "since": since, "run_id": run_id})
    gate.gate(ingest.extract(plan), rebuild=ingest.extract)
    return plan


def ingest_day(as_of: str = LAST, since: str | None = None, run_id: str = "run") -> dict[str, int]:
    """The chain from the shop to core, as its DAG runs it; the published rows."""
    plan = to_raw(as_of, since, run_id)
    return gate.gate(ingest.build_core(plan), rebuild=ingest.build_core)


def hashes() -> dict[str, str]:
    """A hash of the content of every table of raw and core, and of quarantine."""
    with warehouse.connect() as conn:
        return {
            contract.name: publication.content_hash(conn, contract)
            for contract in (*contracts.of_dataset("raw"), *contracts.of_dataset("core"))
        }


def found(statement: str, params: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """Rows of the warehouse."""
    with warehouse.connect() as conn:
        return warehouse.rows(conn, statement, params)


@contextmanager
def nothing_changes() -> Iterator[None]:
    """What the block does leaves raw and core as they were."""
    before = hashes()
    yield
    assert hashes() == before

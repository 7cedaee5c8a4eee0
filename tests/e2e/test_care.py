"""Replay, erasure and upkeep through the real scheduler: a small shop, the DAGs as REST starts them.

The tests of this module go on from one another.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from include import contracts, warehouse
from include.demo_shop import load
from include.launcher.servers.api import Api, Run
from include.persons import erasure_requests, pseudonym
from tests.sql.small_shop import OFF, fill_shop, found, owner, policy_without

from .conftest import clean_environment, platform_in, wait

pytestmark = pytest.mark.slow

DAGS = ["regulars_ingest", "regulars_erase", "regulars_upkeep"]
GONE = "c5"


@pytest.fixture(scope="module")
def airflow() -> Iterator[tuple[Api, str]]:
    """Airflow's own components over a small shop, and its metadata database's address."""
    home = Path(tempfile.mkdtemp(prefix="regulars-care-"))
    rules = policy_without(OFF, home / "policy.yml")
    environment = clean_environment(home) | {"REGULARS_POLICY": str(rules)}
    with platform_in(home, environment) as held:
        with warehouse.connect() as conn:
            contracts.migrate(conn)
        with warehouse.connect("shop_owner") as conn, conn.cursor() as cursor:
            load.create_schema(cursor)
        fill_shop()
        held.airflow.migrate()
        held.airflow.start()
        held.airflow.wait()
        api = held.airflow.api()
        wait(lambda: set(DAGS) <= api.dags(), 60, "the DAGs")
        api.unpause(DAGS)
        yield api, held.urls["airflow"]
        api.close()


def run_to_end(api: Api, dag: str, **conf: Any) -> Run:
    """Start a DAG with parameters and see it succeed."""
    run = api.trigger(dag, conf=conf)

    def ended() -> bool:
        state = api.run(run.dag, run.id).state
        assert state != "failed", "\n".join(
            line for task in api.tasks(run) for line in api.log(run, task)[-20:]
        )
        return state == "success"

    wait(ended, 300, f"{dag} with {conf}")
    return run


def aside() -> list[tuple[Any, ...]]:
    return found(
        "SELECT table_name, row_key, reasons FROM quarantine.rejected_rows ORDER BY table_name"
    )


def person(number: str) -> str:
    return str(pseudonym.pseudonym(number, pseudonym.key()))


def buy(order: str, customer: str) -> None:
    """An order of 2 March with one line, as the shop records it."""
    owner(
        f"INSERT INTO orders VALUES ('{order}', '{customer}', 's1', 'till', 'USD', '2017-03-02 17:00+00', "
        "'2017-03-02 17:00+00')",
        f"INSERT INTO order_lines VALUES ('{order}', 1, 'p1', 1, 2.50, 0, 0, 0, '2017-03-02 17:00+00')",
    )


def set_aside(order: str) -> list[tuple[Any, ...]]:
    return [
        ("core.order_lines", f"{order} / 1", ["orphan_order", "missing_customer_id"]),
        ("core.orders", order, ["orphan_customer", "missing_customer_id"]),
    ]


def sales_of(order: str) -> list[tuple[Any, ...]]:
    lines = "SELECT sales::text FROM core.order_lines WHERE order_id = %(order)s"
    return found(lines, {"order": order})


def test_an_orphan_leaves_quarantine_with_the_run_that_brings_its_customer(airflow):
    api, _ = airflow
    buy("early", "c99")
    run_to_end(api, "regulars_ingest", as_of="2017-03-04", since="2017-03-01")
    assert aside() == set_aside("early")
    # The shop records its customer three days later; that day's own run does not reach back so far.
    owner(
        "INSERT INTO customers (customer_number, home_store_id, registered_at, updated_at) "
        "VALUES ('c99', 's1', '2017-03-05 06:00+00', '2017-03-05 06:00+00')"
    )
    run_to_end(api, "regulars_ingest", as_of="2017-03-05", since="2017-03-05")
    assert aside() == []
    assert sales_of("early") == [("2.50",)]
    add_up()


def test_a_replay_publishes_what_passes_by_now_and_empties_its_quarantine(airflow):
    api, _ = airflow
    buy("torn", "c")
    run_to_end(api, "regulars_ingest", as_of="2017-03-05", since="2017-03-01")
    assert aside() == set_aside("torn")
    # Half of the customer's number got lost; it is put right in the shop, and where it was read to.
    owner("UPDATE orders SET customer_number = 'c1' WHERE order_number = 'torn'")
    with warehouse.connect() as conn:
        warehouse.execute(
            conn, "UPDATE raw.orders SET customer_number = 'c1' WHERE order_number = 'torn'"
        )
    replay = run_to_end(api, "regulars_ingest", as_of="2017-03-05", replay=True)
    states = {task.name: task.state for task in api.tasks(replay)}
    assert states["extract_raw"] == "skipped"  # the shop was not asked
    assert states["gate_core"] == "success"
    assert aside() == []
    assert sales_of("torn") == [("2.50",)]
    add_up()


def add_up() -> None:
    assert (
        found(
            "SELECT token, table_name FROM ops.row_counts "
            "WHERE extracted <> published + quarantined + duplicates"
        )
        == []
    )


def test_an_erasure_leaves_no_row_and_no_number_in_airflow(airflow):
    api, database = airflow
    counts = "SELECT count(*), count(DISTINCT customer_id) FROM core.orders"
    ((orders, persons),) = found(counts)
    ((hers,),) = found(
        "SELECT count(*) FROM core.orders WHERE customer_id = %(who)s", {"who": person(GONE)}
    )
    assert hers > 0
    request = erasure_requests.ask(GONE)
    run_to_end(api, "regulars_erase", request=request)
    assert found(counts) == [(orders - hers, persons - 1)]
    assert found("SELECT external_id FROM core.erasure_requests") == [(None,)]
    assert found("SELECT count(*) FROM raw.customers WHERE customer_number = 'c5'") == [(0,)]
    assert (
        found(
            "SELECT 1 FROM core.order_lines AS l LEFT JOIN core.orders AS o USING (order_id) "
            "WHERE o.order_id IS NULL"
        )
        == []
    )
    # The shop, which was not told, sends her again.
    run_to_end(api, "regulars_ingest", as_of="2017-03-05", since="2017-03-01")
    assert found(counts) == [(orders - hers, persons - 1)]
    add_up()
    assert metadata_tables_with(database, GONE) == []


def metadata_tables_with(database: str, number: str) -> list[str]:
    """Tables of Airflow's own database of which a row holds the number as a word."""
    metadata = psycopg2.connect(database)
    try:
        with metadata, metadata.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            names = [name for (name,) in cursor.fetchall()]
            holding = []
            for name in names:
                cursor.execute(
                    f'SELECT 1 FROM "{name}" AS t WHERE t::text ~ %s LIMIT 1',
                    (rf"(^|[^0-9a-zA-Z_-]){number}([^0-9a-zA-Z_-]|$)",),
                )
                if cursor.fetchone():
                    holding.append(name)
            return holding
    finally:
        metadata.close()


def test_upkeep_removes_what_is_past_its_retention_and_nothing_else(airflow):
    api, _ = airflow
    with warehouse.connect() as conn:
        warehouse.execute(
            conn,
            "INSERT INTO raw.orders (_partition, order_number) VALUES "
            "('2017-01-28', 'expired'), ('2017-01-29', 'kept')",
        )
    ((standing,),) = found("SELECT count(*) FROM core.orders")
    run_to_end(api, "regulars_upkeep")
    assert found(
        "SELECT order_number FROM raw.orders WHERE order_number IN ('expired', 'kept')"
    ) == [("kept",)]
    assert found("SELECT count(*) FROM core.orders") == [(standing,)]

"""Upkeep: what is expired, dead or unneeded goes, everything else stays."""

import pytest

from include import contracts, publication, warehouse
from include.steps import upkeep

NEWEST = "2017-10-01"


@pytest.fixture(autouse=True)
def _empty(request):
    request.getfixturevalue("warehouse")
    with warehouse.connect() as conn:
        for contract in contracts.all_contracts():
            if not contract.view:
                warehouse.execute(conn, f"TRUNCATE {contract.name}")


def run(*statements: str) -> None:
    with warehouse.connect() as conn:
        for statement in statements:
            warehouse.execute(conn, statement)


def found(statement: str) -> list[tuple[object, ...]]:
    with warehouse.connect() as conn:
        return warehouse.rows(conn, statement)


def test_raw_rows_expire_beside_the_newest_published_day():
    run(
        "INSERT INTO ops.publications VALUES "
        f"('raw.orders', '{NEWEST}', 'raw', 1, 'r', 1, now()), "
        "('raw.orders', '2017-08-01', 'raw', 1, 'r', 1, now())",
        "INSERT INTO raw.orders (_partition, order_number) VALUES "
        f"('2017-08-26', 'old'), ('2017-08-27', 'kept'), ('{NEWEST}', 'new')",
    )
    assert upkeep.remove_expired()["raw.orders"] == 1
    assert found("SELECT order_number FROM raw.orders ORDER BY 1") == [("kept",), ("new",)]
    # That a day was published is not forgotten: it must not be built from nothing.
    assert found("SELECT count(*) FROM ops.publications") == [(2,)]
    assert upkeep.remove_expired()["raw.orders"] == 0


@pytest.mark.parametrize("table", ["raw.orders", "quarantine.rejected_rows"])
def test_a_history_that_was_loaded_at_once_is_kept_from_its_load_on(table):
    insert = {
        "raw.orders": "INSERT INTO raw.orders (_partition, order_number, _loaded_at) "
        "SELECT day, loaded, loaded::timestamptz",
        "quarantine.rejected_rows": "INSERT INTO quarantine.rejected_rows (table_name, payload_hash, "
        "occurrence, business_day, reasons, payload, _loaded_at) "
        "SELECT 'core.orders', loaded, 1, day, '{}', '{}', loaded::timestamptz",
    }[table]
    run(
        f"INSERT INTO ops.publications VALUES ('{table}', '{NEWEST}', 'raw', 1, 'r', 1, now())",
        f"{insert} FROM (VALUES "
        "(date '2015-01-01', '2017-08-26 23:00+00'), (date '2015-01-02', '2017-08-28 01:00+00'), "
        f"(date '{NEWEST}', '2017-10-02 00:00+00'), (date '2017-09-30', '2017-08-01 00:00+00')"
        ") AS r (day, loaded)",
    )
    assert upkeep.remove_expired()[table] == 1
    day = "_partition" if table == "raw.orders" else "business_day"
    assert found(f"SELECT {day}::text FROM {table} ORDER BY 1") == [
        ("2015-01-02",), ("2017-09-30",), (NEWEST,),
    ]  # fmt: skip


def test_core_does_not_expire_and_quality_expires_by_the_clock():
    run(
        "INSERT INTO core.reviews (review_id, customer_id, product_id, rating, written_at, business_day) "
        "VALUES (1, gen_random_uuid(), 'p', 5, '2011-01-01', '2011-01-01')",
        "INSERT INTO ops.notices (dag_id, run_id, body, channel, delivered, recorded_at) "
        "SELECT 'd', 'r' || n, 'b', 'log', true, now() - n * interval '1 day' "
        "FROM generate_series(399, 402) AS n",
    )
    assert upkeep.remove_expired()["ops.notices"] == 3
    assert found("SELECT count(*) FROM core.reviews") == [(1,)]


def test_every_retention_has_something_to_tell_age_by():
    kept = [c for c in contracts.all_contracts() if c.retention_days is not None]
    assert len(kept) > 20
    for contract in kept:
        assert contract.ages_by is not None
        assert contract.column(contract.ages_by).type in ("date", "timestamptz"), contract.name
    upkeep.remove_expired()


def test_batches_that_died_are_dropped_and_those_at_work_are_not():
    with warehouse.connect() as conn:
        batches = [
            publication.open_batch(conn, "core", f"2017-10-0{n}", None, "r") for n in (1, 2, 3)
        ]
    dead, published, at_work = batches
    run(
        f"UPDATE ops.batches SET opened_at = now() - interval '49 hours' WHERE token = {dead.token}",
        "UPDATE ops.batches SET opened_at = now() - interval '49 hours', published_at = now() "
        f"WHERE token = {published.token}",
        "CREATE SCHEMA stage_999999",  # of a warehouse that was restored without its ops
    )
    assert upkeep.drop_dead_batches() == 2
    with warehouse.connect() as conn:
        assert [publication.is_staged(conn, b) for b in batches] == [False, True, True]
    assert found(f"SELECT staged FROM ops.batches WHERE token = {dead.token}") == [(False,)]
    assert found("SELECT to_regnamespace('stage_999999')") == [(None,)]
    assert upkeep.drop_dead_batches() == 0
    assert at_work.token


def test_models_that_no_champion_needs_lose_their_bytes():
    def model(version: str, anchor: str, champion: bool, kind: str = "value") -> str:
        return (
            "INSERT INTO ml.models (model_version, kind, anchor, algorithm, is_champion, manifest, metrics, "
            f"artefact) VALUES ('{version}', '{kind}', '{anchor}', 'a', {champion}, '{{}}', '{{}}', '\\x01')"
        )

    run(
        model("ancient", "2016-08-01", True),
        model("rival", "2017-09-24", False),
        model("serves", "2017-10-01", True),
        model("newer-rival", "2017-10-01", False),
        model("only", "2015-01-01", True, kind="als"),
        model("loser", "2017-01-01", False, kind="als"),
    )
    assert upkeep.remove_old_models() == {"emptied": 1, "removed": 1}
    assert found("SELECT model_version, artefact IS NULL FROM ml.models ORDER BY 1") == [
        ("loser", False),  # newer than any champion of its kind: it may become one
        ("newer-rival", False),
        ("only", False),
        ("rival", True),
        ("serves", False),
    ]


def test_statistics_are_brought_up_to_date():
    run(
        "INSERT INTO core.stores (store_id, valid_from, known_at) SELECT 's' || n, now(), now() "
        "FROM generate_series(1, 500) AS n"
    )
    assert upkeep.analyze_tables() > 40
    assert found("SELECT reltuples FROM pg_class WHERE oid = 'core.stores'::regclass") == [(500,)]

"""Write, audit, publish on a real PostgreSQL, with small tables of the tests' own."""

import shutil
import threading
from dataclasses import replace

import pytest

from include import (
    contracts,
    publication,
    quality,
    warehouse,
)
from include.errors import BadInput, QualityStop, Superseded
from include.publication import Batch
from include.steps import gate

DAYS = """
description: A table by day.
grain: one row per day and number
dataset: core
keys: [number]
partition: day
columns:
  - {name: number, type: integer, description: The key.}
  - {name: day, type: date, description: The business day.}
  - {name: amount, type: integer, nullable: false, description: What is counted.}
  - {name: known_at, type: timestamptz, description: When it was known.}
  - {name: run_id, type: text, run: true, description: The run.}
  - {name: updated_at, type: timestamptz, run: true, description: When the content last moved.}
rejects:
  - {reason: negative_amount, when: "amount < 0", expected: an amount of 0 or more}
  - {reason: odd_remainder, when: "amount % 7 = 6 AND number::text LIKE '9%'", expected: no remainder of 6}
checks:
  - {expect: column_values_to_be_between, column: amount, max_value: 1000, severity: critical}
  - {expect: table_row_count_to_be_between, min_value: 2, severity: warning}
  - {expect: column_values_to_not_be_null, column: known_at, mostly: 0.9, severity: critical}
"""

VERSIONS = """
description: A table with versions.
grain: one row per number and version
dataset: core
keys: [number, valid_from]
write: upsert
history: {key: [number]}
columns:
  - {name: number, type: integer, description: The key.}
  - {name: valid_from, type: timestamptz, description: From when.}
  - {name: valid_to, type: timestamptz, description: Until when.}
  - {name: known_at, type: timestamptz, description: When it was known.}
  - {name: colour, type: text, description: What changes.}
"""

ONCE = """
description: A table that stands once published.
grain: one row per day and number
dataset: scores
keys: [day, number]
partition: day
write: once
columns:
  - {name: day, type: date, description: The business day.}
  - {name: number, type: integer, description: The key.}
"""


@pytest.fixture
def toys(request, tmp_path, monkeypatch):
    """Contracts of the tests' own in a fresh warehouse."""
    request.getfixturevalue("warehouse")
    root = tmp_path / "sql"
    for schema in ("ops", "quarantine"):
        shutil.copytree(warehouse.SQL_ROOT / schema, root / schema)
    (root / "core").mkdir()
    for name, text in {"days": DAYS, "versions": VERSIONS, "decided": ONCE}.items():
        (root / "core" / f"{name}.yml").write_text(text)
    monkeypatch.setattr(warehouse, "SQL_ROOT", root)
    # These tables hold no people to put together.
    core = replace(gate.BESIDE["core"], settle=lambda conn, batch: 0)
    monkeypatch.setitem(gate.BESIDE, "core", core)
    caches = (contracts.load, contracts.all_contracts)
    for cached in caches:
        cached.cache_clear()
    with warehouse.connect() as conn:
        for table in ("days", "versions", "decided"):
            warehouse.execute(conn, f"DROP TABLE IF EXISTS core.{table}")
        warehouse.execute(
            conn, "TRUNCATE ops.publications, ops.quality_results, quarantine.rejected_rows"
        )
        contracts.migrate(conn)
    yield root
    for cached in caches:
        cached.cache_clear()


def staged(dataset="core", as_of="2017-10-03", since=None, run_id="run", **tables):
    """A batch with the given rows: `table=[(column values), ...]`."""
    with warehouse.connect() as conn:
        batch = publication.open_batch(conn, dataset, as_of, since, run_id)
        publication.stage(conn, batch, contracts.load("quarantine", "rejected_rows"))
        for name, records in tables.items():
            contract = contracts.load("core", name)
            table = publication.stage(conn, batch, contract)
            columns = contract.content[: len(records[0])] if records else contract.content
            warehouse.copy_rows(conn, records, table, columns)
            quality.screen(conn, batch, contract, quality.accounts.Part(len(records)))
    return batch


def publish(batch):
    with warehouse.connect() as conn:
        return publication.publish(conn, batch, publication.claim_day(conn, batch))


def standing(query):
    with warehouse.connect() as conn:
        return warehouse.rows(conn, query)


def test_a_day_is_replaced_and_unchanged_rows_are_not_touched(toys):
    publish(staged(days=[(1, "2017-10-03", 5), (2, "2017-10-03", 6)], run_id="first"))
    before = dict(standing("SELECT number, updated_at FROM core.days"))
    publish(staged(days=[(1, "2017-10-03", 5), (3, "2017-10-03", 7)], run_id="second"))
    assert standing("SELECT number, amount, run_id FROM core.days ORDER BY 1") == [
        (1, 5, "first"),
        (3, 7, "second"),
    ]
    assert dict(standing("SELECT number, updated_at FROM core.days"))[1] == before[1]


def test_a_row_that_moves_to_another_day_moves_and_is_not_doubled(toys):
    publish(staged(since="2017-10-01", days=[(1, "2017-10-01", 5)]))
    publish(staged(since="2017-10-01", days=[(1, "2017-10-02", 5)]))
    assert standing("SELECT number, day::text FROM core.days") == [(1, "2017-10-02")]


def test_an_older_batch_never_replaces_the_days_of_a_newer_one(toys):
    older = staged(
        as_of="2017-10-03", since="2017-10-02", days=[(1, "2017-10-02", 1), (2, "2017-10-03", 1)]
    )
    newer = staged(as_of="2017-10-02", since="2017-10-01", days=[(1, "2017-10-02", 9)])
    publish(newer)
    publish(older)
    assert standing("SELECT number, amount FROM core.days ORDER BY 1") == [(1, 9), (2, 1)]


def test_the_order_of_publication_does_not_matter(toys):
    def batches():
        return [
            staged(as_of="2017-10-01", since="2017-09-30", days=[(1, "2017-10-01", 1)]),
            staged(
                as_of="2017-10-02",
                since="2017-10-01",
                days=[(1, "2017-10-01", 2), (2, "2017-10-02", 2)],
            ),
            staged(
                as_of="2017-10-03",
                since="2017-10-02",
                days=[(2, "2017-10-02", 3), (3, "2017-10-03", 3)],
            ),
        ]

    hashes = set()
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)):
        made = batches()
        for place in order:
            publish(made[place])
        with warehouse.connect() as conn:
            hashes.add(publication.content_hash(conn, contracts.load("core", "days")))
            warehouse.execute(conn, "DELETE FROM core.days")
            warehouse.execute(conn, "DELETE FROM ops.publications")
    assert len(hashes) == 1


def test_a_stalled_attempt_that_wakes_after_its_retry_is_refused(toys):
    batch = staged(days=[(1, "2017-10-03", 5)])
    with warehouse.connect() as conn:
        stalled = publication.claim_day(conn, batch)
    with warehouse.connect() as conn:
        retry = publication.claim_day(conn, batch)
    with warehouse.connect() as conn:
        publication.publish(conn, batch, retry)
    with pytest.raises(Superseded, match="newest"), warehouse.connect() as conn:
        publication.publish(conn, batch, stalled)


def test_versions_follow_one_another_in_whatever_order_they_arrive(toys):
    early = [(1, "2017-01-01", None, "2017-01-01", "red")]
    late = [(1, "2017-03-01", None, "2017-03-01", "blue")]
    publish(staged(as_of="2017-03-01", versions=late))
    publish(staged(as_of="2017-01-01", versions=early))
    assert standing(
        "SELECT colour, valid_from::date::text, valid_to::date::text FROM core.versions ORDER BY 2"
    ) == [("red", "2017-01-01", "2017-03-01"), ("blue", "2017-03-01", None)]


def test_a_day_that_was_decided_stands(toys):
    publish(staged("scores", decided=[("2017-10-03", 1)]))
    publish(staged("scores", decided=[("2017-10-03", 2)]))
    assert standing("SELECT number FROM core.decided") == [(1,)]


def test_bad_rows_are_set_aside_with_every_reason_and_counts_add_up(toys):
    batch = staged(
        days=[
            (1, "2017-10-03", 5),
            (1, "2017-10-03", 5),  # an exact duplicate
            (2, "2017-10-03", -1),
            (2, "2017-10-03", -1),  # rejected as often as it came
            (None, "2017-10-03", -7),
            (3, "2017-10-03", None),
        ]
    )
    gate.gate(batch.as_dict(), rebuild=lambda run: run)
    assert standing("SELECT number, amount FROM core.days") == [(1, 5)]
    found = standing("SELECT row_key, reasons FROM quarantine.rejected_rows")
    assert sorted(found, key=str) == [
        ("", ["negative_amount"]),
        ("2", ["negative_amount"]),
        ("2", ["negative_amount"]),
        ("3", ["missing_amount"]),
    ]
    (counts,) = standing(
        "SELECT extracted, published, quarantined, duplicates FROM ops.row_counts "
        f"WHERE token = {batch.token}"
    )
    assert counts == (6, 1, 4, 1)


def test_of_one_key_the_newest_known_wins_and_the_older_is_kept_aside(toys):
    batch = staged(days=[(4, "2017-10-03", 2, "2017-10-02"), (4, "2017-10-03", 1, "2017-10-01")])
    publish(batch)
    assert standing("SELECT amount FROM core.days") == [(2,)]
    assert standing("SELECT payload->>'amount', reasons FROM quarantine.rejected_rows") == [
        ("1", ["superseded"])
    ]


def test_a_critical_check_stops_and_yesterdays_rows_stand(toys):
    publish(staged(days=[(1, "2017-10-03", 5)]))
    with pytest.raises(QualityStop, match="nothing was published"):
        gate.gate(staged(days=[(1, "2017-10-03", 5000)]).as_dict(), rebuild=lambda run: run)
    assert standing("SELECT amount FROM core.days") == [(5,)]
    assert standing(
        "SELECT severity, unexpected_count FROM ops.quality_results "
        "WHERE NOT passed AND check_name LIKE 'column_values_to_be_between%'"
    ) == [("critical", 1)]


def test_a_warning_is_kept_and_does_not_stop(toys):
    gate.gate(staged(days=[(1, "2017-10-03", 5)]).as_dict(), rebuild=lambda run: run)
    assert standing("SELECT amount FROM core.days") == [(5,)]
    assert (False, "warning") in standing("SELECT passed, severity FROM ops.quality_results")


def test_a_percent_sign_in_a_rule_is_a_percent_sign(toys):
    publish(staged(days=[(91, "2017-10-03", 13), (92, "2017-10-03", 14), (8, "2017-10-03", 13)]))
    assert standing("SELECT number FROM core.days ORDER BY 1") == [(8,), (92,)]
    assert standing("SELECT reasons FROM quarantine.rejected_rows") == [(["odd_remainder"],)]


@pytest.mark.parametrize(
    ("rows", "stops"), [(quality.LEAST_ROWS - 1, False), (quality.LEAST_ROWS, True)]
)
def test_a_share_of_very_few_rows_only_warns(toys, rows, stops):
    batch = staged(days=[(n, "2017-10-03", 1) for n in range(rows)])
    if stops:
        with pytest.raises(QualityStop, match=r"mostly=0\.9"):
            gate.gate(batch.as_dict(), rebuild=lambda run: run)
    else:
        gate.gate(batch.as_dict(), rebuild=lambda run: run)
    assert standing(
        "SELECT severity FROM ops.quality_results WHERE NOT passed AND check_name LIKE '%mostly%'"
    ) == [("critical" if stops else "warning",)]


@pytest.mark.parametrize("day", ["2017-10-01", "2017-10-04", None])
def test_a_row_outside_the_window_stops_and_is_not_left_behind_in_silence(toys, day):
    publish(staged(days=[(1, "2017-10-03", 5)]))
    batch = staged(since="2017-10-02", days=[(1, "2017-10-03", 6)])
    with warehouse.connect() as conn:
        warehouse.execute(
            conn,
            f"INSERT INTO {batch.schema}.days (number, day, amount) VALUES (2, %(day)s, 1)",
            {"day": day},
        )
    with pytest.raises(QualityStop, match=r"Expected day"):
        gate.gate(batch.as_dict(), rebuild=lambda run: run)
    assert standing("SELECT number, amount FROM core.days") == [(1, 5)]


def test_a_row_that_a_newer_batch_moved_is_not_taken_back_by_an_older_one(toys):
    older = staged(as_of="2017-10-02", since="2017-10-01", days=[(1, "2017-10-01", 1)])
    publish(staged(as_of="2017-10-04", since="2017-10-03", days=[(1, "2017-10-04", 2)]))
    publish(older)
    assert standing("SELECT day::text, amount FROM core.days") == [("2017-10-04", 2)]


def test_the_log_says_whether_a_day_was_published_or_stood(toys, caplog):
    with caplog.at_level("INFO", "include.steps.gate"):
        gate.gate(staged("scores", decided=[("2017-10-03", 1)]).as_dict(), rebuild=lambda run: run)
        assert "Published scores of 2017-10-03" in caplog.text
        caplog.clear()
        gate.gate(staged("scores", decided=[("2017-10-03", 2)]).as_dict(), rebuild=lambda run: run)
    assert "stands as it was first published" in caplog.text
    assert "Published" not in caplog.text


def test_rows_that_do_not_add_up_stop(toys):
    batch = staged(days=[(1, "2017-10-03", 5)])
    with warehouse.connect() as conn:
        warehouse.execute(
            conn, "UPDATE ops.row_counts SET extracted = 9 WHERE token = %(token)s", batch.params
        )
    with pytest.raises(QualityStop, match="9 extracted rows"):
        gate.gate(batch.as_dict(), rebuild=lambda run: run)


def test_a_gate_builds_again_what_is_gone(toys):
    batch = staged(days=[(1, "2017-10-03", 5)])
    publish(batch)
    publish(staged(as_of="2017-10-04", days=[(2, "2017-10-04", 6)]))  # drops the older staged batch
    asked = []

    def rebuild(run):
        asked.append(run["as_of"])
        return staged(days=[(1, "2017-10-03", 5)]).as_dict()

    gate.gate(batch.as_dict(), rebuild=rebuild)
    assert asked == ["2017-10-03"]


def test_an_attempt_that_never_ended_is_swept_away_when_its_day_is_published(toys):
    left, other = staged(days=[(1, "2017-10-03", 5)]), staged(as_of="2017-10-04", days=[])
    publish(staged(days=[(1, "2017-10-03", 6)]))
    with warehouse.connect() as conn:
        assert not publication.is_staged(conn, left)
        assert publication.is_staged(conn, other)  # another day's may still be at work


def test_readers_never_see_an_empty_table_or_half_a_day(toys):
    publish(staged(days=[(n, "2017-10-03", 1) for n in range(100)]))
    seen, stop = set(), threading.Event()

    def poll():
        with warehouse.connect() as conn:
            conn.autocommit = True
            while not stop.is_set():
                seen.add(
                    tuple(
                        warehouse.rows(
                            conn, "SELECT count(*), min(amount), max(amount) FROM core.days"
                        )
                    )
                )

    readers = [threading.Thread(target=poll) for _ in range(8)]
    for reader in readers:
        reader.start()
    for amount in (2, 3, 4):
        publish(staged(days=[(n, "2017-10-03", amount) for n in range(100)]))
    stop.set()
    for reader in readers:
        reader.join()
    assert seen <= {((100, amount, amount),) for amount in (1, 2, 3, 4)}


def test_a_changed_type_is_refused_and_a_new_column_is_added(toys):
    path = toys / "core" / "days.yml"
    path.write_text(DAYS.replace("amount, type: integer", "amount, type: text"))
    contracts.load.cache_clear()
    contracts.all_contracts.cache_clear()
    with (
        pytest.raises(BadInput, match=r"core\.days\.amount to be text"),
        warehouse.connect() as conn,
    ):
        contracts.migrate(conn)
    path.write_text(
        DAYS.replace("rejects:", "  - {name: extra, type: text, description: New.}\nrejects:")
    )
    contracts.load.cache_clear()
    contracts.all_contracts.cache_clear()
    with warehouse.connect() as conn:
        assert contracts.migrate(conn)[0] == "added column core.days.extra"


def test_a_batch_survives_the_way_through_xcom(toys):
    batch = staged(days=[(1, "2017-10-03", 5)])
    assert Batch.from_dict(batch.as_dict() | {"rows": {"days": 1}}) == batch

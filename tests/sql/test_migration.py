"""An upgrade of a warehouse, on small tables of the tests' own: what is brought up, kept, and refused."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import psycopg2
import pytest

import include
from include import contracts, publication, warehouse
from include.contracts import migration, tables
from include.contracts.widening import holds
from include.errors import BadInput, Unreachable
from include.launcher.servers import databases

DAYS = """
description: A table by day.
grain: one row per day and number
dataset: core
keys: [number]
partition: day
current: true
columns:
  - {name: number, type: integer, description: The key.}
  - {name: day, type: date, description: The business day.}
  - {name: amount, type: "numeric(6,2)", nullable: false, unit: money, description: What is counted.}
  - {name: run_id, type: text, run: true, description: The run.}
"""

NEW = "  - {name: colour, type: text, description: New.}\n"


@pytest.fixture
def days(request, server, home, tmp_path, monkeypatch):
    """A warehouse of its own with three rows in core.days; a function that changes the contract."""
    name = f"migration_{abs(hash(request.node.name))}"
    for connection, url in server.create("warehouse", name).items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection.upper()}", url)
    root = tmp_path / "sql"
    for schema in ("ops", "quarantine"):
        shutil.copytree(warehouse.SQL_ROOT / schema, root / schema)
    (root / "core").mkdir()
    monkeypatch.setattr(warehouse, "SQL_ROOT", root)

    def change(old: str = "", new: str = "", table: str = "days") -> None:
        assert old in DAYS
        (root / "core" / f"{table}.yml").write_text(DAYS.replace(old, new) if old else DAYS)
        forget()

    def forget() -> None:
        contracts.load.cache_clear()
        contracts.all_contracts.cache_clear()

    change()
    migrate()
    run(
        "INSERT INTO core.days (number, day, amount) "
        "VALUES (1, '2017-10-01', 1.25), (2, '2017-10-01', 1.25), (3, '2017-10-02', 9999.99)"
    )
    yield change
    forget()
    server.drop(name)


def migrate(say=lambda _: None) -> list[str]:
    with warehouse.connect() as conn:
        return contracts.migrate(conn, say)


def run(statement: str) -> None:
    with warehouse.connect() as conn:
        warehouse.execute(conn, statement)


def found(query: str):
    with warehouse.connect() as conn:
        return warehouse.rows(conn, query)


def admin(server, statement: str) -> None:
    """As the server's administrator, in the test's warehouse."""
    name = os.environ["AIRFLOW_CONN_WAREHOUSE"].rpartition("/")[2]
    with databases.admin(server.server.admin_url(), name) as conn:
        warehouse.execute(conn, statement)


def form() -> list[tuple[Any, ...]]:
    """Everything that a migration may change in core and ops, as the catalogues tell it."""
    return found(
        """
        SELECT 'column', a.attrelid::regclass::text, a.attname::text,
            format_type(a.atttypid, a.atttypmod), a.attnotnull::text
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace IN ('core'::regnamespace, 'ops'::regnamespace) AND a.attnum > 0
        UNION ALL
        SELECT 'index', i.indrelid::regclass::text, i.indexrelid::regclass::text,
            pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid)
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
        WHERE c.relnamespace IN ('core'::regnamespace, 'ops'::regnamespace)
        UNION ALL
        SELECT 'view', c.relname::text, pg_get_viewdef(c.oid), obj_description(c.oid), c.relacl::text
        FROM pg_class AS c WHERE c.relkind IN ('v', 'm') AND c.relnamespace = 'core'::regnamespace
        UNION ALL
        SELECT 'upgrade', version, oldest, upgraded_at::text, changes::text FROM ops.upgrades
        ORDER BY 1, 2, 3, 4, 5
        """
    )


def indexes(table: str = "days") -> set[str]:
    return {
        definition.partition(" USING ")[0].split()[1] + definition.partition(" USING btree ")[2]
        for (definition,) in found(
            f"SELECT indexdef FROM pg_indexes WHERE schemaname = 'core' AND tablename = '{table}'"
        )
    }


def test_an_empty_warehouse_comes_to_the_same_form_as_one_that_grew(days):
    grown = (
        "keys: [number]",
        "keys: [day, number]\nunique: [[number, colour]]\nindexes: [[amount, day]]",
    )
    days(*grown)
    text = (warehouse.SQL_ROOT / "core" / "days.yml").read_text()
    text = text.replace("numeric(6,2)", "numeric(9,4)")
    text += "  - {name: colour, type: text, nullable: false, fill: \"'red'\", description: New.}\n"
    for name in ("days", "fresh"):
        (warehouse.SQL_ROOT / "core" / f"{name}.yml").write_text(text)
    contracts.load.cache_clear()
    contracts.all_contracts.cache_clear()
    changes = migrate()
    assert "added column core.days.colour" in changes
    assert "made the key of core.days anew: day, number" in changes
    assert "made the unique set of core.days: number, colour" in changes
    assert "widened core.days.amount from numeric(6,2) to numeric(9,4)" in changes
    assert {row[1:] for row in form() if row[:2] == ("column", "core.days")} == {
        ("core.days", *row[2:]) for row in form() if row[:2] == ("column", "core.fresh")
    }
    assert indexes("days") == indexes("fresh")
    assert found("SELECT amount::text, colour FROM core.days ORDER BY number") == [
        ("1.2500", "red"),
        ("1.2500", "red"),
        ("9999.9900", "red"),
    ]
    assert migrate() == []


def test_a_new_index_and_a_new_unique_set_come_to_a_table_that_stands(days):
    days("keys: [number]", "keys: [number]\nindexes: [[amount]]\nunique: [[day, number]]")
    assert migrate() == [
        "made the unique set of core.days: day, number",
        "made the index of core.days: amount",
    ]
    assert {"UNIQUE(day, number)", "INDEX(amount)"} <= indexes()
    with pytest.raises(psycopg2.errors.UniqueViolation):
        run("INSERT INTO core.days SELECT * FROM core.days")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("keys: [amount]", "its own amount, found 2 rows"),
        ("keys: [number]\nunique: [[day, amount]]", "its own day, amount, found 2 rows"),
        ("keys: [number, run_id]", r"core\.days\.run_id to be filled, found 3 rows"),
    ],
)
def test_rows_that_break_a_new_key_stop_it_before_anything_is_changed(days, change, said):
    days("keys: [number]", change)
    with (warehouse.SQL_ROOT / "core" / "days.yml").open("a") as file:
        file.write(NEW)
    before = form()
    with pytest.raises(BadInput, match=said) as refused:
        migrate()
    assert "core.days" in str(refused.value)
    assert str(refused.value).endswith("Nothing was changed.")
    assert form() == before


def test_everything_in_the_way_is_told_at_once(days):
    days("keys: [number]", "keys: [number]\nunique: [[amount]]")
    days_text = (warehouse.SQL_ROOT / "core" / "days.yml").read_text()
    (warehouse.SQL_ROOT / "core" / "days.yml").write_text(
        days_text.replace("name: run_id, type: text", "name: run_id, type: uuid")
    )
    contracts.load.cache_clear()
    contracts.all_contracts.cache_clear()
    with pytest.raises(BadInput, match=r"(?s)run_id to be uuid.*own amount"):
        migrate()


def test_a_wider_type_keeps_values_and_whatever_reads_the_column(days):
    run(
        "CREATE VIEW core.mine WITH (security_barrier=true) "
        "AS SELECT amount * 2 AS double FROM core.current_days"
    )
    run("CREATE VIEW core.upon AS SELECT double, n.number FROM core.mine, core.days AS n")
    run("COMMENT ON VIEW core.mine IS 'for the board'")
    run("COMMENT ON COLUMN core.mine.double IS 'twice'")
    run("GRANT SELECT ON core.mine, core.current_days TO regulars_marketing")
    before = [row for row in form() if row[0] == "view"]
    options = "SELECT reloptions FROM pg_class WHERE oid = 'core.mine'::regclass"
    kept = found(options)
    days("numeric(6,2)", "numeric(8,3)")
    assert migrate() == ["widened core.days.amount from numeric(6,2) to numeric(8,3)"]
    assert found("SELECT amount::text FROM core.days ORDER BY number")[2] == ("9999.990",)
    assert [row for row in form() if row[0] == "view"] == before
    assert found(options) == kept
    assert found("SELECT col_description('core.mine'::regclass, 1)") == [("twice",)]


def test_a_type_that_would_lose_something_is_refused(days):
    days("numeric(6,2)", "numeric(7,1)")
    with pytest.raises(BadInput, match=r"core\.days\.amount to be numeric\(7,1\)"):
        migrate()


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("numeric(14,4)", "numeric(12,2)", True),
        ("numeric(13,4)", "numeric(12,2)", False),  # a digit less before the point
        ("numeric(12,2)", "numeric(12, 2)", True),
        ("numeric", "numeric(12,2)", True),
        ("numeric(12,2)", "numeric", False),
        ("numeric(10,0)", "integer", True),
        ("numeric(9,0)", "integer", False),
        ("bigint", "integer", True),
        ("integer", "bigint", False),
        ("double precision", "integer", True),
        ("double precision", "bigint", False),
        ("double precision", "numeric(6,2)", False),
        ("text", "integer", False),
        ("timestamptz", "timestamp with time zone", True),
    ],
)
def test_which_type_holds_every_value_of_another(wide, narrow, expected):
    assert holds(wide, narrow) is expected


def test_what_is_of_ones_own_is_kept(days, server):
    run("ALTER TABLE core.days ADD COLUMN note text DEFAULT 'mine'")
    run("CREATE INDEX my_amounts ON core.days (amount DESC) WHERE amount > 5")
    run("CREATE UNIQUE INDEX my_pairs ON core.days (number, amount)")
    run("CREATE VIEW core.mine AS SELECT number, day FROM core.current_days")
    run("GRANT SELECT ON core.current_days, core.mine, core.days TO regulars_marketing")
    admin(server, "CREATE SCHEMA bi")
    admin(server, "CREATE VIEW bi.theirs AS SELECT number, note FROM core.days")
    run("ALTER TABLE core.days ADD CONSTRAINT positive CHECK (amount > 0)")
    mine = ("note", "core.my_amounts", "core.my_pairs")
    kept = [row for row in form() if row[1] == "core.days" and row[2] in mine]
    grants = (
        "SELECT oid::regclass::text, relacl::text FROM pg_class "
        "WHERE relnamespace = 'core'::regnamespace"
    )
    allowed = set(found(grants))
    # In the middle, so that the view of the newest day must be made anew.
    days("  - {name: amount", NEW + "  - {name: amount")
    assert migrate() == ["added column core.days.colour", "defined view core.current_days"]
    assert [row for row in form() if row[1] == "core.days" and row[2] in mine] == kept
    assert len(kept) == 3
    assert set(found(grants)) == allowed
    assert found("SELECT number FROM core.mine") == []
    assert found("SELECT conname FROM pg_constraint WHERE conname = 'positive'")
    assert found("SELECT viewname FROM pg_views WHERE schemaname = 'bi'") == [("theirs",)]
    assert found(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'current_days' "
        "AND table_schema = 'core' ORDER BY ordinal_position"
    ) == [("number",), ("day",), ("colour",), ("amount",), ("run_id",)]


#: What somebody made of their own, how the contract changes (see the test), and what the refusal names.
IN_THE_WAY = {
    "a column of the new one's name": (
        "ALTER TABLE core.days ADD COLUMN colour integer",
        NEW,
        r"core\.days\.colour, found one of your own",
    ),
    "a column that may not be empty": (
        "ALTER TABLE core.days ADD COLUMN must text NOT NULL DEFAULT ''; "
        "ALTER TABLE core.days ALTER COLUMN must DROP DEFAULT",
        NEW,
        "column must of your own",
    ),
    "a materialized view of the column": (
        "CREATE MATERIALIZED VIEW core.frozen AS SELECT amount FROM core.days",
        "numeric(9,4)",
        r"core\.frozen",
    ),
    "a view with a rule": (
        "CREATE VIEW core.mine AS SELECT amount FROM core.days; "
        "CREATE RULE quiet AS ON INSERT TO core.mine DO INSTEAD NOTHING",
        "numeric(9,4)",
        r"core\.mine",
    ),
    "a column worked out of the column": (
        "ALTER TABLE core.days ADD COLUMN half numeric GENERATED ALWAYS AS (amount / 2) STORED",
        "numeric(9,4)",
        "half",
    ),
    "a table of the new one's name": (
        "CREATE TABLE core.more (number integer)",
        "more",
        r"core\.more, found one of your own",
    ),
    "a view of the new table's name": (
        "CREATE VIEW core.more AS SELECT 1 AS number",
        "more",
        r"core\.more, found a view of your own",
    ),
    "a table that refers to the key": (
        "CREATE TABLE core.refers (number integer REFERENCES core.days)",
        "key",
        "refers",
    ),
    "a view in the place of ours": (
        "DROP VIEW core.current_days; CREATE VIEW core.current_days AS SELECT 1 AS number",
        "",
        r"core\.current_days, found one of your own",
    ),
}


@pytest.mark.parametrize(("own", "change", "named"), IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_is_in_the_way_is_named_and_nothing_is_changed(days, own, change, named):
    run(own)
    if change == "more":
        days(table="more")
    elif change == "key":
        days("keys: [number]", "keys: [number, day]")
    elif change == "numeric(9,4)":
        days("numeric(6,2)", change)
    elif change:
        days("  - {name: run_id", change + "  - {name: run_id")
    before = form()
    with pytest.raises(BadInput, match=named) as refused:
        migrate()
    assert "Nothing was changed" in str(refused.value)
    assert form() == before


def test_the_view_of_another_owner_is_named(days, server):
    admin(server, "CREATE SCHEMA bi")
    admin(server, "CREATE VIEW bi.theirs AS SELECT amount FROM core.days")
    days("numeric(6,2)", "numeric(9,4)")
    with pytest.raises(BadInput, match=r"bi\.theirs .*postgres's"):
        migrate()


def test_what_a_contract_gives_up_goes_and_the_same_of_ones_own_stays(days):
    days("keys: [number]", "keys: [number]\nunique: [[day, number]]\nindexes: [[amount]]")
    migrate()
    run("CREATE UNIQUE INDEX mine ON core.days (number, day)")
    days()
    assert migrate() == [
        "gave up the index of core.days: amount",
        "gave up the unique set of core.days: day, number",
    ]
    assert indexes() == {"UNIQUE(number)", "INDEX(day)", "UNIQUE(number, day)"}


def test_an_index_and_a_key_that_somebody_renamed_are_still_ours(days):
    run("ALTER INDEX core.days_day_idx RENAME TO by_day")
    run("ALTER TABLE core.days RENAME CONSTRAINT days_pkey TO the_key")
    assert migrate() == []
    days("keys: [number]", "keys: [day, number]")
    assert migrate() == [
        "made the key of core.days anew: day, number",
        "gave up the index of core.days: day",
    ]
    assert indexes() == {"UNIQUE(day, number)"}


def test_a_column_that_is_given_up_stays_and_may_be_empty(days):
    line = next(line for line in DAYS.splitlines(keepends=True) if "amount" in line)
    days(line, "")
    assert migrate() == [
        "core.days.amount is no longer filled and may be empty",
        "defined view core.current_days",
    ]
    run("INSERT INTO core.days (number, day) VALUES (4, '2017-10-02')")
    assert found("SELECT amount FROM core.days WHERE number = 1")[0][0] is not None


def test_a_warehouse_without_marks_takes_them_and_gives_up_what_it_had(days, monkeypatch):
    """As one that version 0.1.0 made: it noted nothing."""
    days("keys: [number]", "keys: [number]\nunique: [[day, number]]")
    migrate()
    run("COMMENT ON INDEX core.days_pkey IS NULL")
    run("COMMENT ON INDEX core.days_day_number_idx IS NULL")
    run("DROP TABLE ops.upgrades")
    days("keys: [number]", "keys: [day, number]")
    monkeypatch.setitem(tables.UNIQUE_BEFORE_MARKS, "core.days", [["day", "number"]])
    assert "gave up the unique set of core.days: day, number" in migrate()
    assert indexes() == {"UNIQUE(day, number)"}
    assert found("SELECT oldest FROM ops.upgrades") == [(include.VERSION,)]


def test_an_upgrade_that_only_adds_lets_the_version_before_go_on(days):
    run("DROP TABLE ops.upgrades")
    days("  - {name: run_id", NEW + "  - {name: run_id")
    migrate()
    assert found("SELECT version, oldest FROM ops.upgrades") == [(include.VERSION, "0.1.0")]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("numeric(6,2)", "numeric(9,4)", "may no longer fit numeric"),
        ("keys: [number]", "keys: [day, number]", "by another key"),
        (
            "  - {name: run_id",
            "  - {name: must, type: text, nullable: false, fill: \"''\", description: New.}\n"
            "  - {name: run_id",
            "does not fill core.days.must",
        ),
    ],
)
def test_what_has_no_way_back_is_said_before_it_is_done(days, old, new, said):
    days(old, new)
    before, heard = form(), []

    def say(sentence: str) -> None:
        assert form() == before  # seen from another connection, and so committed
        heard.append(sentence)

    changes = migrate(say)
    assert len(heard) == 1
    assert said in heard[0]
    assert changes
    assert found("SELECT oldest FROM ops.upgrades ORDER BY upgraded_at DESC LIMIT 1") == [
        (include.VERSION,)
    ]


def test_a_newer_warehouse_is_refused_unless_it_lets_this_version_go_on(days):
    days("  - {name: run_id", NEW + "  - {name: run_id")
    row = "INSERT INTO ops.upgrades VALUES (clock_timestamp(), '9.1.0', '{}', '{{}}')"
    run(row.format("9.0.0"))
    before = form()
    with pytest.raises(BadInput, match=r"version 9\.1\.0 has upgraded, which needs 9\.0\.0"):
        migrate()
    assert form() == before
    run(row.format("0.1.0"))
    assert "added column core.days.colour" in migrate()


def test_staged_batches_in_the_form_of_before_are_dropped_and_others_kept(days):
    with warehouse.connect() as conn:
        old = publication.open_batch(conn, "core", "2017-10-01", None, "run")
        publication.stage(conn, old, contracts.load("core", "days"))
        other = publication.open_batch(conn, "scores", "2017-10-01", None, "run")
    days("  - {name: run_id", NEW + "  - {name: run_id")
    assert (
        f"dropped the staged batch {old.token} of core, which has the form of before" in migrate()
    )
    with warehouse.connect() as conn:
        assert not publication.is_staged(conn, old)
        assert publication.is_staged(conn, other)


def test_a_reader_that_holds_a_table_is_waited_for_and_then_named(days, monkeypatch):
    monkeypatch.setattr(migration, "LOCK_TIMEOUT", "200ms")
    days("  - {name: run_id", NEW + "  - {name: run_id")
    with warehouse.connect() as reader:
        warehouse.rows(reader, "SELECT * FROM core.days")
        with pytest.raises(Unreachable, match=r"added column core\.days\.colour.*another session"):
            migrate()
    assert migrate() == ["added column core.days.colour", "defined view core.current_days"]


def test_two_upgrades_at_once_are_one(days):
    days("keys: [number]", "keys: [number]\nunique: [[day, number]]")
    answers: list[list[str]] = []
    threads = [threading.Thread(target=lambda: answers.append(migrate())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, answers)) == [0, 0, 0, 1]


def test_an_upgrade_that_is_killed_leaves_the_warehouse_as_it_was(days):
    days("keys: [number]", "keys: [day, number]\nindexes: [[amount]]")
    before = form()
    code = """
import pathlib, sys, time
from include import contracts, warehouse
warehouse.SQL_ROOT = pathlib.Path(sys.argv[1])
with warehouse.connect() as conn:
    contracts.migrate(conn, lambda _: None)
    print("changed", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(warehouse.SQL_ROOT)],
        cwd=warehouse.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "changed\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    waited = time.monotonic()
    while found("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):
        assert time.monotonic() - waited < 30
        time.sleep(0.1)
    assert form() == before
    assert "made the key of core.days anew: day, number" in migrate()


def test_who_may_call_a_function_still_may_when_it_is_made_anew(days):
    path = warehouse.SQL_ROOT / "ops" / "record_delivery_event.function.sql"
    call = "ops.record_delivery_event(text, text, timestamptz, uuid, text)"
    run(f"GRANT EXECUTE ON FUNCTION {call} TO regulars_marketing")
    path.write_text(path.read_text().replace("RETURN FOUND;", "RETURN FOUND;  -- anew"))
    assert migrate() == ["defined function ops.record_delivery_event"]
    assert found(f"SELECT has_function_privilege('regulars_marketing', '{call}', 'EXECUTE')") == [
        (True,)
    ]
    assert found(f"SELECT has_function_privilege('public', '{call}', 'EXECUTE')") == [(False,)]

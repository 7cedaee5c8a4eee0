"""`bin/regulars source try`: what a source gives as it would be published, and nothing is written."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from include import warehouse as connections
from include.launcher import cli
from include.launcher.servers import databases, scratch
from include.launcher.servers.state import State
from include.warehouse import ROOT
from tests.sql import small_shop
from tests.sql.test_file_drop import HEADER, LIST, SOUND, deliver

MAPPING = ROOT / "include" / "sql" / "extract" / "file_drop" / "files.yml"

#: An invoice years after the others, so that a sample is less than all.
LATE = "539999,85123A,WHITE HANGING HEART,1,3/1/2012 9:00,2.55,12001,Norway"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of files outside the project."""
    deliver(tmp_path / "drop", "list.csv", "\n".join([HEADER, *SOUND, *LIST]))
    return tmp_path / "drop"


@pytest.fixture
def tried(warehouse, server, monkeypatch, capfdbinary) -> Callable[..., tuple[int, str, str]]:
    """Run the command on the tests' own server: its exit code, what it printed, and what it told."""
    monkeypatch.setenv("REGULARS_HOME", str(server.server.state.home))
    for name in ("AIRFLOW_CONN_WAREHOUSE", "REGULARS_FILE_DROP"):
        monkeypatch.setenv(name, os.environ.get(name, ""))

    def run(*arguments: str) -> tuple[int, str, str]:
        capfdbinary.readouterr()
        code = cli.main(["source", "try", *map(str, arguments)])
        printed = capfdbinary.readouterr()
        return code, printed.out.decode(), printed.err.decode()

    return run


def scratches(server) -> list[str]:
    with databases.admin(server.server.admin_url()) as conn:
        return [
            name
            for (name,) in connections.rows(
                conn, "SELECT datname FROM pg_database WHERE datname LIKE 'regulars_scratch_%'"
            )
        ]


def written(urls: dict[str, str]) -> list[tuple[object, ...]]:
    """The schemas of a warehouse, and how many batches were ever opened in it."""
    conn = psycopg2.connect(urls["warehouse"])
    try:
        return connections.rows(
            conn,
            "SELECT nspname, (SELECT count(*) FROM ops.batches) FROM pg_namespace WHERE nspname !~ '^pg_' "
            "ORDER BY 1",
        )
    finally:
        conn.close()


def accounts(text: str) -> dict[str, dict[str, Any]]:
    return {line["table"]: line for line in map(json.loads, text.splitlines())}


def test_a_line_a_table_adds_up_and_nothing_is_written(tried, folder, warehouse, server):
    before = written(warehouse)
    code, out, told = tried(
        "--source", "file_drop", "--files", folder, "--all", "--until", "2011-12-07", "--json"
    )
    assert code == 0
    found = accounts(out)
    assert {
        "read": 45, "publish": 44, "set_aside": 1, "duplicates": 0,
        "reasons": {"missing_known_at": 1, "missing_ordered_at": 1},
    }.items() <= found["core.orders"].items()  # fmt: skip
    lines = found["core.order_lines"]
    assert (lines["read"], lines["publish"], lines["set_aside"]) == (49, 47, 2)
    assert lines["reasons"]["missing_sales"] == 1
    assert found["core.returns"]["publish"] == 1
    parts = lines["money_publish"] + lines["money_set_aside"] + lines["money_duplicates"]
    assert lines["money_read"] == pytest.approx(parts, abs=0.001)
    assert lines["money_set_aside"] == 4.2
    for one in found.values():
        assert one["read"] == one["publish"] + one["set_aside"] + one["duplicates"], one
    assert "Opening day: taken to be 2011-12-01" in told
    assert "Time zone: taken to be UTC" in told
    assert written(warehouse) == before
    assert scratches(server) == []


def test_rows_of_a_table_as_csv_and_as_read(tried, folder):
    asked = ("--source", "file_drop", "--files", folder, "--until", "2011-12-07", "--rows")
    code, out, _ = tried(*asked, "order_lines")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [
        (row["order_id"], row["line_number"], row["product_id"], float(row["sales"]))
        for row in rows
        if row["order_id"] == "536365"
    ] == [("536365", "1", "85123A", 15.3), ("536365", "2", "71053", 20.34)]
    assert len(rows) == 47
    raw = tried(*asked, "raw.order_lines", "--json")[1]
    assert len([json.loads(line) for line in raw.splitlines()]) == 49


def test_a_sample_knows_who_was_there_before_it(tried, tmp_path):
    deliver(tmp_path / "long", "list.csv", "\n".join([HEADER, *SOUND, *LIST[:2], *[LATE] * 12]))
    code, out, told = tried("--source", "file_drop", "--files", tmp_path / "long", "--json")
    assert code == 0
    assert "2012-02-03 to 2012-03-01 of 2011-12-01 to 2012-03-01 (--all takes all)" in told
    found = accounts(out)
    assert found["core.orders"]["read"] == found["core.orders"]["publish"] == 1
    assert found["core.customers"]["publish"] == 41


def test_a_mistyped_year_is_no_opening_day(tried, tmp_path):
    deliver(
        tmp_path / "odd",
        "list.csv",
        "\n".join(
            [HEADER, *SOUND, LIST[0].replace("12/5/2011", "12/5/1911").replace("536365", "1")]
        ),
    )
    _, out, told = tried("--source", "file_drop", "--files", tmp_path / "odd", "--all", "--json")
    assert "Opening day: taken to be 2011-12-01" in told
    assert accounts(out)["core.orders"]["publish"] == 40
    assert accounts(out)["core.orders"]["reasons"]["missing_ordered_at"] == 1


def test_a_mapping_of_ones_own_stands_anywhere_and_no_policy_is_needed(
    tried, tmp_path, monkeypatch
):
    policy = tmp_path / "policy.yml"
    policy.write_text("shop: [this is no policy")
    monkeypatch.setenv("REGULARS_POLICY", str(policy))
    header = HEADER.replace("InvoiceNo", "Rechnung")
    deliver(tmp_path / "theirs", "list.csv", "\n".join([header, *SOUND, *LIST]))
    mapping = tmp_path / "mine.yml"
    mapping.write_text(MAPPING.read_text().replace("[InvoiceNo, Invoice]", "[Rechnung]"))
    code, out, told = tried(
        *("--source", "mine", "--files", tmp_path / "theirs", "--mapping", mapping),
        *("--all", "--until", "2011-12-07", "--json"),
    )
    assert code == 0, told
    assert accounts(out)["core.orders"]["publish"] == 44
    assert "The policy in force cannot be read" in told


def test_the_policy_counts_where_it_is_about_the_source(tried, folder, tmp_path, monkeypatch):
    rules = yaml.safe_load((ROOT / "config" / "policy.yml").read_text())
    opened = date(2011, 12, 6)
    rules["shop"] |= {"source": "file_drop", "currency": "GBP", "opened_on": opened, "clock": None}
    rules["models"]["anchor_start"] = opened
    rules["ingest"]["sources"] = {
        name: name in yaml.safe_load(MAPPING.read_text())["tables"]
        for name in rules["ingest"]["sources"]
    } | {"returns": False}
    policy = tmp_path / "policy.yml"
    policy.write_text(yaml.safe_dump(rules))
    monkeypatch.setenv("REGULARS_POLICY", str(policy))
    code, out, told = tried("--source", "file_drop", "--files", folder, "--all", "--json")
    assert code == 0
    assert "core.returns" not in accounts(out)
    assert "taken to be" not in told
    # Dates before the opening count as unreadable.
    assert accounts(out)["core.orders"]["reasons"]["missing_ordered_at"] > 10


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--source", "nowhere"], "Expected one of the sources "),
        (["--source", "file_drop", "--files", "/nowhere/at/all"], "Expected a folder after --files"),
        (["--source", "file_drop", "--files", "."], "Expected files "),
        (["--source", "x", "--mapping", "/nowhere.yml"], "Expected a file after --mapping"),
        (["--source", "file_drop", "--until", "yesterday"], "Expected --until to be a business day"),
        (["--source", "file_drop", "--until", "1999-01-01"], "Expected --until on or after the first"),
        (["--source", "file_drop", "--rows", "core.nothing"], "Expected one of the tables core."),
        (["--source", "file_drop", "--timezone", "Mars"], "Expected a time zone "),
        (["--source", "file_drop", "--currency", "pounds"], "Expected a currency "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(tried, folder, tmp_path, arguments, sentence, server):
    given = arguments if "--files" in arguments else [*arguments, "--files", folder]
    given = [tmp_path if argument == "." else argument for argument in given]
    code, out, told = tried(*given)
    assert code == 2, told
    assert out == ""
    assert told.splitlines()[-1].startswith(sentence)
    assert scratches(server) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("    stamp: invoiced_at", "    stamp: invoiced"), "files.invoices.stamp: expected one of"),
        (("      product_number: upper(stock_code)", "      product_number: uper(stock_code)"),
         "tables.products: expected expressions over the columns of 'invoices', found: function uper"),
        (("      quantity: quantity", "      pieces: quantity"),
         "tables.order_lines.columns: expected columns of include/sql/raw/order_lines.yml, found pieces"),
        (("    separator:", "    seperator:"), "files.invoices.seperator: "),
        (("files:\n", "files: {\n"), "Expected YAML in "),
    ],
    ids=["stamp", "function", "column", "key", "no yaml"],
)  # fmt: skip
def test_errors_of_a_mapping_name_the_file_and_the_key(tried, folder, tmp_path, change, sentence):
    mapping = tmp_path / "mine.yml"
    mapping.write_text(MAPPING.read_text().replace(change[0], change[1], 1))
    code, _, told = tried("--source", "mine", "--files", folder, "--mapping", mapping)
    assert code == 2, told
    last = told.splitlines()[-1]
    assert str(mapping) in last
    assert sentence in last


def test_a_shop_in_a_database_is_tried_as_well(tried, shop, tmp_path, monkeypatch):
    small_shop.fill_shop()
    policy = small_shop.policy_without(small_shop.OFF, tmp_path / "policy.yml")
    monkeypatch.setenv("REGULARS_POLICY", str(policy))
    code, out, told = tried("--source", "complete_journey", "--all", "--json")
    assert code == 0, told
    found = accounts(out)
    assert found["core.orders"]["publish"] == 100
    assert found["core.order_lines"]["publish"] == 300


@pytest.mark.parametrize("request_", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_a_trial_that_is_ended_leaves_nothing_for_long(request_, tried, folder, server, tmp_path):
    rows = [LIST[0].replace("536365", str(n)) for n in range(600_000, 800_000)]
    deliver(tmp_path / "much", "list.csv", "\n".join([HEADER, *rows]))
    child = subprocess.Popen(
        [sys.executable, "-m", "include.launcher.cli", "source", "try", "--source", "file_drop",
         "--files", str(tmp_path / "much"), "--all"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "AIRFLOW_CONN_WAREHOUSE": ""},
    )  # fmt: skip
    try:
        for line in child.stderr or ():
            if line.startswith("Read "):
                break
        assert len(scratches(server)) == 1
        begun = time.monotonic()
        child.send_signal(request_)
        child.wait(60)
        assert time.monotonic() - begun < 15
    finally:
        child.kill()
        child.wait()
    if request_ == signal.SIGINT:
        assert child.returncode == 130
    else:
        assert len(scratches(server)) == 1
        time.sleep(3)  # the server notices by then that nobody waits for its answer
        assert tried("--source", "file_drop", "--files", folder)[0] == 0
    assert scratches(server) == []


def test_a_trial_beside_another_is_left_alone(server):
    state, admin = server.server.state, server.server.admin_url()
    with scratch.scratch(state, admin, server.passwords["regulars_etl"]) as first:
        with scratch.scratch(State(state.home), admin, server.passwords["regulars_etl"]) as second:
            assert first != second
            assert len(scratches(server)) == 2
        assert len(scratches(server)) == 1
    assert scratches(server) == []

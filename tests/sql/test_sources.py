"""Sources as they are added: every row accounted for, states kept, and shops and policies that lack them."""

import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from include import contracts, policy, warehouse
from include.console import data
from include.errors import BadInput
from include.launcher.commands import policy as command
from include.sources import offered
from include.steps import gate, ingest
from tests.sql.small_shop import (
    LAST,
    OFF,
    empty_warehouse,
    everything_on,
    fill_shop,
    found,
    ingest_day,
    owner,
    policy_without,
)
from tests.sql.source_rows import FACTS, SOURCES, STATES, early, more

NOON = "'2017-03-02 12:00+00'"
WITH_FAULTS = [name for name, rows in SOURCES.items() if "faults" in rows]


def rewrite(path: Path, change: Any) -> None:
    rules = yaml.safe_load(path.read_text())
    change(rules)
    path.write_text(yaml.safe_dump(rules, sort_keys=False))


@pytest.fixture(scope="module", autouse=True)
def _settings(shop, warehouse, home, module_env):
    module_env.setenv("REGULARS_POLICY", str(everything_on(home / "policy.yml")))


@pytest.fixture
def only_warehouses(home, monkeypatch) -> None:
    """The small shop, empty of everything else that may be off."""
    path = policy_without(OFF, home / "only_warehouses.yml")
    rewrite(path, lambda rules: rules["ingest"]["sources"].update(warehouses=True))
    monkeypatch.setenv("REGULARS_POLICY", str(path))
    fill_shop()
    empty_warehouse()


@pytest.fixture(scope="module")
def planted(_settings) -> None:
    """The small shop with rows of every source, good and bad, ingested once."""
    fill_shop()
    empty_warehouse()
    owner(*early((*STATES, *FACTS), NOON), *more(*WITH_FAULTS))
    for name in WITH_FAULTS:
        owner(*(f"INSERT INTO {name} VALUES {fault['row']}" for fault in SOURCES[name]["faults"]))
    ingest_day()


def test_there_are_sources_with_faults():
    assert "warehouses" in WITH_FAULTS


@pytest.mark.parametrize("source", WITH_FAULTS)
def test_every_row_of_a_source_is_published_set_aside_or_a_duplicate(planted, source):
    (core,) = (c.name for c in contracts.of_dataset("core") if c.source == f"raw.{source}")
    with warehouse.connect("shop") as conn:
        held = warehouse.value(conn, f"SELECT count(*) FROM {source}")
    params = {"table": core}
    ((extracted, published, set_aside, doubled),) = found(
        "SELECT extracted, published, quarantined, duplicates FROM ops.row_counts "
        "WHERE table_name = %(table)s ORDER BY token DESC LIMIT 1",
        params,
    )
    assert extracted == held == found(f"SELECT count(*) FROM raw.{source}")[0][0]
    assert published == found(f"SELECT count(*) FROM {core}")[0][0] > 0
    reasons = Counter(tuple(fault["reasons"]) for fault in SOURCES[source]["faults"])
    assert doubled == reasons.pop(("duplicate",), 0)
    assert reasons == Counter(
        tuple(row)
        for (row,) in found(
            "SELECT reasons FROM quarantine.rejected_rows WHERE table_name = %(table)s", params
        )
    )
    assert set_aside == reasons.total()
    assert extracted == published + set_aside + doubled


# --- warehouses ------------------------------------------------------------------------------------


def served() -> list[tuple[Any, ...]]:
    return found(
        "SELECT warehouse_id, region, name, serves, valid_from::date::text, valid_to::date::text "
        "FROM core.warehouses ORDER BY 1, 2, valid_from"
    )


def test_a_warehouse_serves_its_regions_each_from_when_to_when(only_warehouses):
    owner(
        "INSERT INTO stores VALUES ('s2', 'south', '2017-03-01 06:00+00')",
        "INSERT INTO warehouses VALUES (' w1 ', 'Hall', 'North', NULL, '2017-03-01 12:00+00'), "
        "('w1', 'Hall', 'south', true, '2017-03-01 12:00+00')",
    )
    ingest_day("2017-03-02", since="2017-03-01")
    both = [
        ("w1", "north", "Hall", True, "2017-03-01", None),
        ("w1", "south", "Hall", True, "2017-03-01", None),
    ]
    assert served() == both
    owner(
        "UPDATE warehouses SET serves = false, updated_at = '2017-03-04 12:00+00' "
        "WHERE region = 'south'"
    )
    ingest_day("2017-03-04", since="2017-03-03")
    ended = [
        both[0],
        ("w1", "south", "Hall", True, "2017-03-01", "2017-03-04"),
        ("w1", "south", "Hall", False, "2017-03-04", None),
    ]
    assert served() == ended
    # What was known on the second is still told, and a run of that day again changes nothing.
    then = (
        "SELECT warehouse_id, region, serves FROM core.warehouses WHERE valid_from <= '2017-03-03' "
    )
    assert found(f"{then} AND coalesce(valid_to, 'infinity') > '2017-03-03' ORDER BY 2") == [
        ("w1", "north", True),
        ("w1", "south", True),
    ]
    ingest_day("2017-03-02", since="2017-03-01")
    assert served() == ended


def test_a_region_that_gets_a_store_later_comes_in_by_a_replay(only_warehouses):
    owner("INSERT INTO warehouses VALUES ('w1', 'Hall', 'west', true, '2017-03-02 12:00+00')")
    ingest_day("2017-03-02", since="2017-03-01")
    assert served() == []
    owner("INSERT INTO stores VALUES ('s5', 'West', '2017-03-05 06:00+00')")
    ingest_day("2017-03-05", since="2017-03-05")
    assert served() == []
    plan = ingest.plan_replay({"as_of": LAST, "since": None, "run_id": "replay"})
    gate.gate(ingest.build_core(plan), rebuild=ingest.build_core)
    assert served() == [("w1", "west", "Hall", True, "2017-03-02", None)]
    assert found("SELECT count(*) FROM quarantine.rejected_rows") == [(0,)]


# --- policies and folders from before --------------------------------------------------------------


@pytest.fixture
def own_folder(tmp_path, monkeypatch) -> Path:
    """A shop's own folder of SELECTs, and a policy, that were made before there was a source warehouses."""
    root = tmp_path / "sql"
    root.mkdir()
    for folder in warehouse.SQL_ROOT.iterdir():
        if folder.name != "extract":
            (root / folder.name).symlink_to(folder)
    folder = root / "extract" / "my_shop"
    shutil.copytree(warehouse.SQL_ROOT / "extract" / "complete_journey", folder)
    (folder / "warehouses.sql").unlink()
    path = everything_on(tmp_path / "policy.yml")

    def older(rules: dict[str, Any]) -> None:
        rules["shop"]["source"] = "my_shop"
        del rules["ingest"]["sources"]["warehouses"]

    rewrite(path, older)
    monkeypatch.setattr(warehouse, "SQL_ROOT", root)
    monkeypatch.setattr(policy, "SOURCES", root / "extract")
    monkeypatch.setenv("REGULARS_POLICY", str(path))
    fill_shop()
    empty_warehouse()
    owner(*early((*STATES, *FACTS), NOON))
    return folder


def test_a_source_that_neither_policy_nor_folder_knows_is_absent_and_the_run_says_so(
    own_folder, caplog, capsys, tmp_path
):
    sentence = (
        "Expected include/sql/extract/my_shop/warehouses.sql, found none, and the policy does not name "
        "warehouses: it counts as switched off. Write it, or say so in config/policy.yml "
        "(ingest.sources.warehouses: false)."
    )
    with caplog.at_level(logging.INFO):
        counts = ingest_day()
    assert counts["core.orders"] == 101
    assert "core.warehouses" not in counts
    assert found("SELECT count(*) FROM core.warehouses") == [(0,)]
    assert [r.getMessage() for r in caplog.records if "warehouses" in r.getMessage()] == [sentence]
    # On call sees it among the findings of the day, and whoever checks the policy before.
    with warehouse.connect() as conn:
        day = found("SELECT max(as_of) FROM ops.quality_results")[0][0]
        told = [f for f in data.findings(conn, day) if f.table == "raw.warehouses"]
    assert [(f.check, f.severity, f.message) for f in told] == [("delivered", "warning", sentence)]
    assert command.main(["check", str(tmp_path / "policy.yml")]) == 0
    assert f"Warning: {sentence}\n" in capsys.readouterr().out


def test_what_was_said_of_an_absent_source_is_past_once_the_policy_switches_it_off(
    own_folder, tmp_path
):
    ingest_day()
    rewrite(
        tmp_path / "policy.yml", lambda rules: rules["ingest"]["sources"].update(warehouses=False)
    )
    with warehouse.connect() as conn:
        day = found("SELECT max(as_of) FROM ops.quality_results")[0][0]
        assert [f for f in data.findings(conn, day) if f.table == "raw.warehouses"] == []


def test_a_source_that_the_policy_does_not_name_is_taken_where_the_folder_has_it(own_folder):
    shutil.copy(policy.ROOT / "include/sql/extract/complete_journey/warehouses.sql", own_folder)
    assert ingest_day()["core.warehouses"] == 1


@pytest.mark.parametrize("named", [True, None], ids=["named as on", "needed"])
def test_a_source_that_must_be_there_stops_the_run_with_one_sentence(
    own_folder, tmp_path, named, capsys
):
    source = "warehouses" if named else "orders"
    advice = (
        r"write it, or switch the source off in config/policy\.yml \(ingest\.sources\.warehouses: false\)"
        if named
        else "write it, since no day can be worked out without it"
    )

    def change(rules: dict[str, Any]) -> None:
        if named:
            rules["ingest"]["sources"][source] = True
        else:
            del rules["ingest"]["sources"][source]
            (own_folder / f"{source}.sql").unlink()

    rewrite(tmp_path / "policy.yml", change)
    expected = rf"^Expected include/sql/extract/my_shop/{source}\.sql, found none: {advice}\.$"
    with pytest.raises(BadInput, match=expected):
        ingest_day()
    assert found("SELECT count(*) FROM ops.publications") == [(0,)]
    assert command.main(["check", str(tmp_path / "policy.yml")]) == 0
    assert f"my_shop/{source}.sql, found none: write it" in capsys.readouterr().out


def test_a_mapping_of_files_that_lacks_a_source_does_as_well(monkeypatch, tmp_path):
    path = everything_on(tmp_path / "policy.yml")

    def older(rules: dict[str, Any]) -> None:
        rules["shop"]["source"] = "file_drop"
        del rules["ingest"]["sources"]["warehouses"]

    rewrite(path, older)
    rules = policy.load(path)
    assert not offered.is_on(rules, "warehouses")
    assert offered.is_on(rules, "returns")
    assert offered.absent(rules) == {
        "warehouses": "Expected warehouses among the tables of include/sql/extract/file_drop/files.yml, "
        "found none, and the policy does not name warehouses: it counts as switched off. Write it, or say so "
        "in config/policy.yml (ingest.sources.warehouses: false)."
    }

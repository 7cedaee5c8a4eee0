"""Contracts are read strictly."""

from typing import Any

import pytest
from pydantic import ValidationError

from include import contracts, warehouse
from include.contracts import Contract
from include.errors import BadInput

COLUMN: dict[str, Any] = {"name": "a", "type": "integer", "description": "A number."}
BASE: dict[str, Any] = {
    "schema_name": "core",
    "table": "t",
    "description": "T.",
    "grain": "one row",
    "columns": [COLUMN],
}


def test_every_contract_of_the_project_is_valid():
    found = contracts.all_contracts()
    assert len(found) > 20
    for contract in found:
        assert contract.description
        assert contract.grain
        assert all(column.description for column in contract.columns), contract.name


def test_what_is_built_by_sql_has_its_sql_beside_it():
    for contract in contracts.all_contracts():
        if contract.view or contract.source:
            assert contract.path.with_suffix(".sql").exists(), contract.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": ["b"]}, "among the columns"),
        ({"columns": [COLUMN, COLUMN]}, "each column once"),
        ({"columns": [COLUMN | {"type": "money"}]}, "pattern"),
        ({"write": "upsert"}, "expected keys"),
        ({"history": {"key": ["a"]}}, "valid_from"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_contract_that_breaks_the_form_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        Contract(**BASE | change)


NUMBER: dict[str, Any] = {"name": "n", "type": "numeric", "description": "A number."}
FLAGS = {"name": "flags", "type": "text[]", "description": "Flags."}
ORIGINAL = {"name": "original", "type": "jsonb", "description": "What stood there."}
CAP: dict[str, Any] = {"flag": "far", "action": "cap", "most": 10}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([NUMBER | {"outliers": [CAP]}, ORIGINAL], r"column flags of type text\[\] beside the rules of n"),
        ([NUMBER | {"outliers": [CAP]}, FLAGS], "column original of type jsonb, as n is changed"),
        ([COLUMN | {"outliers": [CAP]}, FLAGS, ORIGINAL], "number with decimals, found a of integer"),
        ([NUMBER | {"outliers": [CAP | {"when": "n > 1"}]}, FLAGS, ORIGINAL], "either when, or least"),
        ([NUMBER | {"outliers": [{"flag": "far", "action": "cap", "when": "n > 1"}]}, FLAGS, ORIGINAL],
         "least or most where an outlier is capped"),
        ([NUMBER | {"outliers": [CAP | {"least": 10}]}, FLAGS, ORIGINAL], "least below most"),
        ([NUMBER | {"outliers": [CAP | {"action": "shift"}]}, FLAGS, ORIGINAL], "'flag', 'cap' or 'clear'"),
        ([NUMBER | {"nullable": False, "outliers": [CAP | {"action": "clear"}]}, FLAGS, ORIGINAL],
         "n to be nullable"),
        ([NUMBER | {"missing": {}}], "becomes or flag"),
        ([NUMBER | {"missing": {"flag": "none"}}], "column flags"),
        ([NUMBER | {"currency": True}], "currency code to be text"),
    ],
)  # fmt: skip
def test_a_rule_of_cleaning_that_cannot_be_meant_is_refused(columns, message):
    with pytest.raises(ValidationError, match=message):
        Contract(**BASE | {"source": "raw.t", "columns": columns})


def test_rules_of_cleaning_belong_to_tables_with_a_source():
    with pytest.raises(ValidationError, match="only in a table with a source, found n's"):
        Contract(**BASE | {"columns": [NUMBER | {"missing": {"becomes": "0"}}]})


def test_a_bad_rule_in_a_file_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "core").mkdir()
    lines = ["description: T.", "grain: one row", "source: raw.t", "columns:"]
    lines.append(
        "  - {name: n, type: numeric, description: N., outliers: [{flag: far, action: cap}]}"
    )
    (tmp_path / "core" / "badly.yml").write_text("\n".join(lines))
    monkeypatch.setattr(warehouse, "SQL_ROOT", tmp_path)
    with pytest.raises(
        BadInput, match=r"badly\.yml: columns\.0\.outliers\.0: .*either when"
    ) as refused:
        contracts.load("core", "badly")
    assert len(str(refused.value).splitlines()) == 1


def test_rules_are_told_in_the_dictionary():
    page = contracts.documentation()
    assert "is capped, the value given kept in `original`; flagged `implausible_delay`" in page
    assert "Missing: becomes `the policy's currency`." in page
    assert "`missing_rate`" in page


def test_an_absent_contract_is_named():
    with pytest.raises(BadInput, match=r"include/sql/core/nothing\.yml"):
        contracts.load("core", "nothing")

"""Contracts are read strictly."""

import pytest
from pydantic import ValidationError

from include import contracts
from include.contracts import Contract
from include.errors import BadInput

COLUMN = {"name": "a", "type": "integer", "description": "A number."}
BASE = {
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


def test_an_absent_contract_is_named():
    with pytest.raises(BadInput, match=r"include/sql/core/nothing\.yml"):
        contracts.load("core", "nothing")

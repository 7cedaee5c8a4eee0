"""The contracts as they stand in `include/sql`."""

from functools import cache

import yaml
from pydantic import ValidationError

from include import warehouse
from include.contracts.form import Contract
from include.errors import BadInput

SCHEMAS = ("raw", "quarantine", "core", "features", "ml", "marketing", "ops")


@cache
def load(schema: str, table: str) -> Contract:
    """The contract of one table.

    Raises
    ------
    BadInput
        When the file is absent or breaks the form.
    """
    path = warehouse.SQL_ROOT / schema / f"{table}.yml"
    if not path.exists():
        raise BadInput(f"Expected the contract include/sql/{schema}/{table}.yml, found none.")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        body = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader
        return Contract(schema_name=schema, table=table, **body)
    except yaml.YAMLError as error:
        raise BadInput(
            f"Expected YAML in include/sql/{schema}/{table}.yml, found {error}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the contract"
        raise BadInput(
            f"include/sql/{schema}/{table}.yml: {where}: {first['msg']} (found {first['input']!r:.80})."
        ) from None


@cache
def all_contracts() -> tuple[Contract, ...]:
    """Every contract, schema by schema, tables by name."""
    return tuple(
        load(schema, path.stem)
        for schema in SCHEMAS
        for path in sorted((warehouse.SQL_ROOT / schema).glob("*.yml"))
    )


def of_dataset(dataset: str) -> tuple[Contract, ...]:
    """The contracts of the tables that one DAG publishes together."""
    return tuple(contract for contract in all_contracts() if contract.dataset == dataset)


def is_state(contract: Contract) -> bool:
    """Whether a source table says what is, and not what happened: core keeps it by key, not by day."""
    return any(
        core.write == "upsert" and core.source == contract.name for core in of_dataset("core")
    )

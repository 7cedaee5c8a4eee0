"""docs/tables.md: the data dictionary, made from the contracts."""

from include.contracts.currency import currency_rejects
from include.contracts.definitions import current_name, functions, stem
from include.contracts.files import SCHEMAS, all_contracts
from include.contracts.form import Column, Contract
from include.contracts.migration import CALLERS


def documentation() -> str:
    """docs/tables.md: the data dictionary, table by table."""
    lines = [
        "# Tables",
        "",
        "Made from the contracts by `bin/regulars run -m include.contracts docs`; edit those instead.",
    ]
    for schema in SCHEMAS:
        members = [contract for contract in all_contracts() if contract.schema_name == schema]
        if members:
            lines += ["", f"## {schema}"]
        for contract in members:
            lines += _table_page(contract)
        for path in functions():
            if path.parent.name == schema:
                lines += _function_page(f"{schema}.{stem(path)}", path.read_text())
    return "\n".join(lines) + "\n"


def _function_page(name: str, definition: str) -> list[str]:
    """A function's head and the comment above it."""
    head, _, rest = definition.partition("CREATE FUNCTION ")
    words = " ".join(line.removeprefix("--").strip() for line in head.splitlines())
    signature = " ".join(rest.partition("\nLANGUAGE ")[0].split())
    callers = ", ".join(f"`{caller}`" for caller in CALLERS.get(name, ())) or "nobody else"
    return ["", f"### {name} (function)", "", words, "", f"Called by {callers}: `{signature}`."]


def _table_page(contract: Contract) -> list[str]:
    facts = [f"Grain: {contract.grain}.", f"Owner: {contract.owner}.", f"Tier: {contract.tier}."]
    if contract.keys:
        facts.append(f"Key: {', '.join(contract.keys)}.")
    if contract.dataset:
        facts.append(f"Published with: {contract.dataset}.")
    if contract.retention_days:
        facts.append(f"Kept for {contract.retention_days} days.")
    if contract.current:
        facts.append(f"Newest day: `{current_name(contract)}`.")
    lines = ["", f"### {contract.name}", "", contract.description, "", " ".join(facts), ""]
    lines += ["| column | type | what it is |", "|---|---|---|"]
    for column in contract.columns:
        marks = [column.description, f"Unit: {column.unit}." if column.unit else ""]
        marks += [
            "*Personal data.*" if column.pii else "",
            "*Generated.*" if column.generated else "",
            f"Empty without the source {column.needs}." if column.needs else "",
            *_rules(column),
        ]
        lines.append(f"| `{column.name}` | {column.type} | {' '.join(filter(None, marks))} |")
    rejects = [*contract.rejects, *currency_rejects(contract, "the shop's")]
    if rejects:
        lines += ["", "Rows that go to quarantine:", ""]
        lines += [f"- `{rule.reason}`: expected {rule.expected}." for rule in rejects]
    return lines


def _rules(column: Column) -> list[str]:
    """The rules of cleaning of a column, a sentence each."""
    told = []
    if column.missing and column.missing.becomes is not None:
        becomes = column.missing.becomes.replace("%(currency)s", "the policy's currency")
        told.append(f"Missing: becomes `{becomes}`.")
    if column.missing and column.missing.flag:
        told.append(f"Missing: flagged `{column.missing.flag}`.")
    return told + [rule.sentence() for rule in column.outliers]

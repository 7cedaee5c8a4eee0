"""What a source that is off leaves empty: it is no finding, so nobody looks at it."""

from include import policy
from include.contracts import Contract
from include.sources import offered


def columns(contract: Contract) -> dict[str, str]:
    """Column -> the source without which it is empty, for the sources that are off."""
    rules = policy.load()
    return {
        column.name: column.needs
        for column in contract.columns
        if column.needs and not offered.is_on(rules, column.needs)
    }


def without(contract: Contract) -> Contract:
    """A contract without the checks of columns that are empty because their source is off."""
    empty = columns(contract)
    asked = [check for check in contract.checks if check.arguments.get("column") not in empty]
    return contract.model_copy(update={"checks": asked})

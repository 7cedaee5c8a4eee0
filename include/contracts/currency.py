"""The rules by which a table takes one currency alone."""

from include.contracts.form import Contract, Reject


def currency_rejects(contract: Contract, currency: str) -> list[Reject]:
    """The rules by which a table takes one currency alone."""
    found = []
    for column in contract.columns:
        if column.currency:
            form = f"\"{column.name}\" ~ '^[A-Z]{{3}}$'"
            found += [
                Reject(
                    reason=f"unknown_{column.name}",
                    when=f"NOT {form}",
                    expected="a currency code of three letters",
                ),
                Reject(
                    reason=f"foreign_{column.name}",
                    when=f"{form} AND \"{column.name}\" <> '{currency}'",
                    expected="the currency of the shop, as its policy says: amounts are not converted",
                ),
            ]
    return found

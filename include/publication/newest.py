"""Which of two rows with one business key is the newer: an order of 3 March, sent again under 5 March.

The row with the later stamp of the shop's own (`known_at`) is. Where both bear the same stamp, or none, their
content decides, as text: an arbitrary choice, but the same one whichever day is run first. To whom identity
resolution gave a row does not count as content, since that may change with every run.
"""

from include.contracts import Contract


def order(contract: Contract, alias: str) -> str:
    """ORDER BY terms that put the newest row of a key first."""
    stamp = f"{alias}.known_at DESC NULLS LAST, " if "known_at" in contract.content else ""
    whole = f'ROW({alias}."customer_id")::text' if "customer_id" in contract.content else "1"
    return f"{stamp}{_content(contract, alias)}, {whole}"


def first(contract: Contract, one: str, other: str) -> str:
    """A condition on rows with `known_at`: the one called `one` is newer than `other` of the same key."""
    by_content = f"{_content(contract, one)} < {_content(contract, other)}"
    stamps = [f"coalesce({alias}.known_at, '-infinity')" for alias in (one, other)]
    return f"({stamps[0]} > {stamps[1]} OR ({stamps[0]} = {stamps[1]} AND {by_content}))"


def _content(contract: Contract, alias: str) -> str:
    """The row's content as text, in the table's own types: a staged 2.5 is the 2.50 that stands."""
    columns = [
        column
        for column in contract.columns
        if not column.run and not column.keep and column.name != "customer_id"
    ]
    values = ", ".join(f'{alias}."{column.name}"::{column.type}' for column in columns)
    return f"ROW({values})::text"

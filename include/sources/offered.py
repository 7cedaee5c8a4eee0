"""Which source tables a run takes: what the policy switches on, or does not name and the shop's folder has.

A policy may be older than a source table, and so may a shop's folder of SELECTs: where neither knows the
table, it is absent, which is as good as switched off, and the run says so. A table that the policy names as
on, or that no day can do without, must be there.
"""

from include import contracts, warehouse
from include.errors import BadInput
from include.policy import Policy
from include.sources import file_mapping

#: Sources without which no day can be worked out.
NEEDED = ("customers", "stores", "products", "orders", "order_lines")


def is_on(policy: Policy, source: str) -> bool:
    """Whether a source table is extracted."""
    named = policy.ingest.sources.get(source)
    return _is_there(policy, source) if named is None else named


def absent(policy: Policy) -> dict[str, str]:
    """Source tables that neither the policy nor the shop's folder knows: a sentence for each."""
    return {
        source: (
            f"Expected {_place(policy, source)}, found none, and the policy does not name {source}: it "
            "counts as switched off. Write it, or say so in config/policy.yml "
            f"(ingest.sources.{source}: false)."
        )
        for source in _declared()
        if source not in policy.ingest.sources
        and source not in NEEDED
        and not _is_there(policy, source)
    }


def missing(policy: Policy) -> list[str]:
    """A sentence for each source table that has to be there and is not."""
    return [
        f"Expected {_place(policy, source)}, found none: write it"
        + (
            ", since no day can be worked out without it."
            if source in NEEDED
            else f", or switch the source off in config/policy.yml (ingest.sources.{source}: false)."
        )
        for source in _declared()
        if policy.ingest.sources.get(source, source in NEEDED) and not _is_there(policy, source)
    ]


def require(policy: Policy) -> None:
    """Refuse to extract where a source table has to be there and is not.

    Raises
    ------
    BadInput
        With the sentence of the first one.
    """
    for sentence in missing(policy):
        raise BadInput(sentence)


def _declared() -> list[str]:
    return [contract.table for contract in contracts.of_dataset("raw")]


def _is_there(policy: Policy, source: str) -> bool:
    """Whether the shop's folder has a SELECT of the table, or a mapping that names it."""
    folder = policy.shop.source
    if file_mapping.is_one(folder):
        return source in file_mapping.load(folder).tables
    return (warehouse.SQL_ROOT / "extract" / folder / f"{source}.sql").is_file()


def _place(policy: Policy, source: str) -> str:
    folder = f"include/sql/extract/{policy.shop.source}"
    if file_mapping.is_one(policy.shop.source):
        return f"{source} among the tables of {file_mapping.place(policy.shop.source)}"
    return f"{folder}/{source}.sql"

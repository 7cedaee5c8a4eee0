"""Table contracts: `include/sql/<schema>/<table>.yml` and everything that follows from them.

From a contract come the table's DDL, its view of the newest day and its grants (`migration`), its quality
suite (`include.quality`), how a batch is published (`include.publication`) and its page in docs/tables.md
(`dictionary`). `form` is what a contract may say, `rules` and `currency` what it may say of cleaning, `files`
finds them, and `words` says what shops mean by the words of channels and purposes.

What the warehouse is brought to: `standing` is what it has, `tables` and `widening` plan what a table takes,
`definitions` make views and functions, `upgrades` remembers which version did it.
"""

from include.contracts.currency import currency_rejects, decimals
from include.contracts.dictionary import documentation
from include.contracts.files import SCHEMAS, all_contracts, is_state, load, of_dataset
from include.contracts.form import Check, Column, Contract, Reject
from include.contracts.migration import CALLERS, READERS, migrate
from include.contracts.tables import column_list

__all__ = [
    "CALLERS",
    "READERS",
    "SCHEMAS",
    "Check",
    "Column",
    "Contract",
    "Reject",
    "all_contracts",
    "column_list",
    "currency_rejects",
    "decimals",
    "documentation",
    "is_state",
    "load",
    "migrate",
    "of_dataset",
]

"""Data quality: rows are screened by our own SQL, tables are audited by it and by Great Expectations.

Row-level faults go to quarantine with every reason (`screening`). Table-level faults are checks of the
contract (`checks`, `expectations`): a critical one stops the publication, a warning is kept and told. What
they found is kept (`results`) as counts and shares, never as values of rows.

`accounts` says where the rows of a table went, and their money; `shares` which share of it was set aside;
`unusual` which prices and quantities are far from what was usual; `profiles` and `trends` whether a day is as
usual; `cleaning` carries out what a contract says of missing values and outliers; `guests` tells of sales
without a customer; `switched_off` knows what is empty because its source is off.
"""

from include.quality import accounts
from include.quality.accounts import Counts
from include.quality.checks import audit
from include.quality.expectations import LEAST_ROWS
from include.quality.results import Result, store
from include.quality.screening import BEYOND, EARLIEST, screen

__all__ = [
    "BEYOND",
    "EARLIEST",
    "LEAST_ROWS",
    "Counts",
    "Result",
    "accounts",
    "audit",
    "screen",
    "store",
]

"""The audit of a batch: what its tables, their contracts and the accounts of their rows demand.

A critical check that does not hold stops the publication; a warning is kept and told.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from psycopg2 import sql as pgsql

from include import warehouse
from include.contracts import Contract
from include.publication import Batch
from include.quality import cleaning, expectations, guests, shares, switched_off, unusual
from include.quality.results import Result
from include.warehouse import Connection

#: A batch with more rejected rows than this share of a table is a broken source, not some bad rows;
#: so few rejected rows are never a reason to stop.
MOST_REJECTED, FEW_REJECTS = 0.2, 50


def audit(conn: Connection, batch: Batch, tables: Sequence[Contract]) -> list[Result]:
    """Every check of the contracts on the batch's staged tables, and the row accounts where kept.

    Great Expectations is asked beside our own checks, on a connection of its own: its time is mostly its own,
    ours the server's.
    """
    asked = [contract for contract in map(switched_off.without, tables) if contract.checks]
    address = warehouse.url("warehouse")  # asked for here: Airflow answers its task's own thread
    with ThreadPoolExecutor(max_workers=1) as beside:
        answers = beside.submit(expectations.check, batch, asked, address) if asked else None
        results = [result for contract in tables for result in _own_checks(conn, batch, contract)]
        results += _account_checks(conn, batch)
        results += guests.told(conn, batch, tables)
        results += shares.checks(conn, batch, tables)
        if any(contract.name == unusual.TABLE for contract in tables):
            results += unusual.check(conn, batch)
        return results + (answers.result() if answers else [])


def _own_checks(conn: Connection, batch: Batch, contract: Contract) -> list[Result]:
    """What the table itself demands, and what its rules have flagged: one scan, and one for each key.

    Required columns are filled, keys are unique, and no row lies outside the window.
    """
    table = warehouse.qualified(batch.table(contract)).as_string(conn)
    required = [c.name for c in contract.columns if not c.nullable or c.name in contract.keys]
    tests = [f'"{name}" IS NULL' for name in required]
    by_day = contract.partition is not None and contract.write != "upsert"
    if by_day:
        tests.append(f'("{contract.partition}" BETWEEN %(since)s AND %(as_of)s) IS NOT TRUE')
    flags = cleaning.flags(contract)
    tests += [f"'{flag}' = ANY(flags)" for flag in flags]
    counts = "".join(f", count(*) FILTER (WHERE {test})" for test in tests)
    rows, *found = warehouse.rows(conn, f"SELECT count(*){counts} FROM {table}", batch.params)[0]
    results = [
        Result(
            contract.name, f"not_null({name})", "critical", missing == 0, str(missing), missing, rows,
            f"Expected {name} in every row of {contract.name}, found {missing} rows without it.",
        )
        for name, missing in zip(required, found[: len(required)], strict=True)
    ]  # fmt: skip
    if by_day:
        results.append(_window_result(batch, contract, found[len(required)], rows))
    results += [_unique_result(conn, table, contract, group, rows) for group in _unique(contract)]
    # No checks, but their history shows in the same place.
    flagged = zip(flags, found[len(found) - len(flags) :], strict=True)
    results += [
        Result(
            contract.name, f"flag_{flag}", "warning", True, str(count), count, rows,
            f"Of {rows} rows of {contract.name}, {count} are flagged {flag}.",
        )
        for flag, count in flagged
    ]  # fmt: skip
    return results


def _unique(contract: Contract) -> list[list[str]]:
    return ([contract.keys] if contract.keys else []) + contract.unique


def _unique_result(
    conn: Connection, table: str, contract: Contract, group: list[str], rows: int
) -> Result:
    names = ", ".join(pgsql.Identifier(name).as_string(conn) for name in group)
    extra = warehouse.value(
        conn,
        # As in a UNIQUE of SQL: what is not known equals nothing.
        f"SELECT coalesce(sum(n - 1), 0)::bigint FROM (SELECT count(*) AS n FROM {table} "
        f"WHERE num_nulls({names}) = 0 GROUP BY {names} HAVING count(*) > 1) AS doubled",
    )
    return Result(
        contract.name, f"unique({', '.join(group)})", "critical", extra == 0, str(extra), extra, rows,
        f"Expected one row per {', '.join(group)} in {contract.name}, found {extra} more.",
    )  # fmt: skip


def _window_result(batch: Batch, contract: Contract, outside: int, rows: int) -> Result:
    """Rows of other days than the batch's would be left behind at the publication, uncounted."""
    day = contract.partition
    return Result(
        contract.name, f"inside_window({day})", "critical", outside == 0, str(outside), outside, rows,
        f"Expected {day} from {batch.since} to {batch.as_of} in every row of {contract.name}, found "
        f"{outside} rows outside: their SELECT must compute it from the stamp it filters by.",
    )  # fmt: skip


def _account_checks(conn: Connection, batch: Batch) -> list[Result]:
    results = []
    for table, extracted, published, set_aside, doubled, *money in warehouse.rows(
        conn,
        "SELECT table_name, extracted, published, quarantined, duplicates, extracted_money, "
        "published_money, quarantined_money, duplicates_money, not_added FROM ops.row_counts "
        "WHERE token = %(token)s ORDER BY table_name",
        batch.params,
    ):
        found = published + set_aside + doubled
        results.append(
            Result(
                table, "rows_add_up", "critical", extracted == found, str(found), None, extracted,
                f"Expected the {extracted} extracted rows of {table} to be published, quarantined or "
                f"dropped as duplicates, found {published} + {set_aside} + {doubled}.",
            )
        )  # fmt: skip
        results += _money_checks(table, extracted, *money)
        most = max(FEW_REJECTS, round(MOST_REJECTED * extracted))
        results.append(
            Result(
                table, "most_rows_pass", "critical", set_aside <= most, str(set_aside), set_aside, extracted,
                f"Expected at most {most} of the {extracted} extracted rows of {table} to be rejected, "
                f"found {set_aside}: see the reasons in {batch.schema}.rejected_rows.",
            )
        )  # fmt: skip
    return results


def _money_checks(
    table: str,
    rows: int,
    extracted: Decimal | None,
    published: Decimal | None,
    set_aside: Decimal | None,
    doubled: Decimal | None,
    not_added: int | None,
) -> list[Result]:
    """None for a table without money."""
    if extracted is None or published is None or set_aside is None or doubled is None:
        return []
    found = published + set_aside + doubled
    added = Result(
        table, "amounts_added", "warning", not not_added, str(not_added), not_added, rows,
        f"Expected an amount of money in every row of {table}, found {not_added} that are no number or too "
        "large for any table: they count as 0 wherever money is added, and their rows are set aside.",
    )  # fmt: skip
    return [
        Result(
            table, "money_adds_up", "critical", extracted == found, str(found), None, rows,
            f"Expected the {extracted:,} extracted in {table} to be published, quarantined or dropped as "
            f"duplicates, found {published:,} + {set_aside:,} + {doubled:,}.",
        ),
        added,
    ]  # fmt: skip

"""Data quality: rows are screened by our own SQL, tables are audited by Great Expectations.

Row-level faults go to quarantine with every reason (Great Expectations would truncate its list of
unexpected rows). Table-level faults are checks of the contract: a critical one stops the publication, a
warning is kept and told. Results hold counts and shares only, never values of rows.
"""

import gc
import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from psycopg2 import sql as pgsql

from include import absent, cleaning, contracts, newest, policy, warehouse
from include.contracts import Check, Contract
from include.errors import BadInput
from include.publication import Batch
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Observed values of these kinds are numbers of a whole table; others could hold values of rows.
_SAFE_OBSERVATIONS = (int, float)


#: A batch with more rejected rows than this share of a table is a broken source, not some bad rows;
#: so few rejected rows are never a reason to stop.
MOST_REJECTED, FEW_REJECTS = 0.2, 50

#: A share of fewer rows than this says little: such a check only warns, however severe it is.
LEAST_ROWS = 50

#: PostgreSQL indexes up to 2,704 bytes a row; no key is longer than this in any column.
LONGEST_KEY = 500


@dataclass(frozen=True)
class Counts:
    """Where the extracted rows of one table went."""

    extracted: int
    published: int
    quarantined: int
    duplicates: int


def screen(conn: Connection, batch: Batch, contract: Contract, extracted: int) -> Counts:
    """Take exact duplicates and rows that break a rule out of a staged table; where the rows went.

    Of several rows with one key and different content the newest stays (by `known_at`, else by content);
    the older ones are set aside as `superseded`.

    Parameters
    ----------
    extracted
        Rows that the source held for the window, so that a join that loses or doubles rows shows.
    """
    quarantined = _set_aside_rejects(conn, batch, contract)
    duplicates, superseded = _drop_duplicates(conn, batch, contract)
    superseded += _set_aside_outdated(conn, batch, contract)
    counts = Counts(
        extracted=extracted,
        published=_count(conn, batch.table(contract)),
        quarantined=quarantined + superseded,
        duplicates=duplicates,
    )
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.row_counts (token, table_name, as_of, since, run_id,
            extracted, published, quarantined, duplicates)
        VALUES (%(token)s, %(table)s, %(as_of)s, %(since)s, %(run_id)s,
            %(extracted)s, %(published)s, %(quarantined)s, %(duplicates)s)
        ON CONFLICT (token, table_name) DO UPDATE SET
            extracted = excluded.extracted, published = excluded.published,
            quarantined = excluded.quarantined, duplicates = excluded.duplicates
        """,
        batch.params | {"table": contract.name} | counts.__dict__,
    )
    return counts


def _set_aside_rejects(conn: Connection, batch: Batch, contract: Contract) -> int:
    own = contracts.currency_rejects(contract, policy.load().shop.currency)
    rules = [(rule.reason, rule.when) for rule in (*contract.rejects, *own)]
    rules += [
        (f"missing_{column.name}", f'"{column.name}" IS NULL')
        for column in contract.columns
        if not column.nullable and not column.run
    ]
    rules += _limits(contract)
    # A percent sign in a rule is a percent sign, no parameter.
    rules = [(reason, when.replace("%", "%%")) for reason, when in rules]
    if not rules:
        return 0
    broken = " OR ".join(f"(({when}) IS TRUE)" for _, when in rules)
    reasons = ", ".join(f"CASE WHEN ({when}) IS TRUE THEN '{reason}' END" for reason, when in rules)
    return _move_to_quarantine(
        conn, batch, contract, broken, f"array_remove(ARRAY[{reasons}], NULL)"
    )


def _limits(contract: Contract) -> list[tuple[str, str]]:
    """Rules for what the table cannot hold: numbers too large or none, keys too long for an index."""
    rules = []
    for column in contract.columns:
        size = re.match(r"numeric\((\d+),\s?(\d+)\)", column.type)
        if size:
            # Half a last decimal below the limit: that much more is rounded up to it when it is published.
            decimals = int(size[2])
            most = 10 ** (int(size[1]) - decimals) - Decimal(5).scaleb(-decimals - 1)
            number = f'"{column.name}"'
            rules.append((f"not_a_number_{column.name}", f"{number} = 'NaN'"))
            rules.append(
                (
                    f"too_large_{column.name}",
                    f"({number} >= {most} OR {number} <= -{most}) AND {number} <> 'NaN'",
                )
            )
    indexed = {*contract.keys, *(name for group in contract.indexes for name in group)}
    rules += [
        (f"too_long_{column.name}", f'octet_length("{column.name}") > {LONGEST_KEY}')
        for column in contract.columns
        if column.name in indexed and column.type == "text"
    ]
    return rules


def _drop_duplicates(conn: Connection, batch: Batch, contract: Contract) -> tuple[int, int]:
    """(exact duplicates dropped, older versions set aside)."""
    if not contract.keys:
        return 0, 0
    table = warehouse.qualified(batch.table(contract)).as_string(conn)
    keys = _list(conn, contract.keys)
    doubled = warehouse.value(
        conn, f"SELECT 1 FROM {table} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
    )
    if doubled is None:
        return 0, 0
    content = f"ROW({_list(conn, contract.content)})::text"
    newest_first = newest.order(contract, table.split(".")[-1])
    warehouse.execute(
        conn,
        f"""
        CREATE TEMPORARY TABLE extra_rows ON COMMIT DROP AS
        SELECT ctid AS row_at, content = first_content AS is_same
        FROM (
            SELECT ctid, {content} AS content,
                first_value({content}) OVER w AS first_content,
                row_number() OVER w AS place
            FROM {table}
            WINDOW w AS (PARTITION BY {keys} ORDER BY {newest_first})
        ) AS ranked
        WHERE place > 1
        """,
    )
    superseded = _move_to_quarantine(
        conn,
        batch,
        contract,
        "ctid IN (SELECT row_at FROM extra_rows WHERE NOT is_same)",
        "ARRAY['superseded']",
    )
    exact = warehouse.execute(
        conn, f"DELETE FROM {table} WHERE ctid IN (SELECT row_at FROM extra_rows WHERE is_same)"
    )
    warehouse.execute(conn, "DROP TABLE extra_rows")
    return exact, superseded


def _set_aside_outdated(conn: Connection, batch: Batch, contract: Contract) -> int:
    """Set rows aside of which a newer state stands on a day that is none of the batch's; their number."""
    if not contract.partition or not contract.keys or "known_at" not in contract.content:
        return 0
    same = " AND ".join(f't."{name}" = o."{name}"' for name in contract.keys)
    return _move_to_quarantine(
        conn,
        batch,
        contract,
        f'''EXISTS (
            SELECT 1 FROM {contract.name} AS o
            WHERE {same} AND o."{contract.partition}" NOT BETWEEN %(since)s AND %(as_of)s
                AND o.known_at IS NOT NULL AND {newest.first(contract, "o", "t")}
        )''',
        "ARRAY['superseded']",
    )


def _move_to_quarantine(
    conn: Connection, batch: Batch, contract: Contract, where: str, reasons: str
) -> int:
    """Rows of a staged table into the batch's quarantine; `where` and `reasons` are SQL of our own."""
    table = warehouse.qualified(batch.table(contract)).as_string(conn)
    quarantine = batch.table(contracts.load("quarantine", "rejected_rows"))
    day = "NULL::date"
    if contract.partition:
        day = f't."{contract.partition}"'
    elif "known_at" in contract.content:
        day = "(t.known_at AT TIME ZONE %(timezone)s)::date"
    # Always one of the batch's own days, so that it is published and another window leaves it alone.
    day = f"coalesce(greatest(least({day}, %(as_of)s::date), %(since)s::date), %(as_of)s::date)"
    key = f"concat_ws(' / ', {_list(conn, contract.keys)})" if contract.keys else "NULL"
    payload = "to_jsonb(t) - %(run_columns)s::text[]"
    moved = warehouse.execute(
        conn,
        f"""
        WITH broken AS (
            SELECT t.ctid AS row_at, {day} AS business_day, {key} AS row_key,
                {reasons} AS reasons, {payload} AS payload
            FROM {table} AS t WHERE {where}
        )
        INSERT INTO {quarantine}
            (table_name, payload_hash, occurrence, business_day, row_key, reasons, payload)
        SELECT %(table)s, md5(payload::text),
            coalesce((
                SELECT max(q.occurrence) FROM {quarantine} AS q
                WHERE q.table_name = %(table)s AND q.payload_hash = md5(payload::text)
            ), 0) + row_number() OVER (PARTITION BY payload ORDER BY row_at),
            business_day, row_key, reasons, payload
        FROM broken
        """,
        batch.params
        | {
            "table": contract.name,
            "timezone": policy.load().shop.timezone,
            "run_columns": [column.name for column in contract.columns if column.run],
        },
    )
    if moved:
        warehouse.execute(conn, f"DELETE FROM {table} AS t WHERE {where}", batch.params)
    return moved


def _list(conn: Connection, names: Sequence[str]) -> str:
    return ", ".join(pgsql.Identifier(name).as_string(conn) for name in names)


def _count(conn: Connection, table: str) -> int:
    return int(
        warehouse.value(
            conn,
            pgsql.SQL("SELECT count(*) FROM {}").format(warehouse.qualified(table)).as_string(conn),
        )
    )


@dataclass(frozen=True)
class Result:
    """One check of one staged table."""

    table_name: str
    check_name: str
    severity: str
    passed: bool
    observed: str | None
    unexpected_count: int | None
    element_count: int | None
    message: str


def audit(conn: Connection, batch: Batch, tables: Sequence[Contract]) -> list[Result]:
    """Every check of the contracts on the batch's staged tables, and the row accounts where kept."""
    results = [result for contract in tables for result in _own_checks(conn, batch, contract)]
    results += _account_checks(conn, batch)
    checked = [contract for contract in map(absent.without, tables) if contract.checks]
    if checked:
        results += _expectations(batch, checked)
    return results


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
    names = _list(conn, group)
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
    for table, extracted, published, set_aside, doubled in warehouse.rows(
        conn,
        "SELECT table_name, extracted, published, quarantined, duplicates FROM ops.row_counts "
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
        most = max(FEW_REJECTS, round(MOST_REJECTED * extracted))
        results.append(
            Result(
                table, "most_rows_pass", "critical", set_aside <= most, str(set_aside), set_aside, extracted,
                f"Expected at most {most} of the {extracted} extracted rows of {table} to be rejected, "
                f"found {set_aside}: see the reasons in {batch.schema}.rejected_rows.",
            )
        )  # fmt: skip
    return results


@cache
def _library() -> Any:
    """Great Expectations, imported where it is first needed: it takes seconds."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # While it is imported, it tells of every method that it registers.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations

    # Some 300,000 objects that stay as long as the process: without this the collector walks over all of
    # them again and again, a quarter of a second each time.
    gc.collect()
    gc.freeze()
    return great_expectations


def _expectations(batch: Batch, tables: Sequence[Contract]) -> list[Result]:
    gx = _library()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    address = warehouse.url("warehouse").replace("postgresql://", "postgresql+psycopg2://")
    joint = "&" if "?" in address else "?"
    address = f"{address}{joint}options=-csearch_path%3D{batch.schema}"
    source = context.data_sources.add_postgres("warehouse", connection_string=address)
    results = []
    for contract in tables:
        asset = source.add_table_asset(contract.name, table_name=contract.table)
        suite = gx.ExpectationSuite(
            name=contract.name,
            expectations=[_expectation(contract, check) for check in contract.checks],
        )
        # By the batch itself: definitions of it and of its validation would be stored, as YAML, for nobody.
        outcome = asset.get_batch(asset.build_batch_request()).validate(
            suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 0}
        )
        # Results come grouped by column; the expectation in each says which check it is.
        results += [_result(contract, item) for item in outcome.results]
    source.get_execution_engine().engine.dispose()  # its pool would keep connections open
    return results


def _expectation(contract: Contract, check: Check) -> Any:
    import great_expectations.expectations as gxe

    name = "Expect" + "".join(part.capitalize() for part in check.expect.split("_"))
    kind = getattr(gxe, name, None)
    if kind is None:
        raise BadInput(
            f"Expected a Great Expectations name in {contract.path.name}, found '{check.expect}': "
            "write it as in its documentation, without expect_."
        )
    try:
        return kind(**check.arguments, severity=check.severity)
    except Exception as error:  # the library's own validation errors have no common class
        raise BadInput(f"{contract.path.name}: {check.expect}: {error}") from None


def _result(contract: Contract, item: Any) -> Result:
    settings = item.expectation_config
    arguments = {
        key: value
        for key, value in settings.kwargs.items()
        if key not in ("batch_id", "column") and value not in (None, False)
    }
    column = settings.kwargs.get("column")
    inside = ", ".join(
        filter(None, [column, *(f"{key}={value}" for key, value in sorted(arguments.items()))])
    )
    name = f"{settings.type.removeprefix('expect_')}({inside})"
    found = item.result or {}
    observed = found.get("observed_value")
    unexpected = found.get("unexpected_count")
    fault = (item.exception_info or {}).get("exception_message")
    if fault is None:
        nested = next(iter((item.exception_info or {}).values()), None)
        fault = nested.get("exception_message") if isinstance(nested, dict) else None
    if fault:
        seen = f"the check could not run ({str(fault).splitlines()[0]:.200})"
    elif unexpected is not None:
        seen = f"{unexpected} of {found.get('element_count')} rows that break it"
    else:
        seen = str(observed) if isinstance(observed, _SAFE_OBSERVATIONS) else "something else"
    severity = str(getattr(settings.severity, "value", settings.severity))
    looked_at = found.get("element_count")
    if settings.kwargs.get("mostly", 1) < 1 and looked_at is not None and looked_at < LEAST_ROWS:
        severity = "warning"
    return Result(
        table_name=contract.name,
        check_name=name,
        severity=severity,
        passed=bool(item.success),
        observed=str(observed) if isinstance(observed, _SAFE_OBSERVATIONS) else None,
        unexpected_count=unexpected,
        element_count=found.get("element_count"),
        message=f"Expected {name} in {contract.name}, found {seen}.",
    )


def store(conn: Connection, batch: Batch, fence: int, results: Sequence[Result]) -> None:
    """Keep the results of one audit in ops.quality_results."""
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.quality_results (token, table_name, check_name, dataset, as_of, run_id,
            severity, passed, observed, unexpected_count, element_count, message, checked_at)
        SELECT %(fence)s, r.table_name, r.check_name, %(dataset)s, %(as_of)s, %(run_id)s,
            r.severity, r.passed, r.observed, r.unexpected_count, r.element_count, r.message,
            clock_timestamp()
        FROM jsonb_to_recordset(%(results)s::jsonb) AS r (table_name text, check_name text, severity text,
            passed boolean, observed text, unexpected_count bigint, element_count bigint, message text)
        ON CONFLICT (token, table_name, check_name) DO NOTHING
        """,
        batch.params
        | {
            "fence": fence,
            "results": json.dumps([vars(result) for result in results], default=int),
        },
    )
    for result in results:
        if not result.passed:
            log.log(
                logging.ERROR if result.severity == "critical" else logging.WARNING, result.message
            )

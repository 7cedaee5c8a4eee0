"""Rows are screened by our own SQL before they are audited: what breaks a rule is set aside, with reasons.

Great Expectations would truncate its list of unexpected rows.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from psycopg2 import sql as pgsql

from include import contracts, policy, warehouse
from include.contracts import Contract
from include.publication import Batch, newest
from include.quality import accounts
from include.quality.accounts import Counts, Part
from include.warehouse import Connection

#: PostgreSQL indexes up to 2,704 bytes a row; no key is longer than this in any column.
LONGEST_KEY = 500

#: Digits and decimals of a number whose column says none: what is larger no later step can reckon with.
WITHOUT_SIZE = (18, 6)

#: Days that a shop can mean, the first in and the last out: 1900 begins a day early somewhere on earth, and
#: pandas holds no stamp after 2262-04-11. What stands in for "never" or "not known" lies outside.
EARLIEST, BEYOND = "1899-12-31", "2262-01-01"


def screen(conn: Connection, batch: Batch, contract: Contract, extracted: Part) -> Counts:
    """Take exact duplicates and rows that break a rule out of a staged table; where the rows went.

    Of several rows with one key and different content the newest stays (by `known_at`, else by content);
    the older ones are set aside as `superseded`.

    Parameters
    ----------
    extracted
        Rows that the source held for the window, so that a join that loses or doubles rows shows, and their
        money as it was staged.
    """
    quarantined = _set_aside_rejects(conn, batch, contract)
    duplicates, superseded = _drop_duplicates(conn, batch, contract)
    superseded += _set_aside_outdated(conn, batch, contract)
    published = accounts.part(
        conn, f"SELECT {accounts.amount(contract)} AS amount FROM {batch.table(contract)}"
    )
    parts = {
        "published": published,
        "quarantined": quarantined + superseded,
        "duplicates": duplicates,
    }
    return accounts.store(conn, batch, contract, extracted, parts)


def _set_aside_rejects(conn: Connection, batch: Batch, contract: Contract) -> Part:
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
        return Part(0)
    broken = " OR ".join(f"(({when}) IS TRUE)" for _, when in rules)
    reasons = ", ".join(f"CASE WHEN ({when}) IS TRUE THEN '{reason}' END" for reason, when in rules)
    return _move_to_quarantine(
        conn, batch, contract, broken, f"array_remove(ARRAY[{reasons}], NULL)"
    )


def _limits(contract: Contract) -> list[tuple[str, str]]:
    """Rules for what no table can hold, or no later step reckon with.

    Numbers too large or none, keys too long for an index, days that are none or in no calendar of a shop.
    Columns that are kept are written once a row stands, from columns that these rules hold for.
    """
    rules = []
    for column in contract.columns:
        if column.keep:
            continue
        size = re.match(r"numeric(?:\((\d+),\s?(\d+)\))?$", column.type)
        if size:
            # Half a last decimal below the limit: that much more is rounded up to it when it is published.
            digits, decimals = (int(size[1]), int(size[2])) if size[1] else WITHOUT_SIZE
            most = 10 ** (digits - decimals) - Decimal(5).scaleb(-decimals - 1)
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
    rules += [
        (
            f"impossible_{column.name}",
            f"\"{column.name}\" < '{EARLIEST}' OR \"{column.name}\" >= '{BEYOND}'",
        )
        for column in contract.columns
        if column.type in ("date", "timestamptz") and not column.run
    ]
    return rules


def _drop_duplicates(conn: Connection, batch: Batch, contract: Contract) -> tuple[Part, Part]:
    """(exact duplicates dropped, older versions set aside)."""
    if not contract.keys:
        return Part(0), Part(0)
    table = warehouse.qualified(batch.table(contract)).as_string(conn)
    keys = _list(conn, contract.keys)
    doubled = warehouse.value(
        conn, f"SELECT 1 FROM {table} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
    )
    if doubled is None:
        return Part(0), Part(0)
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
    exact = accounts.part(
        conn,
        f"DELETE FROM {table} WHERE ctid IN (SELECT row_at FROM extra_rows WHERE is_same) "
        f"RETURNING {accounts.amount(contract)} AS amount",
    )
    warehouse.execute(conn, "DROP TABLE extra_rows")
    return exact, superseded


def _set_aside_outdated(conn: Connection, batch: Batch, contract: Contract) -> Part:
    """Set rows aside of which a newer state stands on a day that is none of the batch's."""
    if not contract.partition or not contract.keys or "known_at" not in contract.content:
        return Part(0)
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
) -> Part:
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
    steps = f"""
        broken AS MATERIALIZED (
            SELECT t.ctid AS row_at, {day} AS business_day, {key} AS row_key,
                {reasons} AS reasons, {payload} AS payload, {accounts.amount(contract)} AS amount
            FROM {table} AS t WHERE {where}
        ),
        moved AS (
            INSERT INTO {quarantine}
                (table_name, payload_hash, occurrence, business_day, row_key, reasons, payload)
            SELECT %(table)s, md5(payload::text),
                coalesce((
                    SELECT max(q.occurrence) FROM {quarantine} AS q
                    WHERE q.table_name = %(table)s AND q.payload_hash = md5(payload::text)
                ), 0) + row_number() OVER (PARTITION BY payload ORDER BY row_at),
                business_day, row_key, reasons, payload
            FROM broken
        )
        """
    params = batch.params | {
        "table": contract.name,
        "timezone": policy.load().shop.timezone,
        "run_columns": [column.name for column in contract.columns if column.run],
    }
    moved = accounts.part(conn, "SELECT amount FROM broken", params, by=steps)
    if moved.rows:
        warehouse.execute(conn, f"DELETE FROM {table} AS t WHERE {where}", batch.params)
    return moved


def _list(conn: Connection, names: Sequence[str]) -> str:
    return ", ".join(pgsql.Identifier(name).as_string(conn) for name in names)

"""What stands in the published tables, as one hash a table: are two warehouses the same to a reader?

    bin/regulars fingerprint > before.txt

The hash is a sum over rows, so their order does not count and memory stays flat. Left out are columns that
say who wrote a row and when, and which version, policy or recipe it was made by: two runs of one day by two
releases that compute the same have the same hash. A coupon's code is drawn anew in every warehouse, so each
counts as any other. Pseudonyms and control groups follow from an installation's secrets: compare warehouses
with the same ones.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg2 import sql as pgsql

from include import contracts, warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.warehouse import Connection

#: The schemas whose tables are compared.
SCHEMAS = ("core", "features", "ml", "marketing")

#: Columns that say how and when a row came about, by name, beside those that contracts call `run`.
ABOUT_THE_RUN = frozenset(
    (
        "answered_at answered_by asked_at approval_id artefact claimed_by feedback_at handed_over_at "
        "manifest model_version next_attempt_at policy_hash redemption_version run_id sent_at "
        "updated_at uplift_version"
    ).split()
)

#: The schema whose texts hold coupon codes, and what a code looks like (`include.offers.codes`).
WITH_CODES = "marketing."
CODE = "[A-Z0-9]{5}(-[A-Z0-9]{5}){2}"


@dataclass(frozen=True)
class Fingerprint:
    """One table: its rows, and 16 hex digits of their content."""

    table: str
    rows: int
    hash: str


def fingerprints(
    conn: Connection,
    schemas: Collection[str] = SCHEMAS,
    omit: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> Iterator[Fingerprint]:
    """The tables of some schemas that the warehouse has, by name.

    Parameters
    ----------
    omit
        Of a table (`ml.backtests`) the rows that have one of some texts in a column: (column, text).

    Raises
    ------
    BadInput
        When a schema or table is none of the contracts'.
    """
    unknown = sorted(set(schemas) - set(SCHEMAS))
    if unknown:
        raise BadInput(f"Expected schemas among {', '.join(SCHEMAS)}, found {', '.join(unknown)}.")
    known = [c for c in contracts.all_contracts() if c.schema_name in schemas and not c.view]
    missing = sorted(set(omit or {}) - {contract.name for contract in known})
    if missing:
        raise BadInput(f"Expected the name of a table to omit rows of, found {', '.join(missing)}.")
    for contract in known:
        columns = _columns(conn, contract)
        if columns:
            yield _of(conn, contract.name, columns, (omit or {}).get(contract.name, ()))


def _columns(conn: Connection, contract: Contract) -> list[str]:
    """The columns of content that the table has, by name; none where there is no such table."""
    found = warehouse.rows(
        conn,
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = %(schema)s AND table_name = %(table)s ORDER BY column_name",
        {"schema": contract.schema_name, "table": contract.table},
    )
    of_run = ABOUT_THE_RUN | {column.name for column in contract.columns if column.run}
    return [name for (name,) in found if name not in of_run]


def _of(
    conn: Connection, table: str, columns: list[str], omit: Sequence[tuple[str, str]]
) -> Fingerprint:
    row = pgsql.SQL("ROW({})::text").format(pgsql.SQL(", ").join(map(pgsql.Identifier, columns)))
    if table.startswith(WITH_CODES):
        row = pgsql.SQL("regexp_replace({}, {}, 'CODE', 'g')").format(row, pgsql.Literal(CODE))
    hashed = pgsql.SQL("('x' || left(md5({}), 16))::bit(64)::bigint::numeric").format(row)
    statement = pgsql.SQL("SELECT count(*), coalesce(sum({}), 0) FROM {}").format(
        hashed, warehouse.qualified(table)
    )
    for column, text in omit:
        statement += pgsql.SQL(" {} {}::text IS DISTINCT FROM {}").format(
            pgsql.SQL("WHERE" if (column, text) == omit[0] else "AND"),
            pgsql.Identifier(column),
            pgsql.Literal(text),
        )
    with conn.cursor() as cursor:
        # One way to write numbers and moments, whatever the session is set to.
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        cursor.execute(statement)
        rows, total = cursor.fetchone() or (0, 0)
    return Fingerprint(table, int(rows), f"{int(total) % 2**64:016x}")

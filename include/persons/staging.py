"""The persons of a batch while it is built: `numbers`, which account and person each number is.

A new account is given its person at once: an order of `W2`, first seen today with the number of customer
`c2` beside it, is built as an order of `c2`. One that was linked before keeps its link here, and
`include.persons.settle` moves it with all its rows.
"""

from include import warehouse
from include.persons.evidence import evidence, newest, splits
from include.persons.identity import resolve
from include.persons.links import LINKS
from include.publication import Batch
from include.warehouse import Connection


def stage_accounts(conn: Connection, batch: Batch) -> None:
    """`numbers` for the contact points, by which persons are found: each account under its own number."""
    warehouse.execute(
        conn,
        f"""
        CREATE UNLOGGED TABLE {batch.schema}.numbers AS
        SELECT DISTINCT n.number, n.account_id, n.account_id AS customer_id
        FROM (
            SELECT external_id AS number, customer_id AS account_id
            FROM {newest(conn, batch, "identities")} AS i
            UNION ALL SELECT account_number, account_id FROM {newest(conn, batch, "accounts")} AS a
        ) AS n
        WHERE n.number IN (
            SELECT customer_number FROM raw.contact_points
            WHERE _partition BETWEEN %(since)s AND %(as_of)s
        )
        """,
        batch.params,
    )


def stage_numbers(conn: Connection, batch: Batch) -> None:
    """`numbers`: which account and person each number is, for the tables of a batch.

    An account without a person is one that leads to nobody. One that was linked before keeps its link here;
    `include.persons.settle` moves it with all its rows at once.
    """
    accounts, ids = evidence(conn, batch)
    links = resolve(accounts, splits(conn, ids))
    standing = dict(warehouse.rows(conn, f"SELECT account_id, customer_id FROM {LINKS}"))
    persons = {link.number: standing.get(ids[link.number], ids[link.person]) for link in links}
    table = f"{batch.schema}.numbers"
    warehouse.execute(conn, f"DROP TABLE IF EXISTS {table}")
    warehouse.execute(
        conn, f"CREATE UNLOGGED TABLE {table} (number text, account_id uuid, customer_id uuid)"
    )
    warehouse.copy_rows(
        conn,
        ((number, account, persons.get(number)) for number, account in ids.items()),
        table,
        ["number", "account_id", "customer_id"],
    )
    warehouse.execute(conn, f"ANALYZE {table}")
    warehouse.execute(
        conn,
        f"UPDATE {batch.schema}.contact_points AS c SET customer_id = n.customer_id "
        f"FROM {batch.schema}.numbers AS n "
        "WHERE c.account_id = n.account_id AND c.customer_id <> n.customer_id",
    )

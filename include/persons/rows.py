"""Rows of `core` go where their accounts go.

When `W7` turns out to be `c90`'s and no longer `c7`'s, its orders, answers and past states move from the one
person to the other.
"""

from typing import Any

from psycopg2 import sql as pgsql

from include import contracts, warehouse
from include.contracts import Contract
from include.persons.links import DOUBTS, LINKS, WHOSE
from include.warehouse import Connection

#: Most rows name their account by `account_id`, and their person follows from it.
_BY_ACCOUNT = f"""
UPDATE {{table}} AS t SET customer_id = l.customer_id FROM {WHOSE} AS l
WHERE t.account_id = l.account_id AND t.customer_id <> l.customer_id AND ({{reach}})
"""

#: Those of these tables name it by something else.
_OTHERWISE = {
    # A mention names its author; whose account that is may be known only later.
    "mentions": f"""
UPDATE {{table}} AS t SET account_id = a.account_id, customer_id = l.customer_id
FROM core.accounts AS a
LEFT JOIN {LINKS} AS l ON l.account_id = a.account_id
WHERE t.author_id = a.author_id
    AND (t.account_id, t.customer_id) IS DISTINCT FROM (a.account_id, l.customer_id)
""",
    # Lines follow their orders, which therefore move first.
    "order_lines": """
UPDATE {table} AS t SET customer_id = o.customer_id FROM core.orders AS o
WHERE t.order_id = o.order_id AND t.customer_id <> o.customer_id AND ({reach})
""",
    # Past states hold the row as it was, as JSON.
    "past_states": f"""
UPDATE {{table}} AS t SET state = jsonb_set(t.state, '{{{{customer_id}}}}', to_jsonb(l.customer_id))
FROM {WHOSE} AS l
WHERE t.state ->> 'customer_id' = ANY(%(persons)s)
    AND l.account_id = (t.state ->> 'account_id')::uuid
    AND l.customer_id <> (t.state ->> 'customer_id')::uuid
""",
}


def move(conn: Connection, persons: list[str], since: str | None, until: str | None) -> None:
    """Bring the rows of every table to their persons, as the links that stand say.

    Parameters
    ----------
    persons
        Who won or lost an account.
    since, until
        The days that were just written, perhaps by older links.
    """
    window = {"persons": persons, "since": since, "until": until}
    moving = [c for c in contracts.all_contracts() if c.schema_name == "core" and not c.view]
    for contract in sorted(moving, key=lambda c: c.table == "order_lines"):
        if contract.name not in (LINKS, DOUBTS):
            _move(conn, contract, window)
    _refuse_for_all(conn)


def _move(conn: Connection, contract: Contract, window: dict[str, Any]) -> None:
    statement = _OTHERWISE.get(contract.table)
    if statement is None and {"account_id", "customer_id"} <= set(contract.column_names):
        statement = _BY_ACCOUNT
    if statement is None:
        return
    table = warehouse.qualified(contract.name).as_string(conn)
    changed = warehouse.execute(conn, statement.format(table=table, reach=_reach(contract)), window)
    if changed and contract.history:
        _follow_one_another(conn, contract, table, window)


def _reach(contract: Contract) -> str:
    """Which rows are looked at: of those affected, and of the days just written."""
    if contract.partition:
        return (
            "t.customer_id = ANY(%(persons)s::uuid[]) "
            f'OR t."{contract.partition}" BETWEEN %(since)s AND %(until)s'
        )
    if contract.history:
        return "true"  # small tables: a state a customer
    return "t.customer_id = ANY(%(persons)s::uuid[])"


def _follow_one_another(
    conn: Connection, contract: Contract, table: str, window: dict[str, Any]
) -> None:
    """valid_to of each state of a person is the next one's valid_from, whichever account it came from."""
    history = contract.history.key if contract.history else []
    key = pgsql.SQL(", ").join(map(pgsql.Identifier, history)).as_string(conn)
    warehouse.execute(
        conn,
        f"""
        UPDATE {table} AS t SET valid_to = v.next_from
        FROM (
            SELECT ctid AS row_at, lead(valid_from) OVER (
                PARTITION BY {key} ORDER BY valid_from, known_at, account_id
            ) AS next_from
            FROM {table} WHERE customer_id = ANY(%(persons)s::uuid[])
        ) AS v
        WHERE t.ctid = v.row_at AND t.valid_to IS DISTINCT FROM v.next_from
        """,
        window,
    )


def _refuse_for_all(conn: Connection) -> None:
    """`granted` of each answer: no where any account of the person had last answered no by then."""
    warehouse.execute(
        conn,
        f"""
        WITH several AS (
            SELECT customer_id FROM {LINKS} GROUP BY customer_id HAVING count(*) > 1
        ),
        resolved AS (
            SELECT c.account_id, c.channel, c.purpose, c.valid_from, bool_and(last.answer) AS granted
            FROM core.consents AS c
            JOIN several USING (customer_id)
            CROSS JOIN LATERAL (
                SELECT DISTINCT ON (o.account_id) coalesce(o.answer, o.granted) AS answer
                FROM core.consents AS o
                WHERE o.customer_id = c.customer_id AND o.channel = c.channel
                    AND o.purpose = c.purpose AND o.valid_from <= c.valid_from
                ORDER BY o.account_id, o.valid_from DESC
            ) AS last
            GROUP BY 1, 2, 3, 4
        )
        UPDATE core.consents AS t SET granted = coalesce(r.granted, t.answer)
        FROM core.consents AS s
        LEFT JOIN resolved AS r USING (account_id, channel, purpose, valid_from)
        WHERE t.account_id = s.account_id AND t.channel = s.channel AND t.purpose = s.purpose
            AND t.valid_from = s.valid_from AND t.granted IS DISTINCT FROM coalesce(r.granted, t.answer)
            AND t.answer IS NOT NULL
        """,
    )

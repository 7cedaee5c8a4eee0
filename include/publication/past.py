"""What corrections replaced: kept in `core.past_states`, so that a past day is read as it was known then.

On 3 March an order says 20.00, and on 5 March the shop corrects it to 15.00. `core` says 15.00 from then on;
here 20.00 is kept, superseded on 5 March, and features of 4 March see it. It happens while a batch is
published, before its rows replace those that stand.

* Where the shop stamps its records (`known_at`), a correction is a state with a newer stamp. One that
  changes without (a rule of ours was repaired, a batch was built again) holds for the past too: nothing is
  kept of what it replaces.
* What happens once (a review, a delivery, an event) bears no such stamp. There the reading counts: a row of
  an earlier day that the newest run finds changed, gone, or added to a day that was published without it, is
  known otherwise from that run's day on. The first reading of a day tells what was known on it, so a load of
  history gives past days what they would have known.
"""

from collections.abc import Sequence

from psycopg2 import sql as pgsql

from include import contracts, policy, warehouse
from include.contracts import Contract
from include.publication.batches import Batch
from include.warehouse import Connection


def keep(conn: Connection, batch: Batch, contract: Contract, window: pgsql.Composable) -> None:
    """Keep what the batch is about to correct in a table; called before its rows are replaced.

    Parameters
    ----------
    window
        A predicate on the staged rows: those that will be published.
    """
    parts: dict[str, pgsql.Composable] = {
        "target": warehouse.qualified(contract.name),
        "staged": warehouse.qualified(batch.table(contract)),
        "window": window,
        "group": _list(contract.past),
        "same_group": _pairs(contract.past, "g.{0} = t.{0}", " AND "),
        "group_of_staged": _pairs(contract.past, "s.{0} = t.{0}", " AND "),
        "same_key": _pairs(contract.keys, "s.{0} = t.{0}", " AND "),
        "first_key": pgsql.Identifier(contract.keys[0]),
        "key_of_target": _key(contract, "t"),
        "key_of_staged": _key(contract, "s"),
        "differs": _differs(contract),
    }
    if contract.partition:
        parts["day"] = pgsql.Identifier(contract.partition)
    named = batch.params | {
        "table": contract.name,
        "left_out": [c.name for c in contract.columns if c.run or c.pii],
        "timezone": policy.load().shop.timezone,
    }
    stamped = "known_at" in contract.content
    templates = [_REPLACED] if stamped else [_READ_LATER]
    if stamped and contract.past != contract.keys:
        templates.append(_ADDED)
    for template in templates:
        with conn.cursor() as cursor:
            cursor.execute(pgsql.SQL(template).format(**parts), named)
    if stamped:
        _keep_superseded(conn, batch, contract)


#: Standing rows that the newer state of their group changes or no longer has.
_REPLACED = """
WITH staged AS MATERIALIZED (SELECT * FROM {staged} WHERE {window}),
newest AS (SELECT {group}, max(known_at) AS known_at FROM staged GROUP BY {group})
INSERT INTO core.past_states (table_name, row_key, superseded_at, known_at, state)
SELECT %(table)s, {key_of_target}, g.known_at, t.known_at, to_jsonb(t) - %(left_out)s::text[]
FROM newest AS g
JOIN {target} AS t ON {same_group} AND t.known_at < g.known_at
LEFT JOIN staged AS s ON {same_key}
WHERE s.{first_key} IS NULL OR {differs}
ON CONFLICT DO NOTHING
"""

#: Rows that a newer state of their group adds.
_ADDED = """
INSERT INTO core.past_states (table_name, row_key, superseded_at, known_at, state)
SELECT %(table)s, {key_of_staged}, s.known_at, NULL, NULL
FROM {staged} AS s
WHERE {window}
    AND NOT EXISTS (SELECT 1 FROM {target} AS t WHERE {same_key})
    AND EXISTS (SELECT 1 FROM {target} AS t WHERE {group_of_staged} AND t.known_at < s.known_at)
ON CONFLICT DO NOTHING
"""

#: Rows without a stamp that an earlier run read otherwise, or not at all, on a day that was published.
_READ_LATER = """
WITH published AS MATERIALIZED (
    SELECT partition, token FROM ops.publications WHERE table_name = %(table)s
),
newest AS (SELECT greatest(%(as_of)s::date, max(partition)) AS day FROM published),
read_later AS (
    SELECT {key_of_target} AS row_key, t.{day} AS day, to_jsonb(t) - %(left_out)s::text[] AS state
    FROM {staged} AS s
    JOIN {target} AS t ON {same_key}
    WHERE s.{window} AND {differs} AND (
        t.{window}
        OR NOT EXISTS (SELECT 1 FROM published AS p WHERE p.partition = t.{day} AND p.token > %(token)s)
    )
    UNION ALL
    SELECT {key_of_target}, t.{day}, to_jsonb(t) - %(left_out)s::text[]
    FROM {target} AS t
    WHERE t.{window} AND NOT EXISTS (SELECT 1 FROM {staged} AS s WHERE {same_key})
    UNION ALL
    SELECT {key_of_staged}, s.{day}, NULL
    FROM {staged} AS s
    JOIN published AS p ON p.partition = s.{day}
    WHERE s.{window} AND NOT EXISTS (SELECT 1 FROM {target} AS t WHERE {same_key})
)
INSERT INTO core.past_states (table_name, row_key, superseded_at, state)
SELECT %(table)s, l.row_key, n.day::timestamp AT TIME ZONE %(timezone)s, l.state
FROM read_later AS l
CROSS JOIN newest AS n
WHERE l.day < n.day
ON CONFLICT DO NOTHING
"""


def _keep_superseded(conn: Connection, batch: Batch, contract: Contract) -> None:
    """Keep the older of several states that one batch brought: they stand in its quarantine."""
    quarantine = batch.table(contracts.load("quarantine", "rejected_rows"))
    if warehouse.value(conn, "SELECT to_regclass(%(table)s)", {"table": quarantine}) is None:
        return
    template = """
        WITH states AS (
            SELECT {key_of_older} AS row_key, (q.payload ->> 'known_at')::timestamptz AS known_at, q.payload
            FROM {quarantine} AS q
            WHERE q.table_name = %(table)s AND 'superseded' = ANY (q.reasons)
            UNION ALL
            SELECT {key_of_staged}, s.known_at, NULL FROM {staged} AS s
            WHERE EXISTS (
                SELECT 1 FROM {quarantine} AS q
                WHERE q.table_name = %(table)s AND 'superseded' = ANY (q.reasons)
                    AND {key_of_older} = {key_of_staged}
            )
        ),
        following AS (
            SELECT row_key, known_at, payload,
                lead(known_at) OVER (PARTITION BY row_key ORDER BY known_at) AS superseded_at
            FROM states
        )
        INSERT INTO core.past_states (table_name, row_key, superseded_at, known_at, state)
        SELECT %(table)s, row_key, superseded_at, known_at, payload
        FROM following
        WHERE payload IS NOT NULL AND superseded_at > known_at
        ON CONFLICT DO NOTHING
        """
    with conn.cursor() as cursor:
        cursor.execute(
            pgsql.SQL(template).format(
                quarantine=warehouse.qualified(quarantine),
                staged=warehouse.qualified(batch.table(contract)),
                key_of_older=_key_of_payload(contract),
                key_of_staged=_key(contract, "s"),
            ),
            {"table": contract.name},
        )


def _differs(contract: Contract) -> pgsql.Composed:
    """Whether a staged row says something else than the standing one, its stamp apart.

    Whom identity resolution gave a row to is no content of it where the shop's own mark stands beside.
    """
    resolved = {"account_id": {"customer_id"}, "author_id": {"account_id", "customer_id"}}
    aside = {"known_at", *contract.keys, *(c.name for c in contract.columns if c.keep)}
    for mark in resolved.keys() & set(contract.content):
        aside |= resolved[mark]
    said = [name for name in contract.content if name not in aside]
    if not said:
        # Of a row that is all key only the oldest stamp tells something: when it was first known.
        return pgsql.SQL(
            "NOT EXISTS (SELECT 1 FROM core.past_states AS p WHERE p.table_name = {} AND p.row_key = {})"
        ).format(pgsql.Literal(contract.name), _key(contract, "t"))
    return pgsql.SQL("({}) IS DISTINCT FROM ({})").format(
        _pairs(said, "t.{0}", ", "), _pairs(said, "s.{0}", ", ")
    )


def _key(contract: Contract, alias: str) -> pgsql.Composed:
    pairs = pgsql.SQL(", ").join(
        pgsql.SQL("{}, {}.{}").format(
            pgsql.Literal(name), pgsql.Identifier(alias), pgsql.Identifier(name)
        )
        for name in contract.keys
    )
    return pgsql.SQL("jsonb_build_object({})").format(pairs)


def _key_of_payload(contract: Contract) -> pgsql.Composed:
    pairs = pgsql.SQL(", ").join(
        pgsql.SQL("{0}, q.payload -> {0}").format(pgsql.Literal(name)) for name in contract.keys
    )
    return pgsql.SQL("jsonb_build_object({})").format(pairs)


def _list(names: Sequence[str]) -> pgsql.Composed:
    return pgsql.SQL(", ").join(map(pgsql.Identifier, names))


def _pairs(names: Sequence[str], template: str, joint: str) -> pgsql.Composed:
    return pgsql.SQL(joint).join(
        pgsql.SQL(template).format(pgsql.Identifier(name)) for name in names
    )

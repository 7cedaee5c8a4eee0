"""Schema drift: what the shop's tables and an extraction's SELECT look like, against what was agreed.

A SELECT that names a column which is gone fails by itself. A column whose type changed might not: COPY would
read a number out of a text, or a local time as UTC. So the SELECT's columns are compared with the contract
before a row is copied, by place and family of types. New and changed columns of the tables behind it
stop nothing; they are noted in `ops.source_columns` and told.
"""

import logging
from typing import Any

from include import warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Contract type -> types of the shop that say the same without loss.
_SAME = {
    "text": {"text", "character varying", "character", "name", "uuid", "citext"},
    "smallint": {"smallint"},
    "integer": {"smallint", "integer"},
    "bigint": {"smallint", "integer", "bigint"},
    "numeric": {"smallint", "integer", "bigint", "numeric", "real", "double precision"},
    "double precision": {"smallint", "integer", "bigint", "numeric", "real", "double precision"},
    "boolean": {"boolean"},
    "date": {"date"},
    "timestamptz": {"timestamp with time zone"},
    "uuid": {"uuid"},
    "jsonb": {"jsonb", "json"},
}


def check_types(shop: Connection, contract: Contract, query: str, path: str) -> list[str]:
    """Compare a SELECT's columns with a raw contract's; those of the contract that it gives.

    Parameters
    ----------
    query
        The SELECT with its parameters bound.
    path
        The file it stands in, for the sentence.

    Raises
    ------
    BadInput
        When there are more or fewer columns, or one is of a type that would be misread.
    """
    with shop.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({query}) AS shape LIMIT 0")
        described = [(column.name, column.type_code) for column in cursor.description or ()]
    given = contract.given(len(described))
    if given is None:
        raise BadInput(
            f"Expected {path} to give the {len(contract.content)} columns of {contract.name} in their order, "
            f"found {len(described)}: name each column of the contract once, and no other."
        )
    ((plan,),) = warehouse.rows(shop, f"EXPLAIN (VERBOSE, FORMAT JSON) {query}")
    shown = plan[0]["Plan"].get("Output", [])
    kinds = dict(
        warehouse.rows(
            shop,
            "SELECT oid, format_type(oid, NULL) FROM pg_type WHERE oid = ANY(%(codes)s)",
            {"codes": [code for _, code in described]},
        )
    )
    for place, (name, (_, code)) in enumerate(zip(given, described, strict=True)):
        expected = contract.column(name).type.split("(")[0]
        same = _SAME.get(expected)
        # A column that the shop does not have is written as NULL, which PostgreSQL takes for a text.
        absent = place < len(shown) and "NULL::text" in shown[place]
        if same is not None and kinds[code] not in same and not absent:
            raise BadInput(
                f"Expected {path} to give {name} as {expected}, found {kinds[code]}: the shop has changed "
                "its type. Check what it means now, and convert it in that SELECT."
            )
    return given


def note_columns(shop: Connection, target: Connection, query: str, source: str) -> list[str]:
    """Note the columns of the tables behind a SELECT; a sentence for each that is new, changed or gone."""
    ((plan,),) = warehouse.rows(shop, f"EXPLAIN (VERBOSE, FORMAT JSON) {query}")
    told = []
    for schema, table in sorted(_relations(plan)):
        relation = f"{schema}.{table}"
        now = dict(
            warehouse.rows(
                shop,
                """
                SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
                WHERE attrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
                    AND attnum > 0 AND NOT attisdropped
                """,
                {"schema": schema, "table": table},
            )
        )
        told += note(target, source, relation, now)
    return told


def note(target: Connection, source: str, relation: str, now: dict[str, str]) -> list[str]:
    """Note the columns of one table, or of files of one form, with their types; told as above."""
    place = {"source": source, "relation": relation}
    known = dict(
        warehouse.rows(
            target,
            "SELECT column_name, type FROM ops.source_columns "
            "WHERE source = %(source)s AND relation = %(relation)s AND gone_at IS NULL",
            place,
        )
    )
    for name, kind in now.items():
        if known.get(name) != kind:
            _note(target, place | {"name": name, "type": kind, "is_new": bool(known)})
    for name in known.keys() - now.keys():
        warehouse.execute(
            target,
            "UPDATE ops.source_columns SET gone_at = now() WHERE source = %(source)s "
            "AND relation = %(relation)s AND column_name = %(name)s",
            place | {"name": name},
        )
    told = []
    if known:
        told += [f"{relation} has a new column {name}" for name in now.keys() - known.keys()]
        told += [f"{relation} has lost its column {name}" for name in known.keys() - now.keys()]
        told += [
            f"{relation}.{name} has become {now[name]} from {known[name]}"
            for name in now.keys() & known.keys()
            if now[name] != known[name]
        ]
    for sentence in sorted(told):
        log.warning("The shop has changed: %s.", sentence)
    return sorted(told)


def _note(target: Connection, column: dict[str, Any]) -> None:
    warehouse.execute(
        target,
        """
        INSERT INTO ops.source_columns AS c
            (source, relation, column_name, type, is_new, first_seen_at)
        VALUES (%(source)s, %(relation)s, %(name)s, %(type)s, %(is_new)s, now())
        ON CONFLICT (source, relation, column_name) DO UPDATE SET
            type = excluded.type, is_new = c.is_new OR c.gone_at IS NOT NULL, gone_at = NULL
        """,
        column,
    )


def _relations(plan: Any) -> set[tuple[str, str]]:
    """(schema, table) of every scan in a plan."""
    if isinstance(plan, list):
        return {found for node in plan for found in _relations(node)}
    if not isinstance(plan, dict):
        return set()
    found = {pair for node in plan.values() for pair in _relations(node)}
    if "Relation Name" in plan:
        found.add((plan.get("Schema", "public"), plan["Relation Name"]))
    return found

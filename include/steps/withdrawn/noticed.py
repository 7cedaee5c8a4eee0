"""What is noticed of the shop beside a window's rows: what it has deleted, and refusals that no window holds.

A window is what was recorded in some days. A row that was deleted is in none, nor is a refusal dated last
year or next; one that breaks a rule is set aside. Each of them takes back what the shop's rows allowed.
"""

from collections.abc import Mapping
from datetime import datetime

from include import quality, warehouse
from include.contracts import load, words
from include.persons import refusals
from include.persons.refusals import Refusal
from include.policy import Policy
from include.publication import Batch
from include.sources import offered
from include.sources.shop import Source
from include.steps.withdrawn import deleted
from include.warehouse import Connection

#: What is read of every row of a table, whatever its day.
WHOLE = {
    "customers": ("customer_number",),
    "contact_points": ("contact_id", "customer_number", "channel", "updated_at"),
    "consents": (
        "consent_id", "customer_number", "channel", "purpose", "granted", "recorded_at",
    ),
}  # fmt: skip


def look(
    conn: Connection, batch: Batch, source: Source, rules: Policy, start: datetime, end: datetime
) -> list[quality.Result]:
    """Compare the shop's keys with core's, and note refusals dated outside the window; what is told of those.

    A run of an older day than the newest published says nothing of what the shop holds by now.

    Raises
    ------
    BadInput
        When more of what core knows is gone than `ingest.lost_share` allows.
    """
    newest = warehouse.value(
        conn, "SELECT max(partition)::text FROM ops.publications WHERE table_name = 'core.orders'"
    )
    if newest and batch.as_of < newest:
        return []
    tables = [name for name in WHOLE if offered.is_on(rules, name)]
    for name in tables:
        columns = load("raw", name).columns
        types = ", ".join(f'"{c.name}" {c.type}' for c in columns if c.name in WHOLE[name])
        table = f"{batch.schema}.whole_{name}"
        warehouse.execute(conn, f"CREATE UNLOGGED TABLE {table} ({types})")
        if not source.whole(load("raw", name), WHOLE[name], table):
            warehouse.execute(conn, f"DROP TABLE {table}")
            return []
        warehouse.execute(conn, f"ANALYZE {table}")
    if newest:
        deleted.compare(conn, batch, rules, tables, start, end)
    told = _dated_elsewhere(conn, batch, source, start, end) if "consents" in tables else []
    for name in tables:
        warehouse.execute(conn, f"DROP TABLE {batch.schema}.whole_{name}")
    return told


def _dated_elsewhere(
    conn: Connection, batch: Batch, source: Source, start: datetime, end: datetime
) -> list[quality.Result]:
    """Refusals dated before the window that core does not know, or later than the shop has got."""
    covered = source.covered()
    given = [
        text
        for (text,) in warehouse.rows(
            conn, f"SELECT DISTINCT channel FROM {batch.schema}.whole_consents"
        )
    ]
    params: dict[str, object] = {
        "given": given,
        "meant": [words.channel(text) or "all" for text in given],
        "start": start,
        "end": end,
        "reached": covered[1] if covered else batch.as_of,
    }
    results = []
    for how, when in (
        (
            "late",
            """
            r.recorded_at < %(start)s AND EXISTS (SELECT 1 FROM core.consents)
            AND NOT EXISTS (
                SELECT 1 FROM core.consents AS c
                WHERE c.account_id = w.account_id AND c.valid_from = r.recorded_at
                    AND NOT coalesce(c.answer, c.granted) AND c.purpose = 'marketing'
                    AND c.channel IN ('all', m.meaning)
            )
            AND NOT EXISTS (
                SELECT 1 FROM core.consents AS c
                WHERE c.consent_id = r.consent_id AND c.valid_from = r.recorded_at
                    AND NOT coalesce(c.answer, c.granted)
            )
            """,
        ),
        ("future", "r.recorded_at >= greatest(%(end)s, (%(reached)s::date + 1)::timestamptz)"),
    ):
        found = _refusals(
            conn,
            f"""
            SELECT r.consent_id, r.customer_number, r.channel, r.purpose, r.recorded_at
            FROM {batch.schema}.whole_consents AS r
            LEFT JOIN (
                SELECT external_id AS number, customer_id AS account_id FROM core.identities
                UNION ALL SELECT account_number, account_id FROM core.accounts
            ) AS w ON r.customer_number = w.number
            LEFT JOIN unnest(%(given)s::text[], %(meant)s::text[]) AS m (given, meaning)
                ON r.channel IS NOT DISTINCT FROM m.given
            WHERE r.granted IS NOT TRUE AND {when}
            """,
            params,
        )
        if found and (new := refusals.record(conn, found, how)):
            results.append(_told("raw.consents", how, new))
    return results


def set_aside(conn: Connection, batch: Batch, end: datetime) -> None:
    """Note the refusals of a batch that are not among its staged consents, and tell of them as critical."""
    found = _refusals(
        conn,
        f"""
        SELECT r.consent_id, r.customer_number, r.channel, r.purpose, r.recorded_at
        FROM raw.consents AS r
        LEFT JOIN {batch.schema}.numbers AS n ON r.customer_number = n.number
        LEFT JOIN {batch.schema}.words AS m ON m.kind = 'channel' AND m.given = r.channel
        WHERE r._partition BETWEEN %(since)s AND %(as_of)s AND r.granted IS NOT TRUE
            AND NOT EXISTS (
                SELECT 1 FROM {batch.schema}.consents AS s
                WHERE s.account_id = n.account_id AND s.valid_from = r.recorded_at AND NOT s.granted
                    AND s.purpose = 'marketing' AND s.channel IN ('all', coalesce(m.meaning, 'all'))
            )
        """,
        batch.params | {"end": end},
    )
    if found:
        refusals.record(conn, found, "set_aside")
        result = _told("core.consents", "set_aside", len(found))
        quality.store(conn, batch, batch.token, [result])


def _refusals(conn: Connection, select: str, params: Mapping[str, object]) -> list[Refusal]:
    """Rows of consents as refusals of marketing; an impossible stamp counts as the window's end."""
    rows = warehouse.rows(
        conn,
        f"""
        SELECT q.consent_id, q.customer_number, q.channel, q.purpose, q.recorded_at::text,
            CASE WHEN q.recorded_at BETWEEN '1900-01-01' AND %(end)s THEN q.recorded_at ELSE %(end)s END
        FROM ({select}) AS q
        WHERE q.customer_number IS NOT NULL
        """,
        params,
    )
    return [
        Refusal(number, None, channel, at, str(row or f"{number}|{channel}|{purpose}|{stamp}"))
        for row, number, channel, purpose, stamp, at in rows
        if (words.purpose(purpose) or "marketing") == "marketing"
    ]


#: How a refusal came to be noted -> what is said of it.
_WORDS = {
    "set_aside": "in rows that were set aside",
    "late": "dated before the days that are read",
    "future": "dated in the future",
}


def _told(table: str, how: str, count: int) -> quality.Result:
    return quality.Result(
        table, f"refusals_{how}", "critical", False, str(count), count, None,
        f"Expected every refusal among the rows of {table}, found {count} {_WORDS[how]}: whoever they name "
        "is not written to until a later yes (ops.refusals). Mend the rows in the shop.",
    )  # fmt: skip

"""Lookup tables that `core` is joined with while it is built, and that SQL alone cannot make."""

import logging
from typing import Any

from include import policy, warehouse
from include.contracts import words
from include.features import sentiment
from include.persons import addresses, pseudonym
from include.publication import Batch
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Texts held at a time.
TEXTS_AT_ONCE = 20_000


def stage_sentiments(conn: Connection, batch: Batch, sources: list[str]) -> int:
    """`sentiments`: the mood of every text that raw holds for the window; the number of texts.

    Parameters
    ----------
    sources
        The raw tables, of `reviews` and `mentions`, that are switched on.
    """
    table = f"{batch.schema}.sentiments"
    warehouse.execute(conn, f"CREATE UNLOGGED TABLE {table} (body text, sentiment float8)")
    if not sources:
        return 0
    texts = " UNION ALL ".join(
        f"SELECT body FROM raw.{name} WHERE _partition BETWEEN %(since)s AND %(as_of)s"
        for name in sources
    )
    # A cursor of its own connection reads while this one writes; both see the published raw.
    with warehouse.connect() as reading, reading.cursor("texts") as cursor:
        cursor.itersize = TEXTS_AT_ONCE
        # Each text once, or the reviews and mentions that are joined with it would double.
        cursor.execute(
            f"SELECT DISTINCT body FROM ({texts}) AS t WHERE btrim(body) <> ''", batch.params
        )
        mood = sentiment.scorer()
        scored = ((body, mood(body)) for (body,) in cursor)
        count = warehouse.copy_rows(conn, scored, table, ["body", "sentiment"])
    warehouse.execute(conn, f"ANALYZE {table}")
    return count


def stage_pseudonyms(conn: Connection, batch: Batch) -> None:
    """`pseudonyms` and `authors`: the keyed hash of each number and social handle that raw holds.

    An author's `number` is that of the account with the handle, where one is known.
    """
    secret = pseudonym.key()
    numbers, authors = f"{batch.schema}.pseudonyms", f"{batch.schema}.authors"
    warehouse.execute(conn, f"CREATE UNLOGGED TABLE {numbers} (external_id text, customer_id uuid)")
    warehouse.execute(
        conn, f"CREATE UNLOGGED TABLE {authors} (handle text, author_id uuid, number text)"
    )
    window = "_partition BETWEEN %(since)s AND %(as_of)s"
    found = warehouse.rows(
        conn,
        f"SELECT customer_number FROM raw.customers WHERE {window} AND customer_number IS NOT NULL "
        f"UNION SELECT account_number FROM raw.accounts WHERE {window} AND account_number IS NOT NULL",
        batch.params,
    )
    warehouse.copy_rows(
        conn,
        ((number, pseudonym.pseudonym(number, secret)) for (number,) in found),
        numbers,
        ["external_id", "customer_id"],
    )
    handles = warehouse.rows(
        conn,
        f"SELECT lower(btrim(handle)) FROM raw.mentions WHERE {window} AND btrim(handle) <> '' "
        f"UNION SELECT lower(btrim(handle)) FROM raw.accounts WHERE {window} AND btrim(handle) <> ''",
        batch.params,
    )
    # A handle is no customer number: what it is hashed with says so.
    warehouse.copy_rows(
        conn,
        ((handle, pseudonym.pseudonym(f"handle {handle}", secret)) for (handle,) in handles),
        authors,
        ["handle", "author_id"],
    )
    warehouse.execute(
        conn,
        f"""
        UPDATE {authors} AS h SET number = a.account_number
        FROM (
            SELECT lower(btrim(handle)) AS handle, min(btrim(account_number)) AS account_number
            FROM raw.accounts WHERE {window} GROUP BY 1
        ) AS a
        WHERE h.handle = a.handle
        """,
        batch.params,
    )
    warehouse.execute(
        conn,
        f"""
        UPDATE {authors} AS h SET number = a.account_number
        FROM core.accounts AS a WHERE h.author_id = a.author_id AND h.number IS NULL
        """,
    )


def stage_day_rates(conn: Connection, batch: Batch, holds_days: int) -> None:
    """`day_rates`: what a unit of each currency is worth in the shop's, on each day of the batch.

    Parameters
    ----------
    holds_days
        A rate holds until the next one of its currency, for at most so many days after its own.
    """
    warehouse.execute(
        conn,
        f"""
        CREATE UNLOGGED TABLE {batch.schema}.day_rates AS
        WITH known AS (
            SELECT currency, valid_on, rate FROM core.exchange_rates
            UNION
            SELECT currency, valid_on, rate FROM {batch.schema}.exchange_rates
        )
        SELECT k.currency, d::date AS business_day, k.rate
        FROM (
            SELECT currency, valid_on, rate,
                lead(valid_on) OVER (PARTITION BY currency ORDER BY valid_on) AS next_on
            FROM known
            WHERE valid_on BETWEEN %(since)s::date - %(holds)s AND %(as_of)s
        ) AS k,
        generate_series(
            greatest(k.valid_on, %(since)s::date),
            least(k.next_on - 1, k.valid_on + %(holds)s, %(as_of)s::date),
            interval '1 day'
        ) AS d
        """,
        batch.params | {"holds": holds_days},
    )
    warehouse.execute(conn, f"ANALYZE {batch.schema}.day_rates")


def stage_words(conn: Connection, batch: Batch, sources: list[str]) -> None:
    """`words`: what each word for a channel or a purpose means that raw holds for the window.

    Parameters
    ----------
    sources
        The raw tables, of `contact_points` and `consents`, that are switched on.
    """
    table = f"{batch.schema}.words"
    warehouse.execute(conn, f"CREATE UNLOGGED TABLE {table} (kind text, given text, meaning text)")
    meanings = {"channel": words.channel, "purpose": words.purpose}
    asked = [("channel", name) for name in sources]
    asked += [("purpose", "consents")] if "consents" in sources else []
    for kind in meanings:
        given = {
            text
            for column, name in asked
            if column == kind
            for (text,) in warehouse.rows(
                conn,
                f"SELECT DISTINCT {column} FROM raw.{name} "
                f"WHERE _partition BETWEEN %(since)s AND %(as_of)s AND {column} IS NOT NULL",
                batch.params,
            )
        }
        warehouse.copy_rows(
            conn,
            ((kind, text, meanings[kind](text)) for text in sorted(given)),
            table,
            ["kind", "given", "meaning"],
        )


def stage_addresses(conn: Connection, batch: Batch, sources: list[str]) -> int:
    """`addresses`: the one form and the keyed hash of each address that raw holds for the window.

    The hash is empty where a text is no address of its channel. `sources` as of `stage_words`.
    """
    table = f"{batch.schema}.addresses"
    warehouse.execute(
        conn,
        f"CREATE UNLOGGED TABLE {table} (word text, given text, address text, address_hash uuid)",
    )
    if "contact_points" not in sources:
        return 0
    secret, region = pseudonym.key(), policy.load().shop.phone_region

    def read(word: str, given: str) -> tuple[Any, ...]:
        channel = words.channel(word) or ""
        address = addresses.normal(channel, given, region)
        mark = addresses.hashed(channel, address, secret) if address else None
        return word, given, address or addresses.visible(given) or None, mark

    with warehouse.connect() as reading, reading.cursor("addresses") as cursor:
        cursor.itersize = TEXTS_AT_ONCE
        cursor.execute(
            "SELECT DISTINCT coalesce(channel, ''), address FROM raw.contact_points "
            "WHERE _partition BETWEEN %(since)s AND %(as_of)s AND address IS NOT NULL",
            batch.params,
        )
        count = warehouse.copy_rows(
            conn,
            (read(word, given) for word, given in cursor),
            table,
            ["word", "given", "address", "address_hash"],
        )
    warehouse.execute(conn, f"ANALYZE {table}")
    return count

"""Tables that `core` is joined with while it is built, and that SQL alone cannot make."""

import logging

from include import warehouse
from include.features import sentiment
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
    texts = " UNION ".join(
        f"SELECT body FROM raw.{name} WHERE _partition BETWEEN %(since)s AND %(as_of)s"
        for name in sources
    )
    # A cursor of its own connection reads while this one writes; both see the published raw.
    with warehouse.connect() as reading, reading.cursor("texts") as cursor:
        cursor.itersize = TEXTS_AT_ONCE
        cursor.execute(f"SELECT body FROM ({texts}) AS t WHERE btrim(body) <> ''", batch.params)
        mood = sentiment.scorer()
        scored = ((body, mood(body)) for (body,) in cursor)
        count = warehouse.copy_rows(conn, scored, table, ["body", "sentiment"])
    warehouse.execute(conn, f"ANALYZE {table}")
    return count

"""How fast a channel's messages leave: at most so many a minute, however many senders there are."""

import time

from include import warehouse
from include.warehouse import Connection


def wait_turn(conn: Connection, channel: str, per_minute: int | None, patience: float) -> bool:
    """Wait until the channel may hand over one more; False where that takes longer than `patience`.

    Each hand-over takes the next of evenly spaced turns, one row a channel (`ops.channel_paces`), so that
    senders on several workers share one rate. Nothing is saved up while a channel is idle.

    Parameters
    ----------
    conn
        Committed here.
    channel
        Of the message.
    per_minute
        At most so many; None for no limit.
    patience
        Seconds.
    """
    if per_minute is None:
        return True
    wait = warehouse.value(
        conn,
        """
        INSERT INTO ops.channel_paces AS p (channel, next_at)
        VALUES (%(channel)s, clock_timestamp() + %(gap)s * interval '1 second')
        ON CONFLICT (channel) DO UPDATE SET
            next_at = greatest(p.next_at, clock_timestamp()) + %(gap)s * interval '1 second'
        WHERE p.next_at <= clock_timestamp() + %(patience)s * interval '1 second'
        RETURNING extract(epoch FROM next_at - clock_timestamp())::double precision - %(gap)s
        """,
        {"channel": channel, "gap": 60 / per_minute, "patience": patience},
    )
    conn.commit()
    if wait is None:
        return False
    time.sleep(max(wait, 0.0))
    return True

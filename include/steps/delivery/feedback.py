"""Take up what gateways, mail servers and unsubscribe pages say of messages that have left.

It comes in through the landing table `ops.delivery_events`. Opt-outs, complaints and bounces go on to the
suppression list, which deciding and sending both obey; the gravest event of each message stands beside it.
"""

import logging

from include import warehouse
from include.persons import refusals, suppressions
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Kind of event -> reason and channel for the suppression list: None is the message's own channel.
SUPPRESSIONS = {
    "unsubscribed": ("unsubscribed", None),
    "bounced": ("bounced", None),
    # Whoever complained about one message wants none, by whatever way it comes.
    "complained": ("complained", "all"),
}

#: From what says least to what says most; a message keeps the last of these that was heard of it.
GRAVITY = (
    "delivered",
    "opened",
    "clicked",
    "soft_bounced",
    "bounced",
    "unsubscribed",
    "complained",
)


def take_up(conn: Connection) -> dict[str, int]:
    """Take up every event that is new; how many came to what. The caller commits.

    Two senders never take up the same event. An event of an unknown message is kept and counted: it may
    be of another system that uses the same gateway.
    """
    taken = warehouse.rows(
        conn,
        """
        WITH waiting AS (
            SELECT e.event_key, e.kind, e.occurred_at, coalesce(m.message_id, p.message_id) AS message_id,
                coalesce(m.customer_id, p.customer_id) AS customer_id,
                coalesce(m.channel, p.channel) AS channel
            FROM ops.delivery_events AS e
            LEFT JOIN marketing.messages AS m ON e.message_id = m.message_id
            LEFT JOIN marketing.messages AS p
                ON e.message_id IS NULL AND e.provider_id = p.provider_id
            WHERE e.taken_up_at IS NULL
            ORDER BY e.occurred_at, e.event_key
            FOR UPDATE OF e SKIP LOCKED
        ),
        listed AS (
            INSERT INTO ops.suppressions (customer_id, channel, reason, recorded_at)
            SELECT DISTINCT ON (w.customer_id, channel, r.reason)
                w.customer_id, coalesce(nullif(r.channel, ''), w.channel) AS channel, r.reason,
                w.occurred_at
            FROM waiting AS w
            JOIN unnest(%(kinds)s::text[], %(reasons)s::text[], %(channels)s::text[])
                AS r (kind, reason, channel) ON w.kind = r.kind
            WHERE w.customer_id IS NOT NULL
            ORDER BY w.customer_id, channel, r.reason, w.occurred_at DESC
            -- Said again after it had ended, by a later yes or a new address, it holds again.
            ON CONFLICT (customer_id, channel, reason) DO UPDATE
            SET recorded_at = excluded.recorded_at, followed_at = NULL
            WHERE excluded.recorded_at > ops.suppressions.recorded_at
        ),
        gravest AS (
            SELECT DISTINCT ON (message_id)
                message_id, kind, occurred_at, array_position(%(gravity)s::text[], kind) AS weight
            FROM waiting
            WHERE message_id IS NOT NULL AND array_position(%(gravity)s::text[], kind) IS NOT NULL
            ORDER BY message_id, array_position(%(gravity)s::text[], kind) DESC, occurred_at
        ),
        heard AS (
            UPDATE marketing.messages AS m
            SET feedback = g.kind, feedback_at = g.occurred_at, updated_at = clock_timestamp()
            FROM gravest AS g
            WHERE m.message_id = g.message_id
                AND coalesce(array_position(%(gravity)s::text[], m.feedback), 0) < g.weight
        ),
        done AS (
            UPDATE ops.delivery_events AS e
            SET taken_up_at = clock_timestamp(),
                outcome = CASE
                    WHEN w.message_id IS NULL THEN 'unknown_message'
                    WHEN array_position(%(gravity)s::text[], e.kind) IS NULL THEN 'unknown_kind'
                    WHEN e.kind = ANY(%(kinds)s::text[]) THEN 'suppressed'
                    ELSE 'noted'
                END
            FROM waiting AS w
            WHERE e.event_key = w.event_key
            RETURNING e.outcome
        )
        SELECT outcome, count(*)::integer FROM done GROUP BY outcome ORDER BY outcome
        """,
        {
            "kinds": list(SUPPRESSIONS),
            "reasons": [reason for reason, _ in SUPPRESSIONS.values()],
            "channels": [channel or "" for _, channel in SUPPRESSIONS.values()],
            "gravity": list(GRAVITY),
        },
    )
    counts = dict(taken)
    if counts.get("suppressed"):
        suppressions.follow(conn)
    refusals.take_up(conn)
    if counts:
        log.info("Delivery events taken up: %s", counts)
    return counts

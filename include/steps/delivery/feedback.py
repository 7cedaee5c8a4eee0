"""Take up what gateways, mail servers and unsubscribe pages say of messages that have left.

It comes in through the landing table `ops.delivery_events`. Opt-outs, complaints and bounces go on to the
suppression list, which deciding and sending both obey; the gravest event of each message stands beside it.

An event names its message by our key or by the provider's name for it, which is understood with and without
angle brackets, with blanks and in any case; what it named is then written into it as our key.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Literal

from include import notify, warehouse
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

#: How long an event of an unknown message is looked at again.
PATIENCE = timedelta(days=7)

#: Which events are looked at: `all` that wait; only the `new` ones; of those only what is `sure`.
Reach = Literal["all", "new", "sure"]


def take_up(conn: Connection, reach: Reach = "all") -> dict[str, int]:
    """Take up every event that is new; how many came to what. The caller commits.

    Two senders never take up the same event. An event of an unknown message is kept and looked at again for
    `PATIENCE`: its message may still be on its way into the books. After that it is `never_known`, which
    people are told: it may be of another system that uses the same gateway.

    Parameters
    ----------
    reach
        `all` looks again at what was unknown; `new` at what nobody has looked at yet; `sure` at what of it
        names its message by our key, or by the provider's name as we keep it. What that leaves waits.
    """
    params = {
        "kinds": list(SUPPRESSIONS),
        "reasons": [reason for reason, _ in SUPPRESSIONS.values()],
        "channels": [channel or "" for _, channel in SUPPRESSIONS.values()],
        "gravity": list(GRAVITY),
        "again": reach == "all",
        "unsure": reach != "sure",
        "patience": PATIENCE,
    }
    if reach != "sure":
        warehouse.execute(conn, warehouse.sql("queries/deliver/name_events"), params)
    taken = warehouse.rows(
        conn,
        """
        WITH waiting AS (
            SELECT e.event_key, e.kind, e.occurred_at, e.received_at, m.message_id, m.customer_id,
                m.channel
            FROM ops.delivery_events AS e
            LEFT JOIN LATERAL (
                SELECT o.message_id, o.customer_id, o.channel
                FROM marketing.messages AS o
                WHERE o.message_id = e.message_id OR o.provider_id = e.provider_id
                    -- A Message-ID of ours begins with our key.
                    OR o.message_id = substring(lower(e.provider_id)
                        FROM '^[[:space:]<]*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:@|[[:space:]>]|$)'
                    )::uuid
                -- Two gateways may count from 1: where our own key does not say which, both hear of it.
                ORDER BY o.message_id = e.message_id DESC NULLS LAST,
                    o.provider_id = e.provider_id DESC NULLS LAST
                FETCH FIRST 1 ROWS WITH TIES
            ) AS m ON TRUE
            WHERE e.taken_up_at IS NULL AND (e.outcome IS NULL OR %(again)s)
                AND (m.message_id IS NOT NULL OR %(unsure)s)
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
        judged AS (
            SELECT w.event_key, w.kind, w.message_id,
                CASE
                    WHEN w.message_id IS NULL AND w.received_at < clock_timestamp() - %(patience)s
                        THEN 'never_known'
                    WHEN w.message_id IS NULL THEN 'unknown_message'
                    WHEN array_position(%(gravity)s::text[], w.kind) IS NULL THEN 'unknown_kind'
                    WHEN w.kind = ANY(%(kinds)s::text[]) THEN 'suppressed'
                    ELSE 'noted'
                END AS outcome
            FROM waiting AS w
        ),
        done AS (
            UPDATE ops.delivery_events AS e
            SET outcome = j.outcome, message_id = coalesce(j.message_id, e.message_id),
                taken_up_at = CASE WHEN j.outcome <> 'unknown_message' THEN clock_timestamp() END
            FROM judged AS j
            WHERE e.event_key = j.event_key AND e.kind = j.kind AND e.outcome IS DISTINCT FROM j.outcome
            RETURNING e.outcome
        )
        SELECT outcome, count(*)::integer FROM done GROUP BY outcome ORDER BY outcome
        """,
        params,
    )
    counts = dict(taken)
    if counts.get("suppressed"):
        suppressions.follow(conn)
    refusals.take_up(conn)
    if counts:
        log.info("Delivery events taken up: %s", counts)
    return counts


def tell(counts: dict[str, int]) -> None:
    """Tell people once a day of events that named no message of ours for all that time."""
    number = counts.get("never_known")
    if not number:
        return
    notify.remark(
        "regulars_deliver",
        f"events of unknown messages, {datetime.now(UTC).date()}",
        f"Expected delivery events to name messages of ours, found {number:,} that have named none for "
        f"{PATIENCE.days} days.",
        "look at provider_id of those with outcome never_known in ops.delivery_events: another system's may "
        "stay; where they are ours, mend what the callback passes to ops.record_delivery_event.",
    )

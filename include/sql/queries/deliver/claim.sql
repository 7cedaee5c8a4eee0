-- Claims what is due and approved for one sender; one row per message claimed.
-- Two senders never get the same message (SKIP LOCKED), and nobody gets any while sends are paused.
WITH due AS (
    SELECT m.message_id
    FROM marketing.messages AS m
    INNER JOIN marketing.coupon_triggers AS t ON m.trigger_id = t.trigger_id
    WHERE
        m.status IN ('pending', 'failed')
        -- Or sent: an earlier try may have arrived, and its copy does no harm.
        AND t.status IN ('approved', 'sent')
        AND m.channel = any(%(channels)s)
        AND m.send_not_before <= %(moment)s
        AND m.send_not_after >= %(moment)s
        AND coalesce(m.time_zone, %(shop_zone)s) = any(%(open_zones)s)
        AND (m.next_attempt_at IS NULL OR m.next_attempt_at <= %(moment)s)
        AND NOT EXISTS (
            SELECT 1 FROM ops.switches AS s
            WHERE s.key = 'pause_sends' AND s.value
        )
    ORDER BY m.send_not_after, m.message_id
    LIMIT %(batch_size)s
    FOR UPDATE OF m SKIP LOCKED
)

UPDATE marketing.messages AS m
SET
    status = 'claimed',
    claimed_by = %(claim)s,
    provider = %(provider)s,
    handed_over_at = NULL,
    updated_at = %(touched)s
FROM due
WHERE m.message_id = due.message_id
RETURNING
    m.message_id,
    m.customer_id,
    m.as_of,
    m.campaign,
    m.channel,
    m.cap_class,
    m.subject,
    m.body,
    m.body_html,
    m.attempts,
    m.time_zone

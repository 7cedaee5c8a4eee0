-- Writes our key into events that name their message by the provider's name in other letters; no rows.
-- Brackets, blanks and case aside, and only where that is one message's alone. again: those of before, too.
WITH waiting AS (
    SELECT
        e.event_key,
        e.kind,
        lower(regexp_replace(e.provider_id, '[[:space:]<>]', '', 'g')) AS letters
    FROM ops.delivery_events AS e
    WHERE
        e.taken_up_at IS NULL
        AND (e.outcome IS NULL OR %(again)s)
        AND e.provider_id IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM marketing.messages AS m
            WHERE m.message_id = e.message_id
        )
        AND NOT EXISTS (
            SELECT 1 FROM marketing.messages AS m
            WHERE m.provider_id = e.provider_id
        )
),

named AS (
    SELECT
        w.event_key,
        w.kind,
        min(m.message_id::text)::uuid AS message_id
    FROM marketing.messages AS m
    INNER JOIN waiting AS w ON lower(regexp_replace(m.provider_id, '[[:space:]<>]', '', 'g')) = w.letters
    WHERE m.provider_id IS NOT NULL AND EXISTS (SELECT 1 FROM waiting)
    GROUP BY w.event_key, w.kind
    HAVING count(*) = 1
)

UPDATE ops.delivery_events AS e
SET message_id = n.message_id
FROM named AS n
WHERE e.event_key = n.event_key AND e.kind = n.kind

-- One row per message whose event was called off, has begun, or is held where its customer does not shop.
SELECT w.message_id
FROM waiting AS w
LEFT JOIN homes AS h ON w.message_id = h.message_id
WHERE
    w.key IS NOT NULL
    AND NOT EXISTS (
        SELECT 1
        FROM core.member_events AS e
        WHERE
            e.event_id = w.key
            AND NOT e.cancelled
            AND e.starts_on > w.day
            AND (e.region IS NULL OR e.region = h.region)
    )

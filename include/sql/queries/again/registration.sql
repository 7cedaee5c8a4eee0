-- One row per message whose customer is registered no more, or was longer ago than it was believed.
-- within_days, timezone.
SELECT w.message_id
FROM waiting AS w
WHERE
    NOT EXISTS (
        SELECT 1 FROM core.identities AS i
        WHERE i.customer_id = w.customer_id
    )
    OR (
        SELECT (v.registered_at AT TIME ZONE %(timezone)s)::date
        FROM core.known_customers AS v
        WHERE v.customer_id = w.customer_id
        ORDER BY v.valid_from DESC, v.known_at DESC
        LIMIT 1
    ) < w.as_of - %(within_days)s::integer

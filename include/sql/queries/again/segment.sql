-- One row per message whose customer has left the audience: by the newest segment, or by coming back.
-- audience: its segments, NULL for all; is_of_absent: whether nobody in it has shopped lately.
SELECT w.message_id
FROM waiting AS w
WHERE
    %(audience)s::text[] IS NOT NULL
    AND (
        (
            SELECT s.segment
            FROM marketing.customer_segments AS s
            WHERE s.customer_id = w.customer_id AND s.as_of > w.as_of
            ORDER BY s.as_of DESC
            LIMIT 1
        ) <> all(%(audience)s::text[])
        OR (%(is_of_absent)s AND EXISTS (
            SELECT 1 FROM core.orders AS o
            WHERE o.customer_id = w.customer_id AND o.business_day > w.as_of AND o.cancelled_at IS NULL
        ))
    )

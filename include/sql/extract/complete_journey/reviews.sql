-- Grain: one row per review written that day.
-- A row without written_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (written_at AT TIME ZONE %(timezone)s)::date AS _partition,
    review_id,
    customer_number,
    product_number,
    rating,
    body,
    written_at
FROM reviews
WHERE (written_at >= %(start)s AND written_at < %(end)s) OR written_at IS NULL

-- Grain: one row per review written that day.
-- A row without written_at belongs to no day: every run meets it, at the end of its window.
SELECT
    (
        coalesce(written_at, %(end)s::timestamptz - interval '1 second') AT TIME ZONE %(timezone)s
    )::date AS _partition,
    review_id,
    customer_number,
    product_number,
    rating,
    body,
    written_at
FROM reviews
WHERE (written_at >= %(start)s AND written_at < %(end)s) OR written_at IS NULL

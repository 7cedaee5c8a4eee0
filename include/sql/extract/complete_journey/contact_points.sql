-- Grain: one row per address whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, at the end of its window.
SELECT
    (
        coalesce(updated_at, %(end)s::timestamptz - interval '1 second') AT TIME ZONE %(timezone)s
    )::date AS _partition,
    contact_id,
    customer_number,
    channel,
    address,
    verified,
    updated_at
FROM contact_points
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL

-- Grain: one row per address whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (updated_at AT TIME ZONE %(timezone)s)::date AS _partition,
    contact_id,
    customer_number,
    channel,
    address,
    verified,
    updated_at
FROM contact_points
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL

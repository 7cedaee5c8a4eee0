-- Grain: one row per event of that day.
-- A row without occurred_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (occurred_at AT TIME ZONE %(timezone)s)::date AS _partition,
    event_id,
    customer_number,
    product_number,
    event_type,
    occurred_at
FROM events
WHERE (occurred_at >= %(start)s AND occurred_at < %(end)s) OR occurred_at IS NULL

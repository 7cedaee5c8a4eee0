-- Grain: one row per delivery that ended that day.
-- A row without delivered_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (delivered_at AT TIME ZONE %(timezone)s)::date AS _partition,
    delivery_number,
    order_number,
    customer_number,
    carrier,
    status,
    promised_at,
    delivered_at
FROM deliveries
WHERE (delivered_at >= %(start)s AND delivered_at < %(end)s) OR delivered_at IS NULL

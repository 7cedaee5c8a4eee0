-- Grain: one row per order placed that day, and again for each time the shop sent it.
-- A row without ordered_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (ordered_at AT TIME ZONE %(timezone)s)::date AS _partition,
    order_number,
    customer_number,
    store_number,
    channel,
    currency,
    ordered_at,
    updated_at
FROM orders
WHERE (ordered_at >= %(start)s AND ordered_at < %(end)s) OR ordered_at IS NULL

-- Grain: one row per article returned that day.
-- A row without returned_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (returned_at AT TIME ZONE %(timezone)s)::date AS _partition,
    return_number,
    order_number,
    product_number,
    customer_number,
    quantity,
    refund,
    reason,
    returned_at,
    currency
FROM returns
WHERE (returned_at >= %(start)s AND returned_at < %(end)s) OR returned_at IS NULL

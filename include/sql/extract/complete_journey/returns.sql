-- Grain: one row per article returned that day.
-- A row without returned_at belongs to no day: every run meets it, at the end of its window.
SELECT
    (
        coalesce(returned_at, %(end)s::timestamptz - interval '1 second') AT TIME ZONE %(timezone)s
    )::date AS _partition,
    return_number,
    order_number,
    product_number,
    customer_number,
    quantity,
    refund,
    reason,
    returned_at
FROM returns
WHERE (returned_at >= %(start)s AND returned_at < %(end)s) OR returned_at IS NULL

-- Grain: one row per region, product and count of that day.
-- A row without counted_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (counted_at AT TIME ZONE %(timezone)s)::date AS _partition,
    region,
    product_number,
    on_hand,
    on_order,
    counted_at
FROM stock_levels
WHERE (counted_at >= %(start)s AND counted_at < %(end)s) OR counted_at IS NULL

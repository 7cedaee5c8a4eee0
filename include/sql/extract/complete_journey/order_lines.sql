-- Grain: one row per product of an order placed that day, and again for each time the shop sent it.
-- A row without ordered_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (ordered_at AT TIME ZONE %(timezone)s)::date AS _partition,
    order_number,
    line_number,
    product_number,
    quantity,
    sales_value,
    retail_discount,
    coupon_discount,
    coupon_match_discount,
    ordered_at
FROM order_lines
WHERE (ordered_at >= %(start)s AND ordered_at < %(end)s) OR ordered_at IS NULL

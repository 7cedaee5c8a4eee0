-- Grain: one row per coupon, campaign and product whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (updated_at AT TIME ZONE %(timezone)s)::date AS _partition,
    coupon_row,
    coupon_upc,
    product_number,
    campaign_number,
    updated_at
FROM coupons
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL

-- Grain: one row per coupon redeemed that day.
-- A row without redeemed_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (redeemed_at AT TIME ZONE %(timezone)s)::date AS _partition,
    redemption_id,
    coupon_upc,
    campaign_number,
    customer_number,
    redeemed_at
FROM redemptions
WHERE (redeemed_at >= %(start)s AND redeemed_at < %(end)s) OR redeemed_at IS NULL

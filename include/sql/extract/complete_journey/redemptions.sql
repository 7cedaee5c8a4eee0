-- Grain: one row per coupon redeemed that day.
-- A row without redeemed_at belongs to no day: every run meets it, at the end of its window.
SELECT
    (
        coalesce(redeemed_at, %(end)s::timestamptz - interval '1 second') AT TIME ZONE %(timezone)s
    )::date AS _partition,
    redemption_id,
    coupon_upc,
    campaign_number,
    customer_number,
    redeemed_at
FROM redemptions
WHERE (redeemed_at >= %(start)s AND redeemed_at < %(end)s) OR redeemed_at IS NULL

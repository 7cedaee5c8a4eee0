-- Grain: one row per coupon redeemed in the window.
SELECT
    r.redemption_id,
    nullif(btrim(r.coupon_upc), '') AS coupon_upc,
    nullif(btrim(r.campaign_number), '') AS campaign_id,
    i.customer_id,
    i.account_id,
    r.redeemed_at,
    r._partition AS business_day
FROM raw.redemptions AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s

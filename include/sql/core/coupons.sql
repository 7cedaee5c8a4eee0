-- Grain: one row per coupon, campaign and product it is good for, as often as the shop holds it.
SELECT
    nullif(btrim(r.coupon_upc), '') AS coupon_upc,
    nullif(btrim(r.product_number), '') AS product_id,
    nullif(btrim(r.campaign_number), '') AS campaign_id,
    r.updated_at AS known_at
FROM raw.coupons AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

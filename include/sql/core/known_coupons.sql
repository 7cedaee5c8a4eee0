-- Grain: one row per campaign, coupon and product.
-- A coupon is known from the shop's first record of it: a later one says nothing new.
WITH first_record AS (
    SELECT
        p.row_key ->> 'campaign_id' AS campaign_id,
        p.row_key ->> 'coupon_upc' AS coupon_upc,
        p.row_key ->> 'product_id' AS product_id,
        min(p.known_at) AS known_at
    FROM core.past_states AS p
    WHERE p.table_name = 'core.coupons'
    GROUP BY p.row_key
)

SELECT
    k.campaign_id,
    k.coupon_upc,
    k.product_id,
    least(k.known_at, f.known_at) AS known_from
FROM core.coupons AS k
LEFT JOIN first_record AS f
    ON k.campaign_id = f.campaign_id AND k.coupon_upc = f.coupon_upc AND k.product_id = f.product_id

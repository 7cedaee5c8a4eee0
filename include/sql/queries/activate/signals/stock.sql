-- One row per region and product that was found, by the newest count of four weeks.
SELECT DISTINCT ON (t.region, t.product_id)
    t.region,
    t.product_id,
    t.on_hand
FROM core.stock_levels AS t
WHERE
    t.business_day <= %(as_of)s
    AND t.business_day > %(as_of)s::date - 28
    AND t.product_id IN (SELECT f.product_id FROM found AS f)
ORDER BY t.region ASC, t.product_id ASC, t.counted_at DESC

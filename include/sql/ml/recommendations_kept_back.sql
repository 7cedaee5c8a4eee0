-- Grain: one row per region and product of which pieces are held for high-value customers, by the stock
-- priorities published for the day before as_of (those of as_of itself are worked out from its scores).
-- Parameters: as_of (date), "end" (unused here).
SELECT
    s.region,
    s.product_id
FROM marketing.stock_priorities AS s
WHERE s.as_of = %(as_of)s::date - 1 AND s.promote_to = 'high_value'
ORDER BY s.region, s.product_id

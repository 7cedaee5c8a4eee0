-- Grain: one row per region and product: the newest count by the end of as_of that is not too old.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), max_age_days (integer).
SELECT DISTINCT ON (region, product_id)
    region,
    product_id,
    on_hand::double precision AS on_hand,
    on_order::double precision AS on_order,
    business_day AS counted_on
FROM core.stock_levels
WHERE
    counted_at < %(end)s::timestamptz
    AND business_day > %(as_of)s::date - %(max_age_days)s::integer
ORDER BY region ASC, product_id ASC, counted_at DESC

-- Grain: one row per product, as it was known at the end of as_of.
-- Parameters: "end" (timestamptz, first instant after as_of).
SELECT
    p.product_id,
    p.department,
    p.category,
    p.brand
FROM core.known_products AS p
WHERE p.known_from < %(end)s::timestamptz AND p.known_until >= %(end)s::timestamptz

-- Grain: one row per product sold by the piece, as recorded by the end of as_of.
-- Parameters: "end" (timestamptz, first instant after as_of).
WITH known AS (
    SELECT DISTINCT ON (p.product_id) p.*
    FROM core.products AS p
    WHERE p.valid_from < %(end)s::timestamptz AND p.known_at < %(end)s::timestamptz
    ORDER BY p.product_id ASC, p.valid_from DESC, p.known_at DESC
)

SELECT
    product_id,
    name,
    coalesce(department, '') AS department,
    coalesce(category, department, '') AS category,
    coalesce(type, category, department, '') AS type,
    coalesce(brand, '') AS brand,
    unit_margin::double precision AS unit_margin,
    active
FROM known
WHERE is_unit
ORDER BY product_id

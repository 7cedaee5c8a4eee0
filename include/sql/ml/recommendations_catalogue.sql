-- Grain: one row per product known by the end of as_of, in its newest version known then.
-- Parameters: as_of (unused here), "end" (timestamptz, first instant after as_of).
SELECT DISTINCT ON (p.product_id)
    p.product_id,
    p.name,
    p.type,
    p.category,
    p.manufacturer_id,
    coalesce(p.active, TRUE) AS active,
    coalesce(p.is_unit, TRUE) AS is_unit
FROM core.products AS p
WHERE p.valid_from < %(end)s::timestamptz AND p.known_at < %(end)s::timestamptz
ORDER BY p.product_id ASC, p.valid_from DESC, p.known_at DESC

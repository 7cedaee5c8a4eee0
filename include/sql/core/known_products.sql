-- Grain: one row per product and state of its record, from when to when the state was what was known.
-- A run for D knows the states with known_from < end of D <= known_until. Of a product that was sold before
-- the shop's first record of it, that record describes what was sold: it holds from the beginning, and
-- recorded_at says when the product was known at all.
WITH stamped AS (
    SELECT
        p.*,
        greatest(p.valid_from, p.known_at) AS told_at
    FROM core.products AS p
)

SELECT
    s.product_id,
    s.manufacturer_id,
    s.department,
    s.brand,
    s.category,
    s.type,
    s.package_size,
    s.name,
    s.active,
    s.unit_margin,
    s.is_unit,
    min(s.told_at) OVER (PARTITION BY s.product_id) AS recorded_at,
    CASE
        WHEN lag(s.told_at) OVER w IS NULL THEN '-infinity'::timestamptz
        ELSE s.told_at
    END AS known_from,
    coalesce(lead(s.told_at) OVER w, 'infinity'::timestamptz) AS known_until
FROM stamped AS s
WINDOW w AS (PARTITION BY s.product_id ORDER BY s.valid_from)

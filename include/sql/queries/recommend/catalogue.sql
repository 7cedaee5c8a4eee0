-- Grain: one row per product known or sold by the end of as_of, in its newest version known then.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), timezone.
-- Of a product recorded only later though sold before (a shop that changes records in place), the oldest
-- record is taken. known_from is the day on which it was first recorded, empty for such a product.
WITH versions AS (
    SELECT
        p.product_id,
        p.name,
        p.type,
        p.category,
        p.department,
        p.brand,
        p.package_size,
        p.manufacturer_id,
        p.unit_margin,
        (p.recorded_at AT TIME ZONE %(timezone)s)::date AS known_from,
        coalesce(p.active, TRUE) AS active,
        coalesce(p.is_unit, TRUE) AS is_unit,
        p.recorded_at < %(end)s::timestamptz AS is_known
    FROM core.known_products AS p
    WHERE p.known_from < %(end)s::timestamptz AND p.known_until >= %(end)s::timestamptz
)

SELECT
    v.product_id,
    v.name,
    v.type,
    v.category,
    v.department,
    v.brand,
    v.package_size,
    v.manufacturer_id,
    v.unit_margin::double precision AS margin,
    CASE WHEN v.is_known THEN v.known_from END AS known_from,
    v.active,
    v.is_unit
FROM versions AS v
WHERE
    v.is_known
    OR EXISTS (
        SELECT 1 FROM core.order_lines AS l
        WHERE
            l.product_id = v.product_id AND l.business_day <= %(as_of)s::date
            AND (l.cancelled_quantity < l.quantity) IS NOT FALSE
    )
ORDER BY v.product_id

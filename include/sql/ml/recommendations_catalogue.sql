-- Grain: one row per product known or sold by the end of as_of, in its newest version known then.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), timezone.
-- Of a product recorded only later though sold before (a shop that changes records in place), the oldest
-- record is taken. known_from is the day on which it was first recorded, empty for such a product.
WITH versions AS (
    SELECT DISTINCT ON (p.product_id)
        p.product_id,
        p.name,
        p.type,
        p.category,
        p.department,
        p.brand,
        p.package_size,
        p.manufacturer_id,
        p.unit_margin,
        (min(p.valid_from) OVER (PARTITION BY p.product_id) AT TIME ZONE %(timezone)s)::date AS known_from,
        coalesce(p.active, TRUE) AS active,
        coalesce(p.is_unit, TRUE) AS is_unit,
        p.valid_from < %(end)s::timestamptz AND p.known_at < %(end)s::timestamptz AS is_known
    FROM core.products AS p
    ORDER BY
        p.product_id ASC,
        (p.valid_from < %(end)s::timestamptz AND p.known_at < %(end)s::timestamptz) DESC,
        CASE
            WHEN p.valid_from < %(end)s::timestamptz AND p.known_at < %(end)s::timestamptz
                THEN p.valid_from
        END DESC,
        p.valid_from ASC
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
        WHERE l.product_id = v.product_id AND l.business_day <= %(as_of)s::date
    )
ORDER BY v.product_id

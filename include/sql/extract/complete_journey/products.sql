-- Grain: one row per product whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, at the end of its window.
SELECT
    (
        coalesce(updated_at, %(end)s::timestamptz - interval '1 second') AT TIME ZONE %(timezone)s
    )::date AS _partition,
    product_number,
    manufacturer_number,
    department,
    brand,
    category,
    type,
    package_size,
    name,
    active,
    unit_margin,
    updated_at
FROM products
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL

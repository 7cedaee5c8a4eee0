-- Grain: one row per product whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (updated_at AT TIME ZONE %(timezone)s)::date AS _partition,
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

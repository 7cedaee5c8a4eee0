-- Grain: one row per product and state of its record, for records that changed in the window.
--
-- The one rule of what is sold by the piece (is_unit): not departments FUEL, COUPON and MISCELLANEOUS, and
-- not category COUPON/MISC ITEMS of any other. In the demo shop's 1,469,307 order lines these are
--   FUEL           12,997 lines (quantity counts thousandths of a gallon)
--   MISCELLANEOUS   4,871 lines (3,464 of them COUPON/MISC ITEMS: fuel, gift cards; the rest undescribed)
--   COUPON            411 lines
--   elsewhere         776 lines of COUPON/MISC ITEMS (tickets, donations, supplies)
-- together 19,055 lines with 98.8 percent of all quantity and 9.0 percent of sales; the largest quantity left
-- is 144 ears of corn. They count in sales, not in units, and are never recommended.
WITH cleaned AS (
    SELECT
        nullif(btrim(r.product_number), '') AS product_id,
        nullif(btrim(r.manufacturer_number), '') AS manufacturer_id,
        nullif(upper(regexp_replace(btrim(r.department), '\s+', ' ', 'g')), '') AS department,
        nullif(regexp_replace(btrim(r.brand), '\s+', ' ', 'g'), '') AS brand,
        nullif(upper(regexp_replace(btrim(r.category), '\s+', ' ', 'g')), '') AS category,
        nullif(upper(regexp_replace(btrim(r.type), '\s+', ' ', 'g')), '') AS type,
        nullif(regexp_replace(btrim(r.package_size), '\s+', ' ', 'g'), '') AS package_size,
        nullif(regexp_replace(btrim(r.name), '\s+', ' ', 'g'), '') AS name,
        r.active,
        r.unit_margin,
        r.updated_at
    FROM raw.products AS r
    WHERE r._partition BETWEEN %(since)s AND %(until)s
)

SELECT
    c.product_id,
    c.updated_at AS valid_from,
    NULL::timestamptz AS valid_to,
    c.updated_at AS known_at,
    c.manufacturer_id,
    c.department,
    c.brand,
    c.category,
    c.type,
    c.package_size,
    coalesce(c.name, initcap(coalesce(c.type, c.category, c.department)), 'Product ' || c.product_id) AS name,
    c.active,
    c.unit_margin,
    coalesce(c.department, '') NOT IN ('FUEL', 'COUPON', 'MISCELLANEOUS')
    AND coalesce(c.category, '') <> 'COUPON/MISC ITEMS' AS is_unit
FROM cleaned AS c

-- Grain: one row per product and week of a mailer whose record changed in the window.
SELECT
    nullif(btrim(r.product_number), '') AS product_id,
    r.starts_on,
    nullif(lower(btrim(r.page)), '') AS page,
    r.store_share,
    r.updated_at AS known_at
FROM raw.promotions AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

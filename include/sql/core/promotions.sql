-- Grain: one row per product and week of a mailer whose record changed in the window.
SELECT
    nullif(btrim(r.product_number), '') AS product_id,
    r.starts_on,
    coalesce(nullif(lower(btrim(r.page)), ''), 'inside') AS page,
    coalesce(r.store_share, 1) AS store_share,
    r.updated_at AS known_at
FROM raw.promotions AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

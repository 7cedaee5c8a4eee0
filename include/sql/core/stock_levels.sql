-- Grain: one row per region, product and count of the window.
SELECT
    nullif(lower(btrim(r.region)), '') AS region,
    nullif(btrim(r.product_number), '') AS product_id,
    r.on_hand,
    r.on_order,
    r.counted_at,
    r._partition AS business_day,
    NULL::text[] AS flags
FROM raw.stock_levels AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

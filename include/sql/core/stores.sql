-- Grain: one row per store whose record changed in the window.
SELECT
    nullif(btrim(r.store_number), '') AS store_id,
    nullif(lower(btrim(r.region)), '') AS region,
    r.updated_at AS known_at
FROM raw.stores AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

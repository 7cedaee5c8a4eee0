-- Grain: one row per store whose record changed in the window.
SELECT
    NULLIF(btrim(r.store_number), '') AS store_id,
    NULLIF(lower(btrim(r.region)), '') AS region,
    r.updated_at AS known_at
FROM raw.stores AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

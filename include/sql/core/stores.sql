-- Grain: one row per store and state of its record, for records that changed in the window.
SELECT
    nullif(btrim(r.store_number), '') AS store_id,
    r.updated_at AS valid_from,
    NULL::timestamptz AS valid_to,
    nullif(lower(btrim(r.region)), '') AS region,
    r.updated_at AS known_at
FROM raw.stores AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

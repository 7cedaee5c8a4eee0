-- Grain: one row per warehouse, region and state of its record, for records that changed in the window.
SELECT
    nullif(btrim(r.warehouse_number), '') AS warehouse_id,
    nullif(lower(btrim(r.region)), '') AS region,
    r.updated_at AS valid_from,
    NULL::timestamptz AS valid_to,
    nullif(btrim(r.name), '') AS name,
    r.serves,
    r.updated_at AS known_at
FROM raw.warehouses AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

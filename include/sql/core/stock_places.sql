-- Grain: one row per sales region, warehouse and span in which it serves the region.
-- A run for D knows those with known_from < end of D <= known_until.
SELECT
    w.region,
    -- As counts name it.
    lower(w.warehouse_id) AS place,
    greatest(w.valid_from, w.known_at) AS known_from,
    coalesce(w.valid_to, 'infinity'::timestamptz) AS known_until
FROM core.warehouses AS w
WHERE w.serves

-- Grain: one row per warehouse and region whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (updated_at AT TIME ZONE %(timezone)s)::date AS _partition,
    warehouse_number,
    name,
    region,
    serves,
    updated_at
FROM warehouses
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL

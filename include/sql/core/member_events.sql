-- Grain: one row per member event whose record changed in the window.
SELECT
    nullif(btrim(r.event_number), '') AS event_id,
    nullif(regexp_replace(btrim(r.name), '\s+', ' ', 'g'), '') AS name,
    nullif(lower(btrim(r.region)), '') AS region,
    r.starts_on,
    r.ends_on,
    r.cancelled,
    r.updated_at AS known_at
FROM raw.member_events AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

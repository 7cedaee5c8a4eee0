-- Grain: one row per campaign whose record changed in the window.
SELECT
    nullif(btrim(r.campaign_number), '') AS campaign_id,
    nullif(btrim(r.campaign_type), '') AS campaign_type,
    r.starts_on,
    r.ends_on,
    r.updated_at AS known_at
FROM raw.campaigns AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

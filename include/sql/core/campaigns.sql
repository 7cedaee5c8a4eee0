-- Grain: one row per campaign whose record changed in the window.
-- A last day beyond every calendar (infinity, 9999-12-31) is how a shop says that there is none.
SELECT
    nullif(btrim(r.campaign_number), '') AS campaign_id,
    nullif(btrim(r.campaign_type), '') AS campaign_type,
    r.starts_on,
    CASE WHEN r.ends_on < %(beyond)s::date THEN r.ends_on END AS ends_on,
    r.updated_at AS known_at
FROM raw.campaigns AS r
WHERE r._partition BETWEEN %(since)s AND %(until)s

-- Grain: one row per campaign sent to a customer in the window.
SELECT
    nullif(btrim(r.campaign_number), '') AS campaign_id,
    i.customer_id,
    i.account_id,
    r.exposed_at,
    r._partition AS business_day
FROM raw.exposures AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s

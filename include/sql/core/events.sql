-- Grain: one row per event of the window.
SELECT
    r.event_id,
    i.customer_id,
    i.account_id,
    nullif(btrim(r.product_number), '') AS product_id,
    lower(btrim(r.event_type)) AS event_type,
    r.occurred_at,
    r._partition AS business_day
FROM raw.events AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s

-- Grain: one row per delivery that ended in the window.
SELECT
    nullif(btrim(r.delivery_number), '') AS delivery_id,
    nullif(btrim(r.order_number), '') AS order_id,
    i.customer_id,
    i.account_id,
    nullif(lower(btrim(r.carrier)), '') AS carrier,
    lower(btrim(r.status)) AS status,
    r.promised_at,
    r.delivered_at,
    extract(EPOCH FROM r.delivered_at - r.promised_at)::double precision / 3600 AS delay_hours,
    NULL::text[] AS flags,
    r._partition AS business_day
FROM raw.deliveries AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s

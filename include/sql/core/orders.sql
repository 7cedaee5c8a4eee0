-- Grain: one row per order placed in the window, as often as the shop sent it.
SELECT
    NULLIF(btrim(r.order_number), '') AS order_id,
    i.customer_id,
    NULLIF(btrim(r.store_number), '') AS store_id,
    lower(btrim(r.channel)) AS channel,
    upper(btrim(COALESCE(r.currency, %(currency)s))) AS currency,
    r.ordered_at,
    r._partition AS business_day,
    COALESCE(r.updated_at, r.ordered_at) AS known_at
FROM raw.orders AS r
LEFT JOIN identities AS i ON i.external_id = r.customer_number
WHERE r._partition BETWEEN %(since)s AND %(until)s

-- Grain: one row per order placed in the window, as often as the shop sent it.
SELECT
    nullif(btrim(r.order_number), '') AS order_id,
    i.customer_id,
    i.account_id,
    nullif(btrim(r.store_number), '') AS store_id,
    lower(btrim(r.channel)) AS channel,
    nullif(upper(btrim(r.currency)), '') AS currency,
    r.ordered_at,
    r._partition AS business_day,
    coalesce(r.updated_at, r.ordered_at) AS known_at
FROM raw.orders AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s

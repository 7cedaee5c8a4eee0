-- Grain: one row per article returned in the window.
SELECT
    nullif(btrim(r.return_number), '') AS return_id,
    nullif(btrim(r.order_number), '') AS order_id,
    nullif(btrim(r.product_number), '') AS product_id,
    i.customer_id,
    i.account_id,
    r.quantity,
    r.refund,
    nullif(lower(btrim(r.reason)), '') AS reason,
    r.returned_at,
    r._partition AS business_day
FROM raw.returns AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s

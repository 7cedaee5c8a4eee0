-- Grain: one row per review written in the window.
SELECT
    r.review_id,
    i.customer_id,
    i.account_id,
    nullif(btrim(r.product_number), '') AS product_id,
    r.rating,
    nullif(btrim(r.body), '') AS body,
    s.sentiment,
    r.written_at,
    r._partition AS business_day
FROM raw.reviews AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
LEFT JOIN sentiments AS s ON r.body = s.body
WHERE r._partition BETWEEN %(since)s AND %(until)s

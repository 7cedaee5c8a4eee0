-- Grain: one row per mention posted in the window.
-- Who said it is known where the handle is that of an account of a customer.
SELECT
    r.mention_id,
    n.customer_id,
    n.account_id,
    h.author_id,
    nullif(btrim(r.product_number), '') AS product_id,
    nullif(lower(btrim(r.network)), '') AS network,
    nullif(btrim(r.body), '') AS body,
    s.sentiment,
    r.posted_at,
    r._partition AS business_day
FROM raw.mentions AS r
LEFT JOIN authors AS h ON lower(btrim(r.handle)) = h.handle
LEFT JOIN numbers AS n ON h.number = n.number
LEFT JOIN sentiments AS s ON r.body = s.body
WHERE r._partition BETWEEN %(since)s AND %(until)s

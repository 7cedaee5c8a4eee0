-- One row per message about a product that is not sold any more, or sold out where its customer shops.
SELECT w.message_id
FROM waiting AS w
LEFT JOIN homes AS h ON w.message_id = h.message_id
LEFT JOIN LATERAL (
    SELECT p.active
    FROM core.products AS p
    WHERE p.product_id = w.key
    ORDER BY p.valid_from DESC, p.known_at DESC
    LIMIT 1
) AS p ON TRUE
LEFT JOIN LATERAL (
    SELECT t.on_hand
    FROM core.stock_levels AS t
    WHERE t.region = h.region AND t.product_id = w.key AND t.business_day > w.as_of - 28
    ORDER BY t.counted_at DESC
    LIMIT 1
) AS s ON TRUE
WHERE w.key IS NOT NULL AND (NOT coalesce(p.active, FALSE) OR coalesce(s.on_hand <= 0, FALSE))

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
    SELECT sum(t.on_hand) AS on_hand
    FROM (
        SELECT DISTINCT ON (x.region)
            x.region,
            x.on_hand
        FROM core.stock_levels AS x
        WHERE x.product_id = w.key AND x.business_day > w.as_of - 28
        ORDER BY x.region ASC, x.counted_at DESC
    ) AS t
    -- Where goods of the region are kept; a region without a warehouse keeps its own.
    LEFT JOIN core.stock_places AS k
        ON t.region = k.place AND k.known_from < w.day + 1 AND k.known_until >= w.day + 1
    WHERE coalesce(k.region, t.region) = h.region
) AS s ON TRUE
WHERE w.key IS NOT NULL AND (NOT coalesce(p.active, FALSE) OR coalesce(s.on_hand <= 0, FALSE))

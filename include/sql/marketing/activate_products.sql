-- One row per customer, list and recommended product that a message may name, best first.
SELECT
    r.customer_id,
    r.list,
    r.rank,
    p.name
FROM marketing.product_recommendations AS r
CROSS JOIN
    LATERAL (
        SELECT v.name
        FROM core.products AS v
        WHERE v.product_id = r.product_id AND v.valid_from < %(end)s AND v.known_at < %(end)s
        ORDER BY v.valid_from DESC, v.known_at DESC
        LIMIT 1
    ) AS p
WHERE r.as_of = %(as_of)s AND r.rank <= %(products)s AND p.name IS NOT NULL
ORDER BY r.customer_id, r.list, r.rank

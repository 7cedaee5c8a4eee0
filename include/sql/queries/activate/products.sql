-- One row per customer, list and recommended product that a message may name, best first. Products that are
-- known to be sold out in the customer's region, and those of a sensitive kind, are left out.
WITH regions AS (
    SELECT DISTINCT ON (v.customer_id)
        v.customer_id,
        v.region
    FROM core.known_customers AS v
    WHERE v.valid_from < %(end)s AND v.known_at < %(end)s
    ORDER BY v.customer_id ASC, v.valid_from DESC, v.known_at DESC
),

names AS (
    SELECT DISTINCT ON (v.product_id)
        v.product_id,
        v.name
    FROM core.products AS v
    WHERE v.valid_from < %(end)s AND v.known_at < %(end)s
    ORDER BY v.product_id ASC, v.valid_from DESC, v.known_at DESC
),

sold_out AS (
    SELECT
        coalesce(w.region, t.region) AS region,
        t.product_id
    FROM (
        SELECT DISTINCT ON (x.region, x.product_id)
            x.region,
            x.product_id,
            x.on_hand
        FROM core.stock_levels AS x
        WHERE x.business_day <= %(as_of)s AND x.business_day > %(as_of)s::date - 28
        ORDER BY x.region ASC, x.product_id ASC, x.counted_at DESC
    ) AS t
    LEFT JOIN core.stock_places AS w
        ON t.region = w.place AND w.known_from < %(end)s AND w.known_until >= %(end)s
    GROUP BY coalesce(w.region, t.region), t.product_id
    HAVING sum(t.on_hand) <= 0
),

offered AS (
    SELECT
        r.customer_id,
        r.list,
        row_number() OVER (PARTITION BY r.customer_id, r.list ORDER BY r.rank) AS rank,
        n.name,
        r.score
    FROM marketing.product_recommendations AS r
    INNER JOIN names AS n ON r.product_id = n.product_id
    LEFT JOIN regions AS c ON r.customer_id = c.customer_id
    LEFT JOIN sold_out AS s ON c.region = s.region AND r.product_id = s.product_id
    WHERE r.as_of = %(as_of)s AND s.product_id IS NULL AND r.sensitive IS NOT TRUE
)

SELECT
    o.customer_id,
    o.list,
    o.rank,
    o.name,
    o.score
FROM offered AS o
WHERE o.rank <= %(products)s
ORDER BY o.customer_id, o.list, o.rank

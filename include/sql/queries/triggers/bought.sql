-- One row per customer and product of a choice that was bought lately (bought) or, otherwise, that was bought
-- before and none of the choice since; without days before, one row per customer who bought none lately.
-- product_ids, types, categories, brands: the choice, what is given of them must all fit.
-- within_days: lately. bought, bought_before_days: which of the three.
-- What counts are pieces, known at the end of the day, that were not all brought back. A sensitive product is
-- in no choice, and where a choice holds no other product nobody is found.
WITH chosen AS (
    SELECT g.product_id
    FROM goods AS g
    WHERE
        NOT g.is_sensitive
        AND (%(product_ids)s::text[] IS NULL OR g.product_id = any(%(product_ids)s::text[]))
        AND (%(types)s::text[] IS NULL OR g.type = any(%(types)s::text[]))
        AND (%(categories)s::text[] IS NULL OR g.category = any(%(categories)s::text[]))
        AND (%(brands)s::text[] IS NULL OR g.brand = any(%(brands)s::text[]))
),

brought_back AS (
    SELECT
        b.customer_id,
        b.product_id,
        b.order_id,
        max(b.business_day) AS business_day,
        sum(b.quantity) AS quantity
    FROM core.known_returns AS b
    WHERE
        b.business_day <= %(as_of)s
        AND b.known_from < %(end)s
        AND b.known_until >= %(end)s
    GROUP BY b.customer_id, b.product_id, b.order_id
),

purchases AS (
    SELECT
        l.customer_id,
        l.product_id,
        max(l.business_day) AS happened_on
    FROM core.known_order_lines AS l
    INNER JOIN chosen AS c ON l.product_id = c.product_id
    WHERE
        l.customer_id IS NOT NULL
        AND l.is_unit
        AND l.quantity > 0
        AND l.business_day <= %(as_of)s
        AND l.business_day
        >= %(as_of)s::date - greatest(%(within_days)s::integer, %(bought_before_days)s::integer)
        AND l.known_from < %(end)s
        AND l.known_until >= %(end)s
        AND NOT EXISTS (
            SELECT 1
            FROM brought_back AS b
            WHERE
                b.customer_id = l.customer_id
                AND b.product_id = l.product_id
                AND b.quantity >= l.quantity
                -- A return that names no order may be of any before it.
                AND coalesce(b.order_id = l.order_id, b.business_day >= l.business_day)
        )
    GROUP BY l.customer_id, l.product_id
),

lately AS (
    SELECT DISTINCT p.customer_id
    FROM purchases AS p
    WHERE p.happened_on >= %(as_of)s::date - %(within_days)s::integer
)

SELECT
    p.customer_id,
    p.product_id AS key,
    p.product_id,
    p.happened_on
FROM purchases AS p
LEFT JOIN lately AS y ON p.customer_id = y.customer_id
WHERE
    CASE
        WHEN %(bought)s THEN p.happened_on >= %(as_of)s::date - %(within_days)s::integer
        ELSE %(bought_before_days)s::integer IS NOT NULL AND y.customer_id IS NULL
    END
UNION ALL
SELECT
    s.customer_id,
    NULL AS key,
    NULL AS product_id,
    NULL AS happened_on
FROM marketing.customer_segments AS s
WHERE
    NOT %(bought)s
    AND %(bought_before_days)s::integer IS NULL
    AND s.as_of = %(as_of)s
    AND EXISTS (SELECT 1 FROM chosen)
    AND NOT EXISTS (
        SELECT 1
        FROM lately AS y
        WHERE y.customer_id = s.customer_id
    )

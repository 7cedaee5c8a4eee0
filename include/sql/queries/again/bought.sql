-- One row per message whose customer brought the product back (bought) or has bought one of the choice since.
-- product_ids, types, categories, brands: the choice. within_days, bought, bought_before_days as they found.
WITH chosen AS (
    SELECT DISTINCT ON (v.product_id)
        v.product_id,
        v.type,
        v.category,
        v.brand
    FROM core.products AS v
    ORDER BY v.product_id ASC, v.valid_from DESC, v.known_at DESC
),

kept AS (
    SELECT
        w.message_id,
        w.as_of,
        l.product_id,
        l.business_day
    FROM waiting AS w
    INNER JOIN core.order_lines AS l ON w.customer_id = l.customer_id
    INNER JOIN chosen AS c ON l.product_id = c.product_id
    WHERE
        l.is_unit
        AND l.quantity > 0
        AND l.business_day >= w.as_of - %(within_days)s::integer
        AND (%(product_ids)s::text[] IS NULL OR c.product_id = any(%(product_ids)s::text[]))
        AND (%(types)s::text[] IS NULL OR c.type = any(%(types)s::text[]))
        AND (%(categories)s::text[] IS NULL OR c.category = any(%(categories)s::text[]))
        AND (%(brands)s::text[] IS NULL OR c.brand = any(%(brands)s::text[]))
        AND l.quantity - coalesce(l.cancelled_quantity, 0) > coalesce((
            SELECT sum(b.quantity - coalesce(b.cancelled_quantity, 0))
            FROM core.returns AS b
            WHERE
                b.customer_id = w.customer_id
                AND b.product_id = l.product_id
                -- A return that names no order may be of any before it.
                AND coalesce(b.order_id = l.order_id, b.business_day >= l.business_day)
        ), 0)
)

SELECT w.message_id
FROM waiting AS w
WHERE
    CASE
        WHEN %(bought)s
            THEN
                w.key IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM kept AS k
                    WHERE k.message_id = w.message_id AND k.product_id = w.key
                )
        ELSE EXISTS (
            SELECT 1 FROM kept AS k
            WHERE k.message_id = w.message_id
        )
    END
UNION ALL
SELECT g.message_id FROM gone AS g
WHERE NOT %(bought)s AND %(bought_before_days)s::integer IS NOT NULL

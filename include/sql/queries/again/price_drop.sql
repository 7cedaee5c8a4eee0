-- One row per message whose product costs about as much again as before, was bought since, or is gone.
-- minimum_drop, recent_days, compared_days: against the price of before that the decision compared with.
WITH paid AS (
    SELECT
        w.message_id,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY l.sales / l.quantity)
        FILTER (WHERE l.business_day > w.as_of) AS price_since,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY l.sales / l.quantity)
        FILTER (WHERE l.business_day <= w.as_of - %(recent_days)s::integer) AS price_before
    FROM waiting AS w
    INNER JOIN core.order_lines AS l ON w.key = l.product_id
    WHERE
        l.is_unit
        AND l.quantity > 0
        AND l.sales > 0
        AND l.business_day > w.as_of - (%(recent_days)s + %(compared_days)s)::integer
    GROUP BY w.message_id
)

SELECT p.message_id
FROM paid AS p
WHERE p.price_since > p.price_before * (1 - %(minimum_drop)s) + 0.000001
UNION ALL
SELECT w.message_id
FROM waiting AS w
INNER JOIN core.order_lines AS l
    ON w.customer_id = l.customer_id AND w.key = l.product_id AND w.as_of < l.business_day
WHERE (l.cancelled_quantity < l.quantity) IS NOT FALSE
UNION ALL
SELECT g.message_id FROM gone AS g

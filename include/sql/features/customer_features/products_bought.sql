-- Grain: one row per customer and product sold in units that the customer bought in the last 91 days.
SELECT
    l.customer_id,
    l.product_id,
    sum(l.cents)::bigint AS cents,
    count(DISTINCT l.order_id) AS orders
FROM known_lines AS l
INNER JOIN known_orders AS o ON l.order_id = o.order_id
WHERE o.age_days < 91 AND l.is_unit
GROUP BY l.customer_id, l.product_id

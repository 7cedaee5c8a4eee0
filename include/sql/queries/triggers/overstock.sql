-- One row per customer and product bought before that the customer's region has too much of.
-- within_days.
SELECT
    l.customer_id,
    l.product_id AS key,
    l.product_id,
    max(l.business_day) AS happened_on,
    count(DISTINCT l.business_day)::double precision AS number
FROM core.order_lines AS l
INNER JOIN regions AS c ON l.customer_id = c.customer_id
INNER JOIN priorities AS p
    ON c.region = p.region AND l.product_id = p.product_id AND p.promote_to = 'clear'
WHERE
    l.business_day <= %(as_of)s
    AND l.business_day >= %(as_of)s::date - %(within_days)s::integer
    AND (l.cancelled_quantity < l.quantity) IS NOT FALSE
GROUP BY l.customer_id, l.product_id

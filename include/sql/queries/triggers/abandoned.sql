-- One row per customer and product looked at, or put into the cart, and not bought since.
-- event (browse or cart), within_days.
WITH visits AS (
    SELECT
        e.customer_id,
        e.product_id,
        max(e.business_day) AS happened_on,
        max(e.occurred_at) AS last_at,
        count(*) AS number
    FROM core.events AS e
    WHERE
        e.event_type = %(event)s
        AND e.business_day <= %(as_of)s
        AND e.business_day >= %(as_of)s::date - %(within_days)s::integer
    GROUP BY e.customer_id, e.product_id
)

SELECT
    v.customer_id,
    v.product_id AS key,
    v.product_id,
    v.happened_on,
    v.number::double precision AS number
FROM visits AS v
WHERE NOT EXISTS (
    SELECT 1 FROM core.order_lines AS l
    WHERE
        l.customer_id = v.customer_id
        AND l.product_id = v.product_id
        AND l.ordered_at >= v.last_at
        AND (l.cancelled_quantity < l.quantity) IS NOT FALSE
        AND l.business_day BETWEEN v.happened_on AND %(as_of)s
)

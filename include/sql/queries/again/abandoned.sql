-- One row per message whose customer has bought the product since it was left, or whose product is gone.
-- event.
SELECT w.message_id
FROM waiting AS w
INNER JOIN core.order_lines AS l ON w.customer_id = l.customer_id AND w.key = l.product_id
WHERE
    (l.cancelled_quantity < l.quantity) IS NOT FALSE
    AND (
        l.business_day > w.as_of
        OR l.ordered_at >= (
            SELECT max(e.occurred_at)
            FROM core.events AS e
            WHERE
                e.customer_id = w.customer_id
                AND e.product_id = w.key
                AND e.event_type = %(event)s
                AND e.business_day <= w.as_of
        )
    )
UNION ALL
SELECT g.message_id FROM gone AS g

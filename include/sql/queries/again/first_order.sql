-- One row per message whose customer has ordered a second time, or taken the first order back.
SELECT w.message_id
FROM waiting AS w
LEFT JOIN core.orders AS o ON w.customer_id = o.customer_id AND o.cancelled_at IS NULL
GROUP BY w.message_id, w.as_of
HAVING count(o.order_id) <> 1 OR max(o.business_day) > w.as_of

-- One row per message whose customer has ordered a second time.
SELECT w.message_id
FROM waiting AS w
INNER JOIN core.orders AS o ON w.customer_id = o.customer_id
GROUP BY w.message_id, w.as_of
HAVING count(*) > 1 OR max(o.business_day) > w.as_of

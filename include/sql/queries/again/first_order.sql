-- One row per message whose customer has ordered a second time, or taken the first order back.
SELECT w.message_id
FROM waiting AS w
INNER JOIN core.orders AS o ON w.customer_id = o.customer_id
GROUP BY w.message_id, w.as_of
HAVING
    count(*) FILTER (WHERE o.cancelled_at IS NULL) <> 1
    OR max(o.business_day) FILTER (WHERE o.cancelled_at IS NULL) > w.as_of

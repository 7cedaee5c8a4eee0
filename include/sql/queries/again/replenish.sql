-- One row per message whose customer has come to shop since.
SELECT w.message_id
FROM waiting AS w
WHERE
    EXISTS (
        SELECT 1 FROM core.orders AS o
        WHERE o.customer_id = w.customer_id AND o.business_day > w.as_of AND o.cancelled_at IS NULL
    )

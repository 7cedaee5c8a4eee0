-- One row per message: the region that its customer shops in.
SELECT DISTINCT ON (w.message_id)
    w.message_id,
    v.region
FROM waiting AS w
INNER JOIN core.known_customers AS v ON w.customer_id = v.customer_id
ORDER BY w.message_id ASC, v.valid_from DESC, v.known_at DESC

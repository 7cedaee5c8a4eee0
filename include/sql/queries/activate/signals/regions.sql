-- One row per customer with the region known at the end of the day.
SELECT DISTINCT ON (v.customer_id)
    v.customer_id,
    v.region
FROM core.known_customers AS v
WHERE v.valid_from < %(end)s AND v.known_at < %(end)s
ORDER BY v.customer_id ASC, v.valid_from DESC, v.known_at DESC

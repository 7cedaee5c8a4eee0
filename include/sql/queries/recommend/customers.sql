-- Grain: one row per customer known by the end of as_of, in the newest version known then.
-- Parameters: as_of (unused here), "end" (timestamptz, first instant after as_of).
SELECT DISTINCT ON (c.customer_id)
    c.customer_id,
    i.external_id,
    c.region
FROM core.known_customers AS c
INNER JOIN core.identities AS i ON c.customer_id = i.customer_id
WHERE c.valid_from < %(end)s::timestamptz AND c.known_at < %(end)s::timestamptz
ORDER BY c.customer_id ASC, c.valid_from DESC, c.known_at DESC

-- One row per account that was found to be of a person called by another number. `customers` narrows it
-- (NULL: everybody).
SELECT
    l.customer_id AS person_id,
    l.account_id
FROM core.identity_links AS l
WHERE
    l.account_id <> l.customer_id
    AND (%(customers)s::uuid[] IS NULL OR l.customer_id = any(%(customers)s::uuid[]))
ORDER BY l.customer_id, l.account_id

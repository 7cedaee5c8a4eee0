-- One row per customer: birth date, and the newest address of each channel.
SELECT
    c.customer_id,
    i.birth_date,
    email.address AS email,
    sms.address AS sms
FROM unnest(%(customers)s::uuid[]) AS c (customer_id)
LEFT JOIN core.identities AS i ON c.customer_id = i.customer_id
LEFT JOIN LATERAL (
    SELECT p.address
    FROM core.contact_points AS p
    WHERE p.customer_id = c.customer_id AND p.channel = 'email'
    ORDER BY p.valid_from DESC, p.known_at DESC
    LIMIT 1
) AS email ON TRUE
LEFT JOIN LATERAL (
    SELECT p.address
    FROM core.contact_points AS p
    WHERE p.customer_id = c.customer_id AND p.channel = 'sms'
    ORDER BY p.valid_from DESC, p.known_at DESC
    LIMIT 1
) AS sms ON TRUE

-- One row per customer: birth date, whether the shop's word on it is faulty, and the newest address of each
-- channel.
WITH wanted AS (
    SELECT unnest(%(customers)s::uuid[]) AS customer_id
),

newest AS (
    SELECT DISTINCT ON (p.customer_id, p.channel)
        p.customer_id,
        p.channel,
        p.address
    FROM core.contact_points AS p
    INNER JOIN wanted AS w ON p.customer_id = w.customer_id
    ORDER BY p.customer_id ASC, p.channel ASC, p.valid_from DESC, p.known_at DESC
)

SELECT
    w.customer_id,
    i.birth_date,
    coalesce(i.flags && ARRAY['unreadable_birthday', 'implausible_birthday'], FALSE) AS is_birthday_faulty,
    email.address AS email,
    sms.address AS sms
FROM wanted AS w
LEFT JOIN core.identities AS i ON w.customer_id = i.customer_id
LEFT JOIN newest AS email ON w.customer_id = email.customer_id AND email.channel = 'email'
LEFT JOIN newest AS sms ON w.customer_id = sms.customer_id AND sms.channel = 'sms'

-- One row per customer: birth date, whether the shop's word on it is faulty, and channel -> newest address.
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
),

addresses AS (
    SELECT
        n.customer_id,
        jsonb_object_agg(n.channel, n.address) AS by_channel
    FROM newest AS n
    GROUP BY n.customer_id
)

SELECT
    w.customer_id,
    CASE
        WHEN i.birth_date NOT IN (SELECT h.birth_date FROM core.placeholder_birthdays AS h) THEN i.birth_date
    END AS birth_date,
    coalesce(i.flags && ARRAY['unreadable_birthday', 'implausible_birthday'], FALSE) AS is_birthday_faulty,
    a.by_channel
FROM wanted AS w
LEFT JOIN core.identities AS i ON w.customer_id = i.customer_id
LEFT JOIN addresses AS a ON w.customer_id = a.customer_id

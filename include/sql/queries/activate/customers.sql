-- One row per customer with a segment on the business day, as campaigns look at customers.
-- complaint_days, complaint_rating, complaint_sentiment, return_days: how long, and from which rating or mood
-- down, a complaint or a return is remembered.
WITH states AS (
    SELECT DISTINCT ON (v.customer_id)
        v.customer_id,
        v.registered_at,
        v.region
    FROM core.known_customers AS v
    WHERE v.valid_from < %(end)s AND v.known_at < %(end)s
    ORDER BY v.customer_id ASC, v.valid_from DESC, v.known_at DESC
),

complaints AS (
    SELECT
        c.customer_id,
        max(c.business_day) AS complained_on
    FROM (
        SELECT
            r.customer_id,
            r.business_day
        FROM core.reviews AS r
        WHERE r.rating <= %(complaint_rating)s
        UNION ALL
        SELECT
            m.customer_id,
            m.business_day
        FROM core.mentions AS m
        WHERE m.sentiment <= %(complaint_sentiment)s AND m.customer_id IS NOT NULL
    ) AS c
    WHERE
        c.business_day <= %(as_of)s
        AND c.business_day > %(as_of)s::date - %(complaint_days)s::integer
    GROUP BY c.customer_id
),

brought_back AS (
    SELECT
        b.customer_id,
        max(b.business_day) AS returned_on
    FROM core.returns AS b
    WHERE
        b.business_day <= %(as_of)s
        AND b.business_day > %(as_of)s::date - %(return_days)s::integer
    GROUP BY b.customer_id
)

SELECT
    s.customer_id,
    s.customer_id AS person_id,
    s.external_id,
    s.segment,
    s.priority_service,
    s.predicted_value,
    s.predicted_orders,
    s.expected_next_order_date,
    f.orders_total,
    f.first_order_day,
    s.model_version,
    CASE
        WHEN i.birth_date NOT IN (SELECT h.birth_date FROM core.placeholder_birthdays AS h) THEN i.birth_date
    END AS birth_date,
    coalesce(i.flags && ARRAY['unreadable_birthday', 'implausible_birthday'], FALSE) AS is_birthday_faulty,
    i.first_name,
    c.region,
    (c.registered_at AT TIME ZONE %(timezone)s)::date AS registered_at,
    k.complained_on,
    b.returned_on
FROM marketing.customer_segments AS s
LEFT JOIN features.customer_features AS f ON s.customer_id = f.customer_id AND s.as_of = f.as_of
LEFT JOIN core.identities AS i ON s.customer_id = i.customer_id
LEFT JOIN states AS c ON s.customer_id = c.customer_id
LEFT JOIN complaints AS k ON s.customer_id = k.customer_id
LEFT JOIN brought_back AS b ON s.customer_id = b.customer_id
WHERE s.as_of = %(as_of)s
ORDER BY s.customer_id

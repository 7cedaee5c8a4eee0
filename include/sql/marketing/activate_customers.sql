-- One row per customer with a segment on the business day, as campaigns look at customers.
SELECT
    s.customer_id,
    s.external_id,
    s.segment,
    s.priority_service,
    s.predicted_value,
    s.predicted_orders,
    s.model_version,
    i.birth_date,
    coalesce(i.flags && ARRAY['unreadable_birthday', 'implausible_birthday'], FALSE) AS is_birthday_faulty,
    i.first_name,
    c.region,
    (c.registered_at AT TIME ZONE %(timezone)s)::date AS registered_at
FROM marketing.customer_segments AS s
LEFT JOIN core.identities AS i ON s.customer_id = i.customer_id
LEFT JOIN LATERAL (
    SELECT
        v.registered_at,
        v.region
    FROM core.customers AS v
    WHERE v.customer_id = s.customer_id AND v.valid_from < %(end)s AND v.known_at < %(end)s
    ORDER BY v.valid_from DESC, v.known_at DESC
    LIMIT 1
) AS c ON TRUE
WHERE s.as_of = %(as_of)s
ORDER BY s.customer_id

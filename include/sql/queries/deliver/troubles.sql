-- One row per customer who complained or brought something back lately: when last. complaint_rating and
-- complaint_sentiment say from which rating or mood down it is a complaint, as in activate/customers.sql.
SELECT
    t.customer_id,
    max(t.business_day) FILTER (WHERE NOT t.is_return) AS complained_on,
    max(t.business_day) FILTER (WHERE t.is_return) AS returned_on
FROM (
    SELECT
        r.customer_id,
        r.business_day,
        FALSE AS is_return
    FROM core.reviews AS r
    WHERE r.rating <= %(complaint_rating)s
    UNION ALL
    SELECT
        m.customer_id,
        m.business_day,
        FALSE AS is_return
    FROM core.mentions AS m
    WHERE m.sentiment <= %(complaint_sentiment)s
    UNION ALL
    SELECT
        b.customer_id,
        b.business_day,
        TRUE AS is_return
    FROM core.returns AS b
) AS t
WHERE t.customer_id = any(%(customers)s::uuid[]) AND t.business_day > %(since)s::date
GROUP BY t.customer_id

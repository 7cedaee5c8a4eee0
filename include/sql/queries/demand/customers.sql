-- Grain: one row per customer who ever ordered, in the order that sales.sql numbers them by, and a last one,
-- empty, for what was sold without a customer.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
-- is_high is empty for customers without a score of the day.
SELECT
    o.customer_id,
    g.value_tier = 'high' AS is_high
FROM (
    SELECT DISTINCT customer_id
    FROM core.known_orders
    WHERE
        customer_id IS NOT NULL
        AND business_day <= %(as_of)s::date
        AND known_from < %(end)s::timestamptz
        AND known_until >= %(end)s::timestamptz
    UNION ALL
    SELECT NULL AS customer_id
) AS o
LEFT JOIN marketing.customer_segments AS g
    ON o.customer_id = g.customer_id AND g.as_of = %(as_of)s::date
ORDER BY o.customer_id ASC NULLS LAST

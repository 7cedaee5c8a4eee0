-- Grain: one row per customer who ever ordered, in the order that sales.sql numbers them by.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
-- is_high is empty for customers without a score of the day.
SELECT
    o.customer_id,
    g.value_tier = 'high' AS is_high
FROM (
    SELECT DISTINCT customer_id
    FROM core.known_orders
    WHERE
        business_day <= %(as_of)s::date
        AND known_from < %(end)s::timestamptz
        AND known_until >= %(end)s::timestamptz
) AS o
LEFT JOIN marketing.customer_segments AS g
    ON o.customer_id = g.customer_id AND g.as_of = %(as_of)s::date
ORDER BY o.customer_id

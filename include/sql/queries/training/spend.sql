-- Grain: one row per customer who ordered in the last `weeks` weeks up to as_of, as it was known at its end.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), weeks.
-- spend is 13 weeks' worth: what was spent in the window, times 91 over the days of it that the shop has had.
-- Customers without a row spent nothing. Two equal orders count twice.
WITH known_orders AS (
    SELECT
        o.order_id,
        o.customer_id,
        o.business_day
    FROM core.known_orders AS o
    WHERE
        o.business_day <= %(as_of)s::date
        AND o.known_from < %(end)s::timestamptz
        AND o.known_until >= %(end)s::timestamptz
),

paid AS (
    SELECT
        l.order_id,
        sum((l.sales * 100)::bigint)::bigint AS cents
    FROM core.known_order_lines AS l
    WHERE
        l.business_day <= %(as_of)s::date
        AND l.business_day > %(as_of)s::date - 7 * %(weeks)s::integer
        AND l.known_from < %(end)s::timestamptz
        AND l.known_until >= %(end)s::timestamptz
    GROUP BY l.order_id
),

existing AS (
    SELECT least(7 * %(weeks)s::integer, %(as_of)s::date - min(o.business_day) + 1) AS days
    FROM known_orders AS o
)

SELECT
    o.customer_id,
    sum(coalesce(p.cents, 0))::double precision / 100 * 91 / min(e.days) AS spend
FROM known_orders AS o
CROSS JOIN existing AS e
LEFT JOIN paid AS p ON o.order_id = p.order_id
WHERE o.customer_id IS NOT NULL AND o.business_day > %(as_of)s::date - 7 * %(weeks)s::integer
GROUP BY o.customer_id
ORDER BY o.customer_id

-- Grain: one row per known customer who ordered within horizon_days after the cut.
-- Parameters: as_of (date, the cut), horizon_days, known_before (timestamptz, first instant after the day
-- that asks). The first day counted is the day after the cut. Of orders and lines the states count that were
-- known when it was asked: what was corrected later leaves the labels of that day as they were.
-- Customers without a row bought nothing. Two equal orders count twice.
WITH later_orders AS (
    SELECT
        o.order_id,
        o.customer_id,
        o.business_day,
        o.business_day - %(as_of)s::date AS days_after
    FROM core.known_orders AS o
    WHERE
        o.business_day > %(as_of)s::date
        AND o.business_day <= %(as_of)s::date + %(horizon_days)s::integer
        AND o.known_from < %(known_before)s::timestamptz
        AND o.known_until >= %(known_before)s::timestamptz
        AND o.customer_id IS NOT NULL
),

paid AS (
    SELECT
        l.order_id,
        sum((l.sales * 100)::bigint)::bigint AS cents
    FROM core.known_order_lines AS l
    WHERE
        l.business_day > %(as_of)s::date
        AND l.business_day <= %(as_of)s::date + %(horizon_days)s::integer
        AND l.known_from < %(known_before)s::timestamptz
        AND l.known_until >= %(known_before)s::timestamptz
    GROUP BY l.order_id
)

SELECT
    o.customer_id,
    sum(coalesce(p.cents, 0))::double precision / 100 AS spend,
    sum(coalesce(p.cents, 0)) FILTER (WHERE o.days_after <= 28)::double precision / 100
        AS spend_4w,
    count(*) AS orders,
    count(DISTINCT o.business_day) AS order_days,
    min(o.days_after) AS days_to_next_order
FROM later_orders AS o
LEFT JOIN paid AS p ON o.order_id = p.order_id
GROUP BY o.customer_id
ORDER BY o.customer_id

-- Grain: one row per customer with a known order: how often, how lately.
SELECT
    s.customer_id,
    s.first_order_day,
    s.last_order_day,
    m.as_of - s.last_order_day AS recency_days,
    m.as_of - s.first_order_day AS tenure_days,
    s.orders_total,
    s.orders_1w,
    s.orders_2w,
    s.orders_4w,
    s.orders_8w,
    s.orders_13w,
    s.orders_26w,
    s.orders_26w::double precision * m.per_week_26w AS orders_per_week_26w,
    s.decay_4w::double precision / 1e9 * m.rate_4w AS orders_decay_4w,
    s.decay_16w::double precision / 1e9 * m.rate_16w AS orders_decay_16w
FROM (
    SELECT
        b.customer_id,
        min(b.business_day) AS first_order_day,
        max(b.business_day) AS last_order_day,
        count(*) AS orders_total,
        count(*) FILTER (WHERE b.age_days < 7) AS orders_1w,
        count(*) FILTER (WHERE b.age_days < 14) AS orders_2w,
        count(*) FILTER (WHERE b.age_days < 28) AS orders_4w,
        count(*) FILTER (WHERE b.age_days < 56) AS orders_8w,
        count(*) FILTER (WHERE b.age_days < 91) AS orders_13w,
        count(*) FILTER (WHERE b.age_days < 182) AS orders_26w,
        sum((1e9 * power(b.half_2w, 1 / 2.0::double precision))::bigint) AS decay_4w,
        sum((1e9 * power(b.half_2w, 1 / 8.0::double precision))::bigint) AS decay_16w
    FROM order_amounts AS b
    GROUP BY b.customer_id
) AS s
CROSS JOIN observed AS m

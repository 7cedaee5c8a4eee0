-- Grain: one row per customer with a known order: when in the week and when in the day.
SELECT
    b.customer_id,
    avg(b.on_weekend::integer) FILTER (WHERE b.age_days < 182)::double precision
        AS weekend_share_26w,
    avg(b.in_evening::integer) FILTER (WHERE b.age_days < 182)::double precision
        AS evening_share_26w
FROM order_amounts AS b
GROUP BY b.customer_id

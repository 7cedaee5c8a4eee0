-- Grain: one row per customer with a known order: how large an order is.
SELECT
    b.customer_id,
    avg(b.cents) FILTER (WHERE b.age_days < 182)::double precision / 100 AS basket_mean_26w,
    stddev_samp(b.cents) FILTER (WHERE b.age_days < 182)::double precision / 100 AS basket_sd_26w,
    max(b.cents) FILTER (WHERE b.age_days < 91)::double precision / 100 AS basket_max_13w,
    avg(b.line_count) FILTER (WHERE b.age_days < 182)::double precision AS lines_per_basket_26w,
    sum(b.units) FILTER (WHERE b.age_days < 91)::double precision AS units_13w
FROM order_amounts AS b
GROUP BY b.customer_id

-- Grain: one row per customer with a known order: on how many days, and how many days lie between them.
-- Parameters: as_of (date).
-- A gap is the days between two consecutive days with an order; it counts on the later of the two.
SELECT
    c.customer_id,
    c.order_days_total,
    c.order_days_4w,
    c.order_days_13w,
    c.gap_mean_days::double precision AS gap_mean_days,
    c.gap_sd_days::double precision AS gap_sd_days,
    c.gap_median_days,
    c.gap_median_13w_days,
    c.gap_p90_days,
    c.gap_last_days,
    (%(as_of)s::date - c.last_order_day) / nullif(c.gap_mean_days, 0)::double precision
        AS gaps_since_last
FROM (
    SELECT
        g.customer_id,
        max(g.business_day) AS last_order_day,
        count(*) AS order_days_total,
        count(*) FILTER (WHERE %(as_of)s::date - g.business_day < 28) AS order_days_4w,
        count(*) FILTER (WHERE %(as_of)s::date - g.business_day < 91) AS order_days_13w,
        avg(g.gap_days) AS gap_mean_days,
        stddev_samp(g.gap_days) AS gap_sd_days,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY g.gap_days) AS gap_median_days,
        percentile_cont(0.9) WITHIN GROUP (ORDER BY g.gap_days) AS gap_p90_days,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY g.gap_days)
        FILTER (WHERE %(as_of)s::date - g.business_day < 91) AS gap_median_13w_days,
        (array_agg(g.gap_days ORDER BY g.business_day DESC))[1] AS gap_last_days
    FROM (
        SELECT
            d.customer_id,
            d.business_day,
            d.business_day - lag(d.business_day) OVER (
                PARTITION BY d.customer_id ORDER BY d.business_day
            ) AS gap_days
        FROM (
            SELECT DISTINCT
                b.customer_id,
                b.business_day
            FROM order_amounts AS b
        ) AS d
    ) AS g
    GROUP BY g.customer_id
) AS c

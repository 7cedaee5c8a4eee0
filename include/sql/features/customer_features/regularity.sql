-- Grain: one row per customer with an order in the last 26 weeks: how spend spreads over the weeks.
-- Weeks are counted back from the end of as_of: 0 is the last seven days.
SELECT
    s.customer_id,
    s.active_weeks_4w,
    s.active_weeks_13w,
    s.active_weeks_26w::double precision * m.per_week_26w AS active_week_share_26w,
    s.root_sales_13w::double precision / 1e6 * m.per_week_13w AS root_sales_per_week_13w,
    s.root_sales_26w::double precision / 1e6 * m.per_week_26w AS root_sales_per_week_26w,
    s.week_max_cents_13w::double precision / 100 AS week_max_13w,
    sqrt(greatest(13 * s.square_cents_13w - s.cents_13w * s.cents_13w, 0)::double precision)
    / nullif(s.cents_13w, 0)::double precision AS week_variation_13w,
    6 - s.age_cents_13w::double precision / nullif(s.cents_13w, 0)::double precision AS trend_13w
FROM (
    SELECT
        w.customer_id,
        count(*) FILTER (WHERE w.weeks_ago < 4) AS active_weeks_4w,
        count(*) FILTER (WHERE w.weeks_ago < 13) AS active_weeks_13w,
        count(*) AS active_weeks_26w,
        sum((1e6 * sqrt(w.cents / 100.0::double precision))::bigint)
        FILTER (WHERE w.weeks_ago < 13) AS root_sales_13w,
        sum((1e6 * sqrt(w.cents / 100.0::double precision))::bigint) AS root_sales_26w,
        max(w.cents) FILTER (WHERE w.weeks_ago < 13) AS week_max_cents_13w,
        sum(w.cents) FILTER (WHERE w.weeks_ago < 13) AS cents_13w,
        sum(w.cents * w.cents) FILTER (WHERE w.weeks_ago < 13) AS square_cents_13w,
        sum(w.cents * w.weeks_ago) FILTER (WHERE w.weeks_ago < 13) AS age_cents_13w
    FROM (
        SELECT
            b.customer_id,
            b.age_days / 7 AS weeks_ago,
            sum(b.cents)::bigint AS cents
        FROM order_amounts AS b
        WHERE b.age_days < 182
        GROUP BY b.customer_id, b.age_days / 7
    ) AS w
    GROUP BY w.customer_id
) AS s
CROSS JOIN observed AS m

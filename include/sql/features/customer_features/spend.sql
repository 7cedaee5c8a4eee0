-- Grain: one row per customer with a known order: how much, and whether more or less than before.
SELECT
    s.customer_id,
    s.cents_26w,
    s.cents_total::double precision / 100 AS sales_total,
    s.cents_1w::double precision / 100 AS sales_1w,
    s.cents_2w::double precision / 100 AS sales_2w,
    s.cents_4w::double precision / 100 AS sales_4w,
    s.cents_8w::double precision / 100 AS sales_8w,
    s.cents_13w::double precision / 100 AS sales_13w,
    s.cents_26w::double precision / 100 AS sales_26w,
    s.cents_total::double precision / 100 * m.per_week_total AS sales_per_week_total,
    s.cents_26w::double precision / 100 * m.per_week_26w AS sales_per_week_26w,
    s.decay_2w::double precision / 100000 * m.rate_2w AS sales_decay_2w,
    s.decay_4w::double precision / 100000 * m.rate_4w AS sales_decay_4w,
    s.decay_8w::double precision / 100000 * m.rate_8w AS sales_decay_8w,
    s.decay_16w::double precision / 100000 * m.rate_16w AS sales_decay_16w,
    s.decay_32w::double precision / 100000 * m.rate_32w AS sales_decay_32w,
    -- One unit of currency is added to either side, so that next to nothing over nothing is no trend.
    (coalesce(s.cents_4w, 0)::double precision / 400 + 1)
    / (coalesce(s.cents_13w, 0)::double precision / 1300 + 1) AS trend_4w_to_13w
FROM (
    SELECT
        b.customer_id,
        sum(b.cents) AS cents_total,
        sum(b.cents) FILTER (WHERE b.age_days < 7) AS cents_1w,
        sum(b.cents) FILTER (WHERE b.age_days < 14) AS cents_2w,
        sum(b.cents) FILTER (WHERE b.age_days < 28) AS cents_4w,
        sum(b.cents) FILTER (WHERE b.age_days < 56) AS cents_8w,
        sum(b.cents) FILTER (WHERE b.age_days < 91) AS cents_13w,
        sum(b.cents) FILTER (WHERE b.age_days < 182) AS cents_26w,
        sum((b.millicents * b.half_2w)::bigint) AS decay_2w,
        sum((b.millicents * power(b.half_2w, 1 / 2.0::double precision))::bigint) AS decay_4w,
        sum((b.millicents * power(b.half_2w, 1 / 4.0::double precision))::bigint) AS decay_8w,
        sum((b.millicents * power(b.half_2w, 1 / 8.0::double precision))::bigint) AS decay_16w,
        sum((b.millicents * power(b.half_2w, 1 / 16.0::double precision))::bigint) AS decay_32w
    FROM order_amounts AS b
    GROUP BY b.customer_id
) AS s
CROSS JOIN observed AS m

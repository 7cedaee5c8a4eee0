-- Grain: one row per customer known by the end of as_of.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), timezone.
-- Reads core only, and of core only what was known before the end of as_of, so the same text
-- gives the features of any past day, whatever was corrected since. Rates are per week of
-- observation: a window that reaches back before the shop's first day counts the weeks that exist, or
-- young histories would look poor.
WITH moment AS (
    SELECT
        %(as_of)s::date AS as_of,
        coalesce(%(as_of)s::date - min(o.business_day) + 1, 1) AS observed_days
    FROM core.known_orders AS o
    WHERE
        o.business_day <= %(as_of)s::date
        AND o.known_from < %(end)s::timestamptz
        AND o.known_until >= %(end)s::timestamptz
),

customer_now AS (
    SELECT DISTINCT ON (c.customer_id)
        c.customer_id,
        c.registered_at,
        c.age_band,
        c.income_band,
        c.household_size,
        c.kids_count,
        c.home_ownership,
        c.marital_status,
        c.region,
        c.store_distance_km
    FROM core.known_customers AS c
    WHERE c.valid_from < %(end)s::timestamptz AND c.known_at < %(end)s::timestamptz
    ORDER BY c.customer_id ASC, c.valid_from DESC, c.known_at DESC
),

product_now AS MATERIALIZED (
    SELECT
        p.product_id,
        p.department,
        p.category,
        p.brand
    FROM core.known_products AS p
    WHERE p.known_from < %(end)s::timestamptz AND p.known_until >= %(end)s::timestamptz
),

known_orders AS MATERIALIZED (
    SELECT
        o.order_id,
        o.customer_id,
        o.store_id,
        o.business_day,
        %(as_of)s::date - o.business_day AS age_days,
        extract(ISODOW FROM o.business_day) >= 6 AS on_weekend,
        extract(HOUR FROM o.ordered_at AT TIME ZONE %(timezone)s) >= 17 AS in_evening
    FROM core.known_orders AS o
    WHERE
        o.business_day <= %(as_of)s::date
        AND o.known_from < %(end)s::timestamptz
        AND o.known_until >= %(end)s::timestamptz
),

-- Money is summed in whole cents and weights in thousandths of a cent: exact sums do not depend on
-- the order of rows, so a day built twice is the same to the last digit.
known_lines AS MATERIALIZED (
    SELECT
        l.order_id,
        l.customer_id,
        l.product_id,
        l.business_day,
        (l.sales * 100)::bigint AS cents,
        (l.retail_discount * 100)::bigint AS retail_discount_cents,
        ((l.coupon_discount + l.coupon_match_discount) * 100)::bigint AS coupon_discount_cents,
        l.quantity,
        l.is_unit
    FROM core.known_order_lines AS l
    WHERE
        l.business_day <= %(as_of)s::date
        AND l.known_from < %(end)s::timestamptz
        AND l.known_until >= %(end)s::timestamptz
),

order_totals AS (
    SELECT
        l.order_id,
        sum(l.cents)::bigint AS cents,
        sum(l.retail_discount_cents)::bigint AS retail_discount_cents,
        sum(l.coupon_discount_cents)::bigint AS coupon_discount_cents,
        count(*) AS line_count,
        sum(l.quantity) FILTER (WHERE l.is_unit) AS units,
        sum(l.cents) FILTER (WHERE NOT l.is_unit) AS other_cents
    FROM known_lines AS l
    GROUP BY l.order_id
),

-- An order counts once however its lines look; two equal orders count twice.
baskets AS MATERIALIZED (
    SELECT
        o.order_id,
        o.customer_id,
        o.store_id,
        o.business_day,
        o.age_days,
        o.on_weekend,
        o.in_evening,
        coalesce(t.cents, 0) AS cents,
        1000 * coalesce(t.cents, 0)::double precision AS millicents,
        coalesce(t.retail_discount_cents, 0) AS retail_discount_cents,
        coalesce(t.coupon_discount_cents, 0) AS coupon_discount_cents,
        coalesce(t.line_count, 0) AS line_count,
        coalesce(t.units, 0) AS units,
        coalesce(t.other_cents, 0)::bigint AS other_cents,
        power(0.5::double precision, o.age_days / 14.0::double precision) AS half_2w
    FROM known_orders AS o
    LEFT JOIN order_totals AS t ON o.order_id = t.order_id
),

totals AS (
    SELECT
        b.customer_id,
        min(b.business_day) AS first_order_day,
        max(b.business_day) AS last_order_day,
        count(*) AS orders_total,
        sum(b.cents) AS cents_total,
        count(*) FILTER (WHERE b.age_days < 7) AS orders_1w,
        count(*) FILTER (WHERE b.age_days < 14) AS orders_2w,
        count(*) FILTER (WHERE b.age_days < 28) AS orders_4w,
        count(*) FILTER (WHERE b.age_days < 56) AS orders_8w,
        count(*) FILTER (WHERE b.age_days < 91) AS orders_13w,
        count(*) FILTER (WHERE b.age_days < 182) AS orders_26w,
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
        sum((b.millicents * power(b.half_2w, 1 / 16.0::double precision))::bigint) AS decay_32w,
        sum((1e9 * power(b.half_2w, 1 / 2.0::double precision))::bigint) AS orders_decay_4w,
        sum((1e9 * power(b.half_2w, 1 / 8.0::double precision))::bigint) AS orders_decay_16w,
        avg(b.cents) FILTER (WHERE b.age_days < 182) AS basket_mean_cents_26w,
        stddev_samp(b.cents) FILTER (WHERE b.age_days < 182) AS basket_sd_cents_26w,
        max(b.cents) FILTER (WHERE b.age_days < 91) AS basket_max_cents_13w,
        avg(b.line_count) FILTER (WHERE b.age_days < 182) AS lines_per_basket_26w,
        sum(b.units) FILTER (WHERE b.age_days < 91) AS units_13w,
        sum(b.retail_discount_cents) FILTER (WHERE b.age_days < 91) AS retail_discount_cents_13w,
        sum(b.coupon_discount_cents) FILTER (WHERE b.age_days < 91) AS coupon_discount_cents_13w,
        sum(b.other_cents) FILTER (WHERE b.age_days < 91) AS other_cents_13w,
        count(*) FILTER (WHERE b.coupon_discount_cents > 0 AND b.age_days < 91)
            AS coupon_orders_13w,
        avg(b.on_weekend::integer) FILTER (WHERE b.age_days < 182) AS weekend_share_26w,
        avg(b.in_evening::integer) FILTER (WHERE b.age_days < 182) AS evening_share_26w
    FROM baskets AS b
    GROUP BY b.customer_id
),

stores_used AS (
    SELECT
        s.customer_id,
        count(*) AS stores_13w
    FROM (
        SELECT DISTINCT
            b.customer_id,
            b.store_id
        FROM baskets AS b
        WHERE b.age_days < 91
    ) AS s
    GROUP BY s.customer_id
),

-- Cadence: days between consecutive days with an order.
gaps AS (
    SELECT
        d.customer_id,
        d.business_day,
        d.business_day - lag(d.business_day) OVER (
            PARTITION BY d.customer_id ORDER BY d.business_day
        ) AS gap_days
    FROM (SELECT DISTINCT
        b.customer_id,
        b.business_day
    FROM baskets AS b) AS d
),

cadence AS (
    SELECT
        g.customer_id,
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
    FROM gaps AS g
    GROUP BY g.customer_id
),

-- Spend by whole week before the end of as_of: 0 is the last seven days.
weekly AS (
    SELECT
        b.customer_id,
        b.age_days / 7 AS weeks_ago,
        sum(b.cents)::bigint AS cents
    FROM baskets AS b
    WHERE b.age_days < 182
    GROUP BY b.customer_id, b.age_days / 7
),

rhythm AS (
    SELECT
        w.customer_id,
        count(*) FILTER (WHERE w.weeks_ago < 4) AS active_weeks_4w,
        count(*) FILTER (WHERE w.weeks_ago < 13) AS active_weeks_13w,
        count(*) AS active_weeks_26w,
        sum((1e6 * sqrt(w.cents / 100.0::double precision))::bigint)
        FILTER (WHERE w.weeks_ago < 13) AS root_sales_13w,
        sum((1e6 * sqrt(w.cents / 100.0::double precision))::bigint) AS root_sales_26w,
        sum(w.cents * w.cents) FILTER (WHERE w.weeks_ago < 13) AS square_cents_13w,
        max(w.cents) FILTER (WHERE w.weeks_ago < 13) AS week_max_cents_13w,
        sum(w.cents * w.weeks_ago) FILTER (WHERE w.weeks_ago < 13) AS age_cents_13w
    FROM weekly AS w
    GROUP BY w.customer_id
),

products_bought AS MATERIALIZED (
    SELECT
        l.customer_id,
        l.product_id,
        sum(l.cents)::bigint AS cents,
        count(DISTINCT l.order_id) AS orders
    FROM known_lines AS l
    INNER JOIN known_orders AS o ON l.order_id = o.order_id
    WHERE o.age_days < 91 AND l.is_unit
    GROUP BY l.customer_id, l.product_id
),

breadth AS (
    SELECT
        b.customer_id,
        count(*) AS products_13w,
        count(*) FILTER (WHERE b.orders > 1) AS repeat_products_13w,
        count(DISTINCT p.category) AS categories_13w,
        count(DISTINCT p.department) AS departments_13w,
        sum(b.cents) AS unit_cents_13w,
        coalesce(sum(b.cents) FILTER (WHERE p.brand = 'Private'), 0) AS private_cents_13w
    FROM products_bought AS b
    LEFT JOIN product_now AS p ON b.product_id = p.product_id
    GROUP BY b.customer_id
),

campaigns_met AS (
    SELECT
        e.customer_id,
        count(*) AS campaigns_total,
        count(*) FILTER (WHERE %(as_of)s::date - e.business_day < 91) AS campaigns_13w
    FROM core.known_exposures AS e
    WHERE
        e.business_day <= %(as_of)s::date
        AND e.known_from < %(end)s::timestamptz
        AND e.known_until >= %(end)s::timestamptz
    GROUP BY e.customer_id
),

redeemed AS (
    SELECT
        r.customer_id,
        count(*) AS redemptions_total,
        count(*) FILTER (WHERE %(as_of)s::date - r.business_day < 91) AS redemptions_13w
    FROM core.known_redemptions AS r
    WHERE
        r.business_day <= %(as_of)s::date
        AND r.known_from < %(end)s::timestamptz
        AND r.known_until >= %(end)s::timestamptz
    GROUP BY r.customer_id
),

-- What the demo shop generates; another shop's are real, with the same columns.
behaviour AS (
    SELECT
        e.customer_id,
        count(*) FILTER (WHERE %(as_of)s::date - e.business_day < 28) AS events_4w,
        count(*) FILTER (WHERE e.event_type = 'browse') AS browsed_13w,
        count(*) FILTER (WHERE e.event_type = 'cart') AS carted_13w,
        count(*) FILTER (WHERE e.event_type = 'follow') AS followed_13w,
        count(*) FILTER (WHERE e.event_type = 'wishlist') AS wished_13w
    FROM core.known_events AS e
    WHERE
        e.business_day <= %(as_of)s::date
        AND e.known_from < %(end)s::timestamptz
        AND e.known_until >= %(end)s::timestamptz
        AND %(as_of)s::date - e.business_day < 91
    GROUP BY e.customer_id
),

browsed_products AS (
    SELECT
        v.customer_id,
        count(*) AS browsed_products_13w,
        count(b.product_id) AS browsed_and_bought_13w
    FROM (
        SELECT DISTINCT
            e.customer_id,
            e.product_id
        FROM core.known_events AS e
        WHERE
            e.event_type = 'browse'
            AND e.business_day <= %(as_of)s::date
            AND e.known_from < %(end)s::timestamptz
            AND e.known_until >= %(end)s::timestamptz
            AND %(as_of)s::date - e.business_day < 91
    ) AS v
    LEFT JOIN products_bought AS b
        ON v.customer_id = b.customer_id AND v.product_id = b.product_id
    GROUP BY v.customer_id
),

reviewed AS (
    SELECT
        r.customer_id,
        count(*) AS reviews_total,
        avg(r.rating) AS rating_mean,
        avg(r.sentiment::numeric)::double precision AS sentiment_mean
    FROM core.known_reviews AS r
    WHERE
        r.business_day <= %(as_of)s::date
        AND r.known_from < %(end)s::timestamptz
        AND r.known_until >= %(end)s::timestamptz
    GROUP BY r.customer_id
),

mentioned AS (
    SELECT
        n.customer_id,
        count(*) AS mentions_26w,
        avg(n.sentiment::numeric)::double precision AS sentiment_mean_26w
    FROM core.known_mentions AS n
    WHERE
        n.business_day BETWEEN %(as_of)s::date - 181 AND %(as_of)s::date
        AND n.known_from < %(end)s::timestamptz
        AND n.known_until >= %(end)s::timestamptz
        AND n.customer_id IS NOT NULL
    GROUP BY n.customer_id
),

returned AS (
    SELECT
        b.customer_id,
        sum((b.refund * 100)::bigint) AS refund_cents_26w
    FROM core.known_returns AS b
    WHERE
        b.business_day BETWEEN %(as_of)s::date - 181 AND %(as_of)s::date
        AND b.known_from < %(end)s::timestamptz
        AND b.known_until >= %(end)s::timestamptz
    GROUP BY b.customer_id
),

delivered AS (
    SELECT
        d.customer_id,
        count(*) AS deliveries_26w,
        avg(d.delay_hours::numeric)::double precision AS delay_hours_26w,
        avg((d.delay_hours > 0 OR d.status = 'failed')::integer) AS late_share_26w
    FROM core.known_deliveries AS d
    WHERE
        d.business_day BETWEEN %(as_of)s::date - 181 AND %(as_of)s::date
        AND d.known_from < %(end)s::timestamptz
        AND d.known_until >= %(end)s::timestamptz
    GROUP BY d.customer_id
),

-- A customer whose orders arrived before the customer row is still a customer.
population AS (
    SELECT c.customer_id FROM customer_now AS c
    UNION
    SELECT t.customer_id FROM totals AS t
),

-- The weeks of observation each rate is divided by; a decayed sum is divided by its decayed weeks.
exposure AS (
    SELECT
        m.as_of,
        m.observed_days,
        7.0::double precision / m.observed_days AS per_week_total,
        7.0::double precision / least(m.observed_days, 91) AS per_week_13w,
        7.0::double precision / least(m.observed_days, 182) AS per_week_26w,
        7 * (1 - power(h.half_day, 16)) / (1 - power(h.half_day, 16 * m.observed_days)) AS rate_2w,
        7 * (1 - power(h.half_day, 8)) / (1 - power(h.half_day, 8 * m.observed_days)) AS rate_4w,
        7 * (1 - power(h.half_day, 4)) / (1 - power(h.half_day, 4 * m.observed_days)) AS rate_8w,
        7 * (1 - power(h.half_day, 2)) / (1 - power(h.half_day, 2 * m.observed_days)) AS rate_16w,
        7 * (1 - h.half_day) / (1 - power(h.half_day, m.observed_days)) AS rate_32w
    FROM moment AS m
    -- What a purchase keeps of its weight from one day to the next, at a half-life of 32 weeks.
    CROSS JOIN (
        SELECT power(0.5::double precision, 1 / 224.0::double precision) AS half_day
    ) AS h
)

SELECT
    m.as_of,
    p.customer_id,
    m.observed_days,
    t.first_order_day,
    t.last_order_day,
    m.as_of - t.last_order_day AS recency_days,
    m.as_of - t.first_order_day AS tenure_days,
    coalesce(t.orders_total, 0)::integer AS orders_total,
    coalesce(c.order_days_total, 0)::integer AS order_days_total,
    coalesce(t.orders_1w, 0)::integer AS orders_1w,
    coalesce(t.orders_2w, 0)::integer AS orders_2w,
    coalesce(t.orders_4w, 0)::integer AS orders_4w,
    coalesce(t.orders_8w, 0)::integer AS orders_8w,
    coalesce(t.orders_13w, 0)::integer AS orders_13w,
    coalesce(t.orders_26w, 0)::integer AS orders_26w,
    coalesce(c.order_days_4w, 0)::integer AS order_days_4w,
    coalesce(c.order_days_13w, 0)::integer AS order_days_13w,
    coalesce(t.cents_total, 0)::double precision / 100 AS sales_total,
    coalesce(t.cents_1w, 0)::double precision / 100 AS sales_1w,
    coalesce(t.cents_2w, 0)::double precision / 100 AS sales_2w,
    coalesce(t.cents_4w, 0)::double precision / 100 AS sales_4w,
    coalesce(t.cents_8w, 0)::double precision / 100 AS sales_8w,
    coalesce(t.cents_13w, 0)::double precision / 100 AS sales_13w,
    coalesce(t.cents_26w, 0)::double precision / 100 AS sales_26w,
    coalesce(t.cents_total, 0)::double precision / 100 * m.per_week_total AS sales_per_week_total,
    coalesce(t.cents_26w, 0)::double precision / 100 * m.per_week_26w AS sales_per_week_26w,
    coalesce(t.orders_26w, 0)::double precision * m.per_week_26w AS orders_per_week_26w,
    coalesce(t.decay_2w, 0)::double precision / 100000 * m.rate_2w AS sales_decay_2w,
    coalesce(t.decay_4w, 0)::double precision / 100000 * m.rate_4w AS sales_decay_4w,
    coalesce(t.decay_8w, 0)::double precision / 100000 * m.rate_8w AS sales_decay_8w,
    coalesce(t.decay_16w, 0)::double precision / 100000 * m.rate_16w AS sales_decay_16w,
    coalesce(t.decay_32w, 0)::double precision / 100000 * m.rate_32w AS sales_decay_32w,
    coalesce(t.orders_decay_4w, 0)::double precision / 1e9 * m.rate_4w AS orders_decay_4w,
    coalesce(t.orders_decay_16w, 0)::double precision / 1e9 * m.rate_16w AS orders_decay_16w,
    coalesce(t.basket_mean_cents_26w, 0)::double precision / 100 AS basket_mean_26w,
    t.basket_sd_cents_26w::double precision / 100 AS basket_sd_26w,
    coalesce(t.basket_max_cents_13w, 0)::double precision / 100 AS basket_max_13w,
    coalesce(t.lines_per_basket_26w, 0)::double precision AS lines_per_basket_26w,
    coalesce(t.units_13w, 0)::double precision AS units_13w,
    c.gap_mean_days::double precision AS gap_mean_days,
    c.gap_sd_days::double precision AS gap_sd_days,
    c.gap_median_days,
    c.gap_median_13w_days,
    c.gap_p90_days,
    c.gap_last_days,
    (m.as_of - t.last_order_day) / nullif(c.gap_mean_days, 0)::double precision AS gaps_since_last,
    coalesce(r.active_weeks_4w, 0)::integer AS active_weeks_4w,
    coalesce(r.active_weeks_13w, 0)::integer AS active_weeks_13w,
    coalesce(r.active_weeks_26w, 0)::double precision * m.per_week_26w AS active_week_share_26w,
    coalesce(r.root_sales_13w, 0)::double precision / 1e6 * m.per_week_13w
        AS root_sales_per_week_13w,
    coalesce(r.root_sales_26w, 0)::double precision / 1e6 * m.per_week_26w
        AS root_sales_per_week_26w,
    coalesce(r.week_max_cents_13w, 0)::double precision / 100 AS week_max_13w,
    sqrt(greatest(13 * r.square_cents_13w - t.cents_13w * t.cents_13w, 0)::double precision)
    / nullif(t.cents_13w, 0)::double precision AS week_variation_13w,
    6 - r.age_cents_13w::double precision / nullif(t.cents_13w, 0)::double precision AS trend_13w,
    (coalesce(t.cents_4w, 0)::double precision / 400 + 1)
    / (coalesce(t.cents_13w, 0)::double precision / 1300 + 1) AS trend_4w_to_13w,
    coalesce(br.products_13w, 0)::integer AS products_13w,
    coalesce(br.repeat_products_13w, 0)::integer AS repeat_products_13w,
    coalesce(br.categories_13w, 0)::integer AS categories_13w,
    coalesce(br.departments_13w, 0)::integer AS departments_13w,
    coalesce(su.stores_13w, 0)::integer AS stores_13w,
    br.private_cents_13w::double precision / nullif(br.unit_cents_13w, 0)::double precision
        AS private_share_13w,
    t.other_cents_13w::double precision / nullif(t.cents_13w, 0)::double precision
        AS other_share_13w,
    t.retail_discount_cents_13w::double precision
    / nullif(t.cents_13w + t.retail_discount_cents_13w, 0)::double precision
        AS retail_discount_share_13w,
    t.coupon_discount_cents_13w::double precision / nullif(t.cents_13w, 0)::double precision
        AS coupon_discount_share_13w,
    t.coupon_orders_13w::double precision / nullif(t.orders_13w, 0) AS coupon_order_share_13w,
    t.weekend_share_26w::double precision AS weekend_share_26w,
    t.evening_share_26w::double precision AS evening_share_26w,
    coalesce(cm.campaigns_total, 0)::integer AS campaigns_total,
    coalesce(cm.campaigns_13w, 0)::integer AS campaigns_13w,
    coalesce(rd.redemptions_total, 0)::integer AS redemptions_total,
    coalesce(rd.redemptions_13w, 0)::integer AS redemptions_13w,
    cn.age_band,
    cn.income_band,
    cn.household_size,
    cn.kids_count,
    cn.home_ownership,
    cn.marital_status,
    cn.region,
    m.as_of - (cn.registered_at AT TIME ZONE %(timezone)s)::date AS registered_days,
    coalesce(be.events_4w, 0)::integer AS events_4w,
    coalesce(be.browsed_13w, 0)::integer AS browsed_13w,
    coalesce(be.carted_13w, 0)::integer AS carted_13w,
    coalesce(be.followed_13w, 0)::integer AS followed_13w,
    coalesce(be.wished_13w, 0)::integer AS wished_13w,
    bp.browsed_and_bought_13w::double precision / nullif(bp.browsed_products_13w, 0)
        AS browse_to_buy_13w,
    coalesce(rv.reviews_total, 0)::integer AS reviews_total,
    rv.rating_mean::double precision AS rating_mean,
    rv.sentiment_mean AS review_sentiment_mean,
    coalesce(mt.mentions_26w, 0)::integer AS mentions_26w,
    mt.sentiment_mean_26w AS mention_sentiment_mean_26w,
    coalesce(rt.refund_cents_26w, 0)::double precision / nullif(t.cents_26w, 0) AS return_share_26w,
    coalesce(dv.deliveries_26w, 0)::integer AS deliveries_26w,
    dv.delay_hours_26w AS delivery_delay_hours_26w,
    dv.late_share_26w::double precision AS late_delivery_share_26w,
    cn.store_distance_km
FROM population AS p
CROSS JOIN exposure AS m
LEFT JOIN customer_now AS cn ON p.customer_id = cn.customer_id
LEFT JOIN totals AS t ON p.customer_id = t.customer_id
LEFT JOIN cadence AS c ON p.customer_id = c.customer_id
LEFT JOIN rhythm AS r ON p.customer_id = r.customer_id
LEFT JOIN stores_used AS su ON p.customer_id = su.customer_id
LEFT JOIN breadth AS br ON p.customer_id = br.customer_id
LEFT JOIN campaigns_met AS cm ON p.customer_id = cm.customer_id
LEFT JOIN redeemed AS rd ON p.customer_id = rd.customer_id
LEFT JOIN behaviour AS be ON p.customer_id = be.customer_id
LEFT JOIN browsed_products AS bp ON p.customer_id = bp.customer_id
LEFT JOIN reviewed AS rv ON p.customer_id = rv.customer_id
LEFT JOIN mentioned AS mt ON p.customer_id = mt.customer_id
LEFT JOIN returned AS rt ON p.customer_id = rt.customer_id
LEFT JOIN delivered AS dv ON p.customer_id = dv.customer_id

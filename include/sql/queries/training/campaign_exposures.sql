-- Grain: one row per campaign and customer it was sent to, with what was known before its first day.
-- Reads of core only what was known before the end of as_of, whatever was corrected since.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), opened_on (date, the shop's
-- first day), history_days (campaigns that start earlier than that after opened_on are left out: nothing is
-- known about anybody), reference (a campaign, or null).
-- With a reference the rows are every customer, as if that campaign were sent to them on the day after as_of.
-- Columns *_hl28 and *_hl91 are sums in which a day counts half after 28 or 91 days. Weights are whole
-- millionths and money whole cents: exact sums do not depend on the order of rows.
WITH campaigns AS MATERIALIZED (
    SELECT
        c.campaign_id,
        c.campaign_type,
        c.starts_on,
        c.ends_on
    FROM core.known_campaigns AS c
    WHERE c.known_from < %(end)s::timestamptz AND c.known_until >= %(end)s::timestamptz
),

exposures AS MATERIALIZED (
    SELECT
        e.campaign_id,
        e.customer_id
    FROM core.known_exposures AS e
    WHERE
        e.business_day <= %(as_of)s::date
        AND e.known_from < %(end)s::timestamptz
        AND e.known_until >= %(end)s::timestamptz
),

redemptions AS MATERIALIZED (
    SELECT
        r.campaign_id,
        r.customer_id,
        r.coupon_upc,
        r.business_day
    FROM core.known_redemptions AS r
    WHERE
        r.business_day <= %(as_of)s::date
        AND r.known_from < %(end)s::timestamptz
        AND r.known_until >= %(end)s::timestamptz
),

sent AS MATERIALIZED (
    SELECT DISTINCT
        c.campaign_id,
        c.campaign_type,
        c.starts_on,
        c.ends_on,
        e.customer_id
    FROM campaigns AS c
    INNER JOIN exposures AS e ON c.campaign_id = e.campaign_id
    WHERE
        %(reference)s::text IS NULL
        AND c.starts_on >= %(opened_on)s::date + %(history_days)s::integer
    UNION ALL
    SELECT
        c.campaign_id,
        c.campaign_type,
        %(as_of)s::date + 1 AS starts_on,
        NULL AS ends_on,
        known.customer_id
    FROM campaigns AS c
    CROSS JOIN (
        SELECT DISTINCT h.customer_id
        FROM core.customers AS h
        WHERE h.valid_from < %(end)s::timestamptz AND h.known_at < %(end)s::timestamptz
    ) AS known
    WHERE c.campaign_id = %(reference)s::text
),

wanted AS MATERIALIZED (
    SELECT DISTINCT
        s.campaign_id,
        s.campaign_type,
        s.starts_on
    FROM sent AS s
),

coupon_products AS MATERIALIZED (
    SELECT DISTINCT
        k.campaign_id,
        k.coupon_upc,
        k.product_id
    FROM core.known_coupons AS k
    INNER JOIN wanted AS w ON k.campaign_id = w.campaign_id
    WHERE k.known_from < %(end)s::timestamptz
),

coupon_sizes AS (
    SELECT
        k.campaign_id,
        k.coupon_upc,
        count(*) AS products
    FROM coupon_products AS k
    GROUP BY k.campaign_id, k.coupon_upc
),

campaign_sizes AS (
    SELECT
        k.campaign_id,
        count(DISTINCT k.coupon_upc)::integer AS coupons,
        count(DISTINCT k.product_id)::integer AS products
    FROM coupon_products AS k
    GROUP BY k.campaign_id
),

-- A coupon for thousands of products (a whole department) fits everybody and tells nobody apart.
fitting AS MATERIALIZED (
    SELECT
        k.campaign_id,
        k.coupon_upc,
        k.product_id
    FROM coupon_products AS k
    INNER JOIN coupon_sizes AS s ON k.campaign_id = s.campaign_id AND k.coupon_upc = s.coupon_upc
    WHERE s.products <= 500
),

product_types AS MATERIALIZED (
    SELECT DISTINCT ON (p.product_id)
        p.product_id,
        p.type
    FROM core.products AS p
    WHERE p.valid_from < %(end)s::timestamptz AND p.known_at < %(end)s::timestamptz
    ORDER BY p.product_id ASC, p.valid_from DESC, p.known_at DESC
),

fitting_types AS (
    SELECT DISTINCT
        f.campaign_id,
        t.type
    FROM fitting AS f
    INNER JOIN product_types AS t ON f.product_id = t.product_id
    WHERE t.type IS NOT NULL
),

bought AS MATERIALIZED (
    SELECT
        l.customer_id,
        l.product_id,
        l.business_day,
        count(*) FILTER (WHERE l.coupon_discount > 0) AS coupon_lines,
        sum((l.sales * 100)::bigint)::bigint AS cents
    FROM core.known_order_lines AS l
    WHERE
        l.business_day <= %(as_of)s::date
        AND l.known_from < %(end)s::timestamptz
        AND l.known_until >= %(end)s::timestamptz
    GROUP BY l.customer_id, l.product_id, l.business_day
),

daily AS MATERIALIZED (
    SELECT
        b.customer_id,
        b.business_day,
        count(*) AS purchases,
        sum(b.coupon_lines)::bigint AS coupon_lines,
        sum(b.cents)::bigint AS cents
    FROM bought AS b
    GROUP BY b.customer_id, b.business_day
),

weights AS MATERIALIZED (
    SELECT
        days,
        round(1e6 * power(0.5, days / 28.0))::bigint AS w28,
        round(1e6 * power(0.5, days / 91.0))::bigint AS w91
    FROM generate_series(1, 3660) AS days
),

shopping AS (
    SELECT
        s.campaign_id,
        s.customer_id,
        sum(w.w91) AS days_hl91,
        sum(w.w91) FILTER (WHERE d.coupon_lines > 0) AS coupon_days_hl91,
        sum(w.w28 * d.coupon_lines) AS coupon_lines_hl28,
        sum(w.w91 * d.coupon_lines) AS coupon_lines_hl91,
        sum(w.w91 * d.purchases) AS purchases_hl91,
        sum(w.w28 * d.cents) AS cents_hl28,
        min(w.days) AS days_since_order,
        min(w.days) FILTER (WHERE d.coupon_lines > 0) AS days_since_coupon
    FROM sent AS s
    INNER JOIN daily AS d ON s.customer_id = d.customer_id AND s.starts_on > d.business_day
    INNER JOIN weights AS w ON s.starts_on - d.business_day = w.days
    GROUP BY s.campaign_id, s.customer_id
),

-- How well each coupon of the campaign fits what the customer has bought. OFFSET 0 here and below: the
-- planner believes in a handful of fitting coupons and would pair each customer with all of them first.
coupon_fit AS (
    SELECT
        b.campaign_id,
        b.customer_id,
        f.coupon_upc,
        sum(w.w91) AS fit,
        sum(w.w91 * b.coupon_lines) AS coupon_lines
    FROM (
        SELECT
            s.campaign_id,
            s.customer_id,
            o.product_id,
            o.coupon_lines,
            s.starts_on - o.business_day AS days
        FROM bought AS o
        INNER JOIN sent AS s ON o.customer_id = s.customer_id AND o.business_day < s.starts_on
        OFFSET 0  -- noqa: AM09
    ) AS b
    INNER JOIN fitting AS f ON b.campaign_id = f.campaign_id AND b.product_id = f.product_id
    INNER JOIN weights AS w ON b.days = w.days
    GROUP BY b.campaign_id, b.customer_id, f.coupon_upc
),

campaign_fit AS (
    SELECT
        r.campaign_id,
        r.customer_id,
        sum(r.fit) AS fit_hl91,
        sum(r.fit) FILTER (WHERE r.place <= 5) AS fit_best_hl91,
        sum(r.coupon_lines) AS fit_coupon_lines_hl91
    FROM (
        SELECT
            c.*,
            row_number() OVER (
                PARTITION BY c.campaign_id, c.customer_id ORDER BY c.fit DESC, c.coupon_upc ASC
            ) AS place
        FROM coupon_fit AS c
    ) AS r
    GROUP BY r.campaign_id, r.customer_id
),

bought_types AS MATERIALIZED (
    SELECT
        b.customer_id,
        t.type,
        b.business_day,
        count(*) AS purchases
    FROM bought AS b
    INNER JOIN product_types AS t ON b.product_id = t.product_id
    GROUP BY b.customer_id, t.type, b.business_day
),

type_fit AS (
    SELECT
        b.campaign_id,
        b.customer_id,
        sum(w.w91 * b.purchases) AS type_purchases_hl91
    FROM (
        SELECT
            s.campaign_id,
            s.customer_id,
            o.type,
            o.purchases,
            s.starts_on - o.business_day AS days
        FROM bought_types AS o
        INNER JOIN sent AS s ON o.customer_id = s.customer_id AND o.business_day < s.starts_on
        OFFSET 0  -- noqa: AM09
    ) AS b
    INNER JOIN fitting_types AS f ON b.campaign_id = f.campaign_id AND b.type = f.type
    INNER JOIN weights AS w ON b.days = w.days
    GROUP BY b.campaign_id, b.customer_id
),

redeemed AS MATERIALIZED (
    SELECT
        r.campaign_id,
        r.customer_id,
        min(r.business_day) AS first_day
    FROM redemptions AS r
    GROUP BY r.campaign_id, r.customer_id
),

-- Every earlier exposure of anybody, as it stood before each start: redeemed so far, and how much of the
-- campaign had passed.
earlier AS MATERIALIZED (
    SELECT
        starts.starts_on,
        c.campaign_type,
        e.customer_id,
        coalesce(r.first_day < starts.starts_on, FALSE)::integer AS is_redeemed,
        least(1.0, (starts.starts_on - c.starts_on)::numeric / greatest(c.ends_on - c.starts_on + 1, 1))
            AS passed
    FROM (SELECT DISTINCT w.starts_on FROM wanted AS w) AS starts
    INNER JOIN campaigns AS c ON starts.starts_on > c.starts_on
    INNER JOIN exposures AS e ON c.campaign_id = e.campaign_id
    LEFT JOIN redeemed AS r ON e.campaign_id = r.campaign_id AND e.customer_id = r.customer_id
),

overall_rates AS (
    SELECT
        e.starts_on,
        (sum(e.is_redeemed) + 5) / (sum(e.passed) + 50) AS rate
    FROM earlier AS e
    GROUP BY e.starts_on
),

-- Rates of a type are drawn to the overall rate as if 50 exposures had been seen at it.
type_rates AS (
    SELECT
        e.starts_on,
        e.campaign_type,
        (sum(e.is_redeemed) + 50 * min(o.rate)) / (sum(e.passed) + 50) AS rate
    FROM earlier AS e
    INNER JOIN overall_rates AS o ON e.starts_on = o.starts_on
    GROUP BY e.starts_on, e.campaign_type
),

past AS (
    SELECT
        e.starts_on,
        e.customer_id,
        count(*)::integer AS campaigns_sent,
        sum(e.is_redeemed)::integer AS campaigns_redeemed,
        sum(e.passed * t.rate) AS campaigns_expected
    FROM earlier AS e
    INNER JOIN type_rates AS t ON e.starts_on = t.starts_on AND e.campaign_type = t.campaign_type
    GROUP BY e.starts_on, e.customer_id
),

redeemed_before AS (
    SELECT
        s.campaign_id,
        s.customer_id,
        sum(w.w91) AS redemptions_hl91,
        count(*) FILTER (
            WHERE EXISTS (
                SELECT 1 FROM coupon_products AS k
                WHERE k.campaign_id = s.campaign_id AND k.coupon_upc = r.coupon_upc
            )
        )::integer AS same_coupons_redeemed
    FROM sent AS s
    INNER JOIN redemptions AS r ON s.customer_id = r.customer_id AND s.starts_on > r.business_day
    INNER JOIN weights AS w ON s.starts_on - r.business_day = w.days
    GROUP BY s.campaign_id, s.customer_id
),

redemption_days AS (
    SELECT
        s.campaign_id,
        s.customer_id,
        sum(w.w91) AS redemption_days_hl91
    FROM sent AS s
    INNER JOIN (
        SELECT DISTINCT
            r.customer_id,
            r.business_day
        FROM redemptions AS r
    ) AS d ON s.customer_id = d.customer_id AND s.starts_on > d.business_day
    INNER JOIN weights AS w ON s.starts_on - d.business_day = w.days
    GROUP BY s.campaign_id, s.customer_id
),

-- What is known about the household; the data says no date for it, so it counts as known from the start.
households AS (
    SELECT
        h.customer_id,
        bool_or(h.age_band IS NOT NULL) AS has_demographics
    FROM core.customers AS h
    WHERE h.valid_from < %(end)s::timestamptz AND h.known_at < %(end)s::timestamptz
    GROUP BY h.customer_id
)

SELECT
    s.campaign_id,
    s.customer_id,
    s.campaign_type,
    s.starts_on,
    s.ends_on,
    s.starts_on - %(opened_on)s::date AS history_days,
    coalesce(z.coupons, 0) AS coupons,
    coalesce(z.products, 0) AS products,
    coalesce(t.rate, o.rate, 0.1)::double precision AS type_rate,
    coalesce(p.campaigns_sent, 0) AS campaigns_sent,
    coalesce(p.campaigns_redeemed, 0) AS campaigns_redeemed,
    coalesce(p.campaigns_expected, 0)::double precision AS campaigns_expected,
    coalesce(h.days_hl91, 0)::double precision / 1e6 AS days_hl91,
    coalesce(h.coupon_days_hl91, 0)::double precision / 1e6 AS coupon_days_hl91,
    coalesce(h.coupon_lines_hl28, 0)::double precision / 1e6 AS coupon_lines_hl28,
    coalesce(h.coupon_lines_hl91, 0)::double precision / 1e6 AS coupon_lines_hl91,
    coalesce(h.purchases_hl91, 0)::double precision / 1e6 AS purchases_hl91,
    coalesce(h.cents_hl28, 0)::double precision / 1e8 AS sales_hl28,
    h.days_since_order,
    h.days_since_coupon,
    coalesce(f.fit_hl91, 0)::double precision / 1e6 AS fit_hl91,
    coalesce(f.fit_best_hl91, 0)::double precision / 1e6 AS fit_best_hl91,
    coalesce(f.fit_coupon_lines_hl91, 0)::double precision / 1e6 AS fit_coupon_lines_hl91,
    coalesce(y.type_purchases_hl91, 0)::double precision / 1e6 AS type_purchases_hl91,
    coalesce(b.redemptions_hl91, 0)::double precision / 1e6 AS redemptions_hl91,
    coalesce(g.redemption_days_hl91, 0)::double precision / 1e6 AS redemption_days_hl91,
    coalesce(b.same_coupons_redeemed, 0) AS same_coupons_redeemed,
    coalesce(d.has_demographics, FALSE) AS has_demographics,
    r.first_day IS NOT NULL AS is_redeemed
FROM sent AS s
LEFT JOIN campaign_sizes AS z ON s.campaign_id = z.campaign_id
LEFT JOIN overall_rates AS o ON s.starts_on = o.starts_on
LEFT JOIN type_rates AS t ON s.starts_on = t.starts_on AND s.campaign_type = t.campaign_type
LEFT JOIN past AS p ON s.starts_on = p.starts_on AND s.customer_id = p.customer_id
LEFT JOIN shopping AS h ON s.campaign_id = h.campaign_id AND s.customer_id = h.customer_id
LEFT JOIN campaign_fit AS f ON s.campaign_id = f.campaign_id AND s.customer_id = f.customer_id
LEFT JOIN type_fit AS y ON s.campaign_id = y.campaign_id AND s.customer_id = y.customer_id
LEFT JOIN redeemed_before AS b ON s.campaign_id = b.campaign_id AND s.customer_id = b.customer_id
LEFT JOIN redemption_days AS g ON s.campaign_id = g.campaign_id AND s.customer_id = g.customer_id
LEFT JOIN households AS d ON s.customer_id = d.customer_id
LEFT JOIN redeemed AS r
    ON s.campaign_id = r.campaign_id AND s.customer_id = r.customer_id AND s.starts_on <= r.first_day
ORDER BY s.starts_on, s.campaign_id, s.customer_id

-- Grain: one row per product known or sold by the end of as_of.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), timezone (unused here).
-- Reads core only, and of core only what was known before the end of as_of. Sums are of whole cents
-- and are exact, so they do not depend on the order of rows.
WITH product_now AS (
    SELECT
        p.product_id,
        p.department,
        p.category,
        p.type,
        p.brand,
        p.is_unit,
        p.active,
        p.recorded_at < %(end)s::timestamptz AS is_known
    FROM core.known_products AS p
    WHERE p.known_from < %(end)s::timestamptz AND p.known_until >= %(end)s::timestamptz
),

known_lines AS MATERIALIZED (
    SELECT
        l.product_id,
        l.customer_id,
        l.order_id,
        l.business_day,
        %(as_of)s::date - l.business_day AS age_days,
        (l.sales * 100)::bigint AS cents,
        (l.retail_discount * 100)::bigint AS discount_cents,
        CASE WHEN l.is_unit THEN l.quantity ELSE 0 END AS units
    FROM core.known_order_lines AS l
    WHERE
        l.business_day <= %(as_of)s::date
        AND l.known_from < %(end)s::timestamptz
        AND l.known_until >= %(end)s::timestamptz
),

sold AS (
    SELECT
        l.product_id,
        min(l.business_day) AS first_sold_day,
        max(l.business_day) AS last_sold_day,
        sum(l.units) FILTER (WHERE l.age_days < 28) AS units_4w,
        sum(l.units) FILTER (WHERE l.age_days < 91) AS units_13w,
        sum(l.cents) FILTER (WHERE l.age_days < 28) AS cents_4w,
        sum(l.cents) FILTER (WHERE l.age_days < 91) AS cents_13w,
        sum(l.discount_cents) FILTER (WHERE l.age_days < 91) AS discount_cents_13w
    FROM known_lines AS l
    GROUP BY l.product_id
),

bought AS (
    SELECT
        l.product_id,
        l.customer_id,
        count(DISTINCT l.order_id) AS orders
    FROM known_lines AS l
    WHERE l.age_days < 91
    GROUP BY l.product_id, l.customer_id
),

buyers AS (
    SELECT
        b.product_id,
        count(*) AS buyers_13w,
        count(*) FILTER (WHERE b.orders > 1) AS repeat_buyers_13w,
        sum(b.orders) AS orders_13w
    FROM bought AS b
    GROUP BY b.product_id
),

-- What the demo shop generates; another shop's are real, with the same columns.
behaviour AS (
    SELECT
        e.product_id,
        count(*) FILTER (WHERE e.event_type = 'browse') AS browsed_13w,
        count(*) FILTER (WHERE e.event_type = 'cart') AS carted_13w,
        count(*) FILTER (WHERE e.event_type IN ('follow', 'wishlist')) AS followed_13w
    FROM core.known_events AS e
    WHERE
        e.business_day <= %(as_of)s::date
        AND e.known_from < %(end)s::timestamptz
        AND e.known_until >= %(end)s::timestamptz
        AND %(as_of)s::date - e.business_day < 91
    GROUP BY e.product_id
),

reviewed AS (
    SELECT
        r.product_id,
        count(*) AS reviews_total,
        avg(r.rating) AS rating_mean
    FROM core.known_reviews AS r
    WHERE
        r.business_day <= %(as_of)s::date
        AND r.known_from < %(end)s::timestamptz
        AND r.known_until >= %(end)s::timestamptz
    GROUP BY r.product_id
),

population AS (
    SELECT n.product_id FROM product_now AS n
    WHERE n.is_known
    UNION
    SELECT s.product_id FROM sold AS s
)

SELECT
    %(as_of)s::date AS as_of,
    p.product_id,
    n.department,
    n.category,
    n.type,
    n.brand,
    coalesce(n.is_unit, TRUE) AS is_unit,
    coalesce(n.active, TRUE) AS active,
    s.first_sold_day,
    s.last_sold_day,
    %(as_of)s::date - s.last_sold_day AS days_since_sold,
    coalesce(s.units_4w, 0)::double precision AS units_4w,
    coalesce(s.units_13w, 0)::double precision AS units_13w,
    coalesce(s.cents_4w, 0)::double precision / 100 AS sales_4w,
    coalesce(s.cents_13w, 0)::double precision / 100 AS sales_13w,
    s.cents_13w::double precision / 100 / nullif(s.units_13w, 0)::double precision AS price_13w,
    s.discount_cents_13w::double precision
    / nullif(s.cents_13w + s.discount_cents_13w, 0)::double precision AS discount_share_13w,
    coalesce(b.buyers_13w, 0)::integer AS buyers_13w,
    coalesce(b.orders_13w, 0)::integer AS orders_13w,
    b.repeat_buyers_13w::double precision / nullif(b.buyers_13w, 0) AS repeat_buyer_share_13w,
    coalesce(e.browsed_13w, 0)::integer AS browsed_13w,
    coalesce(e.carted_13w, 0)::integer AS carted_13w,
    coalesce(e.followed_13w, 0)::integer AS followed_13w,
    coalesce(r.reviews_total, 0)::integer AS reviews_total,
    r.rating_mean::double precision AS rating_mean
FROM population AS p
LEFT JOIN product_now AS n ON p.product_id = n.product_id
LEFT JOIN sold AS s ON p.product_id = s.product_id
LEFT JOIN buyers AS b ON p.product_id = b.product_id
LEFT JOIN behaviour AS e ON p.product_id = e.product_id
LEFT JOIN reviewed AS r ON p.product_id = r.product_id

-- One row per customer and followed product that has become cheaper.
-- followed_days, recent_days, compared_days.
WITH followed AS (
    SELECT
        e.customer_id,
        e.product_id,
        max(e.business_day) AS happened_on
    FROM core.events AS e
    WHERE
        e.event_type IN ('follow', 'wishlist')
        AND e.business_day <= %(as_of)s
        AND e.business_day >= %(as_of)s::date - %(followed_days)s::integer
    GROUP BY e.customer_id, e.product_id
),

paid AS (
    SELECT
        l.product_id,
        l.sales / l.quantity AS price,
        l.business_day > %(as_of)s::date - %(recent_days)s::integer AS is_recent
    FROM core.order_lines AS l
    WHERE
        l.is_unit
        AND l.quantity > 0
        AND l.sales > 0
        AND (l.cancelled_quantity < l.quantity) IS NOT FALSE
        AND l.business_day <= %(as_of)s
        AND l.business_day > %(as_of)s::date - (%(recent_days)s + %(compared_days)s)::integer
        AND l.product_id IN (SELECT f.product_id FROM followed AS f)
),

-- What a piece cost at the till, coupons apart: the middle of what was paid, recently and before that.
prices AS (
    SELECT
        l.product_id,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY l.price) FILTER (WHERE l.is_recent) AS price_now,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY l.price) FILTER (WHERE NOT l.is_recent) AS price_before,
        count(*) FILTER (WHERE NOT l.is_recent) AS sold_before
    FROM paid AS l
    GROUP BY l.product_id
)

SELECT
    f.customer_id,
    f.product_id AS key,
    f.product_id,
    f.happened_on,
    p.price_now,
    p.price_before
FROM followed AS f
INNER JOIN prices AS p ON f.product_id = p.product_id
-- One old price is none to compare with.
WHERE p.price_now < p.price_before AND p.sold_before >= 3

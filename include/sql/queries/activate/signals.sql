-- One row per customer and thing that a campaign may answer: a product looked at or put into the cart and
-- not bought since, a followed product that has become cheaper, a product bought before that the region has
-- too much of, a review. Only what was known at the end of the day; of stock priorities, those published for
-- the day before, so that deciding and ranking stock never wait for one another. What is about a product that
-- the policy calls sensitive is left out: every message names its product.
-- sensitive: the policy's rules, as JSON; of each all that it gives of product_ids, types, categories and
-- manufacturers must fit. A price limit is not looked at, so that the rule holds for the whole kind.
-- visit_days, followed_days, recent_days, compared_days, review_days, bought_days: how far back each is
-- looked for.
WITH regions AS (
    SELECT DISTINCT ON (v.customer_id)
        v.customer_id,
        v.region
    FROM core.known_customers AS v
    WHERE v.valid_from < %(end)s AND v.known_at < %(end)s
    ORDER BY v.customer_id ASC, v.valid_from DESC, v.known_at DESC
),

visits AS (
    SELECT
        e.customer_id,
        e.event_type AS signal,
        e.product_id,
        max(e.business_day) AS happened_on,
        max(e.occurred_at) AS last_at,
        count(*) AS number
    FROM core.events AS e
    WHERE
        e.event_type IN ('browse', 'cart')
        AND e.business_day <= %(as_of)s
        AND e.business_day > %(as_of)s::date - %(visit_days)s::integer
    GROUP BY e.customer_id, e.event_type, e.product_id
),

abandoned AS (
    SELECT v.*
    FROM visits AS v
    WHERE NOT EXISTS (
        SELECT 1 FROM core.order_lines AS l
        WHERE
            l.customer_id = v.customer_id
            AND l.product_id = v.product_id
            AND l.ordered_at >= v.last_at
            AND l.business_day BETWEEN v.happened_on AND %(as_of)s
    )
),

followed AS (
    SELECT
        e.customer_id,
        e.product_id,
        max(e.business_day) AS happened_on
    FROM core.events AS e
    WHERE
        e.event_type IN ('follow', 'wishlist')
        AND e.business_day <= %(as_of)s
        AND e.business_day > %(as_of)s::date - %(followed_days)s::integer
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
),

priorities AS (
    SELECT
        s.region,
        s.product_id,
        s.promote_to
    FROM marketing.stock_priorities AS s
    WHERE s.as_of = %(as_of)s::date - 1 AND s.promote_to <> 'everybody'
),

bought AS (
    SELECT
        l.customer_id,
        l.product_id,
        max(l.business_day) AS happened_on,
        count(DISTINCT l.business_day)::double precision AS number
    FROM core.order_lines AS l
    INNER JOIN regions AS c ON l.customer_id = c.customer_id
    INNER JOIN priorities AS p
        ON c.region = p.region AND l.product_id = p.product_id AND p.promote_to = 'clear'
    WHERE
        l.business_day <= %(as_of)s
        AND l.business_day > %(as_of)s::date - %(bought_days)s::integer
    GROUP BY l.customer_id, l.product_id
),

found AS (
    SELECT
        a.customer_id,
        a.signal,
        a.product_id AS key,
        a.product_id,
        a.happened_on,
        a.number::double precision AS number,
        NULL::double precision AS price_now,
        NULL::double precision AS price_before
    FROM abandoned AS a
    UNION ALL
    SELECT
        f.customer_id,
        'price_drop' AS signal,
        f.product_id AS key,
        f.product_id,
        f.happened_on,
        NULL AS number,
        p.price_now,
        p.price_before
    FROM followed AS f
    INNER JOIN prices AS p ON f.product_id = p.product_id
    -- One old price is none to compare with.
    WHERE p.price_now < p.price_before AND p.sold_before >= 3
    UNION ALL
    SELECT
        b.customer_id,
        'overstock' AS signal,
        b.product_id AS key,
        b.product_id,
        b.happened_on,
        b.number,
        NULL AS price_now,
        NULL AS price_before
    FROM bought AS b
    UNION ALL
    SELECT
        r.customer_id,
        'review' AS signal,
        r.review_id::text AS key,
        r.product_id,
        r.business_day AS happened_on,
        r.rating AS number,
        NULL AS price_now,
        NULL AS price_before
    FROM core.reviews AS r
    WHERE
        r.business_day <= %(as_of)s
        AND r.business_day > %(as_of)s::date - %(review_days)s::integer
),

names AS (
    SELECT DISTINCT ON (v.product_id)
        v.product_id,
        v.name,
        v.active,
        exists(
            SELECT 1
            FROM jsonb_array_elements(%(sensitive)s::jsonb) AS r (rule)
            WHERE
                (r.rule -> 'product_ids' IS NULL OR r.rule -> 'product_ids' @> to_jsonb(v.product_id))
                AND (r.rule -> 'types' IS NULL OR r.rule -> 'types' @> to_jsonb(v.type))
                AND (r.rule -> 'categories' IS NULL OR r.rule -> 'categories' @> to_jsonb(v.category))
                AND (
                    r.rule -> 'manufacturers' IS NULL
                    OR r.rule -> 'manufacturers' @> to_jsonb(v.manufacturer_id)
                )
        ) AS is_sensitive
    FROM core.products AS v
    WHERE v.valid_from < %(end)s AND v.known_at < %(end)s
    ORDER BY v.product_id ASC, v.valid_from DESC, v.known_at DESC
),

stock AS (
    SELECT DISTINCT ON (t.region, t.product_id)
        t.region,
        t.product_id,
        t.on_hand
    FROM core.stock_levels AS t
    WHERE
        t.business_day <= %(as_of)s
        AND t.business_day > %(as_of)s::date - 28
        AND t.product_id IN (SELECT f.product_id FROM found AS f)
    ORDER BY t.region ASC, t.product_id ASC, t.counted_at DESC
)

SELECT
    f.customer_id,
    f.signal,
    f.key,
    n.name AS product,
    f.happened_on,
    f.number,
    f.price_now,
    f.price_before,
    -- A review is no offer of the product.
    CASE WHEN f.signal <> 'review' THEN n.active AND coalesce(t.on_hand > 0, TRUE) END AS in_stock,
    f.signal <> 'review'
    AND coalesce(p.promote_to = 'high_value' AND g.value_tier <> 'high', FALSE) AS kept_back
FROM found AS f
INNER JOIN names AS n ON f.product_id = n.product_id
LEFT JOIN regions AS c ON f.customer_id = c.customer_id
LEFT JOIN stock AS t ON c.region = t.region AND f.product_id = t.product_id
LEFT JOIN priorities AS p ON c.region = p.region AND f.product_id = p.product_id
LEFT JOIN marketing.customer_segments AS g ON f.customer_id = g.customer_id AND g.as_of = %(as_of)s
WHERE NOT n.is_sensitive
ORDER BY f.customer_id, f.signal, f.key

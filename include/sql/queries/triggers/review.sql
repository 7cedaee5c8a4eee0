-- One row per review with one of some ratings, with the products that go with the one that it is about.
-- ratings, within_days.
-- What goes with a product: bought in one order with it by two customers or more within half a year, the
-- cosine of the two sets of orders deciding (Linden, Smith and York 2003); on sale, and not sensitive.
WITH written AS (
    SELECT
        r.customer_id,
        r.review_id::text AS key,
        r.product_id,
        r.business_day AS happened_on,
        r.rating::double precision AS number
    FROM core.reviews AS r
    WHERE
        r.rating = any(%(ratings)s)
        AND r.business_day <= %(as_of)s
        AND r.business_day >= %(as_of)s::date - %(within_days)s::integer
),

lines AS (
    SELECT DISTINCT
        l.order_id,
        l.product_id,
        l.customer_id
    FROM core.known_order_lines AS l
    WHERE
        l.is_unit
        AND l.quantity > 0
        AND l.business_day <= %(as_of)s
        AND l.business_day > %(as_of)s::date - 182
        AND l.known_from < %(end)s
        AND l.known_until >= %(end)s
        AND EXISTS (SELECT 1 FROM written)
),

bought AS (
    SELECT
        product_id,
        count(*) AS orders
    FROM lines
    GROUP BY product_id
),

together AS (
    SELECT
        a.product_id,
        b.product_id AS other_id,
        count(*) AS orders
    FROM lines AS a
    INNER JOIN lines AS b ON a.order_id = b.order_id AND a.product_id <> b.product_id
    WHERE a.product_id IN (SELECT w.product_id FROM written AS w)
    GROUP BY a.product_id, b.product_id
    HAVING count(DISTINCT a.customer_id) >= 2
),

ranked AS (
    SELECT
        t.product_id,
        n.name,
        row_number() OVER (
            PARTITION BY t.product_id
            ORDER BY t.orders / sqrt(p.orders * o.orders) DESC, t.other_id ASC
        ) AS rank
    FROM together AS t
    INNER JOIN bought AS p ON t.product_id = p.product_id
    INNER JOIN bought AS o ON t.other_id = o.product_id
    INNER JOIN goods AS n ON t.other_id = n.product_id
    WHERE n.active AND NOT n.is_sensitive AND n.name IS NOT NULL
),

named AS (
    SELECT
        product_id,
        jsonb_agg(name ORDER BY rank)::text AS goes_with
    FROM ranked
    WHERE rank <= %(products)s
    GROUP BY product_id
)

SELECT
    w.customer_id,
    w.key,
    w.product_id,
    w.happened_on,
    w.number,
    n.goes_with
FROM written AS w
LEFT JOIN named AS n ON w.product_id = n.product_id

-- Grain: one row per customer, product, region of the store, and week of seven days; the newest week ends
-- with as_of and has age 0.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), weeks (integer).
-- Reads core only, and of core only what was known before the end of as_of. Fuel, coupon and miscellaneous
-- items (is_unit = false) are not counted by the piece and stay out. A customer is called by the place in
-- the order of customers who ever ordered, as in customers.sql: a number is a tenth of a key's size. All that
-- was sold without a customer goes by the number after the last one.
WITH ordered AS (
    SELECT DISTINCT o.customer_id
    FROM core.known_orders AS o
    WHERE
        o.customer_id IS NOT NULL
        AND o.business_day <= %(as_of)s::date
        AND o.known_from < %(end)s::timestamptz
        AND o.known_until >= %(end)s::timestamptz
),

coded AS (
    SELECT
        customer_id,
        (row_number() OVER (ORDER BY customer_id) - 1)::integer AS customer
    FROM ordered
),

-- The region as it was known then; of a store recorded only later, its oldest record.
store_then AS (
    SELECT DISTINCT ON (s.store_id)
        s.store_id,
        s.region
    FROM core.stores AS s
    ORDER BY
        s.store_id ASC,
        (s.valid_from < %(end)s::timestamptz) DESC,
        CASE WHEN s.valid_from < %(end)s::timestamptz THEN s.valid_from END DESC,
        s.valid_from ASC
),

nobody AS (
    SELECT count(*)::integer AS customer FROM coded
)

SELECT
    coalesce(c.customer, n.customer) AS customer,
    l.product_id,
    coalesce(s.region, '') AS region,
    ((%(as_of)s::date - l.business_day) / 7)::integer AS age,
    sum(l.quantity)::double precision AS units,
    sum((l.sales * 100)::bigint)::double precision / 100 AS sales,
    sum((l.retail_discount * 100)::bigint)::double precision / 100 AS discount
FROM core.known_order_lines AS l
CROSS JOIN nobody AS n
LEFT JOIN coded AS c ON l.customer_id = c.customer_id
LEFT JOIN store_then AS s ON l.store_id = s.store_id
WHERE
    (c.customer IS NOT NULL OR l.customer_id IS NULL)
    AND l.is_unit
    AND l.quantity > 0
    AND l.business_day <= %(as_of)s::date
    AND l.business_day > %(as_of)s::date - 7 * %(weeks)s::integer
    AND l.known_from < %(end)s::timestamptz
    AND l.known_until >= %(end)s::timestamptz
GROUP BY
    coalesce(c.customer, n.customer),
    l.product_id,
    coalesce(s.region, ''),
    ((%(as_of)s::date - l.business_day) / 7)::integer

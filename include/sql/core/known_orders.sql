-- Grain: one row per order and state of it, from when to when the state was what was known.
-- A run for D knows the states with known_from < end of D <= known_until. An order is known from when it was
-- placed, however often it was corrected later; a correction is known from when the shop recorded it. One
-- that was cancelled whole is no order from when that was known.
WITH kept AS (
    SELECT
        p.row_key ->> 'order_id' AS order_id,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.orders'
),

corrected AS (
    SELECT
        k.order_id,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.order_id
),

-- Until when the orders count of which nothing is left: few.
cancelled AS (
    SELECT
        o.order_id,
        max(k.known_from) AS known_until
    FROM core.orders AS o
    INNER JOIN core.known_cancellations AS k ON o.order_id = k.order_id
    WHERE o.cancelled_at IS NOT NULL
    GROUP BY o.order_id
)

SELECT
    o.order_id,
    o.customer_id,
    o.store_id,
    o.channel,
    o.currency,
    o.ordered_at,
    o.business_day,
    coalesce(c.corrected_at, o.ordered_at) AS known_from,
    coalesce(x.known_until, 'infinity') AS known_until
FROM core.orders AS o
LEFT JOIN corrected AS c ON o.order_id = c.order_id
LEFT JOIN cancelled AS x ON o.order_id = x.order_id
WHERE x.known_until IS NULL OR coalesce(c.corrected_at, o.ordered_at) < x.known_until
UNION ALL
SELECT
    s.order_id,
    s.customer_id,
    s.store_id,
    s.channel,
    s.currency,
    s.ordered_at,
    s.business_day,
    coalesce(k.follows, s.ordered_at) AS known_from,
    least(k.superseded_at, x.known_until) AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.orders, k.state) AS s
LEFT JOIN cancelled AS x ON s.order_id = x.order_id
WHERE
    k.state IS NOT NULL
    AND (x.known_until IS NULL OR coalesce(k.follows, s.ordered_at) < x.known_until)

-- Grain: one row per order and state of it, from when to when the state was what was known.
-- A run for D knows the states with known_from < end of D <= known_until. An order is known from when it was
-- placed, however often it was corrected later; a correction is known from when the shop recorded it.
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
    'infinity'::timestamptz AS known_until
FROM core.orders AS o
LEFT JOIN corrected AS c ON o.order_id = c.order_id
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
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.orders, k.state) AS s
WHERE k.state IS NOT NULL

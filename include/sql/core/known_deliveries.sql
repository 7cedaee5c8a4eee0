-- Grain: one row per delivery and state of it, from when to when the state was what was known.
-- As core.known_orders, but the shop puts no stamp on such a row, so what a run read counts.
WITH kept AS (
    SELECT
        p.row_key ->> 'delivery_id' AS delivery_id,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.deliveries'
),

corrected AS (
    SELECT
        k.delivery_id,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.delivery_id
)

SELECT
    t.delivery_id,
    t.order_id,
    t.customer_id,
    t.status,
    t.delay_hours,
    t.delivered_at,
    t.business_day,
    coalesce(c.corrected_at, t.delivered_at) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.deliveries AS t
LEFT JOIN corrected AS c ON t.delivery_id = c.delivery_id
UNION ALL
SELECT
    s.delivery_id,
    s.order_id,
    s.customer_id,
    s.status,
    s.delay_hours,
    s.delivered_at,
    s.business_day,
    coalesce(k.follows, s.delivered_at) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.deliveries, k.state) AS s
WHERE k.state IS NOT NULL

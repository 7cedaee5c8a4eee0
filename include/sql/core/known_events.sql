-- Grain: one row per event and state of it, from when to when the state was what was known.
-- As core.known_orders, but the shop puts no stamp on such a row, so what a run read counts.
WITH kept AS (
    SELECT
        (p.row_key ->> 'event_id')::bigint AS event_id,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.events'
),

corrected AS (
    SELECT
        k.event_id,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.event_id
)

SELECT
    t.event_id,
    t.customer_id,
    t.product_id,
    t.event_type,
    t.occurred_at,
    t.business_day,
    coalesce(c.corrected_at, t.occurred_at) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.events AS t
LEFT JOIN corrected AS c ON t.event_id = c.event_id
UNION ALL
SELECT
    s.event_id,
    s.customer_id,
    s.product_id,
    s.event_type,
    s.occurred_at,
    s.business_day,
    coalesce(k.follows, s.occurred_at) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.events, k.state) AS s
WHERE k.state IS NOT NULL

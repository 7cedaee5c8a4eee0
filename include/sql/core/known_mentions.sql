-- Grain: one row per mention and state of it, from when to when the state was what was known.
-- As core.known_orders, but the shop puts no stamp on such a row, so what a run read counts.
WITH kept AS (
    SELECT
        (p.row_key ->> 'mention_id')::bigint AS mention_id,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.mentions'
),

corrected AS (
    SELECT
        k.mention_id,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.mention_id
)

SELECT
    t.mention_id,
    t.customer_id,
    t.product_id,
    t.sentiment,
    t.posted_at,
    t.business_day,
    coalesce(c.corrected_at, t.posted_at) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.mentions AS t
LEFT JOIN corrected AS c ON t.mention_id = c.mention_id
UNION ALL
SELECT
    s.mention_id,
    s.customer_id,
    s.product_id,
    s.sentiment,
    s.posted_at,
    s.business_day,
    coalesce(k.follows, s.posted_at) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.mentions, k.state) AS s
WHERE k.state IS NOT NULL

-- Grain: one row per review and state of it, from when to when the state was what was known.
-- As core.known_orders, but the shop puts no stamp on such a row, so what a run read counts.
WITH kept AS (
    SELECT
        (p.row_key ->> 'review_id')::bigint AS review_id,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.reviews'
),

corrected AS (
    SELECT
        k.review_id,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.review_id
)

SELECT
    t.review_id,
    t.customer_id,
    t.product_id,
    t.rating,
    t.sentiment,
    t.written_at,
    t.business_day,
    coalesce(c.corrected_at, t.written_at) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.reviews AS t
LEFT JOIN corrected AS c ON t.review_id = c.review_id
UNION ALL
SELECT
    s.review_id,
    s.customer_id,
    s.product_id,
    s.rating,
    s.sentiment,
    s.written_at,
    s.business_day,
    coalesce(k.follows, s.written_at) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.reviews, k.state) AS s
WHERE k.state IS NOT NULL

-- Grain: one row per product, week of a mailer and state of it, from when to when it was what was known.
-- As core.known_orders; a week is known from when its plan was recorded.
WITH kept AS (
    SELECT
        p.row_key ->> 'product_id' AS product_id,
        (p.row_key ->> 'starts_on')::date AS starts_on,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.promotions'
),

corrected AS (
    SELECT
        k.product_id,
        k.starts_on,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.product_id, k.starts_on
)

SELECT
    t.product_id,
    t.starts_on,
    t.page,
    t.store_share,
    coalesce(c.corrected_at, t.known_at) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.promotions AS t
LEFT JOIN corrected AS c ON t.product_id = c.product_id AND t.starts_on = c.starts_on
UNION ALL
SELECT
    s.product_id,
    s.starts_on,
    s.page,
    s.store_share,
    coalesce(k.follows, s.known_at) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.promotions, k.state) AS s
WHERE k.state IS NOT NULL

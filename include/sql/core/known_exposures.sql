-- Grain: one row per exposure and state of it, from when to when the state was what was known.
-- As core.known_orders, but the shop puts no stamp on such a row, so what a run read counts.
WITH kept AS (
    SELECT
        p.row_key ->> 'campaign_id' AS campaign_id,
        (p.row_key ->> 'account_id')::uuid AS account_id,
        (p.row_key ->> 'business_day')::date AS business_day,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.exposures'
),

corrected AS (
    SELECT
        k.campaign_id,
        k.account_id,
        k.business_day,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.campaign_id, k.account_id, k.business_day
)

SELECT
    t.campaign_id,
    t.account_id,
    t.business_day,
    t.customer_id,
    t.exposed_at,
    coalesce(c.corrected_at, t.exposed_at) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.exposures AS t
LEFT JOIN corrected AS c
    ON t.campaign_id = c.campaign_id AND t.account_id = c.account_id AND t.business_day = c.business_day
UNION ALL
SELECT
    s.campaign_id,
    s.account_id,
    s.business_day,
    s.customer_id,
    s.exposed_at,
    coalesce(k.follows, s.exposed_at) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.exposures, k.state) AS s
WHERE k.state IS NOT NULL

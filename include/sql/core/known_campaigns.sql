-- Grain: one row per campaign and state of it, from when to when the state was what was known.
-- As core.known_orders; the first record of a campaign holds from the beginning: who was sent it was sent it,
-- whenever the shop recorded it.
WITH kept AS (
    SELECT
        p.row_key ->> 'campaign_id' AS campaign_id,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.campaigns'
),

corrected AS (
    SELECT
        k.campaign_id,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.campaign_id
)

SELECT
    t.campaign_id,
    t.campaign_type,
    t.starts_on,
    t.ends_on,
    coalesce(c.corrected_at, '-infinity'::timestamptz) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.campaigns AS t
LEFT JOIN corrected AS c ON t.campaign_id = c.campaign_id
UNION ALL
SELECT
    s.campaign_id,
    s.campaign_type,
    s.starts_on,
    s.ends_on,
    coalesce(k.follows, '-infinity'::timestamptz) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.campaigns, k.state) AS s
WHERE k.state IS NOT NULL

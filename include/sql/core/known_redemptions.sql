-- Grain: one row per redemption and state of it, from when to when the state was what was known.
-- As core.known_orders, but the shop puts no stamp on such a row, so what a run read counts.
WITH kept AS (
    SELECT
        (p.row_key ->> 'redemption_id')::bigint AS redemption_id,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.redemptions'
),

corrected AS (
    SELECT
        k.redemption_id,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.redemption_id
)

SELECT
    t.redemption_id,
    t.coupon_upc,
    t.campaign_id,
    t.customer_id,
    t.redeemed_at,
    t.business_day,
    coalesce(c.corrected_at, t.redeemed_at) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.redemptions AS t
LEFT JOIN corrected AS c ON t.redemption_id = c.redemption_id
UNION ALL
SELECT
    s.redemption_id,
    s.coupon_upc,
    s.campaign_id,
    s.customer_id,
    s.redeemed_at,
    s.business_day,
    coalesce(k.follows, s.redeemed_at) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.redemptions, k.state) AS s
WHERE k.state IS NOT NULL

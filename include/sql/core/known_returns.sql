-- Grain: one row per return and state of it, from when to when the state was what was known.
-- As core.known_orders, but the shop puts no stamp on such a row, so what a run read counts. Pieces that
-- cancelled a sale are no return.
WITH kept AS (
    SELECT
        p.row_key ->> 'return_id' AS return_id,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.returns'
),

corrected AS (
    SELECT
        k.return_id,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.return_id
)

SELECT
    t.return_id,
    t.order_id,
    t.product_id,
    t.customer_id,
    t.quantity - coalesce(t.cancelled_quantity, 0) AS quantity,
    CASE
        WHEN t.cancelled_quantity IS NULL THEN t.refund
        ELSE round(t.refund * (1 - t.cancelled_quantity / t.quantity), 2)::numeric(12, 2)
    END AS refund,
    t.returned_at,
    t.business_day,
    coalesce(c.corrected_at, t.returned_at) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.returns AS t
LEFT JOIN corrected AS c ON t.return_id = c.return_id
WHERE t.cancelled_quantity IS NULL OR t.cancelled_quantity < t.quantity
UNION ALL
SELECT
    s.return_id,
    s.order_id,
    s.product_id,
    s.customer_id,
    s.quantity - coalesce(t.cancelled_quantity, 0) AS quantity,
    CASE
        WHEN t.cancelled_quantity IS NULL THEN s.refund
        ELSE round(s.refund * (1 - t.cancelled_quantity / s.quantity), 2)::numeric(12, 2)
    END AS refund,
    s.returned_at,
    s.business_day,
    coalesce(k.follows, s.returned_at) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.returns, k.state) AS s
LEFT JOIN core.returns AS t ON k.return_id = t.return_id
WHERE
    k.state IS NOT NULL
    AND (t.cancelled_quantity IS NULL OR t.cancelled_quantity < s.quantity)

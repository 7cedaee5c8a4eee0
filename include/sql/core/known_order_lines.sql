-- Grain: one row per order line and state of it, from when to when the state was what was known.
-- As core.known_orders; a line that a correction added is known from the correction on.
WITH kept AS (
    SELECT
        p.row_key ->> 'order_id' AS order_id,
        (p.row_key ->> 'line_number')::integer AS line_number,
        p.superseded_at,
        lag(p.superseded_at) OVER (PARTITION BY p.row_key ORDER BY p.superseded_at) AS follows,
        p.state
    FROM core.past_states AS p
    WHERE p.table_name = 'core.order_lines'
),

corrected AS (
    SELECT
        k.order_id,
        k.line_number,
        max(k.superseded_at) AS corrected_at
    FROM kept AS k
    GROUP BY k.order_id, k.line_number
)

SELECT
    l.order_id,
    l.line_number,
    l.customer_id,
    l.product_id,
    l.store_id,
    l.business_day,
    l.ordered_at,
    l.quantity,
    l.sales,
    l.retail_discount,
    l.coupon_discount,
    l.coupon_match_discount,
    l.is_unit,
    coalesce(c.corrected_at, l.ordered_at) AS known_from,
    'infinity'::timestamptz AS known_until
FROM core.order_lines AS l
LEFT JOIN corrected AS c ON l.order_id = c.order_id AND l.line_number = c.line_number
UNION ALL
SELECT
    s.order_id,
    s.line_number,
    s.customer_id,
    s.product_id,
    s.store_id,
    s.business_day,
    s.ordered_at,
    s.quantity,
    s.sales,
    s.retail_discount,
    s.coupon_discount,
    s.coupon_match_discount,
    s.is_unit,
    coalesce(k.follows, s.ordered_at) AS known_from,
    k.superseded_at AS known_until
FROM kept AS k
CROSS JOIN LATERAL jsonb_populate_record(NULL::core.order_lines, k.state) AS s
WHERE k.state IS NOT NULL

-- Grain: one row per order line and state of it, from when to when the state was what was known.
-- As core.known_orders; a line that a correction added is known from the correction on. What was cancelled is
-- taken off from when that was known (core.known_cancellations), and a line that was cancelled whole is none.
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
),

states AS NOT MATERIALIZED (
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
        l.cancelled_quantity,
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
        l.cancelled_quantity,
        coalesce(k.follows, s.ordered_at) AS known_from,
        k.superseded_at AS known_until
    FROM kept AS k
    CROSS JOIN LATERAL jsonb_populate_record(NULL::core.order_lines, k.state) AS s
    LEFT JOIN core.order_lines AS l ON k.order_id = l.order_id AND k.line_number = l.line_number
    WHERE k.state IS NOT NULL
)

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
    s.known_from,
    s.known_until
FROM states AS s
WHERE s.cancelled_quantity IS NULL
UNION ALL
SELECT
    s.order_id,
    s.line_number,
    s.customer_id,
    s.product_id,
    s.store_id,
    s.business_day,
    s.ordered_at,
    (s.quantity - k.cancelled)::numeric(12, 3) AS quantity,
    round(s.sales * n.share, 2)::numeric(12, 2) AS sales,
    round(s.retail_discount * n.share, 2)::numeric(12, 2) AS retail_discount,
    round(s.coupon_discount * n.share, 2)::numeric(12, 2) AS coupon_discount,
    round(s.coupon_match_discount * n.share, 2)::numeric(12, 2) AS coupon_match_discount,
    s.is_unit,
    greatest(s.known_from, k.known_from) AS known_from,
    least(s.known_until, k.known_until) AS known_until
FROM states AS s
INNER JOIN core.known_cancellations AS k ON s.order_id = k.order_id AND s.line_number = k.line_number
CROSS JOIN LATERAL (SELECT (s.quantity - k.cancelled) / nullif(s.quantity, 0) AS share) AS n
WHERE
    s.cancelled_quantity IS NOT NULL
    AND k.cancelled < s.quantity
    AND greatest(s.known_from, k.known_from) < least(s.known_until, k.known_until)

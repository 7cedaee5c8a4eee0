-- Grain: one row per suspect: what was paid and bought in the last lines of its product before its day, with
-- the medians. Where they are few, lines of other orders of the day itself stand beside them.
SELECT
    s.row_at,
    count(*) AS seen,
    array_agg(u.price) AS prices,
    array_agg(u.pieces) AS quantities,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY u.price) AS price,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY u.pieces) AS pieces
FROM suspects AS s
CROSS JOIN
    LATERAL (
        SELECT
            l.price,
            l.pieces
        FROM (
            (
                SELECT
                    FALSE AS same_day,
                    c.business_day,
                    c.ordered_at,
                    c.order_id,
                    c.line_number,
                    c.price,
                    c.pieces
                FROM comparable AS c
                WHERE
                    c.product_id = s.product_id AND c.business_day < s.business_day
                    AND c.order_id <> s.order_id
                ORDER BY c.business_day DESC, c.ordered_at DESC, c.order_id DESC, c.line_number DESC
                LIMIT %(lines)s
            )
            UNION ALL
            (
                SELECT
                    TRUE AS same_day,
                    c.business_day,
                    c.ordered_at,
                    c.order_id,
                    c.line_number,
                    c.price,
                    c.pieces
                FROM comparable AS c
                WHERE
                    c.product_id = s.product_id AND c.business_day = s.business_day
                    AND c.order_id <> s.order_id
                ORDER BY c.business_day DESC, c.ordered_at DESC, c.order_id DESC, c.line_number DESC
                LIMIT %(lines)s
            )
            UNION ALL
            (
                SELECT
                    FALSE AS same_day,
                    o.business_day,
                    o.ordered_at,
                    o.order_id,
                    o.line_number,
                    ln((o.sales / o.quantity)::double precision) AS price,
                    ln(o.quantity::double precision) AS pieces
                FROM core.order_lines AS o
                WHERE
                    o.product_id = s.product_id AND o.business_day < %(since)s
                    AND o.order_id <> s.order_id
                    AND o.quantity > 0 AND o.sales > 0
                ORDER BY o.business_day DESC, o.ordered_at DESC, o.order_id DESC, o.line_number DESC
                LIMIT %(lines)s
            )
        ) AS l
        ORDER BY l.same_day ASC, l.business_day DESC, l.ordered_at DESC, l.order_id DESC, l.line_number DESC
        LIMIT %(lines)s
    ) AS u
GROUP BY s.row_at

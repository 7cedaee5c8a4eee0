-- Grain: one row per comparable line, and per line of the last three days of its product before the window.
SELECT
    c.row_at,
    c.order_id,
    c.product_id,
    c.business_day,
    c.ordered_at,
    c.is_unit,
    c.quantity,
    c.price,
    c.pieces
FROM comparable AS c
UNION ALL
SELECT
    NULL AS row_at,
    k.order_id,
    k.product_id,
    k.business_day,
    k.ordered_at,
    k.is_unit,
    k.quantity,
    ln((k.sales / k.quantity)::double precision) AS price,
    ln(k.quantity::double precision) AS pieces
FROM (SELECT DISTINCT c.product_id FROM comparable AS c) AS p
CROSS JOIN
    LATERAL (
        SELECT min(d.business_day) AS first_day
        FROM (
            SELECT DISTINCT o.business_day
            FROM core.order_lines AS o
            WHERE
                o.product_id = p.product_id AND o.business_day < %(since)s
                AND o.quantity > 0 AND o.sales > 0
            ORDER BY o.business_day DESC
            LIMIT 3
        ) AS d
    ) AS f
INNER JOIN core.order_lines AS k
    ON
        p.product_id = k.product_id AND f.first_day <= k.business_day
        AND k.business_day < %(since)s AND k.quantity > 0 AND k.sales > 0

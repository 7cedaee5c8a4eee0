-- Grain: one row per order line with a cancellation and span of time.
-- A cancellation is known as soon as its return is: when it was made, or read where that was later. Another
-- reason or amount that the shop gives a return afterwards moves nothing.
WITH cancelled AS (
    SELECT
        c.order_id,
        c.line_number,
        c.return_id,
        c.quantity,
        coalesce(k.corrected_at, c.cancelled_at) AS known_from
    FROM core.cancellations AS c
    LEFT JOIN (
        SELECT
            p.row_key ->> 'return_id' AS return_id,
            max(p.superseded_at) FILTER (WHERE p.state IS NULL) AS corrected_at
        FROM core.past_states AS p
        WHERE p.table_name = 'core.returns'
        GROUP BY p.row_key ->> 'return_id'
    ) AS k ON c.return_id = k.return_id
)

SELECT
    c.order_id,
    c.line_number,
    sum(c.quantity) OVER w AS cancelled,
    c.known_from,
    lead(c.known_from, 1, 'infinity') OVER w AS known_until
FROM cancelled AS c
WINDOW
    w AS (
        PARTITION BY c.order_id, c.line_number ORDER BY c.known_from, c.return_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
UNION ALL
SELECT
    c.order_id,
    c.line_number,
    0 AS cancelled,
    '-infinity' AS known_from,
    min(c.known_from) AS known_until
FROM cancelled AS c
GROUP BY c.order_id, c.line_number

-- One row: the first and the newest business day on which the shop took an order.
-- An order cannot be placed after it was recorded: such a stamp is a mistake and moves no day. One that does
-- not say when it was recorded is held against the shop's newest record, where any says so. What is dated
-- before 1900 or after 2261 is nobody's day. Its bounds are found by index, however long the history is.
WITH newest AS (
    SELECT max(updated_at) AS recorded_at
    FROM orders
    WHERE updated_at >= '1899-12-31' AND updated_at < '2262-01-01'
)

SELECT
    (
        SELECT (o.ordered_at AT TIME ZONE %(timezone)s)::date
        FROM orders AS o
        WHERE o.ordered_at >= '1899-12-31' AND o.ordered_at < '2262-01-01'
        ORDER BY o.ordered_at ASC
        LIMIT 1
    ) AS first_day,
    (
        SELECT (o.ordered_at AT TIME ZONE %(timezone)s)::date
        FROM orders AS o
        WHERE
            o.ordered_at >= '1899-12-31'
            AND o.ordered_at < '2262-01-01'
            AND o.ordered_at <= interval '1 day' + least(
                CASE WHEN o.updated_at >= '1899-12-31' THEN o.updated_at ELSE n.recorded_at END, '2262-01-01'
            )
        ORDER BY o.ordered_at DESC
        LIMIT 1
    ) AS last_day
FROM newest AS n

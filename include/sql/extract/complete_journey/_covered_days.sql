-- One row: the first and the newest business day on which the shop took an order.
-- An order cannot be placed after it was recorded: such a stamp is a mistake and moves no day. Its bounds are
-- found by index, however long the history is.
SELECT
    (
        SELECT (o.ordered_at AT TIME ZONE %(timezone)s)::date
        FROM orders AS o
        WHERE o.ordered_at IS NOT NULL
        ORDER BY o.ordered_at ASC
        LIMIT 1
    ) AS first_day,
    (
        SELECT (o.ordered_at AT TIME ZONE %(timezone)s)::date
        FROM orders AS o
        WHERE o.ordered_at <= coalesce(o.updated_at, 'infinity'::timestamptz) + interval '1 day'
        ORDER BY o.ordered_at DESC
        LIMIT 1
    ) AS last_day

-- One row: the first and the newest business day on which the shop took an order.
SELECT
    min((ordered_at AT TIME ZONE %(timezone)s)::date) AS first_day,
    max((ordered_at AT TIME ZONE %(timezone)s)::date) AS last_day
FROM orders

-- Grain: one row per table of facts: what the shop recorded in the window though it is dated outside it,
-- older than the look-back or in the future. Days stay within the four digits of a year.
SELECT
    'orders' AS table_name,
    count(*) AS rows_outside,
    greatest('0001-01-01', least('9999-12-31', min(ordered_at AT TIME ZONE %(timezone)s)::date)) AS first_day,
    greatest('0001-01-01', least('9999-12-31', max(ordered_at AT TIME ZONE %(timezone)s)::date)) AS last_day
FROM orders
WHERE
    updated_at >= %(start)s
    AND updated_at < %(end)s
    AND (ordered_at < %(start)s OR ordered_at >= %(end)s)

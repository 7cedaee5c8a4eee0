-- Grain: one row per currency and quotation of that day.
-- A row without quoted_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (quoted_at AT TIME ZONE %(timezone)s)::date AS _partition,
    currency,
    rate,
    quoted_at
FROM exchange_rates
WHERE (quoted_at >= %(start)s AND quoted_at < %(end)s) OR quoted_at IS NULL

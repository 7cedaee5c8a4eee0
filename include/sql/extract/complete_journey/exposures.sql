-- Grain: one row per campaign and customer reached that day.
-- A row without exposed_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (exposed_at AT TIME ZONE %(timezone)s)::date AS _partition,
    campaign_number,
    customer_number,
    exposed_at
FROM exposures
WHERE (exposed_at >= %(start)s AND exposed_at < %(end)s) OR exposed_at IS NULL

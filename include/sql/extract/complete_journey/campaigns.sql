-- Grain: one row per campaign whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (updated_at AT TIME ZONE %(timezone)s)::date AS _partition,
    campaign_number,
    campaign_type,
    starts_on,
    ends_on,
    updated_at
FROM campaigns
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL

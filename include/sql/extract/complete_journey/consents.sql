-- Grain: one row per answer given that day.
-- A row without recorded_at belongs to no day: every run meets it, and it stands on the newest one. So does
-- one of no end, which every window would leave out.
SELECT
    CASE WHEN isfinite(recorded_at) THEN (recorded_at AT TIME ZONE %(timezone)s)::date END AS _partition,
    consent_id,
    customer_number,
    channel,
    purpose,
    granted,
    CASE WHEN isfinite(recorded_at) THEN recorded_at END AS recorded_at
FROM consents
WHERE (recorded_at >= %(start)s AND recorded_at < %(end)s) OR recorded_at IS NULL OR NOT isfinite(recorded_at)

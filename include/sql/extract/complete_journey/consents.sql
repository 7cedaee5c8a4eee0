-- Grain: one row per answer given that day.
-- A row without recorded_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (recorded_at AT TIME ZONE %(timezone)s)::date AS _partition,
    consent_id,
    customer_number,
    channel,
    purpose,
    granted,
    recorded_at
FROM consents
WHERE (recorded_at >= %(start)s AND recorded_at < %(end)s) OR recorded_at IS NULL

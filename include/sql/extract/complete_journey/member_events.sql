-- Grain: one row per event whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (updated_at AT TIME ZONE %(timezone)s)::date AS _partition,
    event_number,
    name,
    region,
    starts_on,
    ends_on,
    cancelled,
    updated_at
FROM member_events
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL

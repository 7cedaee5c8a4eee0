-- Grain: one row per mention posted that day.
-- A row without posted_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (posted_at AT TIME ZONE %(timezone)s)::date AS _partition,
    mention_id,
    network,
    handle,
    product_number,
    body,
    posted_at
FROM mentions
WHERE (posted_at >= %(start)s AND posted_at < %(end)s) OR posted_at IS NULL

-- Grain: one row per product and week of a mailer whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (updated_at AT TIME ZONE %(timezone)s)::date AS _partition,
    product_number,
    starts_on,
    CASE
        WHEN mailer_location IN ('D') THEN 'front'
        WHEN mailer_location IN ('F') THEN 'back'
        WHEN mailer_location IN ('H', 'J', 'L') THEN 'wrap'
        ELSE 'inside'
    END AS page,
    stores_in_mailer AS store_share,
    updated_at
FROM promotions
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL

-- One row per message whose review was taken back, or has another rating by now.
-- ratings.
SELECT w.message_id
FROM waiting AS w
WHERE
    w.key IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM core.reviews AS r
        WHERE r.review_id::text = w.key AND r.rating = any(%(ratings)s)
    )

-- Grain: one row per customer who wrote a review.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
SELECT
    r.customer_id,
    count(*) AS reviews_total,
    avg(r.rating)::double precision AS rating_mean,
    avg(r.sentiment::numeric)::double precision AS review_sentiment_mean
FROM core.known_reviews AS r
WHERE
    r.business_day <= %(as_of)s::date
    AND r.known_from < %(end)s::timestamptz
    AND r.known_until >= %(end)s::timestamptz
GROUP BY r.customer_id

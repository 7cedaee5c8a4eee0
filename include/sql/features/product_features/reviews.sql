-- Grain: one row per product with a review.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
SELECT
    r.product_id,
    count(*) AS reviews_total,
    avg(r.rating)::double precision AS rating_mean
FROM core.known_reviews AS r
WHERE
    r.business_day <= %(as_of)s::date
    AND r.known_from < %(end)s::timestamptz
    AND r.known_until >= %(end)s::timestamptz
GROUP BY r.product_id

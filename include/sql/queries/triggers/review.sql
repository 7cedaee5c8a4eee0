-- One row per review with one of some ratings.
-- ratings, within_days.
SELECT
    r.customer_id,
    r.review_id::text AS key,
    r.product_id,
    r.business_day AS happened_on,
    r.rating::double precision AS number
FROM core.reviews AS r
WHERE
    r.rating = any(%(ratings)s)
    AND r.business_day <= %(as_of)s
    AND r.business_day >= %(as_of)s::date - %(within_days)s::integer

-- Grain: one row per customer known by the end of as_of, as the customer was known then.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), timezone.
SELECT DISTINCT ON (c.customer_id)
    c.customer_id,
    c.age_band,
    c.income_band,
    c.household_size,
    c.kids_count,
    c.home_ownership,
    c.marital_status,
    c.region,
    c.store_distance_km,
    %(as_of)s::date - (c.registered_at AT TIME ZONE %(timezone)s)::date AS registered_days
FROM core.known_customers AS c
WHERE c.valid_from < %(end)s::timestamptz AND c.known_at < %(end)s::timestamptz
ORDER BY c.customer_id ASC, c.valid_from DESC, c.known_at DESC

-- Grain: one row per order of a customer and the days up to as_of, as it was known at the end of as_of.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), timezone.
-- age_days is 0 on as_of itself: a window of the last N days holds the orders with age_days < N.
SELECT
    o.order_id,
    o.customer_id,
    o.store_id,
    o.business_day,
    %(as_of)s::date - o.business_day AS age_days,
    extract(ISODOW FROM o.business_day) >= 6 AS on_weekend,
    extract(HOUR FROM o.ordered_at AT TIME ZONE %(timezone)s) >= 17 AS in_evening
FROM core.known_orders AS o
WHERE
    o.business_day <= %(as_of)s::date
    AND o.known_from < %(end)s::timestamptz
    AND o.known_until >= %(end)s::timestamptz
    AND o.customer_id IS NOT NULL

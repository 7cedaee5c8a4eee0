-- Grain: one row per order line of the days up to as_of, as it was known at the end of as_of.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
-- age_days is 0 on as_of itself: a window of the last N days holds the lines with age_days < N. Sums are of
-- whole cents and are exact, so they do not depend on the order of rows.
SELECT
    l.product_id,
    l.customer_id,
    l.order_id,
    l.business_day,
    %(as_of)s::date - l.business_day AS age_days,
    (l.sales * 100)::bigint AS cents,
    (l.retail_discount * 100)::bigint AS discount_cents,
    CASE WHEN l.is_unit THEN l.quantity ELSE 0 END AS units
FROM core.known_order_lines AS l
WHERE
    l.business_day <= %(as_of)s::date
    AND l.known_from < %(end)s::timestamptz
    AND l.known_until >= %(end)s::timestamptz

-- Grain: one row per product with an event in the last 91 days.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
-- What the demo shop generates; another shop's are real, with the same columns.
SELECT
    e.product_id,
    count(*) FILTER (WHERE e.event_type = 'browse') AS browsed_13w,
    count(*) FILTER (WHERE e.event_type = 'cart') AS carted_13w,
    count(*) FILTER (WHERE e.event_type IN ('follow', 'wishlist')) AS followed_13w
FROM core.known_events AS e
WHERE
    e.business_day <= %(as_of)s::date
    AND e.known_from < %(end)s::timestamptz
    AND e.known_until >= %(end)s::timestamptz
    AND %(as_of)s::date - e.business_day < 91
GROUP BY e.product_id

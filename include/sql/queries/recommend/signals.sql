-- Grain: one row per event, review or return known by the end of as_of.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), days (how far back events
-- and returns count; reviews always do).
SELECT
    e.customer_id,
    e.product_id,
    e.business_day,
    e.event_type AS kind,
    NULL::double precision AS rating
FROM core.known_events AS e
WHERE
    e.business_day <= %(as_of)s::date
    AND e.business_day > %(as_of)s::date - %(days)s::integer
    AND e.known_from < %(end)s::timestamptz
    AND e.known_until >= %(end)s::timestamptz
UNION ALL
SELECT
    r.customer_id,
    r.product_id,
    r.business_day,
    'review' AS kind,
    r.rating::double precision AS rating
FROM core.known_reviews AS r
WHERE
    r.business_day <= %(as_of)s::date
    AND r.known_from < %(end)s::timestamptz
    AND r.known_until >= %(end)s::timestamptz
UNION ALL
SELECT
    b.customer_id,
    b.product_id,
    b.business_day,
    'return' AS kind,
    NULL::double precision AS rating
FROM core.known_returns AS b
WHERE
    b.customer_id IS NOT NULL
    AND b.business_day <= %(as_of)s::date
    AND b.business_day > %(as_of)s::date - %(days)s::integer
    AND b.known_from < %(end)s::timestamptz
    AND b.known_until >= %(end)s::timestamptz
ORDER BY customer_id, product_id, business_day, kind, rating

-- Grain: one row per customer with an event in the last 91 days: what was looked at, and bought then.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
-- What the demo shop generates; another shop's are real, with the same columns.
SELECT
    v.customer_id,
    sum(v.events_4w) AS events_4w,
    sum(v.browsed) AS browsed_13w,
    sum(v.carted) AS carted_13w,
    sum(v.followed) AS followed_13w,
    sum(v.wished) AS wished_13w,
    count(b.product_id) FILTER (WHERE v.browsed > 0)::double precision
    / nullif(count(*) FILTER (WHERE v.browsed > 0), 0) AS browse_to_buy_13w
FROM (
    SELECT
        e.customer_id,
        e.product_id,
        count(*) FILTER (WHERE %(as_of)s::date - e.business_day < 28) AS events_4w,
        count(*) FILTER (WHERE e.event_type = 'browse') AS browsed,
        count(*) FILTER (WHERE e.event_type = 'cart') AS carted,
        count(*) FILTER (WHERE e.event_type = 'follow') AS followed,
        count(*) FILTER (WHERE e.event_type = 'wishlist') AS wished
    FROM core.known_events AS e
    WHERE
        e.business_day <= %(as_of)s::date
        AND e.known_from < %(end)s::timestamptz
        AND e.known_until >= %(end)s::timestamptz
        AND %(as_of)s::date - e.business_day < 91
    GROUP BY e.customer_id, e.product_id
) AS v
LEFT JOIN products_bought AS b
    ON v.customer_id = b.customer_id AND v.product_id = b.product_id
GROUP BY v.customer_id

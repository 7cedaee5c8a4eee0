-- Grain: one row per customer whom a campaign of the shop was sent to.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
SELECT
    e.customer_id,
    count(*) AS campaigns_total,
    count(*) FILTER (WHERE %(as_of)s::date - e.business_day < 91) AS campaigns_13w
FROM core.known_exposures AS e
WHERE
    e.business_day <= %(as_of)s::date
    AND e.known_from < %(end)s::timestamptz
    AND e.known_until >= %(end)s::timestamptz
GROUP BY e.customer_id

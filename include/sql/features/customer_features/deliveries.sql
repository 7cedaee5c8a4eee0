-- Grain: one row per customer with a delivery in the last 182 days.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
SELECT
    d.customer_id,
    count(*) AS deliveries_26w,
    avg(d.delay_hours::numeric)::double precision AS delivery_delay_hours_26w,
    avg((d.delay_hours > 0 OR d.status = 'failed')::integer)::double precision
        AS late_delivery_share_26w
FROM core.known_deliveries AS d
WHERE
    d.business_day BETWEEN %(as_of)s::date - 181 AND %(as_of)s::date
    AND d.known_from < %(end)s::timestamptz
    AND d.known_until >= %(end)s::timestamptz
GROUP BY d.customer_id

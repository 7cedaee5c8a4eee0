-- One row per region and product that is not for everybody, where a place that serves the region says so:
-- what is kept back counts before what is cleared. Those published for the day before, so that deciding and
-- ranking stock never wait for one another.
SELECT
    coalesce(w.region, s.region) AS region,
    s.product_id,
    max(s.promote_to) AS promote_to
FROM marketing.stock_priorities AS s
LEFT JOIN core.stock_places AS w
    ON s.region = w.place AND w.known_from < %(end)s AND w.known_until >= %(end)s
WHERE s.as_of = %(as_of)s::date - 1 AND s.promote_to <> 'everybody'
GROUP BY coalesce(w.region, s.region), s.product_id
